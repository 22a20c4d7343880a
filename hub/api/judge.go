package api

import (
	"fmt"
	"slices"

	"github.com/yardarm-dev/yardarm/hub/store"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// resourceIn is what rules call the rows of a table whose changes are judged.
var resourceIn = map[store.Table]string{
	store.Clusters:          yardarmv1.ResourceClusters,
	store.Groups:            yardarmv1.ResourceClusterGroups,
	store.Bundles:           yardarmv1.ResourceBundles,
	store.Acceptances:       yardarmv1.ResourceAssignments,
	store.Reconciliations:   yardarmv1.ResourceAssignments,
	store.Rollouts:          yardarmv1.ResourceRollouts,
	store.Gates:             yardarmv1.ResourceGates,
	store.Roles:             yardarmv1.ResourceRoles,
	store.RoleBindings:      yardarmv1.ResourceRoleBindings,
	store.Credentials:       yardarmv1.ResourceTokens,
	store.Notifications:     yardarmv1.ResourceNotifications,
	store.Strategies:        yardarmv1.ResourceStrategies,
	store.SourceCredentials: yardarmv1.ResourceSourceCredentials,
	store.Secrets:           yardarmv1.ResourceHub, // the CA is one
}

// followers are the tables whose rows change only along with one that is judged.
var followers = []store.Table{store.Revisions, store.Artifacts, store.Identities, store.Tokens, store.DeletedBundles, store.DeletedClusters, store.RolloutMembers, store.Turns}

// judge refuses what a transaction has written beyond what its caller may change, whatever handler wrote it, and why: both what was there before and what is
// there now have to be the caller's to change.
func (c *change) judge() error {
	moves := make(map[string][]string) // the groups that clusters enter or leave
	for uid, group := range c.Moves() {
		moves[uid] = append(moves[uid], group)
	}
	for _, w := range c.Writes() {
		resource, judged := resourceIn[w.Table]
		switch {
		case slices.Contains(followers, w.Table):
			continue
		case !judged:
			return fmt.Errorf("nobody judges changes of table %s", w.Table)
		case c.need.resource != "" && c.need.resource != resource:
			if slices.Contains(c.need.consequences, w.Table) {
				continue
			}
			return fmt.Errorf("a method that is about %s changes %s", c.need.resource, resource)
		}
		if err := c.judgeWrite(w, resource, moves); err != nil {
			return err
		}
	}
	return nil
}

func (c *change) judgeWrite(w store.Write, resource string, moves map[string][]string) error {
	for _, row := range []any{w.Old, w.New} {
		switch row := row.(type) {
		case nil:
		case *yardarmv1.Cluster:
			groups := c.GroupsOf(w.Key)
			if w.Old == row {
				groups = symmetricDifference(groups, moves[w.Key])
			}
			if !c.access.Cluster(c.need.verb, resource, groups) {
				return denied(c.who, c.need.verb, resource, fmt.Sprintf("%q as that would make it", row.Metadata.Name))
			}
		case *yardarmv1.ClusterGroup:
			if !c.access.Group(c.need.verb, row.Metadata.Name) {
				return denied(c.who, c.need.verb, resource, fmt.Sprintf("%q", row.Metadata.Name))
			}
		case *yardarmv1.Bundle:
			if beyond, ok := c.access.Bundle(c.need.verb, resource, row.Metadata, groupsOf(row.GetSpec().GetTargets())); !ok {
				return deniedBundle(c.who, c.need.verb, resource, row.Metadata.Name, beyond)
			}
		case *yardarmv1.Gate:
			if !c.access.Gate(c.need.verb, row.GetSpec()) {
				return denied(c.who, c.need.verb, resource, fmt.Sprintf("%q, which is about more than their bindings are", row.Metadata.Name))
			}
		case *storev1.Acceptance:
			if err := c.judgeAssignment(resource, row.ClusterUid, row.BundleUid); err != nil {
				return err
			}
		case *storev1.Reconciliation:
			if err := c.judgeAssignment(resource, row.ClusterUid, row.BundleUid); err != nil {
				return err
			}
		case *storev1.Rollout:
			if err := c.judgeAssignment(resource, "", row.BundleUid); err != nil {
				return err
			}
		default:
			if !c.access.Everywhere(c.need.verb, resource) {
				return denied(c.who, c.need.verb, resource, "")
			}
		}
	}
	if w.Table != store.Clusters || w.New == nil {
		return nil
	}
	for _, group := range moves[w.Key] {
		if !c.access.Cluster(c.need.verb, resource, []string{group}) {
			return denied(c.who, c.need.verb, resource, fmt.Sprintf("%q into or out of cluster group %q", w.New.(*yardarmv1.Cluster).Metadata.Name, group))
		}
	}
	return nil
}

// judgeAssignment judges what is about a bundle in one cluster, or in all where it names none. The hub may not know the bundle any more.
func (c *change) judgeAssignment(resource, clusterUID, bundleUID string) error {
	b := c.Bundle(bundleUID)
	if clusterUID == "" {
		if beyond, ok := c.access.Bundle(c.need.verb, resource, b.GetMetadata(), groupsOf(b.GetSpec().GetTargets())); !ok {
			return deniedBundle(c.who, c.need.verb, resource, b.GetMetadata().GetName(), beyond)
		}
		return nil
	}
	meta := b.GetMetadata()
	if meta == nil {
		meta = &yardarmv1.ObjectMeta{Name: c.ObservedBundle(clusterUID, bundleUID).GetReport().GetBundle()}
	}
	if !c.access.Assignment(c.need.verb, resource, meta, c.GroupsOf(clusterUID)) {
		return denied(c.who, c.need.verb, resource, fmt.Sprintf("%q", assignmentName(c.Cluster(clusterUID).GetMetadata().GetName(), meta.GetName())))
	}
	return nil
}

// symmetricDifference is what is in one of both only: the groups before, of those now and those that have changed.
func symmetricDifference(a, b []string) []string {
	var out []string
	for _, s := range a {
		if !slices.Contains(b, s) {
			out = append(out, s)
		}
	}
	for _, s := range b {
		if !slices.Contains(a, s) {
			out = append(out, s)
		}
	}
	return out
}
