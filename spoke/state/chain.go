package state

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// An artifact that came as a delta is kept as one, against the artifact that it came against, which stays here as long: to
// compress it anew takes longer than all else that a spoke does for a change, and a fleet would do so in the same one. So what is at the end
// of too many links is kept whole again by Shorten, once the change is acknowledged.
const (
	// maxLinks is how many deltas there may be for long between an artifact and one that is kept whole. Each costs a read of the backend
	// and about as much time as a copy of the artifact, whenever it is read.
	maxLinks = 8
	// mostLinks is how many there may be until there is time for Shorten. What would be one more is kept whole at once.
	mostLinks = 4 * maxLinks
	// worthLink is how many times larger than its delta an artifact has to be, so that a chain takes at most half as much as the
	// artifact beside what is kept whole, and twice as much until it is shortened.
	worthLink = 16
)

// stored is an artifact as it is kept: its size as a uvarint, then zstd; with base as dictionary, unless that is empty.
type stored struct {
	base  string
	value []byte
}

// keep answers how a content that came against a base is kept.
func (s *State) keep(base string, delta, content []byte) stored {
	size := uint64(len(content))
	if links(s.contents, base) < mostLinks && len(delta) <= len(content)/worthLink {
		return stored{base, pack(size, delta)}
	}
	return stored{"", pack(size, manifest.CompressFast(content))}
}

// Shorten keeps whole what has come to rest on more than maxLinks deltas, and drops those. It is for when there is time: it costs as much as
// several changes do.
func (s *State) Shorten(ctx context.Context) error {
	s.mu.RLock()
	digests := slices.Sorted(maps.Keys(named(s.entries)))
	s.mu.RUnlock()
	for _, digest := range digests {
		if !s.isLong(digest) {
			continue
		}
		if err := s.shorten(ctx, digest); err != nil && !errors.Is(err, errLost) { // who reads it finds out what is lost
			return err
		}
	}
	return nil
}

func (s *State) shorten(ctx context.Context, digest string) error {
	room := newRoom()
	defer room.done()
	content, err := s.assemble(ctx, digest, room, room)
	if err != nil {
		return err
	}
	if err := s.keepWhole(ctx, digest, pack(uint64(len(content)), manifest.CompressFast(content))); err != nil {
		return fmt.Errorf("keep artifact %s whole: %w", digest, err)
	}
	return nil
}

func (s *State) isLong(digest string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n := links(s.contents, digest)
	return n > maxLinks && n <= mostLinks
}

// keepWhole puts what an artifact is, whole, in the place of what it is kept as. The one is deleted only when the other is there.
func (s *State) keepWhole(ctx context.Context, digest string, value []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	base := s.contents[digest]
	if base == "" {
		return nil // it is by now, or is here no more
	}
	key := artifactKey(digest, "")
	if err := s.backend.Write(ctx, []Write{{Key: key, Value: value}}); err != nil {
		s.unsure[key] = true
		return err
	}
	delete(s.unsure, key)
	have := maps.Clone(s.contents)
	have[digest] = ""
	s.mu.Lock()
	s.contents = have
	s.mu.Unlock()
	named := named(s.entries)
	supports(have, named)
	s.collect(ctx, named, artifactKey(digest, base))
	return nil
}

// links is how many deltas an artifact is made of; more than mostLinks where the chain is broken or comes back to itself.
func links(contents map[string]string, digest string) (n int) {
	for ; n <= mostLinks; n++ {
		base, here := contents[digest]
		if !here {
			return mostLinks + 1
		}
		if base == "" {
			return n
		}
		digest = base
	}
	return n
}

// supports adds to what is named what it is made of.
func supports(contents map[string]string, named map[string]bool) {
	for digest := range named {
		for base := contents[digest]; base != "" && !named[base]; base = contents[base] {
			named[base] = true
		}
	}
}

// assemble answers a stored artifact's canonical form, in the memory of last, and what it is made of in that of room. Nothing of it is
// verified.
func (s *State) assemble(ctx context.Context, digest string, room, last *room) ([]byte, error) {
	var keys []string
	s.mu.RLock()
	for next := digest; next != "" && len(keys) <= mostLinks; next = s.contents[next] {
		keys = append(keys, artifactKey(next, s.contents[next]))
	}
	s.mu.RUnlock()
	var content []byte
	for i, key := range slices.Backward(keys) {
		value, err := s.backend.Read(ctx, key)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("artifact %s: %w: %w", digest, errLost, err)
		}
		if err != nil {
			return nil, fmt.Errorf("artifact %s: %w", digest, err)
		}
		if i == 0 {
			room = last
		}
		if content, err = room.unpack(value, content, i < len(keys)-1); err != nil {
			return nil, fmt.Errorf("artifact %s: %w: %w", digest, errLost, err)
		}
	}
	return content, nil
}

// room is memory for what is made link by link, where each needs the one before and none after it. A nil one has none to offer.
type room struct {
	parts [2][]byte
	turn  int
}

// maxRoom is how much of it is kept for the next time, in bytes: enough for most artifacts, and nothing beside what a spoke takes.
const maxRoom = 256 << 10

var rooms = sync.Pool{New: func() any { return &room{} }}

func newRoom() *room { return rooms.Get().(*room) }

// done gives it back, and with it what has been made in it.
func (r *room) done() {
	if cap(r.parts[0])+cap(r.parts[1]) <= maxRoom {
		rooms.Put(r)
	}
}

// next answers memory for n bytes, which may be that of the last but one.
func (r *room) next(n int) []byte {
	if r == nil {
		return nil
	}
	r.turn = 1 - r.turn
	if cap(r.parts[r.turn]) < n {
		r.parts[r.turn] = make([]byte, 0, n)
	}
	return r.parts[r.turn][:0]
}

// unpack answers what is packed, which is a delta against base if it is said to be one. It is bounded by what manifest decodes at
// all: a hub that lowers its limit takes nothing away that is here.
func (r *room) unpack(packed, base []byte, delta bool) ([]byte, error) {
	size, n := binary.Uvarint(packed)
	if n <= 0 || size > DefaultMaxArtifactSize {
		return nil, errors.New("stored artifact has no valid size")
	}
	if delta {
		return manifest.ApplyDeltaTo(r.next(int(size)), base, packed[n:], int(size))
	}
	return manifest.DecompressTo(r.next(int(size)), packed[n:], int(size))
}

// artifactKey is where an artifact is kept, by how it is.
func artifactKey(digest, base string) string {
	hex := strings.TrimPrefix(digest, digestPrefix)
	if base == "" {
		return artifactPrefix + hex
	}
	return deltaPrefix + hex + "-" + strings.TrimPrefix(base, digestPrefix)
}

// artifactOf is the inverse of artifactKey.
func artifactOf(key string) (digest, base string, ok bool) {
	if hex, ok := strings.CutPrefix(key, artifactPrefix); ok {
		return digestPrefix + hex, "", true
	}
	if both, ok := strings.CutPrefix(key, deltaPrefix); ok {
		hex, baseHex, ok := strings.Cut(both, "-")
		return digestPrefix + hex, digestPrefix + baseHex, ok
	}
	return "", "", false
}

const digestPrefix = "sha256:"
