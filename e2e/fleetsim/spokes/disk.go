package spokes

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/yardarm-dev/yardarm/spoke/enroll"
	"github.com/yardarm-dev/yardarm/spoke/state"
)

// disk is one spoke's state.Backend and enroll.Keep, in memory.
type disk struct {
	shared *sharedContents

	mu     sync.Mutex
	values map[string][]byte
	kept   *enroll.Kept
}

func newDisk(shared *sharedContents) *disk { return &disk{shared: shared, values: map[string][]byte{}} }

// List implements state.Backend.
func (d *disk) List(context.Context) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.values)), nil
}

// Read implements state.Backend.
func (d *disk) Read(_ context.Context, key string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	value, ok := d.values[key]
	if !ok {
		return nil, fmt.Errorf("%s: %w", key, fs.ErrNotExist)
	}
	return value, nil
}

// Write implements state.Backend.
func (d *disk) Write(_ context.Context, changes []state.Write) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range changes {
		if c.Value == nil {
			delete(d.values, c.Key)
			continue
		}
		d.values[c.Key] = d.shared.intern(c.Key, c.Value)
	}
	return nil
}

// Claim implements enroll.Keep: nobody else is there.
func (d *disk) Claim(context.Context, string) error { return nil }

// Check implements enroll.Keep.
func (d *disk) Check(context.Context) error { return nil }

// Load implements enroll.Keep.
func (d *disk) Load(context.Context) (*enroll.Kept, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.kept, nil
}

// Save implements enroll.Keep.
func (d *disk) Save(_ context.Context, kept *enroll.Kept) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kept = kept
	return nil
}

func (d *disk) String() string { return "the memory of a simulated spoke" }

// sharedContents has one copy of what all disks hold alike, so that ten thousand of them fit into one process.
type sharedContents struct {
	mu     sync.Mutex
	values map[string][]byte // by key; artifacts only
}

// maxShared is how many artifacts are remembered: what a run has in use, with some to spare. Others have their own copies.
const maxShared = 64

func newSharedContents() *sharedContents { return &sharedContents{values: map[string][]byte{}} }

func (s *sharedContents) intern(key string, value []byte) []byte {
	if !strings.HasPrefix(key, "artifact/") && !strings.HasPrefix(key, "delta/") {
		return value
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if same, ok := s.values[key]; ok && bytes.Equal(same, value) {
		return same
	}
	for old := range s.values {
		if len(s.values) < maxShared {
			break
		}
		delete(s.values, old)
	}
	s.values[key] = value
	return value
}
