// Package provider runs a certified OpenID provider for tests: the npm package oidc-provider, which provider.mjs serves on HTTPS. e2e/signin signs in
// to the API with it, e2e/browser to the pages.
//
// It needs Node and npm, which .ci/tools installs, and installs the packages of package-lock.json beside itself.
package provider
