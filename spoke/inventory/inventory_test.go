package inventory

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"strings"
	"testing"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/kube"
)

// memory is a backend.
type memory struct {
	values   map[string][]byte
	versions map[string]int
	next     int
	// writes counts those that were made, and loseAnswer makes the next one fail after it was made.
	writes     int
	loseAnswer bool
}

func newMemory() *memory { return &memory{values: map[string][]byte{}, versions: map[string]int{}} }

func (m *memory) List(context.Context) (keys []string, err error) {
	for key := range m.values {
		keys = append(keys, key)
	}
	return keys, nil
}

func (m *memory) version(key string) kube.Version {
	if _, ok := m.values[key]; !ok {
		return ""
	}
	return kube.Version(fmt.Sprint(m.versions[key]))
}

func (m *memory) Read(_ context.Context, key string) ([]byte, kube.Version, error) {
	if m.version(key) == "" {
		return nil, "", fs.ErrNotExist
	}
	return m.values[key], m.version(key), nil
}

func (m *memory) Write(_ context.Context, key string, value []byte, expect kube.Version) (kube.Version, error) {
	if m.version(key) != expect {
		return "", kube.ErrChanged
	}
	m.next++
	m.writes++
	m.values[key], m.versions[key] = value, m.next
	if m.loseAnswer {
		m.loseAnswer = false
		return "", errors.New("connection lost")
	}
	return m.version(key), nil
}

func (m *memory) Delete(_ context.Context, key string, _ kube.Version) error {
	delete(m.values, key)
	return nil
}

func ref(name string) manifest.Ref {
	return manifest.Ref{Kind: "ConfigMap", Namespace: "prod", Name: name}
}

func example() *Inventory {
	i := New("u1", "web")
	i.Digest, i.Namespace, i.Revision = "sha256:00", "prod", 7
	i.Entries[ref("a")] = Entry{Version: "v1", UID: "x", Content: 1<<63 | 5, Fields: 9}
	i.Entries[manifest.Ref{Group: "batch", Kind: "Job", Namespace: "n", Name: "once"}] = Entry{Version: "v1", UID: "y", Content: 3, Fields: 5, Ended: EndedBadly, Round: 2}
	i.Entries[manifest.Ref{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "system:web"}] = Entry{Version: "v1", Condemned: true}
	return i
}

func TestSavedIsLoaded(t *testing.T) {
	backend := newMemory()
	store := NewStore(backend, slog.New(slog.DiscardHandler))
	want := example()
	for range 3 {
		if err := store.Save(t.Context(), want); err != nil {
			t.Fatal(err)
		}
	}
	if backend.writes != 1 {
		t.Errorf("%d writes of one content", backend.writes)
	}
	all, err := store.Load(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("%v %v", all, err)
	}
	got := all["u1"]
	if got.Bundle != "web" || got.Digest != want.Digest || got.Namespace != "prod" || got.Revision != 7 || !maps.Equal(got.Entries, want.Entries) {
		t.Errorf("got %+v", got)
	}
	if got.Condemned() != 1 || len(got.Refs()) != 3 {
		t.Errorf("condemned %d of %v", got.Condemned(), got.Refs())
	}
	if err := store.Save(t.Context(), got); err != nil || backend.writes != 1 {
		t.Errorf("written again after loading: %d %v", backend.writes, err)
	}
	if err := store.Delete(t.Context(), got); err != nil || len(backend.values) != 0 {
		t.Errorf("deleted: %v %v", backend.values, err)
	}
	if err := store.Save(t.Context(), got); err != nil || len(backend.values) != 1 {
		t.Errorf("saved again: %v", err)
	}
}

func TestConflicts(t *testing.T) {
	for name, c := range map[string]struct {
		between func(*memory, *Store, *Inventory)
		want    error
	}{
		"our own write, its answer lost": {func(m *memory, s *Store, i *Inventory) {
			i.Revision = 8
			m.loseAnswer = true
			if err := s.Save(t.Context(), i); err == nil {
				t.Error("the lost answer went unnoticed")
			}
		}, nil},
		"deleted":  {func(m *memory, _ *Store, i *Inventory) { delete(m.values, "u1") }, nil},
		"labelled": {func(m *memory, _ *Store, _ *Inventory) { m.next++; m.versions["u1"] = m.next }, nil},
		"a second spoke": {func(m *memory, s *Store, _ *Inventory) {
			other, err := s.Load(t.Context())
			if err != nil {
				t.Error(err)
			}
			other["u1"].Revision = 99
			if err := s.Save(t.Context(), other["u1"]); err != nil {
				t.Error(err)
			}
		}, ErrSecondWriter},
	} {
		t.Run(name, func(t *testing.T) {
			backend := newMemory()
			store := NewStore(backend, slog.New(slog.DiscardHandler))
			i := example()
			if err := store.Save(t.Context(), i); err != nil {
				t.Fatal(err)
			}
			c.between(backend, store, i)
			i.Revision = 8
			if err := store.Save(t.Context(), i); !errors.Is(err, c.want) {
				t.Fatalf("save: %v, want %v", err, c.want)
			}
			found, err := store.Reload(t.Context(), i)
			if err != nil {
				t.Fatal(err)
			}
			want := uint32(8)
			if c.want != nil {
				want = 99
			}
			if found.Revision != want {
				t.Errorf("stored revision %d, want %d", found.Revision, want)
			}
		})
	}
}

func TestDamageIsAnError(t *testing.T) {
	good, err := encode(example())
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"empty": {}, "no zstd": []byte("hello"), "cut short": good[:len(good)/2]} {
		backend := newMemory()
		backend.values["u1"] = data
		if _, err := NewStore(backend, slog.New(slog.DiscardHandler)).Load(t.Context()); err == nil || !strings.Contains(err.Error(), "u1") {
			t.Errorf("%s: %v", name, err)
		}
	}
	backend := newMemory()
	backend.values["u2"] = good
	if _, err := NewStore(backend, slog.New(slog.DiscardHandler)).Load(t.Context()); err == nil {
		t.Error("another bundle's inventory was taken")
	}
}

func FuzzDecode(f *testing.F) {
	good, err := encode(example())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, data []byte) {
		i, err := decode(data)
		if err != nil {
			return
		}
		again, err := encode(i)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decode(again); err != nil || !maps.Equal(got.Entries, i.Entries) {
			t.Fatalf("%v %v", got, err)
		}
	})
}
