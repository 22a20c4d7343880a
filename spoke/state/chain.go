package state

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// An artifact that came as a delta is kept as one, against the artifact that it came against, which stays here as long: to
// compress it anew was half of a spoke's work for a change. The last of too many links is kept whole again.
const (
	// maxLinks is how many deltas may be between an artifact and one that is kept whole. Each costs a read of the backend and
	// about as much time as a copy of the artifact, whenever it is read.
	maxLinks = 8
	// worthLink is how many times larger than its delta an artifact has to be, so that a chain takes at most half as much as the
	// artifact beside what is kept whole.
	worthLink = 16
)

// stored is an artifact as it is kept: its size as a uvarint, then zstd; with base as dictionary, unless that is empty. One that is here
// already stays as it is, and has no value.
type stored struct {
	base  string
	value []byte
}

// keep answers how a content that came against a base is kept. What is here is never kept against what may be made of it.
func (s *State) keep(digest, base string, delta, content []byte) stored {
	if known, here := s.contents[digest]; here {
		return stored{base: known}
	}
	size := uint64(len(content))
	if links(s.contents, base) < maxLinks && len(delta) <= len(content)/worthLink {
		return stored{base, pack(size, delta)}
	}
	return stored{"", pack(size, manifest.CompressFast(content))}
}

// links is how many deltas an artifact is made of; more than maxLinks where the chain is broken or comes back to itself.
func links(contents map[string]string, digest string) (n int) {
	for ; n <= maxLinks; n++ {
		base, here := contents[digest]
		if !here {
			return maxLinks + 1
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

// assemble answers a stored artifact's canonical form. Nothing of it is verified.
func (s *State) assemble(ctx context.Context, digest string) ([]byte, error) {
	var keys []string
	s.mu.RLock()
	for next := digest; next != "" && len(keys) <= maxLinks; next = s.contents[next] {
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
		if content, err = unpack(value, content, i < len(keys)-1); err != nil {
			return nil, fmt.Errorf("artifact %s: %w: %w", digest, errLost, err)
		}
	}
	return content, nil
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
