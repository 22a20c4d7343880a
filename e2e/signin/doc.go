// Package signin tests how people and CI jobs show who they are, against a certified OpenID provider: the npm package oidc-provider, which
// provider.mjs runs on HTTPS. Hub and CLI are the real ones, in this process; the browser is one that reads forms and fills them in.
//
// It needs Node and npm, which .ci/tools installs, and installs the packages of package-lock.json beside itself.
package signin
