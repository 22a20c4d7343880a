// Package authz says who calls FleetService, and what they may do.
//
// Who: whoever shows one of these.
//   - A credential that the hub has given out, a bearer token, yat_ID_SECRET. The store keeps the ID and the SHA-256 of the secret, which has 256
//     random bits, so neither the database nor a backup lets anybody in. The local administrator's is made at the hub's first start and written
//     into a file that only the hub's user can read; it needs no binding, so that nobody is locked out who has the hub's data.
//   - An ID token of an identity provider, which hub/oidc verifies ([Users]): a user, and groups.
//   - A client certificate by a CA for users, which TLS verifies ([OfCertificate]): a user, and groups.
//
// May: an [Access] is what the bindings of one caller allow, by one snapshot of the store. There is no cache: a binding that is gone counts no
// more in the next call, and in a change it is judged within the transaction itself.
//
// The package knows no gRPC and no method: hub/api reads the header, says what each method needs, and turns the errors into codes.
package authz
