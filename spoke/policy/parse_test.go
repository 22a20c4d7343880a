package policy

import (
	"strings"
	"testing"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// What is wrong with a file is told with its line, all at once.
func TestParseRefuses(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"an unknown field", "kinds: {deny: []}\nnamespace: {}\n", []string{`line 2: there is no field "namespace" here`, "clusterScoped, freeze"}},
		{"an unknown field within", "kinds:\n  denied: []\n", []string{`line 2: kinds: there is no field "denied" here; there are allow, deny`}},
		{"a field twice", "readOnly: true\nreadOnly: false\n", []string{"readOnly"}},
		{"a kind's version", "kinds: {deny: [apps/v1/Deployment]}", []string{`line 1: kinds.deny[0]: "apps/v1/Deployment"`, "the version is no part of it"}},
		{"a resource", "kinds:\n  allow:\n  - apps/*\n  - deployments\n", []string{"line 4: kinds.allow[1]", "begin with a capital"}},
		{"a namespace in capitals", "namespaces: {deny: [Kube-system]}", []string{`no name has "K" in it`}},
		{"an empty pattern", "namespaces: {deny: ['']}", []string{"namespaces.deny[0]", "it is empty"}},
		{"a class of characters", "namespaces: {deny: ['[a-z]']}", []string{`no name has "["`}},
		{"a number", "namespaces: {deny: [1]}", []string{"namespaces.deny[0]: this is to be a text", "quotes"}},
		{"a text for a list", "namespaces: {deny: kube-system}", []string{"namespaces.deny: this is to be a list"}},
		{"a list for a mapping", "namespaces: [kube-system]", []string{"namespaces: this is to be a mapping"}},
		{"a text for a boolean", "readOnly: 'yes'", []string{"readOnly: this is to be true or false"}},
		{"a misspelt word", "clusterScoped: denied", []string{"clusterScoped: this is to be deny or allow"}},
		{"a freeze without a reason", "freeze: {}", []string{"freeze: say why"}},
		{"a freeze in one word", "freeze: true", []string{"freeze: this is to be a mapping"}},
		{"a long reason", "freeze: {reason: " + strings.Repeat("x", maxReason+1) + "}", []string{"at most 512 bytes"}},
		{"a pattern for an account", "impersonation: {default: team/*}", []string{"impersonation.default", "it names one service account"}},
		{"half an account", "impersonation: {bundles: {web: deployer}}", []string{"impersonation.bundles[web]", "NAMESPACE/NAME"}},
		{"an alias", "kinds: &a {deny: [Node]}\nclusterScoped: *a\n", []string{"line 2: clusterScoped"}},
		{"no mapping", "[]", []string{"line 1: this is to be a mapping"}},
		{"no YAML", "kinds: {", []string{"line 1"}},
		{"two things", "readOnly: 1\nfreeze: {}\n", []string{"line 1: readOnly", "line 2: freeze"}},
		{"too large", "# " + strings.Repeat("x", MaxSize), []string{"at most 65536 bytes"}},
		{"two documents", "readOnly: true\n---\nreadOnly: false\n", []string{"one document"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := Parse([]byte(c.text), own)
			if err == nil {
				t.Fatalf("accepted as %+v", p)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

func TestParseNothing(t *testing.T) {
	for _, text := range []string{"", "# nothing yet\n", "---\n", "{}"} {
		if p := parse(t, text); p.Mode() != ModeEnforced || p.Evaluate(manifest.Ref{Kind: "Node", Name: "a"}).Denied {
			t.Errorf("%q: %+v", text, p)
		}
	}
}

// Whatever a file has in it, reading it ends, and what comes out can be asked.
func FuzzParse(f *testing.F) {
	f.Add([]byte(Example))
	f.Add([]byte("freeze: {reason: x}\nreadOnly: true\nownNamespace: allow\nclusterScoped: deny\n"))
	f.Add([]byte("namespaces: {allow: ['*'], deny: ['a*b*c']}\nkinds: {allow: ['*/*'], deny: [A]}"))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse(data, own)
		if err != nil {
			return
		}
		p.Describe()
		for _, r := range []manifest.Ref{{Kind: "Secret", Namespace: own, Name: "yardarm-identity"}, {Kind: "Namespace", Name: own}} {
			if v := p.Evaluate(r); !v.Denied && (r.Kind == "Secret" || !p.openOwn) {
				t.Errorf("%s is allowed by %q", r, v.Rule())
			}
		}
		for _, asked := range []string{"", "a/b", own + "/c"} {
			if a, err := p.Account("web", asked); err != nil && a != (Account{}) {
				t.Errorf("account %s, and denied: %v", a, err)
			}
		}
	})
}

func BenchmarkEvaluate(b *testing.B) {
	p, err := Parse([]byte(Example), own)
	if err != nil {
		b.Fatal(err)
	}
	r := manifest.Ref{Group: "apps", Kind: "Deployment", Namespace: "prod-web", Name: "web"}
	for b.Loop() {
		p.Evaluate(r)
	}
}
