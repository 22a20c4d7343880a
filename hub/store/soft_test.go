package store

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// running opens a store on a watched log, with a cluster in it, and runs it. It is for use in synctest bubbles.
func running(t *testing.T) (*Store, *testLog) {
	t.Helper()
	s, log := openedTestLog(t, t.TempDir())
	update(t, s, func(tx *Tx) error { return tx.PutCluster(cluster("c", "c", nil)) })
	log.appended()
	ran := make(chan error, 1)
	ctx := t.Context()
	go func() { ran <- s.Run(ctx) }()
	t.Cleanup(func() {
		if err := <-ran; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return s, log
}

func report(phase string) func(*Tx) error {
	return func(tx *Tx) error {
		return tx.PutObservedBundle(&storev1.ObservedBundle{ClusterUid: "c", Report: &yardarmv1.Report{BundleUid: "b", Phase: phase}})
	}
}

// TestObserve: observed state is visible at once and on disk after the flush interval, once for however many changes; and an idle store writes nothing.
func TestObserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, log := running(t)
		sub := s.Subscribe(ObservedBundles)
		start := time.Now()
		for i := range 100 {
			observe(t, s, report(fmt.Sprint(i)))
			if got := s.Read().ObservedBundle("c", "b").GetReport().GetPhase(); got != fmt.Sprint(i) {
				t.Fatalf("after observation %d, the report says %q", i, got)
			}
		}
		if !sub.Take().Has(ObservedBundles, "c/b") {
			t.Error("subscribers do not hear of it")
		}
		time.Sleep(s.config.FlushInterval - time.Nanosecond)
		synctest.Wait()
		if n := len(log.appended()); n > 0 {
			t.Errorf("%d commits after %v", n, time.Since(start))
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if batches := log.appended(); len(batches) != 1 || len(batches[0].Ops) != 2 {
			t.Errorf("the flush is %v, want one commit of one row and its history", batches)
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if n := len(log.appended()); n > 0 {
			t.Errorf("%d commits while nothing happens", n)
		}
		crash(t, s)
	})
}

// TestObserveGoesWithUpdate: observed state does not need a commit of its own where there is one anyway.
func TestObserveGoesWithUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, log := running(t)
		observe(t, s, report("Ready"))
		update(t, s, func(tx *Tx) error { return tx.PutToken(&storev1.EnrolmentToken{Id: "t"}) })
		if batches := log.appended(); len(batches) != 1 || len(batches[0].Ops) != 3 {
			t.Errorf("the update is %v, want one commit of two rows and a history", batches)
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if n := len(log.appended()); n > 0 {
			t.Errorf("%d commits though everything is on disk", n)
		}
		dir := s.config.Dir
		crash(t, s)
		again := opened(t, Config{Dir: dir})
		if got := again.Read().ObservedBundle("c", "b").GetReport().GetPhase(); got != "Ready" {
			t.Errorf("after a crash, the report says %q", got)
		}
	})
}

// TestObserveIsLostInCrash: that is the price, and the only thing that is lost.
func TestObserveIsLostInCrash(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, Config{Dir: dir})
	update(t, s, func(tx *Tx) error { return tx.PutCluster(cluster("c", "c", nil)) })
	observe(t, s, report("Ready"))
	crash(t, s)
	s = opened(t, Config{Dir: dir})
	if s.Read().Cluster("c") == nil || s.Read().ObservedBundle("c", "b") != nil {
		t.Error("something else than the observation is lost, or not even that")
	}
	observe(t, s, report("Ready"))
	s = reopened(t, s) // Close flushes
	if s.Read().ObservedBundle("c", "b") == nil {
		t.Error("the observation is lost though the store was closed")
	}
}

// TestObserveDeleted: a row that is deleted before it was ever flushed leaves nothing on disk; nor does one that was flushed.
func TestObserveDeleted(t *testing.T) {
	s := opened(t, Config{})
	update(t, s, func(tx *Tx) error { return tx.PutCluster(cluster("c", "c", nil)) })
	for range 2 {
		observe(t, s, report("Ready"))
		observe(t, s, func(tx *Tx) error { return tx.DeleteObservedBundle("c", "b") })
		s = reopened(t, s)
		if s.Read().ObservedBundle("c", "b") != nil {
			t.Error("the deleted observation is back")
		}
		observe(t, s, report("Ready"))
		s = reopened(t, s)
	}
}

