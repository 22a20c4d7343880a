package state

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"syscall"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// ErrOlderCursor means that the hub went back in its own history, which only a restored or swapped database does.
var ErrOlderCursor = errors.New("the hub's cursor is older than the newest one seen")

// Outcome of a delta.
type Outcome struct {
	// Acked are the digests whose content is on disk now because of it.
	Acked []string
	// Nacks are the changes and contents that were refused; all others have been made.
	Nacks []*spokev1.Nack
	// Persisted is false when nothing could be persisted for lack of space: then Nacks say so, and nothing has changed.
	Persisted bool
	// Diverged means that what results is not what the hub expects: it needs the full list.
	Diverged bool
}

// CheckCursor refuses a cursor that is older than the newest one seen. The same cursor may come again: facts change what
// is assigned without a change of the log.
func (s *State) CheckCursor(c *spokev1.Cursor) error {
	last := s.Cursor()
	if last != nil && newer(last, c) {
		return fmt.Errorf("%w: it is at %x/%d, and this spoke has seen %x/%d", ErrOlderCursor,
			c.GetEpoch(), c.GetIndex(), last.Epoch, last.Index)
	}
	return nil
}

// ApplyDelta makes the changes of a delta, persists them and its cursor, and makes them visible. One refused change does
// not stop the others. An error means that nothing can be said to have changed; the session is to end.
func (s *State) ApplyDelta(ctx context.Context, d *spokev1.Delta) (Outcome, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.CheckCursor(d.Cursor); err != nil {
		return Outcome{}, err
	}
	var out Outcome
	nack := func(bundleUID, digest string, code spokev1.NackCode, err error) {
		out.Nacks = append(out.Nacks, &spokev1.Nack{
			Cursor: d.Cursor, BundleUid: bundleUID, Digest: digest, Code: code, Message: err.Error(),
		})
	}
	contents := map[string][]byte{}
	for _, c := range d.Contents {
		value, code, err := s.decode(ctx, c)
		if err != nil {
			nack("", c.Digest, code, err)
			continue
		}
		contents[c.Digest] = value
	}
	s.mu.RLock()
	next := maps.Clone(s.entries)
	s.mu.RUnlock()
	for _, c := range d.Changes {
		if uid, code, err := s.apply(next, c, d.Cursor); err != nil {
			nack(uid, "", code, err)
		}
	}
	if err := s.commit(ctx, next, contents, d.Cursor); err != nil {
		if errors.Is(err, syscall.ENOSPC) {
			return Outcome{Nacks: []*spokev1.Nack{{Cursor: d.Cursor, Code: spokev1.NackCode_NACK_CODE_NO_SPACE, Message: err.Error()}}}, nil
		}
		return Outcome{}, fmt.Errorf("persist delta: %w", err)
	}
	for digest := range contents {
		if s.contents[digest] {
			out.Acked = append(out.Acked, digest)
		}
	}
	out.Persisted = true
	out.Diverged = !bytes.Equal(s.HoldingsHash(), d.HoldingsHash)
	return out, nil
}

// apply makes one change in entries.
func (s *State) apply(entries map[string]*Entry, c *spokev1.Change, at *spokev1.Cursor) (uid string, code spokev1.NackCode, err error) {
	switch change := c.Change.(type) {
	case *spokev1.Change_Assign:
		a := change.Assign
		uid = a.GetBundleUid()
		if uid == "" || a.GetBundle() == "" {
			return uid, spokev1.NackCode_NACK_CODE_INVALID, errors.New("the assignment names no bundle")
		}
		if _, err := manifest.ParseDigest(a.Digest); err != nil {
			return uid, spokev1.NackCode_NACK_CODE_INVALID, err
		}
		if a.Size > s.maxSize {
			return uid, spokev1.NackCode_NACK_CODE_UNSUPPORTED,
				fmt.Errorf("the artifact has %d bytes, and the limit is %d", a.Size, s.maxSize)
		}
		old := entries[uid]
		if err := guardEpoch(old, c, at); err != nil {
			return uid, spokev1.NackCode_NACK_CODE_EPOCH, err
		}
		e := &Entry{Assignment: a, Epoch: at.Epoch, Index: at.Index}
		if old != nil {
			e.AppliedDigest = old.AppliedDigest
		}
		e.HasContent = s.contents[a.Digest]
		entries[uid] = e

	case *spokev1.Change_Remove:
		uid = change.Remove.GetBundleUid()
		old := entries[uid]
		if old == nil {
			return uid, 0, nil // gone already: the tombstone came twice
		}
		if err := guardEpoch(old, c, at); err != nil {
			return uid, spokev1.NackCode_NACK_CODE_EPOCH, err
		}
		if !bytes.Equal(c.BaseHash, old.Assignment.Hash) {
			return uid, spokev1.NackCode_NACK_CODE_INVALID, errors.New("the tombstone is for another assignment of the bundle")
		}
		e := clone(old)
		e.Hold, e.Removal = nil, change.Remove
		entries[uid] = e

	case *spokev1.Change_Hold:
		uid = change.Hold.GetBundleUid()
		if old := entries[uid]; old != nil && old.Removal == nil {
			e := clone(old)
			e.Hold = change.Hold
			entries[uid] = e
		}

	default:
		return "", spokev1.NackCode_NACK_CODE_UNSUPPORTED, errors.New("unknown kind of change: the hub is newer; upgrade the spoke")
	}
	return uid, 0, nil
}

