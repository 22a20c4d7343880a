package ca

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
)

const (
	// epochSize is an epoch's size in bytes, fixed so that epoch and index cannot run into each other.
	epochSize = 16
	// macSize is what is kept of the MAC, in bytes: 128 bits, against which nobody can guess online.
	macSize = 16
)

// SignCursor returns the cursor for a place in the hub's history. A spoke gives it back, and the hub then knows it as its own.
func (c *CA) SignCursor(epoch []byte, index uint64) *spokev1.Cursor {
	return &spokev1.Cursor{Epoch: epoch, Index: index, Mac: c.cursorMAC(epoch, index)}
}

// VerifyCursor says whether this hub has signed the cursor. It says nothing about how the cursor compares with the hub's own.
func (c *CA) VerifyCursor(cursor *spokev1.Cursor) bool {
	if len(cursor.GetEpoch()) != epochSize {
		return false
	}
	return hmac.Equal(cursor.GetMac(), c.cursorMAC(cursor.GetEpoch(), cursor.GetIndex()))
}

func (c *CA) cursorMAC(epoch []byte, index uint64) []byte {
	mac := hmac.New(sha256.New, c.cursorKey)
	// A hash takes every write.
	_, _ = mac.Write(epoch)
	_, _ = mac.Write(binary.BigEndian.AppendUint64(nil, index))
	return mac.Sum(nil)[:macSize]
}
