package browser

import (
	"fmt"
	"testing"

	"github.com/yardarm-dev/yardarm/e2e/provider"
)

// People sign in to the pages by an identity provider: each comes back to where they were, is who the provider says, and is asked again once that ends.
func TestSignIn(t *testing.T) {
	t.Parallel()
	p := provider.Start(t)
	w := newWorld(t, "--oidc-config", writeFile(t, "oidc.yaml", fmt.Sprintf(`apiVersion: yardarm.dev/v1
kind: IdentityProviders
providers:
- name: corp
  issuer: %s
  ca: %s
  groups: [{claim: groups}]
  required: {groups: [ops]}
  pages: {clientID: pages}
`, p.Issuer, p.CA)))
	p.Do("pages " + w.hub.URL() + "/signin")
	w.provider = p
	w.do("apply", "-f", w.write("binding.yaml", "apiVersion: yardarm.dev/v1\nkind: RoleBinding\nmetadata: {name: ops}\nspec: {role: operator, subjects: [{kind: Group, name: 'corp:ops'}]}\n"))
	w.connect(fleetOf(3))
	w.run("signin.spec.mjs")
}
