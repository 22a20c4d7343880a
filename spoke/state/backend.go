package state

import "context"

// Backend keeps a spoke's state across its restarts. Keys are short paths of lower-case letters, digits, dashes and slashes.
// The caller never runs two Writes at once.
type Backend interface {
	// List answers all keys.
	List(ctx context.Context) ([]string, error)
	// Read answers the value of one key, or an error that wraps fs.ErrNotExist.
	Read(ctx context.Context, key string) ([]byte, error)
	// Write carries out the changes in the order given, each wholly or not at all, and returns when they are durable. An
	// error leaves a prefix of them done.
	Write(ctx context.Context, changes []Write) error
}

// Write is one change of a Backend.
type Write struct {
	Key string
	// Value to store; nil deletes the key. A key that is not there is deleted without error.
	Value []byte
}
