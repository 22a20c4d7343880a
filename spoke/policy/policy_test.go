package policy

import (
	"strings"
	"testing"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

const own = "yardarm-system"

func parse(t *testing.T, text string) *Policy {
	t.Helper()
	p, err := Parse([]byte(text), own)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// ref reads "apps/Deployment prod/web", as reports name objects.
func ref(t *testing.T, text string) manifest.Ref {
	t.Helper()
	kind, name, ok := strings.Cut(text, " ")
	if !ok {
		t.Fatalf("no reference: %q", text)
	}
	var r manifest.Ref
	if r.Group, r.Kind, ok = strings.Cut(kind, "/"); !ok {
		r.Group, r.Kind = "", kind
	}
	if r.Namespace, r.Name, ok = strings.Cut(name, "/"); !ok {
		r.Namespace, r.Name = "", name
	}
	return r
}

func TestEvaluate(t *testing.T) {
	type verdicts map[string]string // by object: the rules, after a "-" where they deny
	for name, c := range map[string]struct {
		policy string
		want   verdicts
	}{
		"nothing said": {"", verdicts{
			"apps/Deployment prod/web":                            "",
			"rbac.authorization.k8s.io/ClusterRoleBinding a":      "",
			"Namespace prod":                                      "",
			"Secret prod/yardarm-identity":                        "",
			"ConfigMap yardarm-system/x":                          "-ownNamespace: deny",
			"Namespace yardarm-system":                            "-ownNamespace: deny",
			"Secret yardarm-system/yardarm-state.x":               "-built in: the spoke's identity",
			"rbac.authorization.k8s.io/RoleBinding prod/to-spoke": "",
		}},
		"namespaces": {"namespaces: {allow: [prod-*, web], deny: [prod-secret]}", verdicts{
			"ConfigMap prod-a/x":                      "namespaces.allow[0]: prod-*",
			"ConfigMap web/x":                         "namespaces.allow[1]: web",
			"ConfigMap webs/x":                        "-namespaces.allow: has no webs",
			"ConfigMap prod-secret/x":                 "-namespaces.deny[0]: prod-secret",
			"Namespace prod-a":                        "-clusterScoped: deny (the default where namespaces.allow is given)",
			"Namespace prod-secret":                   "-namespaces.deny[0]: prod-secret",
			"rbac.authorization.k8s.io/ClusterRole x": "-clusterScoped: deny (the default where namespaces.allow is given)",
		}},
		"namespaces that bundles may make": {"namespaces: {allow: [prod-*]}\nclusterScoped: {allow: [core/Namespace]}", verdicts{
			"Namespace prod-a":     "namespaces.allow[0]: prod-*, clusterScoped.allow[0]: core/Namespace",
			"Namespace kube-proxy": "-namespaces.allow: has no kube-proxy",
			"Node a":               "-clusterScoped.allow: has no core/Node",
		}},
		"only denied namespaces": {"namespaces: {deny: ['kube-*']}", verdicts{
			"ConfigMap kube-system/x":                 "-namespaces.deny[0]: kube-*",
			"Namespace kube-system":                   "-namespaces.deny[0]: kube-*",
			"rbac.authorization.k8s.io/ClusterRole x": "",
		}},
		"kinds": {"kinds: {allow: [apps/*, core/ConfigMap, '*/Ingress', batch/Job], deny: [apps/DaemonSet]}", verdicts{
			"apps/Deployment a/b":           "kinds.allow[0]: apps/*",
			"apps/DaemonSet a/b":            "-kinds.deny[0]: apps/DaemonSet",
			"ConfigMap a/b":                 "kinds.allow[1]: core/ConfigMap",
			"example.com/ConfigMap a/b":     "-kinds.allow: has no example.com/ConfigMap",
			"networking.k8s.io/Ingress a/b": "kinds.allow[2]: */Ingress",
			"batch/CronJob a/b":             "-kinds.allow: has no batch/CronJob",
			"Secret a/b":                    "-kinds.allow: has no core/Secret",
			"Namespace a":                   "-kinds.allow: has no core/Namespace",
		}},
		"a kind alone is meant in any group": {"kinds: {deny: [ClusterRoleBinding, '*Policy']}", verdicts{
			"rbac.authorization.k8s.io/ClusterRoleBinding a": "-kinds.deny[0]: ClusterRoleBinding",
			"networking.k8s.io/NetworkPolicy a/b":            "-kinds.deny[1]: *Policy",
			"rbac.authorization.k8s.io/ClusterRole a":        "",
		}},
		"nothing is allowed": {"kinds: {allow: []}", verdicts{"ConfigMap a/b": "-kinds.allow: has no core/ConfigMap"}},
		"no cluster-scoped objects": {"clusterScoped: deny", verdicts{
			"Namespace a":                        "-clusterScoped: deny",
			"storage.k8s.io/StorageClass a":      "-clusterScoped: deny",
			"rbac.authorization.k8s.io/Role a/b": "",
			"ConfigMap kube-system/x":            "",
		}},
		"cluster-scoped objects beside listed namespaces": {"namespaces: {allow: [web]}\nclusterScoped: allow", verdicts{
			"storage.k8s.io/StorageClass a": "",
			"Namespace web":                 "namespaces.allow[0]: web",
			"Namespace other":               "-namespaces.allow: has no other",
		}},
		"cluster-scoped kinds are kinds": {"kinds: {deny: [storage.k8s.io/*]}\nclusterScoped: {allow: ['*']}", verdicts{
			"storage.k8s.io/StorageClass a": "-kinds.deny[0]: storage.k8s.io/*",
			"Node a":                        "clusterScoped.allow[0]: *",
		}},
		"the spoke's own namespace, opened": {"ownNamespace: allow", verdicts{
			"ConfigMap yardarm-system/x":                   "",
			"Secret yardarm-system/mine":                   "",
			"Secret yardarm-system/yardarm-identity":       "-built in: the spoke's identity",
			"Secret yardarm-system/yardarm-inventory.x":    "-built in: the spoke's identity",
			"apps/Deployment yardarm-system/yardarm-spoke": "",
		}},
		"listing the spoke's own namespace does not open it": {"namespaces: {allow: ['*', yardarm-system]}", verdicts{
			"ConfigMap yardarm-system/x": "-ownNamespace: deny",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := parse(t, c.policy)
			for object, want := range c.want {
				v := p.Evaluate(ref(t, object))
				want, denied := strings.CutPrefix(want, "-")
				if v.Denied != denied || !strings.HasPrefix(v.Rule(), want) || want == "" && v.Rule() != "" {
					t.Errorf("%s: denied %v by %q, want %v by %q", object, v.Denied, v.Rule(), denied, want)
				}
			}
		})
	}
}

func TestAccount(t *testing.T) {
	const (
		closed = "impersonation: {default: team/deployer, allow: ['team-*/deploy*'], bundles: {'infra-*': infra/admin, special: team/special}}"
		must   = "impersonation: {required: true, allow: [team/deployer], bundles: {infra: infra/admin}}"
	)
	for _, c := range []struct{ name, policy, bundle, asked, want, denied string }{
		{"nothing said, nothing asked", "", "web", "", "", ""},
		{"nothing said", "", "web", "team/deployer", "team/deployer", ""},
		{"the spoke's own", "", "web", own + "/yardarm-spoke", "", "built in: the service accounts"},
		{"the spoke's own, opened", "ownNamespace: allow", "web", own + "/yardarm-spoke", own + "/yardarm-spoke", ""},
		{"no account", "", "web", "deployer", "", "it asks for"},
		{"a pattern", "", "web", "team/*", "", "it asks for"},
		{"a user", "", "web", "team/system:admin", "", "it asks for"},
		{"very long", "", "web", "team/" + strings.Repeat("x", 1<<20), "", "it asks for"},
		{"the default", closed, "web", "", "team/deployer", ""},
		{"the default, asked for", closed, "web", "team/deployer", "team/deployer", ""},
		{"another one that is allowed", closed, "web", "team-a/deployer", "team-a/deployer", ""},
		{"another one", closed, "web", "kube-system/admin", "", "impersonation.allow: does not have it"},
		{"a star does not cross the slash", closed, "web", "team-a/x/deploy", "", "it asks for"},
		{"a pinned bundle", closed, "infra-dns", "", "infra/admin", ""},
		{"a pinned bundle that asks for its own", closed, "infra-dns", "infra/admin", "infra/admin", ""},
		{"a pinned bundle that asks for another", closed, "infra-dns", "team-a/deployer", "", "impersonation.bundles[infra-*]: infra/admin"},
		{"another's account", closed, "web", "infra/admin", "", "impersonation.allow: does not have it"},
		{"none, and one is required", must, "web", "", "", "impersonation.required"},
		{"one that is required", must, "web", "team/deployer", "team/deployer", ""},
		{"one that is required and pinned", must, "infra", "", "infra/admin", ""},
		{"nothing is allowed", "impersonation: {}", "web", "team/deployer", "", "impersonation.allow"},
		{"nothing is asked, nothing is allowed", "impersonation: {}", "web", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, err := parse(t, c.policy).Account(c.bundle, c.asked)
			if a.String() != c.want || (err != nil) != (c.denied != "") || err != nil && !strings.Contains(err.Error(), c.denied) {
				t.Errorf("account %q, denied by %v; want %q, %q", a, err, c.want, c.denied)
			}
			if err != nil && len(err.Error()) > 300 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		})
	}
}

// The first of the bundles' patterns that matches counts, in the order of the file.
func TestFirstBundleCounts(t *testing.T) {
	p := parse(t, "impersonation:\n  bundles:\n    zeta-web: a/first\n    'zeta-*': b/second\n    '*': c/third\n")
	for bundle, want := range map[string]string{"zeta-web": "a/first", "zeta-db": "b/second", "web": "c/third"} {
		if a, err := p.Account(bundle, ""); a.String() != want || err != nil {
			t.Errorf("%s: %s, denied by %v; want %s", bundle, a, err, want)
		}
	}
}

func TestMode(t *testing.T) {
	for text, want := range map[string]string{
		"": ModeEnforced, "readOnly: true": ModeReadOnly, "readOnly: false": ModeEnforced,
		"freeze: {reason: stocktaking}": ModeFrozen, "readOnly: true\nfreeze: {reason: stocktaking}": ModeFrozen,
	} {
		if got := parse(t, text).Mode(); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
