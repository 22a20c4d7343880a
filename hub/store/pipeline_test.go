package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// heldStore is a store whose log can be held up.
type heldStore struct {
	*Store
	log *testLog
	// say lets the batch go that is on its way to disk: to be written for nil, and else to end with the error.
	say chan error
}

func openedHeld(t *testing.T, config Config) *heldStore {
	t.Helper()
	h := &heldStore{say: make(chan error)}
	config.WrapLog = func(l Log) Log {
		h.log = &testLog{boltLog: l.(*boltLog)}
		return h.log
	}
	h.Store = opened(t, config)
	h.ahead = 1 // whatever comes is run while the disk is busy
	return h
}

// hold has each batch wait for a word from now on.
func (h *heldStore) hold() {
	h.log.appended()
	h.log.hook(func(_ *Batch, do func() error) error {
		if err := <-h.say; err != nil {
			return err
		}
		return do()
	})
}

// result is how an update has ended.
type result struct {
	index uint64
	err   error
}

// begin begins updates that make one batch, in order, and returns when they have run.
func (h *heldStore) begin(t *testing.T, fns ...func(*Tx) error) (done []<-chan result) {
	t.Helper()
	var ran sync.WaitGroup
	h.turn <- struct{}{}
	for i, fn := range fns {
		ended := make(chan result, 1)
		done = append(done, ended)
		ran.Add(1)
		go func() {
			index, err := h.Update(context.Background(), func(tx *Tx) error {
				defer ran.Done()
				return fn(tx)
			})
			ended <- result{index, err}
		}()
		wait(t, func() bool { return len(h.updates) > i })
	}
	<-h.turn
	ran.Wait()
	return done
}

// onItsWay begins an update, and returns when it is on its way to disk.
func (h *heldStore) onItsWay(t *testing.T, fn func(*Tx) error) <-chan result {
	t.Helper()
	done := h.begin(t, fn)
	wait(t, func() bool { return len(h.log.appended()) > 0 })
	return done[0]
}

func putToken(id string) func(*Tx) error {
	return func(tx *Tx) error { return tx.PutToken(&storev1.EnrolmentToken{Id: id}) }
}

// withoutEvents leaves events out of a dump.
func withoutEvents(dump string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(dump, "\n"), func(line string) bool { return strings.HasPrefix(line, Events.String()+" ") }), "\n")
}

// TestUpdatesRunWhileOthersAreWritten: what runs meanwhile sees what is being written, and nobody sees either before it is on disk.
func TestUpdatesRunWhileOthersAreWritten(t *testing.T) {
	s := openedHeld(t, Config{})
	s.hold()
	first := s.onItsWay(t, putToken("first"))
	meanwhile := s.begin(t, func(tx *Tx) error {
		if tx.Token("first") == nil || tx.Index() != 2 {
			t.Error("an update does not see the batch before its own")
		}
		return putToken("second")(tx)
	}, func(*Tx) error { return nil })
	second, idle := meanwhile[0], meanwhile[1]
	shown := func(first, second bool, index uint64) {
		t.Helper()
		tx := s.Read()
		if (tx.Token("first") != nil) != first || (tx.Token("second") != nil) != second || tx.Index() != index || s.Meta().Index != index {
			t.Errorf("at index %d, the first update is there: %v, and the second: %v", tx.Index(), tx.Token("first") != nil, tx.Token("second") != nil)
		}
	}
	shown(false, false, 0)
	s.say <- nil
	if r := <-first; r != (result{1, nil}) {
		t.Fatalf("the first update gives %v", r)
	}
	wait(t, func() bool { return len(s.log.appended()) > 0 })
	shown(true, false, 1)
	select {
	case r := <-idle:
		t.Errorf("an update that wrote nothing returns %v before what it has seen is on disk", r)
	default:
	}
	s.say <- nil
	if r := <-second; r != (result{2, nil}) {
		t.Fatalf("the second update gives %v", r)
	}
	if r := <-idle; r != (result{2, nil}) {
		t.Errorf("an update that wrote nothing gives %v", r)
	}
	shown(true, true, 2)
	s.log.hook(nil)
	if tx := reopened(t, s.Store).Read(); tx.Token("first") == nil || tx.Token("second") == nil || tx.Index() != 2 {
		t.Error("not all is on disk")
	}
}

