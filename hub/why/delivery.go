package why

import "time"

// Delivery is what a session knows of one bundle on its way to its spoke.
type Delivery struct {
	// Known says that the hub knows what the spoke holds.
	Known bool
	// Hash is of the assignment that the spoke has persisted; nil for none. Content says that it has the artifact, too.
	Hash    []byte
	Content bool
	// Sent and Persisted are when that was; zero where it was before this session.
	Sent, Persisted time.Time
	// Flying is the hash of the assignment in the delta that is not acknowledged yet, and FlyingSince when that was sent; nil if there is none of the bundle.
	Flying      []byte
	FlyingSince time.Time
	// Busy says that a delta is on its way, whatever it is about: the next one waits for its acknowledgement.
	Busy bool
	// Paused is until when the spoke gets nothing, since its disk is full.
	Paused time.Time
}
