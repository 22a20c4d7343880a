package cli

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

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
			ClusterGroups: &yardarmv1.Scope{Names: []string{"lab"}, Selector: &yardarmv1.LabelSelector{MatchLabels: map[string]string{"env": "prod"}}}}},
		&yardarmv1.Token{Kind: "Token", Metadata: &yardarmv1.ObjectMeta{Name: "ci", Uid: "0123456789ab", CreationTimestamp: ago(time.Hour)}, Status: &yardarmv1.TokenStatus{
			Prefix: "yat_0123456789ab", Actor: "local-admin", Expires: ago(-48 * time.Hour), LastUsed: ago(time.Minute), Roles: []string{"shipper"}}},
		&yardarmv1.Token{Kind: "Token", Metadata: &yardarmv1.ObjectMeta{Name: "old", CreationTimestamp: ago(time.Hour)}, Status: &yardarmv1.TokenStatus{Expires: ago(time.Minute)}})
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

func TestTokens(t *testing.T) {
	h := serve(t, accessFleet())
	var b strings.Builder
	for _, command := range []string{"get tokens", "get tokens -o wide", "describe token ci", "token create web --role publisher --bundle bundle/web,api --group prod --expires 12h",
		"token create bare", "token create x --role viewer -o json", "token create x --bundle web", "token create x --expires soon", "token create X",
		"token revoke token/ci old", "token revoke cj", "token", "auth whoami", "auth can-i publish bundle --bundle web --group prod", "auth can-i ban clusters", "auth can-i publish"} {
		args := strings.Fields(command)
		b.WriteString(transcript(args, h.run(t, args...)) + "\n")
	}
	for _, call := range h.calls {
		text, err := protojson.Marshal(call)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(strings.ReplaceAll(string(text), " ", "") + "\n")
	}
	golden(t, "tokens", b.String())
}
