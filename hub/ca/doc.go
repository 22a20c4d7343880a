// Package ca is who is who: the hub's own certificate authority, the certificates of the hub and of its clusters, enrolment tokens, and
// the judgement whether a spoke that calls is the one it says to be and still welcome.
//
// A cluster's identity is its uid, minted by the hub and written into the certificate as yardarm://FLEET/cluster/UID. Nothing that a spoke
// sends changes it: of a certificate request, the hub takes the public key and nothing else. The uid is bound to that key and
// to the Kubernetes cluster (the uid of its kube-system namespace) when the spoke enrols.
//
//	EnrollCluster (hub/api)    DrawToken ─▶ MintToken ─▶ ye1.ID.SECRET.PIN ──by hand──▶ spoke
//	Enroll (hub/dispatch)      Redeem: token + request ─▶ certificate (24 h), identity row
//	any call of a spoke        SpokeTLS: chain, fleet, not too old ─▶ ClusterFromState ─▶ Authorize: banned? deleted? enrolled key?
//	Renew (hub/dispatch)       Renew: the enrolled key, expired at most 90 days ago ─▶ certificate
//
// TLS says that a caller has the key of a certificate of this fleet. Whether the cluster is still wanted is read from the store, at each call:
// so a ban or a deletion holds at once, and a resumed TLS session does not get around it.
//
// The CA is replaced in two steps (Rotate, Retire), between which there are two: the new one issues for clusters, and the old one is what the hub is
// known by. The spoke trusts both once it has heard of it, renews, and says so: then it needs the old one no more.
//
// In the store, sealed under the hub key (hub/seal):
//
//	ca/root                 the root's certificate and key, PEM; 10 years. While it is rotated the new one comes before the old one, which a hub that
//	                        knows of no rotation refuses as damaged
//	cursor/mac              32 bytes, the key that signs cursors
//	transient.ticket-keys   the keys of TLS session tickets, newest first: 8 bytes of time (seconds since 1970, big endian) and
//	                        32 of key, each. Being transient, they are in no backup: old ones could resume sessions of their time.
//
// The package knows no gRPC: its callers turn its sentinel errors into codes.
package ca
