package keep

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/yardarm-dev/yardarm/spoke/kube"
	"github.com/yardarm-dev/yardarm/spoke/state"
)

// State keeps a spoke's state in Secrets, so that its pod can come up on any node without a volume. It is the only writer:
// see [Identity.Claim].
type State struct {
	blobs *kube.Blobs

	mu       sync.Mutex
	versions map[string]kube.Version // of the keys that were read or written
}

var _ state.Backend = (*State)(nil)

// NewState makes the backend for package state.
func NewState(k *kube.Client) *State {
	return &State{blobs: k.Blobs("state"), versions: map[string]kube.Version{}}
}

// List implements state.Backend.
func (s *State) List(ctx context.Context) ([]string, error) { return s.blobs.List(ctx) }

// Read implements state.Backend.
func (s *State) Read(ctx context.Context, key string) ([]byte, error) {
	value, version, err := s.blobs.Read(ctx, key)
	if err == nil {
		s.note(key, version)
	}
	return value, err
}

// Write implements state.Backend: one request to the API server for each change, in order.
func (s *State) Write(ctx context.Context, changes []state.Write) error {
	for _, change := range changes {
		if err := s.write(ctx, change); err != nil {
			return fmt.Errorf("write state %s: %w", change.Key, err)
		}
	}
	return nil
}

func (s *State) write(ctx context.Context, change state.Write) error {
	if change.Value == nil {
		s.note(change.Key, "")
		return s.blobs.Delete(ctx, change.Key, "")
	}
	s.mu.Lock()
	expect := s.versions[change.Key]
	s.mu.Unlock()
	version, err := s.blobs.Write(ctx, change.Key, change.Value, expect)
	if errors.Is(err, kube.ErrChanged) {
		// A key that was there before this process, or a write whose answer was lost: there is one writer only, so its
		// newest value is right.
		_, expect, err = s.blobs.Read(ctx, change.Key)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, kube.ErrIncomplete) {
			return err
		}
		version, err = s.blobs.Write(ctx, change.Key, change.Value, expect)
	}
	if err == nil {
		s.note(change.Key, version)
	}
	return err
}

func (s *State) note(key string, version kube.Version) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if version == "" {
		delete(s.versions, key)
		return
	}
	s.versions[key] = version
}
