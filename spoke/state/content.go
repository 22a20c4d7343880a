package state

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// ErrNoContent means that an artifact is not here.
var ErrNoContent = errors.New("content is not here")

// Content answers an artifact's canonical form. It is read and verified each time, since it may be large. The error wraps
// ErrNoContent where it is not here, or not any more: then it is fetched again.
func (s *State) Content(ctx context.Context, digest string) ([]byte, error) {
	s.mu.RLock()
	have := s.contents[digest]
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
	stored, err := s.backend.Read(ctx, artifactKey(digest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("artifact %s: %w: %w", digest, errLost, err)
	}
	if err != nil {
		return nil, fmt.Errorf("artifact %s: %w", digest, err)
	}
	content, err := unpack(stored)
	if err == nil {
		err = manifest.Digest(digest).Verify(content)
	}
	if err != nil {
		return nil, fmt.Errorf("artifact %s: %w: %w", digest, errLost, err)
	}
	return content, nil
}

// lost looks once more, since it may have been replaced meanwhile, and notes that an artifact cannot be read.
func (s *State) lost(ctx context.Context, digest string) ([]byte, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	content, err := s.read(ctx, digest)
	if !errors.Is(err, errLost) {
		return content, err
	}
	have, next := maps.Clone(s.contents), maps.Clone(s.entries)
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
	if err := s.backend.Write(ctx, []Write{{Key: artifactKey(digest)}}); err != nil {
		s.unsure[artifactKey(digest)] = true
	}
	return nil, fmt.Errorf("%w: %w", ErrNoContent, err)
}

// PutContent persists a fetched artifact, given as zstd. One that nothing names any more is dropped without error.
func (s *State) PutContent(ctx context.Context, digest string, size uint64, encoded []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	value, _, err := s.decode(ctx, &spokev1.Content{Digest: digest, Size: size, Data: encoded})
	if err != nil {
		return fmt.Errorf("artifact %s: %w", digest, err)
	}
	return s.commit(ctx, maps.Clone(s.entries), map[string][]byte{digest: value}, nil)
}

// decode checks one content and answers it as it is stored. The caller holds writing.
func (s *State) decode(ctx context.Context, c *spokev1.Content) ([]byte, spokev1.NackCode, error) {
	if _, err := manifest.ParseDigest(c.Digest); err != nil {
		return nil, spokev1.NackCode_NACK_CODE_INVALID, err
	}
	if limit := s.limit(); c.Size > limit {
		return nil, spokev1.NackCode_NACK_CODE_UNSUPPORTED, fmt.Errorf("the artifact has %d bytes, and the limit is %d", c.Size, limit)
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
	base, err := s.read(ctx, c.BaseDigest)
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
	return pack(c.Size, manifest.CompressFast(content)), 0, nil
}

func (s *State) limit() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.maxSize
}

func pack(size uint64, encoded []byte) []byte {
	return append(binary.AppendUvarint(make([]byte, 0, len(encoded)+binary.MaxVarintLen64), size), encoded...)
}

// unpack is bounded by what manifest decodes at all: a hub that lowers its limit takes nothing away that is here.
func unpack(stored []byte) ([]byte, error) {
	size, n := binary.Uvarint(stored)
	if n <= 0 || size > DefaultMaxArtifactSize {
		return nil, errors.New("stored artifact has no valid size")
	}
	return manifest.Decompress(stored[n:], int(size))
}

func artifactKey(digest string) string {
	return artifactPrefix + strings.TrimPrefix(digest, digestPrefix)
}

func digestOf(key string) string { return digestPrefix + strings.TrimPrefix(key, artifactPrefix) }

const digestPrefix = "sha256:"