// TestRefusedBatchTakesBackWhatRanAfterIt: what has seen something that the disk has no space for is not to be either, and leaves nothing; what comes then runs on what is there.
func TestRefusedBatchTakesBackWhatRanAfterIt(t *testing.T) {
	audit := &Audit{Key: auditKey}
	s := openedHeld(t, Config{Audit: audit})
	prod := map[string]string{"env": "prod"}
	update(t, s.Store, func(tx *Tx) error {
		return errors.Join(tx.PutGroup(group("first", prod)), tx.PutCluster(cluster("c0", "zero", prod)))
	})
	full := &DiskFullError{Dir: "test", Err: errors.New("test")}
	refused := func(what string, done <-chan result) {
		t.Helper()
		if r := <-done; r.index != 0 || !errors.Is(r.err, full) {
			t.Errorf("%s gives %v", what, r)
		}
	}
	putGroup := func(tx *Tx) error { return tx.PutGroup(group("second", prod)) }
	observation := func(tx *Tx) error {
		if tx.Cluster("c1") != nil || len(tx.GroupsOf("c0")) != 1 || tx.Index() != 1 {
			t.Error("an observation sees an update that is not to be")
		}
		return tx.AddEvent(&yardarmv1.Event{Reason: "observed"})
	}
	observed := make(chan error, 1)
	before := dump(s.Read())
	s.hold()

	t.Log("two batches, and an observation that comes meanwhile")
	putting := s.onItsWay(t, putGroup)
	meanwhile := s.begin(t, func(tx *Tx) error {
		err := tx.PutCluster(cluster("c1", "one", prod))
		if len(tx.GroupsOf("c1")) != 2 {
			t.Error("an update does not see the group of the batch before its own")
		}
		return err
	}, func(*Tx) error { return nil })
	go func() { observed <- s.Observe(context.Background(), observation) }()
	wait(t, func() bool { return len(s.observes) > 0 })
	s.say <- full
	refused("the update that is refused", putting)
	refused("one that ran after it", meanwhile[0])
	refused("one that wrote nothing", meanwhile[1])
	if err := <-observed; err != nil {
		t.Errorf("an observation gives %v", err)
	}

	t.Log("one batch, and an observation after it")
	putting = s.onItsWay(t, putGroup)
	s.say <- full
	refused("the update that is refused", putting)
	observe(t, s.Store, observation)
	if n := count(s.Read().Events(0)); n != 2 {
		t.Errorf("there are %d events of two observations", n)
	}

	t.Log("one batch, and an update after it")
	putting = s.onItsWay(t, putGroup)
	s.say <- full
	refused("the update that is refused", putting)
	s.log.hook(nil)
	if index := update(t, s.Store, func(tx *Tx) error { return tx.PutCluster(cluster("c2", "one", prod)) }); index != 2 {
		t.Errorf("the next update has index %d", index)
	}
	if index := update(t, s.Store, func(tx *Tx) error { return tx.DeleteCluster("c2") }); index != 3 {
		t.Errorf("the one after it has index %d", index)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := opened(t, Config{Dir: s.config.Dir, Audit: audit})
	for when, tx := range map[string]*ReadTx{"then": s.Read(), "after a restart": again.Read()} {
		if got := withoutEvents(dump(tx)); got != withoutEvents(before) {
			t.Errorf("%s there is\n%s\nand was\n%s", when, got, before)
		}
	}
	closed(t, again)
	if n := len(audited(t, s.config.Dir)); n != 3 {
		t.Errorf("the audit log has %d entries", n)
	}
}

// TestWaitForDiskEndsWithContext: who waits for the disk to run the next batch gives up like anybody else, and the next one takes over.
func TestWaitForDiskEndsWithContext(t *testing.T) {
	s := openedHeld(t, Config{})
	s.ahead = worthAhead
	s.hold()
	first := s.onItsWay(t, putToken("first"))
	ctx, cancel := context.WithCancel(t.Context())
	second := make(chan error, 1)
	go func() {
		_, err := s.Update(ctx, putToken("second"))
		second <- err
	}()
	wait(t, func() bool { return len(s.turn) > 0 })
	cancel()
	if err := <-second; !errors.Is(err, context.Canceled) {
		t.Errorf("an update whose context ends before it runs: %v", err)
	}
	s.say <- nil
	if r := <-first; r != (result{1, nil}) {
		t.Errorf("the first update gives %v", r)
	}
	s.log.hook(nil)
	if index := update(t, s.Store, putToken("third")); index != 2 || s.Read().Token("second") != nil {
		t.Errorf("the next update has index %d, and the one that was given up is there: %v", index, s.Read().Token("second") != nil)
	}
}

// TestBatchIsBounded: one commit takes no more updates than it may, however many wait.
func TestBatchIsBounded(t *testing.T) {
	s, log := openedTestLog(t, t.TempDir())
	fns := make([]func(*Tx) error, maxBatch+10)
	for i := range fns {
		fns[i] = putToken(fmt.Sprint(i))
	}
	indexes, errs := batched(t, s, fns...)
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	var sizes []int
	for _, b := range log.appended() {
		sizes = append(sizes, len(b.Ops))
	}
	if want := []int{maxBatch, 10}; !slices.Equal(sizes, want) || indexes[len(fns)-1] != uint64(len(fns)) {
		t.Errorf("batches are of %v updates, want %v; the last one has index %d", sizes, want, indexes[len(fns)-1])
	}
}

// TestFailureFailsWhatRanAfterIt: nothing is written after an error of the disk, not even what has run already.
func TestFailureFailsWhatRanAfterIt(t *testing.T) {
	for name, first := range map[string]func(*heldStore) error{
		"an update": func(s *heldStore) error {
			_, err := s.Update(context.Background(), putToken("first"))
			return err
		},
		"a flush": func(s *heldStore) error { return s.flush() },
	} {
		t.Run(name, func(t *testing.T) {
			s := openedHeld(t, Config{})
			observe(t, s.Store, func(tx *Tx) error { return tx.AddEvent(&yardarmv1.Event{}) })
			s.hold()
			failed := make(chan error, 1)
			go func() { failed <- first(s) }()
			wait(t, func() bool { return len(s.log.appended()) > 0 })
			second := s.begin(t, putToken("second"))[0]
			errDisk := errors.New("input/output error")
			s.say <- errDisk
			for _, err := range []error{<-failed, (<-second).err} {
				if !errors.As(err, new(*FailedError)) || !errors.Is(err, errDisk) {
					t.Errorf("it gives %v", err)
				}
			}
			if n := len(s.log.appended()); n > 0 {
				t.Errorf("%d commits were tried after the failure", n)
			}
			if tx := s.Read(); tx.Token("first") != nil || tx.Token("second") != nil {
				t.Error("something is visible that is not on disk")
			}
		})
	}
}