func TestObserveRefusesHardRows(t *testing.T) {
	s := opened(t, Config{})
	update(t, s, func(tx *Tx) error { return tx.PutCluster(cluster("c", "c", nil)) })
	before := dump(s.Read())
	for name, fn := range map[string]func(*Tx) error{
		"put":    func(tx *Tx) error { return tx.PutCluster(cluster("c2", "c2", nil)) },
		"delete": func(tx *Tx) error { return tx.DeleteCluster("c") },
		"token":  func(tx *Tx) error { return tx.PutToken(&storev1.EnrolmentToken{Id: "t"}) },
		"ignored": func(tx *Tx) error {
			_ = tx.PutCluster(cluster("c2", "c2", nil))
			return nil
		},
	} {
		err := s.Observe(t.Context(), func(tx *Tx) error {
			return errors.Join(tx.AddEvent(&yardarmv1.Event{}), fn(tx))
		})
		if !errors.Is(err, ErrHard) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if after := dump(s.Read()); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// TestFlushIsTriedAgain: with a full disk, observed state stays in memory, and every interval tells whether there is space again.
func TestFlushIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, log := running(t)
		log.hook(func(*Batch, func() error) error { return &DiskFullError{Dir: "test", Err: errors.New("test")} })
		if _, err := s.Update(t.Context(), func(tx *Tx) error { return tx.PutToken(&storev1.EnrolmentToken{Id: "t"}) }); !errors.Is(err, ErrReadOnly) {
			t.Fatalf("the update gives %v", err)
		}
		log.appended()
		time.Sleep(s.config.FlushInterval)
		synctest.Wait()
		if n := len(log.appended()); n != 1 || s.ReadOnly() == "" {
			t.Errorf("%d commits were tried in one interval; read-only: %q", n, s.ReadOnly())
		}
		observe(t, s, report("Ready"))
		log.hook(nil)
		time.Sleep(s.config.FlushInterval)
		synctest.Wait()
		if batches := log.appended(); len(batches) != 1 || len(batches[0].Ops) != 2 || s.ReadOnly() != "" {
			t.Errorf("with space, there was %v; read-only: %q", batches, s.ReadOnly())
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := len(log.appended()); n > 0 {
			t.Errorf("%d commits while nothing happens", n)
		}
		crash(t, s)
	})
}

// TestFlushOfManyRows: they go in several commits.
func TestFlushOfManyRows(t *testing.T) {
	s, log := openedTestLog(t, t.TempDir())
	const clusters = 16
	update(t, s, func(tx *Tx) error {
		for i := range clusters {
			if err := tx.PutCluster(cluster(fmt.Sprint(i), fmt.Sprint(i), nil)); err != nil {
				return err
			}
		}
		return nil
	})
	log.appended()
	const rows = 2*maxFlush + 1
	observe(t, s, func(tx *Tx) error {
		for i := range rows {
			if err := tx.PutObservedBundle(&storev1.ObservedBundle{ClusterUid: fmt.Sprint(i % clusters), Report: &yardarmv1.Report{BundleUid: fmt.Sprint(i)}}); err != nil {
				return err
			}
		}
		return nil
	})
	update(t, s, func(tx *Tx) error { return tx.PutToken(&storev1.EnrolmentToken{Id: "t"}) })
	if batches := log.appended(); len(batches[0].Ops) != 1 {
		t.Errorf("the update writes %d rows, want itself: so many wait for the flush", len(batches[0].Ops))
	}
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	batches := log.appended()
	if len(batches) != 3 {
		t.Errorf("the flush took %d commits, want 3", len(batches))
	}
	keys := map[string][]string{}
	for _, b := range batches {
		for _, op := range b.Ops {
			keys[op.Table] = append(keys[op.Table], op.Key)
		}
	}
	for table, want := range map[string]int{ObservedBundles.String(): rows, historyTable: clusters} {
		if len(keys[table]) != want || !slices.IsSorted(keys[table]) {
			t.Errorf("the flush writes %d rows of %s, want %d in the order of the database's keys", len(keys[table]), table, want)
		}
	}
	if n := count(reopened(t, s).Read().ObservedBundles("0")); n != (rows+clusters-1)/clusters {
		t.Errorf("%d rows are on disk, want %d", n, rows)
	}
}

// TestFewRowsGoWithUpdate: a flush that has begun finds them gone, and writes no commit for it.
func TestFewRowsGoWithUpdate(t *testing.T) {
	s, log := openedTestLog(t, t.TempDir())
	update(t, s, func(tx *Tx) error { return tx.PutCluster(cluster("c", "c", nil)) })
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	observe(t, s, func(tx *Tx) error {
		for i := range maxSoftWithUpdate / 2 {
			if err := tx.PutObservedBundle(&storev1.ObservedBundle{ClusterUid: "c", Report: &yardarmv1.Report{BundleUid: fmt.Sprint(i)}}); err != nil {
				return err
			}
		}
		return nil
	})
	due := s.waiting()
	waited := len(due.rows) + len(due.subjects)
	log.appended()
	update(t, s, func(tx *Tx) error { return tx.PutToken(&storev1.EnrolmentToken{Id: "t"}) })
	if batches := log.appended(); len(batches) != 1 || len(batches[0].Ops) != 1+waited {
		t.Errorf("the update writes %d rows, want itself and %d", len(batches[0].Ops), waited)
	}
	if more, err := s.flushSome(&due); err != nil || more {
		t.Errorf("more: %v, error %v", more, err)
	}
	if len(log.appended()) > 0 {
		t.Error("what an update has written is written again")
	}
	if due := s.waiting(); due.any() {
		t.Errorf("%d rows still wait", len(due.rows))
	}
}

// TestRowThatCannotBeWritten: it costs itself only.
func TestRowThatCannotBeWritten(t *testing.T) {
	s := opened(t, Config{})
	update(t, s, func(tx *Tx) error { return tx.PutCluster(cluster("c", "c", nil)) })
	observe(t, s, func(tx *Tx) error {
		return tx.PutObservedBundle(&storev1.ObservedBundle{ClusterUid: "c", Report: &yardarmv1.Report{BundleUid: "bad", Phase: "\xff"}})
	})
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	if due := s.waiting(); due.any() {
		t.Error("it is tried again, for ever")
	}
	observe(t, s, report("Ready"))
	s = reopened(t, s)
	if s.Read().ObservedBundle("c", "b") == nil || s.Read().ObservedBundle("c", "bad") != nil {
		t.Error("another row than the bad one is lost")
	}
}
