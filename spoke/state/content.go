package state

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// ErrNoContent means that an artifact is not here.
var ErrNoContent = errors.New("content is not here")

// Content answers an artifact's canonical form. It is read and verified each time, since it may be large. The error wraps
// ErrNoContent where it is not here, or not any more: then it is fetched again.
func (s *State) Content(ctx context.Context, digest string) ([]byte, error) {
	s.mu.RLock()
	_, have := s.contents[digest]
	s.mu.RUnlock()
	if !have {
		return nil, fmt.Errorf("artifact %s: %w", digest, ErrNoContent)
	}
	content, err := s.read(ctx, digest)
	if errors.Is(err, errLost) {
		return s.lost(ctx, digest)
	}
	return content, err
}

// errLost means that the backend is well, and what it holds of an artifact is not. It is to be told from a backend that
// cannot be asked now, which has lost nothing.
var errLost = errors.New("the stored artifact is lost")

// read answers a stored artifact's canonical form, verified.
func (s *State) read(ctx context.Context, digest string) ([]byte, error) {
	room := newRoom()
	defer room.done()
	content, err := s.assemble(ctx, digest, room, nil) // the caller's
	if err != nil {
		return nil, err
	}
	if err := manifest.Digest(digest).Verify(content); err != nil {
		return nil, fmt.Errorf("artifact %s: %w: %w", digest, errLost, err)
	}
	return content, nil
}

// lost looks once more, since it may have been replaced meanwhile, and notes that an artifact cannot be read.
func (s *State) lost(ctx context.Context, digest string) ([]byte, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if _, here := s.contents[digest]; !here {
		return nil, fmt.Errorf("artifact %s: %w", digest, ErrNoContent) // nothing names it any more
	}
	content, err := s.read(ctx, digest)
	if !errors.Is(err, errLost) {
		return content, err
	}
	have, next := maps.Clone(s.contents), maps.Clone(s.entries)
	key := artifactKey(digest, have[digest])
	delete(have, digest)
	for uid, e := range next {
		if e.Assignment.Digest == digest {
			e = clone(e)
			e.HasContent = false
			next[uid] = e
		}
	}
	s.mu.Lock()
	s.entries, s.contents = next, have
	s.mu.Unlock()
	signal(s.changed)
	signal(s.lacking)
	s.logger.Warn("stored artifact is lost; fetching it again", "digest", digest, "error", err)
	if err := s.backend.Write(ctx, []Write{{Key: key}}); err != nil {
		s.unsure[key] = true
	}
	return nil, fmt.Errorf("%w: %w", ErrNoContent, err)
}

// PutContent persists a fetched artifact, given as zstd. One that nothing names any more is dropped without error.
func (s *State) PutContent(ctx context.Context, digest string, size uint64, encoded []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	kept, _, err := s.decode(ctx, &spokev1.Content{Digest: digest, Size: size, Data: encoded})
	if err != nil {
		return fmt.Errorf("artifact %s: %w", digest, err)
	}
	return s.commit(ctx, maps.Clone(s.entries), map[string]stored{digest: kept}, nil)
}

// decode checks one content and answers it as it is kept. The caller holds writing.
func (s *State) decode(ctx context.Context, c *spokev1.Content) (stored, spokev1.NackCode, error) {
	if _, err := manifest.ParseDigest(c.Digest); err != nil {
		return stored{}, spokev1.NackCode_NACK_CODE_INVALID, err
	}
	room := newRoom()
	defer room.done()
	content, code, err := s.expand(ctx, c.BaseDigest, c.Data, c.Size, room)
	if err != nil {
		return stored{}, code, err
	}
	if err := manifest.Digest(c.Digest).Verify(content); err != nil {
		return stored{}, spokev1.NackCode_NACK_CODE_WRONG_DIGEST, err
	}
	if c.BaseDigest == "" {
		return stored{"", pack(c.Size, c.Data)}, 0, nil
	}
	return s.keep(c.BaseDigest, c.Data, content), 0, nil
}

// expand answers the canonical form of an artifact that came as zstd, against a base if that is not empty, in the memory of room. The caller
// holds writing, and verifies what comes out.
func (s *State) expand(ctx context.Context, base string, data []byte, size uint64, room *room) ([]byte, spokev1.NackCode, error) {
	if limit := s.limit(); size > limit {
		return nil, spokev1.NackCode_NACK_CODE_UNSUPPORTED, fmt.Errorf("the artifact has %d bytes, and the limit is %d", size, limit)
	}
	var content []byte
	var err error
	if base == "" {
		content, err = manifest.DecompressTo(room.next(int(size)), data, int(size))
	} else {
		if _, here := s.contents[base]; !here {
			return nil, spokev1.NackCode_NACK_CODE_MISSING_BASE, fmt.Errorf("base %s: %w", base, ErrNoContent)
		}
		from, missing := s.assemble(ctx, base, room, room)
		if missing != nil {
			return nil, spokev1.NackCode_NACK_CODE_MISSING_BASE, missing
		}
		content, err = manifest.ApplyDeltaTo(room.next(int(size)), from, data, int(size))
	}
	if err != nil {
		return nil, spokev1.NackCode_NACK_CODE_WRONG_DIGEST, err
	}
	return content, 0, nil
}

func (s *State) limit() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.maxSize
}

func pack(size uint64, encoded []byte) []byte {
	return append(binary.AppendUvarint(make([]byte, 0, len(encoded)+binary.MaxVarintLen64), size), encoded...)
}
