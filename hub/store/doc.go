// Package store holds the hub's state: rows of the domain in memory, the same rows on disk.
//
//	View, Read ─────────────▶ go-memdb: all rows, immutable, indexed; a reader gets a snapshot and blocks nobody
//	Update ──▶ queue ──▶ batch ──▶ write-ahead log: one sync for all that were waiting ──▶ go-memdb ──▶ callers ──▶ subscriptions
//	                                  └──▶ bbolt, many batches in one commit
//	Observe ─▶ queue ──▶ go-memdb at once; to the log with a later batch, or after FlushInterval
//
// Durable before visible: neither a reader nor a subscriber sees what [Store.Update] writes before it is on disk. What [Store.Observe] writes is observed
// state, which can be observed again, so it is visible first and written sparingly.
//
// Rows are protobuf messages. They are never changed once they are in the store: whoever wants to change one clones it and puts the clone, and whoever
// puts one gives it away. A transaction reads no clock and no randomness; they come in as arguments.
//
// Which cluster belongs to which group is derived in each transaction, by package placement, and is as consistent as the rows themselves. Who runs
// what follows from it and is not stored; see placement.Placer.
//
// The package knows nothing of gRPC, of Kubernetes or of who may do what. It validates the keys of rows and the uniqueness of names, and nothing else
// about them. README.md shows how the rows lie on disk.
package store
