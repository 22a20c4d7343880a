package store

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"io"
	"time"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

const (
	// epochSize is the length of an epoch: 8 bytes of nanoseconds since 1970, big endian, so that epochs compare as bytes in the order of time, and 8
	// random ones, so that two restores of one backup differ.
	epochSize = 16
	// fleetSize is the number of random bytes in a fleet's id, which is written in hexadecimal: enough that no two fleets have the same.
	fleetSize = 16
)

// newMeta returns the meta row of a new database.
func newMeta(now time.Time) *storev1.Meta {
	fleet := make([]byte, fleetSize)
	rand.Read(fleet) // never fails
	return &storev1.Meta{Format: Format, Fleet: hex.EncodeToString(fleet), Epoch: newEpoch(nil, now, rand.Reader)}
}

// newEpoch returns an epoch later than another one, if there is one, whatever the clock says. It panics if random has nothing to give.
func newEpoch(after []byte, now time.Time, random io.Reader) []byte {
	nanos := uint64(now.UnixNano())
	if len(after) == epochSize {
		nanos = max(nanos, binary.BigEndian.Uint64(after)+1)
	}
	epoch := binary.BigEndian.AppendUint64(nil, nanos)
	epoch = append(epoch, make([]byte, epochSize-len(epoch))...)
	if _, err := io.ReadFull(random, epoch[8:]); err != nil {
		panic("store: no randomness: " + err.Error())
	}
	return epoch
}
