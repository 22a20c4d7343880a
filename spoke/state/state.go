// Package state holds what a spoke has been assigned, and keeps it across restarts: holdings, the artifacts that they name,
// and the newest cursor. It knows the rules by which a hub may change them. It speaks neither to a hub nor to a cluster:
// session brings deltas and contents, reconcile reads entries and says what it has applied.
package state

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/holdings"
)

// Keys of the backend.
//
//	owner                the uid of the cluster, at the hub, that the rest was assigned to
//	cursor               the newest cursor, a spokev1.Cursor; written last
//	holding/<uid>        a spokev1.StoredHolding
//	artifact/<hex>       an artifact, by the hexadecimal part of its digest: its size as a uvarint, then zstd
//	delta/<hex>-<hex>    an artifact and its base, which is here, too: the artifact's size, then zstd with the base as dictionary
const (
	ownerKey       = "owner"
	cursorKey      = "cursor"
	holdingPrefix  = "holding/"
	artifactPrefix = "artifact/"
	deltaPrefix    = "delta/"
)

// DefaultMaxArtifactSize bounds an artifact's canonical form until a hub has told its own limit: the hub's default.
const DefaultMaxArtifactSize = 64 << 20

// Entry is one holding. Entries are never changed once they are visible.
type Entry struct {
	Assignment *yardarmv1.AssignmentSpec
	// Epoch and Index are the cursor under which it was assigned.
	Epoch []byte
	Index uint64
	// Hold keeps the entry as it is: Assignment goes on being applied, and the hold is reported.
	Hold *spokev1.Hold
	// Removal asks for the objects to be removed or released, and then for Finished.
	Removal *spokev1.Tombstone
	// Applied is what the cluster holds now, as reconcile has told. It outlives the assignment that it came by.
	Applied Applied
	// Beginning is when an assignment began to be carried out, as reconcile has told; nil before the first.
	Beginning *spokev1.Beginning
	// unknown is what a newer spoke has kept beside all this, which stays for when it is back.
	unknown []byte
	// HasContent says whether Content of the assignment's digest is here.
	HasContent bool
}

// Applied is what a cluster holds of a bundle.
type Applied struct {
	// Digest of the artifact; empty before the first.
	Digest string
	// Rendering is how it was customized; nil if it was not.
	Rendering *spokev1.Rendering
	// Delivery is the policy that it was delivered by; nil if that is not known.
	Delivery *yardarmv1.DeliveryPolicy
}

// Equal tells whether two are the same.
func (a Applied) Equal(b Applied) bool {
	return a.Digest == b.Digest && proto.Equal(a.Rendering, b.Rendering) && proto.Equal(a.Delivery, b.Delivery)
}

// State is safe for concurrent use. Changes are persisted before they are visible.
type State struct {
	backend Backend
	logger  *slog.Logger

	// writing serializes changes, so that what is persisted and what is visible follow each other; mu guards the fields
	// below it and is never held while the backend is busy.
	writing sync.Mutex
	mu      sync.RWMutex
	owner   string
	cursor  *spokev1.Cursor
	entries map[string]*Entry // by bundle uid
	// contents are the artifacts that are here, by digest: each with the digest of its base, which is empty for what is whole.
	contents map[string]string
	maxSize  uint64

	// unsure are the keys of writes that failed; guarded by writing. Nobody knows which of them are on disk, so they are
	// written again before anything else is.
	unsure map[string]bool

	changed chan struct{}
	ended   chan struct{}
	lacking chan struct{}
}

// Open reads what the backend keeps. What cannot be read is dropped with a warning: the hub sends it again.
func Open(ctx context.Context, backend Backend, logger *slog.Logger) (*State, error) {
	s := &State{
		backend: backend, logger: logger,
		entries: map[string]*Entry{}, contents: map[string]string{}, maxSize: DefaultMaxArtifactSize,
		unsure:  map[string]bool{},
		changed: make(chan struct{}, 1), ended: make(chan struct{}, 1), lacking: make(chan struct{}, 1),
	}
	keys, err := backend.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		if s.found(key) {
			continue
		}
		value, err := backend.Read(ctx, key)
		if err != nil {
			return nil, fmt.Errorf("read state %s: %w", key, err)
		}
		if err := s.load(key, value); err != nil {
			logger.Warn("dropping unreadable state", "key", key, "error", err)
		}
	}
	for digest, base := range s.contents {
		if links(s.contents, digest) > mostLinks {
			s.unsure[artifactKey(digest, base)] = true
		}
	}
	maps.DeleteFunc(s.contents, func(digest, base string) bool { return s.unsure[artifactKey(digest, base)] })
	for _, e := range s.entries {
		_, e.HasContent = s.contents[e.Assignment.Digest]
	}
	signal(s.changed)
	return s, nil
}

// found notes an artifact, if the key is of one. Where there are two of one, as after a crash, what is whole serves, and the other goes with
// the next write.
func (s *State) found(key string) bool {
	digest, base, ok := artifactOf(key)
	if !ok {
		return false
	}
	other, twice := s.contents[digest]
	if twice && base != "" {
		base, other = other, base
	}
	if twice {
		s.unsure[artifactKey(digest, other)] = true
	}
	s.contents[digest] = base
	return true
}

