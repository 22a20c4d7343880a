// Package oidc says who calls by the word of identity providers: it verifies the OpenID Connect ID tokens of people and of CI jobs, and makes
// users and groups of their claims.
//
// Which providers there are, whose tokens count and what their claims mean is in a file of the operator's ([Config]). A provider is asked
// for its keys over HTTPS, never about a caller:
//
//	Run ──▶ discovery + keys, until the provider answers, then every few minutes
//	Verify: cache ─▶ issuer ─▶ signature ─▶ audience, time, required claims ─▶ user and groups
//	                              └─ by none of the keys: reads them again, at most every few seconds
//
// The configuration may be replaced while tokens are verified ([Verifier.Use]); package reload says when the file has changed.
//
// A provider that cannot be reached stops neither the hub nor the others; its callers are told so. The package knows no gRPC and no
// permission: hub/authz calls it for what is no token of the hub's own.
package oidc
