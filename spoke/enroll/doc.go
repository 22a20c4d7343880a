// Package enroll gets and keeps a spoke's identity: its key, its certificate, and by what and where it knows its hub.
//
// The key is made here and never leaves. It is kept before the hub hears of it, so that an enrolment whose answer is lost is asked for
// again with the same key, which the hub answers with another certificate for it.
//
//	Ensure: Claim ─▶ Load ─▶ make a key ─▶ Save ─▶ Enroll over TLS that the token's pin verifies ─▶ Save
//	Run:    wait for 50–80 % of the certificate's life ─▶ Renew ─▶ Save      (a stream that is up is left alone)
//
// A renewed certificate is used from the next handshake on. An expired one still renews, for 90 days. What the hub says about its CA and its
// addresses is kept as well, old beside new, so that both can be moved.
//
// Where all this is kept is a [Keep]: a folder ([OpenDir]), or a Secret (spoke/kube). The composition root makes the Identity, calls Ensure, hands
// it to spoke/session and runs it. Connections are dialled by gRPC's own dialler, which goes through the proxy that HTTPS_PROXY and NO_PROXY say.
package enroll
