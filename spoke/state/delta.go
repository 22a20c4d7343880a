package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"syscall"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/holdings"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

const (
	// maxName bounds names and uids, in bytes: that of a Kubernetes label, in which they end up.
	maxName = 63
	// epochSize is an epoch's size, in bytes.
	epochSize = 16
)

// ErrInvalidCursor means that what the hub sends names no place in a history.
var ErrInvalidCursor = errors.New("the hub's cursor is no cursor")

// ErrOlderCursor means that the hub went back in its own history, which only a restored or swapped database does.
var ErrOlderCursor = errors.New("the hub's cursor is older than the newest one seen")

// Outcome of a delta.
type Outcome struct {
	// Acked are the digests whose content is on disk now because of it. Complete says that nothing was refused, and that they are those of
	// all contents that came.
	Acked    []string
	Complete bool
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
	c = s.withEpoch(c)
	if len(c.GetEpoch()) != epochSize {
		return ErrInvalidCursor
	}
	last := s.Cursor()
	if last != nil && newer(last, c) {
		return fmt.Errorf("%w: it is at %x/%d, and this spoke has seen %x/%d", ErrOlderCursor,
			c.GetEpoch(), c.GetIndex(), last.Epoch, last.Index)
	}
	return nil
}

// withEpoch answers a cursor with its epoch, which a hub leaves out where it is that of the newest cursor here.
func (s *State) withEpoch(c *spokev1.Cursor) *spokev1.Cursor {
	last := s.Cursor()
	if c == nil || len(c.Epoch) > 0 || last == nil {
		return c
	}
	return &spokev1.Cursor{Epoch: last.Epoch, Index: c.Index, Mac: c.Mac}
}

// ApplyDelta makes the changes of a delta, persists them and its cursor, and makes them visible. One refused change does
// not stop the others. An error means that nothing can be said to have changed; the session is to end.
func (s *State) ApplyDelta(ctx context.Context, d *spokev1.Delta) (Outcome, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	at := s.withEpoch(d.Cursor)
	if err := s.CheckCursor(at); err != nil {
		return Outcome{}, err
	}
	var out Outcome
	nack := func(bundleUID, digest string, code spokev1.NackCode, err error) {
		out.Nacks = append(out.Nacks, &spokev1.Nack{
			Cursor: at, BundleUid: bundleUID, Digest: digest, Code: code, Message: err.Error(),
		})
	}
	contents := map[string]stored{}
	for _, c := range d.Contents {
		kept, code, err := s.decode(ctx, c)
		if err != nil {
			nack("", c.Digest, code, err)
			continue
		}
		contents[c.Digest] = kept
	}
	next := maps.Clone(s.entries)
	for _, c := range d.Changes {
		var uid string
		var code spokev1.NackCode
		var err error
		if r := c.GetRevise(); r != nil {
			uid, code, err = s.revise(ctx, next, contents, r, c.BaseHash, at)
		} else {
			uid, code, err = s.apply(next, c, at)
		}
		if err != nil {
			nack(uid, "", code, err)
		}
	}
	if err := s.commit(ctx, next, contents, at); err != nil {
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
			return Outcome{Nacks: []*spokev1.Nack{{Cursor: at, Code: spokev1.NackCode_NACK_CODE_NO_SPACE, Message: err.Error()}}}, nil
		}
		return Outcome{}, fmt.Errorf("persist delta: %w", err)
	}
	for digest := range contents {
		if _, here := s.contents[digest]; here {
			out.Acked = append(out.Acked, digest)
		}
	}
	out.Complete = len(out.Nacks) == 0 && len(out.Acked) == len(contents)
	out.Persisted = true
	out.Diverged = !holdings.Same(s.HoldingsHash(), d.HoldingsHash)
	return out, nil
}

