// Package authz says who calls FleetService: whoever shows a credential that the hub has given out.
//
// A credential is a bearer token, yat_ID_SECRET. The store keeps the ID and the SHA-256 of the secret, which has 256 random bits, so neither
// the database nor a backup lets anybody in. There is one so far, the local administrator's, made at the hub's first start and written
// into a file that only the hub's user can read; what a caller may do is not told apart yet.
//
// The package knows no gRPC: hub/api reads the header and turns the errors into codes.
package authz
