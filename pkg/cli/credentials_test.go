package cli

import (
	"strings"
	"testing"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// TestCredentialsScope goes from flags to what describe says of them.
func TestCredentialsScope(t *testing.T) {
	for _, test := range []struct {
		flags     credentialsFlags
		want, err string
	}{
		{credentialsFlags{}, "none", ""},
		{credentialsFlags{bundles: []string{"web", "bundle/api"}}, "web,api", ""},
		{credentialsFlags{bundleSelector: "team in (a,b),!old"}, "!old,team in (a,b)", ""},
		{credentialsFlags{bundles: []string{"web"}, bundleSelector: "team=a"}, "web,team in (a)", ""},
		{credentialsFlags{allBundles: true}, "all", ""},
		{credentialsFlags{bundleSelector: "team in"}, "", "--bundle-selector: "},
	} {
		s, err := test.flags.scope()
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%+v: %v", test.flags, err)
			}
			continue
		}
		if got := credentialsFor(&yardarmv1.SourceCredentials{Spec: &yardarmv1.SourceCredentialsSpec{Bundles: s}}); err != nil || got != test.want {
			t.Errorf("%+v are for %s, %v; want %s", test.flags, got, err, test.want)
		}
	}
}
