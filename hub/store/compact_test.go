package store

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"go.etcd.io/bbolt"
)

// churned is a store most of whose file is free.
func churned(t *testing.T) (s *Store, path string) {
	t.Helper()
	s = opened(t, Config{Dir: t.TempDir()})
	databaseOf(s).least = 1 << 20
	update(t, s, func(tx *Tx) error { return crashRow(tx, 0, 1) })
	for _, size := range []int{8 << 20, 0} {
		update(t, s, func(tx *Tx) error { return churn(tx, size) })
	}
	return s, filepath.Join(s.config.Dir, databaseName)
}

func sizeOf(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// TestCompact: the file shrinks, all rows and contents stay, what is written afterwards lasts, and a second time nothing is worth it.
func TestCompact(t *testing.T) {
	s, path := churned(t)
	before := sizeOf(t, path)
	freed, err := s.Compact(t.Context())
	after := sizeOf(t, path)
	if err != nil || freed != before-after || after > 1<<20 {
		t.Fatalf("the file went from %d to %d bytes, and %d were freed: %v", before, after, freed, err)
	}
	if got := crashedRow(t, s, 0); got != 1 {
		t.Errorf("write %d is there, want 1", got)
	}
	update(t, s, func(tx *Tx) error { return crashRow(tx, 0, 2) })
	index := s.Read().Index()
	if freed, err := s.Compact(t.Context()); err != nil || freed != 0 {
		t.Errorf("once more: %d bytes were freed, %v", freed, err)
	}
	s = reopened(t, s)
	if got := crashedRow(t, s, 0); got != 2 || s.Read().Index() < index {
		t.Errorf("after a restart, write %d is there at index %d; want 2 at %d or later", got, s.Read().Index(), index)
	}
}

// TestCompactWhileReading: whoever reads the file goes on with what it was, others and updates with what it is.
func TestCompactWhileReading(t *testing.T) {
	s, _ := churned(t)
	log := databaseOf(s)
	reading, read := make(chan struct{}), make(chan struct{})
	done := sync.OnceFunc(func() { close(read) })
	t.Cleanup(done) // closing the store waits for it
	var readers sync.WaitGroup
	readers.Go(func() {
		if err := log.view(func(tx *bbolt.Tx) error {
			close(reading)
			<-read
			if tx.Bucket([]byte(contentsTable)).Get([]byte("w0")) == nil {
				return errors.New("a content is gone from under its reader")
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	})
	<-reading
	compacted := make(chan error)
	go func() {
		_, err := s.Compact(t.Context())
		compacted <- err
	}()
	// The new file is in place before the old one is let go of, and reads go on meanwhile.
	wait(t, func() bool { log.swapping.RLock(); defer log.swapping.RUnlock(); return sizeOf(t, log.path) < 1<<20 })
	if got := crashedRow(t, s, 0); got != 1 {
		t.Errorf("write %d is there, want 1", got)
	}
	done()
	if err := <-compacted; err != nil {
		t.Fatal(err)
	}
	readers.Wait()
	update(t, s, func(tx *Tx) error { return crashRow(tx, 0, 2) })
}

// TestCompactFails: when no copy can be made, all is as it was.
func TestCompactFails(t *testing.T) {
	s, path := churned(t)
	before := sizeOf(t, path)
	if err := os.MkdirAll(filepath.Join(path+newSuffix, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if freed, err := s.Compact(t.Context()); err == nil || freed != 0 {
		t.Errorf("%d bytes were freed, %v", freed, err)
	}
	if err := os.RemoveAll(path + newSuffix); err != nil {
		t.Fatal(err)
	}
	update(t, s, func(tx *Tx) error { return crashRow(tx, 0, 2) })
	if after := sizeOf(t, path); after != before || crashedRow(t, s, 0) != 2 {
		t.Errorf("the file went from %d to %d bytes", before, after)
	}
	// A copy that lacks rows does not take the database's place.
	log := databaseOf(s)
	log.sums.add(Clusters.String(), []byte{0, 0, 0, 0})
	if _, err := s.Compact(t.Context()); !errors.As(err, new(*CorruptError)) {
		t.Errorf("a copy with too few rows: %v", err)
	}
	log.sums.remove(Clusters.String(), []byte{0, 0, 0, 0})
	if left, err := filepath.Glob(path + newSuffix); err != nil || len(left) > 0 || sizeOf(t, path) != before {
		t.Errorf("left behind: %q, %v", left, err)
	}
}
