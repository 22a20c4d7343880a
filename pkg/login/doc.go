// Package login gets ID tokens for people from an identity provider that a hub trusts: through their browser, through a code that they type
// in on another device, or again with a refresh token. It shows nothing and keeps nothing: the CLI does both.
package login
