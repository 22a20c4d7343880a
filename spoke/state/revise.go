package state

import (
	"bytes"
	"context"
	"errors"

	"google.golang.org/protobuf/proto"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/holdings"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// revise makes a brief change in entries, and puts the content that came with it among contents. What is not here as the hub takes it to be is
// left as it is: either the change has been made already, or the hash of what results shows that it has not. The caller holds writing.
func (s *State) revise(ctx context.Context, entries map[string]*Entry, contents map[string]stored, r *spokev1.Revise, base []byte, at *spokev1.Cursor) (uid string, code spokev1.NackCode, err error) {
	old := entryByHash(entries, base)
	if old == nil {
		return "", 0, nil
	}
	uid = old.Assignment.BundleUid
	if !bytes.Equal(old.Epoch, at.Epoch) {
		return uid, spokev1.NackCode_NACK_CODE_EPOCH, errors.New("the holding is of another epoch, and the change names it by a part of its hash")
	}
	a := proto.CloneOf(old.Assignment)
	a.Revision = r.Revision
	var kept stored
	if len(r.Delta) > 0 {
		room := newRoom()
		defer room.done()
		content, code, err := s.expand(ctx, a.Digest, r.Delta, r.Size, room)
		if err != nil {
			return uid, code, err
		}
		held := a.Digest
		a.Digest, a.Size = manifest.DigestOf(content).String(), r.Size
		kept = s.keep(held, r.Delta, content)
	}
	if a.Hash = holdings.AssignmentHash(a); !proves(r.Hash, a) {
		return uid, spokev1.NackCode_NACK_CODE_WRONG_DIGEST, errors.New("the revision does not come out as the hub means it")
	}
	if uid, code, err = s.assign(entries, a, a.Hash, old.Assignment.Hash, at); err == nil && len(r.Delta) > 0 {
		contents[a.Digest] = kept
	}
	return uid, code, err
}

// proves tells whether a part of a hash proves that an assignment is the one that is meant.
func proves(hash []byte, a *yardarmv1.AssignmentSpec) bool {
	return len(hash) >= holdings.ProofSize && bytes.HasPrefix(a.Hash, hash)
}

// entryByHash answers the entry whose assignment's hash, or the first bytes of it, is given; nil for none, or for more than one.
func entryByHash(entries map[string]*Entry, hash []byte) (found *Entry) {
	for _, e := range entries {
		if !holdings.Same(e.Assignment.Hash, hash) {
			continue
		}
		if found != nil {
			return nil
		}
		found = e
	}
	return found
}
