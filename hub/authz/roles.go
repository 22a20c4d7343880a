package authz

import (
	"iter"
	"slices"

	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// AdminRole is the role that may do everything.
const AdminRole = "admin"

// What the roles of every hub are made of. Manifests may hold what is not for everybody, so a viewer does not see them.
var (
	viewing = rule([]string{yardarmv1.VerbGet}, yardarmv1.ResourceHub, yardarmv1.ResourceClusters, yardarmv1.ResourceClusterGroups,
		yardarmv1.ResourceBundles, yardarmv1.ResourceRevisions, yardarmv1.ResourceAssignments, yardarmv1.ResourceRollouts, yardarmv1.ResourceStrategies, yardarmv1.ResourceGates,
		yardarmv1.ResourceEvents)
	reading    = rule([]string{yardarmv1.VerbGet}, yardarmv1.ResourceArtifacts)
	publishing = []*yardarmv1.Rule{
		rule([]string{yardarmv1.VerbApply, yardarmv1.VerbPublish, yardarmv1.VerbUndo}, yardarmv1.ResourceBundles),
		rule([]string{yardarmv1.VerbReconcile}, yardarmv1.ResourceAssignments),
		rule([]string{yardarmv1.VerbSteer}, yardarmv1.ResourceRollouts),
	}
	approving = rule([]string{yardarmv1.VerbApprove}, yardarmv1.ResourceRollouts)
	accepting = rule([]string{yardarmv1.VerbAccept}, yardarmv1.ResourceAssignments)
	operating = []*yardarmv1.Rule{
		rule([]string{yardarmv1.VerbDelete}, yardarmv1.ResourceBundles),
		rule([]string{yardarmv1.VerbApply, yardarmv1.VerbDelete}, yardarmv1.ResourceClusters, yardarmv1.ResourceClusterGroups, yardarmv1.ResourceGates, yardarmv1.ResourceStrategies),
		rule([]string{yardarmv1.VerbLabel, yardarmv1.VerbEnroll, yardarmv1.VerbBan}, yardarmv1.ResourceClusters),
	}
)

// builtIn are the roles of every hub, by name.
var builtIn = []*yardarmv1.Role{
	role(AdminRole, "may do everything, and give it to others", rule([]string{yardarmv1.Any}, yardarmv1.Any)),
	role("approver", "sees everything, manifests too, approves stages of rollouts, and lets go of what is held", viewing, reading, approving, accepting),
	role("operator", "runs the fleet: clusters, their groups, bundles and their rollouts, strategies, gates, and what is held", slices.Concat(
		[]*yardarmv1.Rule{viewing, reading, accepting}, publishing, operating)...),
	role("publisher", "publishes bundles, steers their rollouts, and returns to earlier revisions", slices.Concat([]*yardarmv1.Rule{viewing, reading}, publishing)...),
	role("viewer", "sees everything but the manifests", viewing),
}

func role(name, description string, rules ...*yardarmv1.Rule) *yardarmv1.Role {
	return &yardarmv1.Role{Metadata: &yardarmv1.ObjectMeta{Name: name}, Spec: &yardarmv1.RoleSpec{Description: description, Rules: rules}}
}

func rule(verbs []string, resources ...string) *yardarmv1.Rule {
	return &yardarmv1.Rule{Verbs: verbs, Resources: resources}
}

// Verbs and Resources are all that rules may name, beside [yardarmv1.Any].
var (
	Verbs = []string{yardarmv1.VerbGet, yardarmv1.VerbApply, yardarmv1.VerbCreate, yardarmv1.VerbDelete, yardarmv1.VerbPublish, yardarmv1.VerbUndo,
		yardarmv1.VerbSteer, yardarmv1.VerbApprove, yardarmv1.VerbOverride, yardarmv1.VerbLabel, yardarmv1.VerbEnroll, yardarmv1.VerbBan, yardarmv1.VerbAccept,
		yardarmv1.VerbReconcile, yardarmv1.VerbBackup, yardarmv1.VerbRotate}
	Resources = []string{yardarmv1.ResourceHub, yardarmv1.ResourceClusters, yardarmv1.ResourceClusterGroups, yardarmv1.ResourceBundles,
		yardarmv1.ResourceRevisions, yardarmv1.ResourceArtifacts, yardarmv1.ResourceAssignments, yardarmv1.ResourceRollouts, yardarmv1.ResourceStrategies, yardarmv1.ResourceGates,
		yardarmv1.ResourceEvents,
		yardarmv1.ResourceRoles, yardarmv1.ResourceRoleBindings, yardarmv1.ResourceTokens, yardarmv1.ResourceAudit, yardarmv1.ResourceNotifications,
		yardarmv1.ResourceSourceCredentials}
)

// BuiltIn tells whether every hub has the role, which cannot be changed then.
func BuiltIn(name string) bool { return builtInRole(name) != nil }

func builtInRole(name string) *yardarmv1.Role {
	for _, r := range builtIn {
		if r.Metadata.Name == name {
			return r
		}
	}
	return nil
}

// Role returns the role with the name, or nil. It must not be changed.
func Role(tx *store.ReadTx, name string) *yardarmv1.Role {
	if r := builtInRole(name); r != nil {
		return r
	}
	return tx.Role(name)
}

// Roles yields all roles: those of every hub, then those that people have made, each by name.
func Roles(tx *store.ReadTx) iter.Seq[*yardarmv1.Role] {
	return func(yield func(*yardarmv1.Role) bool) {
		for _, r := range builtIn {
			if !yield(r) {
				return
			}
		}
		for r := range tx.Roles() {
			if !yield(r) {
				return
			}
		}
	}
}
