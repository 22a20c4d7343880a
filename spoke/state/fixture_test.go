package state

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/holdings"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// memory is a Backend that survives the State on it, and whose writes can be made to fail.
type memory struct {
	mu     sync.Mutex
	values map[string][]byte
	writes []string // the keys written, in order; deletions with a leading dash
	// left is how many single writes succeed before failure is returned; negative for all.
	left    int
	failure error
	// late makes the write that fails happen all the same, as when an answer is lost.
	late bool
	// unreadable is what reads fail with; nil for none.
	unreadable error
}

func newMemory() *memory { return &memory{values: map[string][]byte{}, left: -1} }

func (m *memory) List(context.Context) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.values)), nil
}

func (m *memory) Read(_ context.Context, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.unreadable != nil {
		return nil, m.unreadable
	}
	value, ok := m.values[key]
	if !ok {
		return nil, fmt.Errorf("%s: %w", key, fs.ErrNotExist)
	}
	return bytes.Clone(value), nil
}

func (m *memory) Write(_ context.Context, changes []Write) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range changes {
		if m.left == 0 && !m.late {
			return m.failure
		}
		if c.Value == nil {
			m.writes = append(m.writes, "-"+c.Key)
			delete(m.values, c.Key)
		} else {
			m.writes = append(m.writes, c.Key)
			m.values[c.Key] = bytes.Clone(c.Value)
		}
		if m.left == 0 {
			return m.failure
		}
		m.left--
	}
	return nil
}

// fail makes every write after the next n fail.
func (m *memory) fail(n int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left, m.failure = n, err
}

func (m *memory) heal() { m.fail(-1, nil) }

func (m *memory) keys(prefix string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for key := range m.values {
		if strings.HasPrefix(key, prefix) {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return out
}

var discard = slog.New(slog.DiscardHandler)

func open(t testing.TB, b Backend) *State {
	t.Helper()
	s, err := Open(t.Context(), b, discard)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// artifact is some content as a hub has it.
type artifact struct {
	text    []byte
	encoded []byte
	digest  string
}

// content makes an artifact of a few hundred bytes that differs by seed.
func content(seed string) artifact {
	text := []byte(strings.Repeat(`{"kind":"ConfigMap"}`+"\n", 10) + seed)
	return artifact{text, manifest.Compress(text), manifest.DigestOf(text).String()}
}

// whole is the artifact as it travels without a base.
func (a artifact) whole() *spokev1.Content {
	return &spokev1.Content{Digest: a.digest, Size: uint64(len(a.text)), Data: a.encoded}
}

// against is the artifact as it travels to a spoke that holds base.
func (a artifact) against(t testing.TB, base artifact) *spokev1.Content {
	t.Helper()
	key := base.digest + a.digest
	delta, known := deltas.Load(key)
	if !known {
		made, err := manifest.EncodeDelta(base.text, a.text)
		if err != nil {
			t.Fatal(err)
		}
		delta = made
		deltas.Store(key, delta)
	}
	return &spokev1.Content{Digest: a.digest, Size: uint64(len(a.text)), BaseDigest: base.digest, Data: delta.([]byte)}
}

// deltas are those that tests have made so far: what takes a spoke no time takes a hub some, and most with the race detector.
var deltas sync.Map

func assignment(bundle string, revision uint32, a artifact) *yardarmv1.AssignmentSpec {
	spec := &yardarmv1.AssignmentSpec{
		Cluster: "edge-1", Bundle: bundle, BundleUid: uidOf(bundle), Revision: revision, Digest: a.digest, Size: uint64(len(a.text)),
	}
	spec.Hash = holdings.AssignmentHash(spec)
	return spec
}

func uidOf(bundle string) string { return "uid-" + bundle }

// epoch answers the nth epoch.
func epoch(n byte) []byte { return append(make([]byte, epochSize-1), n) }

func cursor(epochN byte, index uint64) *spokev1.Cursor {
	return &spokev1.Cursor{Epoch: epoch(epochN), Index: index, Mac: []byte("mac")}
}

func assign(a *yardarmv1.AssignmentSpec, base []byte) *spokev1.Change {
	return &spokev1.Change{Change: &spokev1.Change_Assign{Assign: a}, BaseHash: base}
}

func remove(bundle string, base []byte) *spokev1.Change {
	return &spokev1.Change{BaseHash: base, Change: &spokev1.Change_Remove{Remove: &spokev1.Tombstone{
		Bundle: bundle, BundleUid: uidOf(bundle), Workloads: yardarmv1.Workloads_WORKLOADS_REMOVE, Reason: yardarmv1.ReasonBundleDeleted, Accepted: true,
	}}}
}

func hold(bundle string) *spokev1.Change {
	return &spokev1.Change{Change: &spokev1.Change_Hold{Hold: &spokev1.Hold{
		Bundle: bundle, BundleUid: uidOf(bundle), Reason: yardarmv1.ReasonUnknownToHub,
	}}}
}

// apply applies a delta that must be taken as a whole.
func apply(t testing.TB, s *State, at *spokev1.Cursor, contents []*spokev1.Content, changes ...*spokev1.Change) Outcome {
	t.Helper()
	out, err := s.ApplyDelta(t.Context(), &spokev1.Delta{Cursor: at, Changes: changes, Contents: contents})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Nacks) > 0 || !out.Persisted {
		t.Fatalf("refused: persisted %v, %v", out.Persisted, out.Nacks)
	}
	return out
}

func entry(t testing.TB, s *State, bundle string) *Entry {
	t.Helper()
	for _, e := range s.Entries() {
		if e.Assignment.BundleUid == uidOf(bundle) {
			return &e
		}
	}
	return nil
}

func signalled(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
