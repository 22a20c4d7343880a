// Package signin tests how people and CI jobs show who they are, against a certified OpenID provider (e2e/provider). Hub and CLI are the real ones, in this
// process; the browser is one that reads forms and fills them in. e2e/browser has a real one sign in to the pages.
package signin