// guardEpoch keeps a holding of another epoch unless the hub names exactly what it replaces: a restored hub that has
// forgotten what it had assigned must not undo it by accident.
func guardEpoch(old *Entry, c *spokev1.Change, at *spokev1.Cursor) error {
	if old == nil || bytes.Equal(old.Epoch, at.GetEpoch()) || bytes.Equal(c.BaseHash, old.Assignment.Hash) {
		return nil
	}
	return errors.New("the holding is of another epoch, and the change does not name it")
}

// decode checks one content and answers it as it is stored.
func (s *State) decode(ctx context.Context, c *spokev1.Content) ([]byte, spokev1.NackCode, error) {
	if _, err := manifest.ParseDigest(c.Digest); err != nil {
		return nil, spokev1.NackCode_NACK_CODE_INVALID, err
	}
	if c.Size > s.maxSize {
		return nil, spokev1.NackCode_NACK_CODE_UNSUPPORTED, fmt.Errorf("the artifact has %d bytes, and the limit is %d", c.Size, s.maxSize)
	}
	if c.BaseDigest == "" {
		content, err := manifest.Decompress(c.Data, int(c.Size))
		if err == nil {
			err = manifest.Digest(c.Digest).Verify(content)
		}
		if err != nil {
			return nil, spokev1.NackCode_NACK_CODE_WRONG_DIGEST, err
		}
		return pack(c.Size, c.Data), 0, nil
	}
	if !s.contents[c.BaseDigest] {
		return nil, spokev1.NackCode_NACK_CODE_MISSING_BASE, fmt.Errorf("base %s: %w", c.BaseDigest, ErrNoContent)
	}
	stored, err := s.backend.Read(ctx, artifactKey(c.BaseDigest))
	if err != nil {
		return nil, spokev1.NackCode_NACK_CODE_MISSING_BASE, err
	}
	base, err := unpack(stored, s.maxSize)
	if err != nil {
		return nil, spokev1.NackCode_NACK_CODE_MISSING_BASE, err
	}
	content, err := manifest.ApplyDelta(base, c.Data, int(c.Size))
	if err == nil {
		err = manifest.Digest(c.Digest).Verify(content)
	}
	if err != nil {
		return nil, spokev1.NackCode_NACK_CODE_WRONG_DIGEST, err
	}
	return pack(c.Size, manifest.Compress(content)), 0, nil
}

// PutContent persists a fetched artifact, given as zstd. One that nothing names any more is dropped without error.
func (s *State) PutContent(ctx context.Context, digest string, size uint64, encoded []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	value, _, err := s.decode(ctx, &spokev1.Content{Digest: digest, Size: size, Data: encoded})
	if err != nil {
		return fmt.Errorf("artifact %s: %w", digest, err)
	}
	s.mu.RLock()
	next := maps.Clone(s.entries)
	s.mu.RUnlock()
	return s.commit(ctx, next, map[string][]byte{digest: value}, nil)
}

func pack(size uint64, encoded []byte) []byte {
	return append(binary.AppendUvarint(make([]byte, 0, len(encoded)+binary.MaxVarintLen64), size), encoded...)
}

func unpack(stored []byte, limit uint64) ([]byte, error) {
	size, n := binary.Uvarint(stored)
	if n <= 0 || size > limit {
		return nil, errors.New("stored artifact has no valid size")
	}
	return manifest.Decompress(stored[n:], int(size))
}
