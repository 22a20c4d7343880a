package policy

import (
	"strings"
	"testing"
)

func TestFlags(t *testing.T) {
	p, err := Flags{
		ReadOnly: true, AllowNamespaces: []string{"web", "team-*"}, DenyNamespaces: []string{"team-x"}, DenyKinds: []string{"Secret"}, ServiceAccount: "web/deployer",
	}.Policy(own)
	if err != nil {
		t.Fatal(err)
	}
	for object, want := range map[string]string{
		"ConfigMap web/x": "", "ConfigMap team-a/x": "", "ConfigMap team-x/x": "--deny-namespaces: team-x", "ConfigMap other/x": "--allow-namespaces: has no other",
		"Secret web/x": "--deny-kinds: Secret", "Node a": "--allow-namespaces: nothing that is cluster-scoped", "ConfigMap " + own + "/x": "ownNamespace",
	} {
		if v := p.Evaluate(ref(t, object)); v.Denied != (want != "") || v.Denied && !strings.HasPrefix(v.Rule(), want) {
			t.Errorf("%s: denied %v by %q, want %q", object, v.Denied, v.Rule(), want)
		}
	}
	if a, err := p.Account("web", ""); err != nil || a.String() != "web/deployer" || p.Mode() != ModeReadOnly {
		t.Errorf("account %s, %v; mode %s", a, err, p.Mode())
	}
	if _, err := p.Account("web", "web/other"); err == nil {
		t.Error("a bundle may ask for another account")
	}
	if p, err := (Flags{Freeze: "a\n b"}).Policy(own); err != nil || p.Mode() != ModeFrozen || p.Freeze != "a b" {
		t.Errorf("%+v, %v", p, err)
	}
	for want, f := range map[string]Flags{
		"--deny-kinds":       {DenyKinds: []string{"apps/v1/Deployment"}},
		"--allow-namespaces": {AllowNamespaces: []string{"A"}},
		"--service-account":  {ServiceAccount: "deployer"},
		"--freeze":           {Freeze: strings.Repeat("x", maxReason+1)},
	} {
		if _, err := f.Policy(own); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%+v: %v", f, err)
		}
	}
}
