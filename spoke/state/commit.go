package state

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
)

// Settle writes again what an earlier write that failed may have left half done. Until then a restart might bring back a
// change that this process has never taken.
func (s *State) Settle(ctx context.Context) error {
	return s.change(ctx, func(map[string]*Entry) {})
}

// change edits a copy of the entries, persists what differs and makes it visible.
func (s *State) change(ctx context.Context, edit func(map[string]*Entry)) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	next := maps.Clone(s.entries)
	edit(next)
	return s.commit(ctx, next, nil, nil)
}

// commit persists new contents, then the entries that differ, then the cursor, and makes all of it visible. Then it drops
// the artifacts that nothing names any more. Of contents, it takes only what is named. The caller holds writing and has not
// touched the entries that are visible.
func (s *State) commit(ctx context.Context, next map[string]*Entry, contents map[string]stored, cursor *spokev1.Cursor) error {
	named := named(next)
	have := maps.Clone(s.contents)
	gone := map[string]bool{} // keys that may have become useless
	var writes []Write
	for _, digest := range slices.Sorted(maps.Keys(contents)) {
		// One that is here stays in the form that it has. To replace that would be to delete the only copy, should the write fail in
		// between, and could make two artifacts rest on each other.
		if _, here := have[digest]; here || !named[digest] {
			continue
		}
		c := contents[digest]
		writes = append(writes, Write{Key: artifactKey(digest, c.base), Value: c.value})
		have[digest] = c.base
	}
	supports(have, named)
	for _, uid := range slices.Sorted(maps.Keys(next)) {
		if e := next[uid]; e != s.entries[uid] || s.unsure[holdingPrefix+uid] {
			value, err := encode(e)
			if err != nil {
				return err
			}
			writes = append(writes, Write{Key: holdingPrefix + uid, Value: value})
		}
	}
	for uid := range s.entries {
		if next[uid] == nil {
			gone[holdingPrefix+uid] = true
		}
	}
	for key := range s.unsure {
		if key != cursorKey {
			gone[key] = true
		}
	}
	for _, key := range slices.Sorted(maps.Keys(gone)) {
		if !needed(key, next, have) {
			writes = append(writes, Write{Key: key})
		}
	}
	newest := s.cursor
	if cursor != nil {
		newest = cursor
	}
	if cursor != nil || s.unsure[cursorKey] {
		w := Write{Key: cursorKey}
		if newest != nil {
			value, err := proto.Marshal(newest)
			if err != nil {
				return fmt.Errorf("encode cursor: %w", err)
			}
			w.Value = value
		}
		writes = append(writes, w)
	}
	if len(writes) > 0 {
		if err := s.backend.Write(ctx, writes); err != nil {
			for _, w := range writes {
				s.unsure[w.Key] = true
			}
			return err
		}
		clear(s.unsure)
		for uid, e := range next {
			if _, has := have[e.Assignment.Digest]; has != e.HasContent {
				e = clone(e)
				e.HasContent = has
				next[uid] = e
			}
		}
		s.mu.Lock()
		s.entries, s.contents, s.cursor = next, have, newest
		s.mu.Unlock()
		signal(s.changed)
	}
	s.collect(ctx, named)
	return nil
}

// collect drops the artifacts that nothing names, and keys that serve no more. Where that fails, nobody knows which of them are still there: none counts as here, and they
// are dropped with the next write.
func (s *State) collect(ctx context.Context, named map[string]bool, useless ...string) {
	var writes []Write
	for _, key := range useless {
		writes = append(writes, Write{Key: key})
	}
	var idle []string
	for digest := range s.contents {
		if !named[digest] {
			idle = append(idle, digest)
		}
	}
	if len(writes) == 0 && len(idle) == 0 {
		return
	}
	have := maps.Clone(s.contents)
	slices.Sort(idle)
	for _, digest := range idle {
		writes = append(writes, Write{Key: artifactKey(digest, have[digest])})
		delete(have, digest)
	}
	if err := s.backend.Write(ctx, writes); err != nil {
		s.logger.Warn("artifacts that are no longer needed could not be removed", "error", err)
		for _, w := range writes {
			s.unsure[w.Key] = true
		}
	}
	s.mu.Lock()
	s.contents = have
	s.mu.Unlock()
}

// needed tells whether a key is one of the entries or of the artifacts that are here.
func needed(key string, entries map[string]*Entry, contents map[string]string) bool {
	if uid, ok := strings.CutPrefix(key, holdingPrefix); ok {
		return entries[uid] != nil
	}
	digest, base, ok := artifactOf(key)
	now, here := contents[digest]
	return ok && here && now == base
}

func encode(e *Entry) ([]byte, error) {
	h := &spokev1.StoredHolding{
		Assignment: e.Assignment, Epoch: e.Epoch, Index: e.Index,
		Hold: e.Hold, Removal: e.Removal, Beginning: e.Beginning,
		AppliedDigest: e.Applied.Digest, AppliedRendering: e.Applied.Rendering, AppliedDelivery: e.Applied.Delivery,
	}
	h.ProtoReflect().SetUnknown(e.unknown)
	value, err := proto.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("encode holding of %s: %w", e.Assignment.Bundle, err)
	}
	return value, nil
}

// named are the artifacts that the entries need: what is assigned, and what the cluster holds until then.
func named(entries map[string]*Entry) map[string]bool {
	out := map[string]bool{}
	for _, e := range entries {
		out[e.Assignment.Digest] = true
		out[e.Applied.Digest] = true
	}
	return out
}
