package store

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDirEnv); dir != "" {
		crashChild(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// opened opens a store that is closed when the test ends.
func opened(t testing.TB, config Config) *Store {
	t.Helper()
	if config.Dir == "" {
		config.Dir = t.TempDir()
	}
	s, err := Open(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && s.usable() == ErrClosed {
			t.Logf("close: %v", err)
		}
	})
	return s
}

// reopened closes a store and opens it again.
func reopened(t testing.TB, s *Store) *Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return opened(t, Config{Dir: s.config.Dir})
}

func update(t testing.TB, s *Store, fn func(*Tx) error) uint64 {
	t.Helper()
	index, err := s.Update(t.Context(), fn)
	if err != nil {
		t.Fatal(err)
	}
	return index
}

func observe(t testing.TB, s *Store, fn func(*Tx) error) {
	t.Helper()
	if err := s.Observe(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// testLog is a Log whose appends a test can watch, hold up and let fail.
type testLog struct {
	*aheadLog
	append func(batch *Batch, do func() error) error

	mu      sync.Mutex
	batches []*Batch
}

func (l *testLog) Append(batch *Batch) error {
	l.mu.Lock()
	l.batches = append(l.batches, batch)
	hook := l.append
	l.mu.Unlock()
	if hook == nil {
		return l.aheadLog.Append(batch)
	}
	return hook(batch, func() error { return l.aheadLog.Append(batch) })
}

func (l *testLog) hook(fn func(batch *Batch, do func() error) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.append = fn
}

// appended returns the batches since it was called last.
func (l *testLog) appended() []*Batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.batches
	l.batches = nil
	return out
}

func openedTestLog(t testing.TB, dir string) (*Store, *testLog) {
	t.Helper()
	var log *testLog
	s := opened(t, Config{Dir: dir, WrapLog: func(l Log) Log {
		log = &testLog{aheadLog: l.(*aheadLog)}
		return log
	}})
	log.appended()
	return s, log
}

// aheadOf is the log of a store that a test has opened.
func aheadOf(s *Store) *aheadLog {
	if l, ok := s.log.(*testLog); ok {
		return l.aheadLog
	}
	return s.log.(*aheadLog)
}

// databaseOf is the database of such a store, which has all that the write-ahead log has.
func databaseOf(s *Store) *boltLog {
	l := aheadOf(s)
	if err := l.settle(); err != nil {
		panic(err)
	}
	return l.boltLog
}

// killedCopy is a data directory as it would be if the store's process were killed now.
func killedCopy(t testing.TB, s *Store) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range []string{databaseName, walName} {
		data, err := os.ReadFile(filepath.Join(s.config.Dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func cluster(uid, name string, labels map[string]string) *yardarmv1.Cluster {
	return &yardarmv1.Cluster{Metadata: &yardarmv1.ObjectMeta{Uid: uid, Name: name, Labels: labels}}
}

func group(name string, match map[string]string) *yardarmv1.ClusterGroup {
	return &yardarmv1.ClusterGroup{Metadata: &yardarmv1.ObjectMeta{Name: name, Uid: "g-" + name},
		Spec: &yardarmv1.ClusterGroupSpec{Selector: &yardarmv1.LabelSelector{MatchLabels: match}}}
}

func bundle(uid, name string, targets ...string) *yardarmv1.Bundle {
	b := &yardarmv1.Bundle{Metadata: &yardarmv1.ObjectMeta{Uid: uid, Name: name}, Spec: &yardarmv1.BundleSpec{}}
	for _, g := range targets {
		b.Spec.Targets = append(b.Spec.Targets, &yardarmv1.Target{Group: g})
	}
	return b
}

func revision(bundleUID string, number uint32, digest string) *yardarmv1.Revision {
	return &yardarmv1.Revision{Metadata: &yardarmv1.ObjectMeta{Name: "r"}, Spec: &yardarmv1.RevisionSpec{BundleUid: bundleUID, Number: number, Digest: digest}}
}
