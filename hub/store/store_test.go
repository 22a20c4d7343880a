package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestEvents(t *testing.T) {
	s := opened(t, Config{})
	add := func(n int) {
		observe(t, s, func(tx *Tx) error {
			for range n {
				if err := tx.AddEvent(&yardarmv1.Event{}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	add(maxEvents + 10)
	sequences := func() (out []uint64) {
		for e := range s.Read().Events(0) {
			out = append(out, e.Sequence)
		}
		return out
	}
	all := sequences()
	if len(all) != maxEvents || !slices.IsSorted(all) {
		t.Fatalf("%d events are kept, want the newest %d in order", len(all), maxEvents)
	}
	newest := all[len(all)-1]
	if n := count(s.Read().Events(newest - 3)); n != 3 {
		t.Errorf("%d events come after the fourth newest, want 3", n)
	}
	if n := count(s.Read().Events(newest)); n != 0 {
		t.Errorf("%d events come after the newest", n)
	}
	if n := count(s.Read().Events(^uint64(0))); n != 0 {
		t.Errorf("%d events come after the last one possible", n)
	}
	s = reopened(t, s)
	if again := sequences(); !slices.Equal(again, all) {
		t.Errorf("after a restart, there are %d events, %d to %d", len(again), again[0], again[len(again)-1])
	}
	add(1)
	if all = sequences(); len(all) != maxEvents || all[len(all)-1] <= newest {
		t.Errorf("the next event has sequence %d, the one before %d", all[len(all)-1], newest)
	}
}

// TestEventSequenceAfterCrash: events that were lost in a crash, but that watchers have seen, must not lend their sequences to others.
func TestEventSequenceAfterCrash(t *testing.T) {
	dir := t.TempDir()
	last := uint64(0)
	for range 3 {
		s := opened(t, Config{Dir: dir})
		observe(t, s, func(tx *Tx) error { return tx.AddEvent(&yardarmv1.Event{}) })
		e := first(s.Read().Events(last))
		if e == nil {
			t.Fatalf("the new event does not come after %d", last)
		}
		last = e.Sequence
		crash(t, s)
	}
}

// crash ends a store without writing anything any more.
func crash(t testing.TB, s *Store) {
	t.Helper()
	s.turn <- struct{}{}
	close(s.closed)
	<-s.turn
	s.closeOnce.Do(func() {})
	if err := s.log.Close(); err != nil {
		t.Fatal(err)
	}
	s.unlock()
}

func TestMeta(t *testing.T) {
	now := time.Unix(1700000000, 0)
	s := opened(t, Config{Clock: func() time.Time { return now }})
	m := s.Meta()
	if m.Format != Format || len(m.Fleet) != 2*fleetSize || len(m.Epoch) != epochSize {
		t.Errorf("meta is %v", m)
	}
	if want := newEpoch(nil, now, strings.NewReader("12345678"))[:8]; !slices.Equal(m.Epoch[:8], want) {
		t.Errorf("the epoch begins at %x, want %x", m.Epoch[:8], want)
	}
	index := update(t, s, func(tx *Tx) error { return tx.PutCluster(cluster("c", "c", nil)) })
	if s.Meta().Index != index {
		t.Errorf("meta has index %d, want %d", s.Meta().Index, index)
	}
	s = reopened(t, s)
	if s.Meta().Fleet != m.Fleet || !slices.Equal(s.Epoch(), m.Epoch) || s.Meta().Index != index {
		t.Errorf("meta was %v and is %v", m, s.Meta())
	}
	other := opened(t, Config{Clock: func() time.Time { return now }})
	if other.Meta().Fleet == m.Fleet || slices.Equal(other.Epoch(), m.Epoch) {
		t.Error("two databases are of one fleet or epoch")
	}
}

func TestFilesArePrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "data")
	s := opened(t, Config{Dir: dir})
	update(t, s, func(tx *Tx) error { return tx.PutCluster(cluster("c", "c", nil)) })
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory has mode %v, %v", info.Mode(), err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		t.Fatal(entries, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", e.Name(), info.Mode(), err)
		}
	}
}

func TestClosed(t *testing.T) {
	s := opened(t, Config{})
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Update(t.Context(), func(*Tx) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("update of a closed store: %v", err)
	}
	if err := s.Observe(t.Context(), func(*Tx) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("observe of a closed store: %v", err)
	}
	if err := s.Run(context.Background()); err != nil {
		t.Errorf("run of a closed store: %v", err)
	}
}