// apply makes one change in entries.
func (s *State) apply(entries map[string]*Entry, c *spokev1.Change, at *spokev1.Cursor) (uid string, code spokev1.NackCode, err error) {
	switch change := c.Change.(type) {
	case *spokev1.Change_Assign:
		return s.assign(entries, change.Assign, holdings.AssignmentHash(change.Assign), c.BaseHash, at)

	case *spokev1.Change_Remove:
		uid = change.Remove.GetBundleUid()
		old := entries[uid]
		if old == nil {
			return uid, 0, nil // gone already: the tombstone came twice
		}
		if err := guardEpoch(old, c.BaseHash, at); err != nil {
			return uid, spokev1.NackCode_NACK_CODE_EPOCH, err
		}
		if !bytes.Equal(c.BaseHash, old.Assignment.Hash) {
			return uid, spokev1.NackCode_NACK_CODE_INVALID, errors.New("the tombstone is for another assignment of the bundle")
		}
		if w := change.Remove.Workloads; w != yardarmv1.Workloads_WORKLOADS_KEEP && w != yardarmv1.Workloads_WORKLOADS_REMOVE {
			return uid, spokev1.NackCode_NACK_CODE_UNSUPPORTED, errors.New("the tombstone does not say what becomes of the objects")
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

// assign makes an assignment an entry, in the place of the one that it names as its base. hash is the assignment's as it comes out here.
func (s *State) assign(entries map[string]*Entry, a *yardarmv1.AssignmentSpec, hash, base []byte, at *spokev1.Cursor) (uid string, code spokev1.NackCode, err error) {
	uid = a.GetBundleUid()
	if code, err := s.check(a, hash); err != nil {
		return uid, code, err
	}
	old := entries[uid]
	if err := guardEpoch(old, base, at); err != nil {
		return uid, spokev1.NackCode_NACK_CODE_EPOCH, err
	}
	e := &Entry{Assignment: a, Epoch: at.Epoch, Index: at.Index}
	if old != nil {
		e.Applied, e.unknown = old.Applied, old.unknown
		if old.Removal == nil { // what has been on its way out begins anew
			e.Beginning = old.Beginning
		}
	}
	_, e.HasContent = s.contents[a.Digest]
	entries[uid] = e
	return uid, 0, nil
}

// Check refuses an assignment that could not be held, whatever is held now.
func (s *State) Check(a *yardarmv1.AssignmentSpec) error {
	_, err := s.check(a, holdings.AssignmentHash(a))
	return err
}

func (s *State) check(a *yardarmv1.AssignmentSpec, hash []byte) (spokev1.NackCode, error) {
	if !isName(a.GetBundleUid()) || !isName(a.GetBundle()) {
		return spokev1.NackCode_NACK_CODE_INVALID, errors.New("the assignment names no bundle")
	}
	if _, err := manifest.ParseDigest(a.Digest); err != nil {
		return spokev1.NackCode_NACK_CODE_INVALID, err
	}
	if limit := s.limit(); a.Size > limit {
		return spokev1.NackCode_NACK_CODE_UNSUPPORTED,
			fmt.Errorf("the artifact has %d bytes, and the limit is %d", a.Size, limit)
	}
	if !bytes.Equal(a.Hash, hash) {
		// A field that this spoke does not know is in the hub's hash and not in its own. To apply the rest as if it
		// were all would be reported as what was asked for.
		return spokev1.NackCode_NACK_CODE_UNSUPPORTED,
			errors.New("the assignment's hash does not come out: the hub assigns something that this spoke does not know; upgrade the spoke")
	}
	if needs := a.Customization.GetLanguage(); needs > yardarmv1.CustomizationLanguage {
		return spokev1.NackCode_NACK_CODE_UNSUPPORTED,
			fmt.Errorf("the customization needs version %d of its language, and this spoke knows %d; upgrade the spoke", needs, yardarmv1.CustomizationLanguage)
	}
	return 0, nil
}

// guardEpoch keeps a holding of another epoch unless the hub names exactly what it replaces: a restored hub that has
// forgotten what it had assigned must not undo it by accident.
func guardEpoch(old *Entry, base []byte, at *spokev1.Cursor) error {
	if old == nil || bytes.Equal(old.Epoch, at.GetEpoch()) || bytes.Equal(base, old.Assignment.Hash) {
		return nil
	}
	return errors.New("the holding is of another epoch, and the change does not name it")
}

// isName tells whether a text may be part of a key or of an object's name: lower-case letters, digits and dashes.
func isName(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= maxName
}

// newer tells whether cursor a is past b: epochs are ordered, and indexes within an epoch.
func newer(a, b *spokev1.Cursor) bool {
	if c := bytes.Compare(a.GetEpoch(), b.GetEpoch()); c != 0 {
		return c > 0
	}
	return a.GetIndex() > b.GetIndex()
}
