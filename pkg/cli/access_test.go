package cli

import (
	"strings"
	"testing"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// accessFleet has a role and two bindings.
func accessFleet() *fleet {
	get := &yardarmv1.Rule{Verbs: []string{"get"}, Resources: []string{"bundles", "revisions"}}
	return newFleet(
		&yardarmv1.Role{Kind: "Role", Metadata: &yardarmv1.ObjectMeta{Name: "viewer"}, Spec: &yardarmv1.RoleSpec{Description: "sees", Rules: []*yardarmv1.Rule{get}}},
		&yardarmv1.Role{Kind: "Role", Metadata: &yardarmv1.ObjectMeta{Name: "shipper", CreationTimestamp: ago(0)}, Spec: &yardarmv1.RoleSpec{Rules: []*yardarmv1.Rule{
			get, {Verbs: []string{"publish"}, Resources: []string{"bundles"}}}}},
		&yardarmv1.RoleBinding{Kind: "RoleBinding", Metadata: &yardarmv1.ObjectMeta{Name: "all", CreationTimestamp: ago(0)}, Spec: &yardarmv1.RoleBindingSpec{
			Role: "viewer", Subjects: []*yardarmv1.Subject{{Kind: "Group", Name: "devs"}, {Kind: "User", Name: "ada@example.com"}}}},
		&yardarmv1.RoleBinding{Kind: "RoleBinding", Metadata: &yardarmv1.ObjectMeta{Name: "web", CreationTimestamp: ago(0)}, Spec: &yardarmv1.RoleBindingSpec{
			Role: "shipper", Subjects: []*yardarmv1.Subject{{Kind: "Token", Name: "ci"}}, Bundles: &yardarmv1.Scope{Names: []string{"web"}},
			ClusterGroups: &yardarmv1.Scope{Names: []string{"lab"}, Selector: &yardarmv1.LabelSelector{MatchLabels: map[string]string{"env": "prod"}}}}})
}

func TestRolesAndBindings(t *testing.T) {
	h := serve(t, accessFleet())
	var b strings.Builder
	for _, command := range []string{"get roles -o wide", "get rolebindings", "get role viewer -o yaml", "describe role shipper", "describe binding web",
		"delete role shipper", "delete rb/web", "delete role viewer --keep", "get roles -w", "get role shiper"} {
		args := strings.Fields(command)
		b.WriteString(transcript(args, h.run(t, args...)) + "\n")
	}
	golden(t, "access", b.String())
}
