// Package seal encrypts the hub's secrets under the hub key, so that neither a copy of the database nor a backup gives them away.
//
// What is sealed: the CA's key, the key that signs cursors and the keys of TLS session tickets (see hub/ca). What tokens and
// credentials are checked by are hashes, which need no sealing.
//
// # The hub key
//
// The hub key is 32 random bytes, from the environment variable YARDARM_HUB_KEY (base64) or, where that is not set, from a file, which the
// hub makes at its very first start. It is in no backup of the database: that is its point. Back it up once, apart from the database
// and as carefully as a CA key. Who has both can act as the hub for every cluster; who has lost the key has lost the CA: a database
// without its hub key still lists clusters and bundles, but no spoke can be answered, and each cluster has to be enrolled anew.
//
// The package knows nothing of the store: callers keep the rows that Seal returns.
package seal