func (s *State) load(key string, value []byte) error {
	switch {
	case key == ownerKey:
		s.owner = string(value)
	case key == cursorKey:
		c := &spokev1.Cursor{}
		if err := proto.Unmarshal(value, c); err != nil {
			return err
		}
		s.cursor = c
	case strings.HasPrefix(key, holdingPrefix):
		h := &spokev1.StoredHolding{}
		if err := proto.Unmarshal(value, h); err != nil {
			return err
		}
		if uid := h.Assignment.GetBundleUid(); !isName(uid) || uid != strings.TrimPrefix(key, holdingPrefix) {
			return errors.New("it names another bundle")
		}
		s.entries[h.Assignment.BundleUid] = &Entry{
			Assignment: h.Assignment, Epoch: h.Epoch, Index: h.Index,
			Hold: h.Hold, Removal: h.Removal, Beginning: h.Beginning,
			Applied: Applied{Digest: h.AppliedDigest, Rendering: h.AppliedRendering, Delivery: h.AppliedDelivery},
			unknown: h.ProtoReflect().GetUnknown(),
		}
	default:
		return errors.New("unknown key")
	}
	return nil
}

// Changed is signalled after each change of the entries or of their contents; signals coalesce.
func (s *State) Changed() <-chan struct{} { return s.changed }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Cursor answers the newest persisted cursor; nil before the first.
func (s *State) Cursor() *spokev1.Cursor {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.cursor
}

// Entries answers all entries, by bundle name and then uid.
func (s *State) Entries() []Entry {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]Entry, 0, len(s.entries))
	for _, e := range s.entries {
		out = append(out, *e)
	}
	slices.SortFunc(out, func(a, b Entry) int {
		if c := strings.Compare(a.Assignment.Bundle, b.Assignment.Bundle); c != 0 {
			return c
		}
		return strings.Compare(a.Assignment.BundleUid, b.Assignment.BundleUid)
	})
	return out
}

// Holdings answers the list that a hub compares with.
func (s *State) Holdings() []*spokev1.Holding {
	entries := s.Entries()
	out := make([]*spokev1.Holding, len(entries))
	for i, e := range entries {
		out[i] = &spokev1.Holding{
			Bundle: e.Assignment.Bundle, BundleUid: e.Assignment.BundleUid, Hash: e.Assignment.Hash,
			Revision: e.Assignment.Revision, Digest: e.Assignment.Digest,
			Epoch: e.Epoch, Index: e.Index, HasContent: e.HasContent, Removing: e.Removal != nil, Held: e.Hold != nil,
		}
	}
	return out
}

// HoldingsHash answers the hash of that list.
func (s *State) HoldingsHash() []byte {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return setHash(s.entries)
}

func setHash(entries map[string]*Entry) []byte {
	items := make([]holdings.Item, 0, len(entries))
	for uid, e := range entries {
		if e.Removal == nil {
			items = append(items, holdings.Item{BundleUID: uid, Hash: e.Assignment.Hash, Held: e.Hold != nil})
		}
	}
	return holdings.SetHash(items)
}

// Missing answers the assignments whose content is not here.
func (s *State) Missing() []*yardarmv1.AssignmentSpec {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []*yardarmv1.AssignmentSpec
	for _, e := range s.entries {
		if !e.HasContent && e.Removal == nil {
			out = append(out, e.Assignment)
		}
	}
	slices.SortFunc(out, func(a, b *yardarmv1.AssignmentSpec) int { return strings.Compare(a.BundleUid, b.BundleUid) })
	return out
}

// Ended is signalled when a removal has come to its end, which changes the holdings without a hub's doing; signals coalesce.
func (s *State) Ended() <-chan struct{} { return s.ended }

// Lacking is signalled when content that was here is lost and has to be fetched again; signals coalesce.
func (s *State) Lacking() <-chan struct{} { return s.lacking }

// Removing tells whether any removal is under way or waits to be accepted: those are in no hash.
func (s *State) Removing() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, e := range s.entries {
		if e.Removal != nil {
			return true
		}
	}
	return false
}

// SetMaxArtifactSize bounds what is accepted from now on, in bytes of canonical form.
func (s *State) SetMaxArtifactSize(n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.maxSize = n
}

// Applied notes what the cluster holds of a bundle now, and which assignment has begun when.
func (s *State) Applied(ctx context.Context, bundleUID string, applied Applied, beginning *spokev1.Beginning) error {
	return s.change(ctx, func(next map[string]*Entry) {
		if e := next[bundleUID]; e != nil && !(e.Applied.Equal(applied) && proto.Equal(e.Beginning, beginning)) {
			e = clone(e)
			e.Applied, e.Beginning = applied, beginning
			next[bundleUID] = e
		}
	})
}

// Begun notes when an assignment of a bundle has begun.
func (s *State) Begun(ctx context.Context, bundleUID string, beginning *spokev1.Beginning) error {
	return s.change(ctx, func(next map[string]*Entry) {
		if e := next[bundleUID]; e != nil && !proto.Equal(e.Beginning, beginning) {
			e = clone(e)
			e.Beginning = beginning
			next[bundleUID] = e
		}
	})
}

// Finished forgets an entry whose removal is complete. An entry that has been assigned again meanwhile stays.
func (s *State) Finished(ctx context.Context, bundleUID string) error {
	ended := false
	err := s.change(ctx, func(next map[string]*Entry) {
		if e := next[bundleUID]; e != nil && e.Removal != nil {
			delete(next, bundleUID)
			ended = true
		}
	})
	if err == nil && ended {
		signal(s.ended)
	}
	return err
}

func clone(e *Entry) *Entry { c := *e; return &c }
