package store

import (
	"context"
	"errors"
	"fmt"
	"testing"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// TestDurableBeforeVisible holds a commit up before and after it is on disk: nobody sees anything of it until the log has said that it is.
func TestDurableBeforeVisible(t *testing.T) {
	s, log := openedTestLog(t, t.TempDir())
	sub := s.Subscribe(Tokens)
	defer sub.Close()
	at, next := make(chan string), make(chan struct{})
	log.hook(func(_ *Batch, do func() error) error {
		at <- "before"
		<-next
		err := do()
		at <- "after"
		<-next
		return err
	})
	type result struct {
		index uint64
		err   error
	}
	done := make(chan result, 1)
	go func() {
		index, err := s.Update(context.Background(), func(tx *Tx) error { return tx.PutToken(&storev1.EnrolmentToken{Id: "t"}) })
		done <- result{index, err}
	}()
	for range 2 {
		when := <-at
		if tx := s.Read(); tx.Token("t") != nil || tx.Index() != 0 || s.Meta().Index != 0 {
			t.Errorf("the update is visible %s it is on disk", when)
		}
		select {
		case <-sub.C():
			t.Errorf("subscribers hear of the update %s it is on disk", when)
		case r := <-done:
			t.Errorf("the update returns %v %s it is on disk", r, when)
		default:
		}
		next <- struct{}{}
	}
	if r := <-done; r.err != nil || r.index != 1 {
		t.Fatalf("the update gives %v", r)
	}
	if tx := s.Read(); tx.Token("t") == nil || tx.Index() != 1 {
		t.Error("the update is not visible when it has returned")
	}
	<-sub.C()
	if !sub.Take().Has(Tokens, "t") {
		t.Error("subscribers do not hear of the update")
	}
}

// TestDiskFull: an update for which there is no space fails, the store goes on, and says so until one succeeds.
func TestDiskFull(t *testing.T) {
	s, log := openedTestLog(t, t.TempDir())
	put := func(id string) error {
		_, err := s.Update(t.Context(), func(tx *Tx) error { return tx.PutToken(&storev1.EnrolmentToken{Id: id}) })
		return err
	}
	if err := put("before"); err != nil {
		t.Fatal(err)
	}
	full := &DiskFullError{Dir: s.config.Dir, Err: errors.New("test")}
	log.hook(func(*Batch, func() error) error { return full })
	for range 2 {
		err := put("refused")
		if !errors.Is(err, ErrReadOnly) || !errors.As(err, new(*DiskFullError)) {
			t.Errorf("the update fails with %v, want a DiskFullError", err)
		}
		if s.Read().Token("refused") != nil || s.Read().Index() != 1 {
			t.Error("something of the refused update is visible")
		}
		if s.ReadOnly() != full.Error() {
			t.Errorf("the store is read-only because of %q", s.ReadOnly())
		}
	}
	log.hook(nil)
	if err := put("after"); err != nil {
		t.Fatal(err)
	}
	if s.ReadOnly() != "" {
		t.Errorf("the store is still read-only because of %q", s.ReadOnly())
	}
	tx := reopened(t, s).Read()
	if tx.Token("before") == nil || tx.Token("refused") != nil || tx.Token("after") == nil || tx.Index() != 2 {
		t.Error("not what was acknowledged is on disk")
	}
}

// TestDiskFullFailsWholeBatch: also an update that wrote nothing, or failed, may have seen what never came to be.
func TestDiskFullFailsWholeBatch(t *testing.T) {
	s, log := openedTestLog(t, t.TempDir())
	release := make(chan struct{})
	log.hook(func(*Batch, func() error) error {
		<-release
		return &DiskFullError{Dir: "test", Err: errors.New("test")}
	})
	results := make(chan error, 4)
	submit := func(fn func(*Tx) error) {
		_, err := s.Update(context.Background(), fn)
		results <- err
	}
	go submit(func(tx *Tx) error { return tx.PutToken(&storev1.EnrolmentToken{Id: "first"}) })
	wait(t, func() bool { return len(log.appended()) > 0 })
	for i, fn := range []func(*Tx) error{
		func(tx *Tx) error { return tx.PutToken(&storev1.EnrolmentToken{Id: "t"}) },
		func(tx *Tx) error {
			if tx.Token("t") == nil {
				t.Error("an update does not see the one before it")
			}
			return nil
		},
		func(tx *Tx) error { return fmt.Errorf("token is taken: %v", tx.Token("t") != nil) },
	} {
		go submit(fn)
		wait(t, func() bool { return len(s.queue) == i+1 })
	}
	close(release)
	for range 4 {
		if err := <-results; !errors.Is(err, ErrReadOnly) {
			t.Errorf("an update in the batch gives %v", err)
		}
	}
	if s.Read().Token("t") != nil {
		t.Error("something of the batch is visible")
	}
}

// TestDiskFailure: after any other error of the disk, nothing is written any more, and Run says so.
func TestDiskFailure(t *testing.T) {
	s, log := openedTestLog(t, t.TempDir())
	update(t, s, func(tx *Tx) error { return tx.PutCluster(cluster("c", "c", nil)) })
	ran := make(chan error, 1)
	go func() { ran <- s.Run(t.Context()) }()
	errDisk := errors.New("input/output error")
	log.hook(func(*Batch, func() error) error { return errDisk })
	_, err := s.Update(t.Context(), func(tx *Tx) error { return tx.DeleteCluster("c") })
	var failed *FailedError
	if !errors.As(err, &failed) || !errors.Is(err, errDisk) {
		t.Errorf("the update fails with %v, want a FailedError with the reason", err)
	}
	if err := <-ran; err != failed {
		t.Errorf("Run returns %v", err)
	}
	log.appended()
	log.hook(nil) // the disk claims to be well again
	if _, err := s.Update(t.Context(), func(tx *Tx) error { return tx.DeleteCluster("c") }); err != failed {
		t.Errorf("a later update gives %v", err)
	}
	if err := s.Observe(t.Context(), func(*Tx) error { return nil }); err != failed {
		t.Errorf("a later observation gives %v", err)
	}
	if s.Read().Cluster("c") == nil {
		t.Error("the update is visible")
	}
	if err := s.Close(); !errors.Is(err, failed) {
		t.Errorf("Close returns %v", err)
	}
	if n := len(log.appended()); n > 0 {
		t.Errorf("%d commits were tried after the failure", n)
	}
}

func TestSetReadOnly(t *testing.T) {
	s := opened(t, Config{})
	update(t, s, func(tx *Tx) error { return tx.PutCluster(cluster("c", "c", nil)) })
	s.SetReadOnly("rolled back")
	_, err := s.Update(t.Context(), func(tx *Tx) error { t.Error("it runs"); return nil })
	if !errors.Is(err, ErrReadOnly) || s.ReadOnly() != "rolled back" {
		t.Errorf("the update gives %v, the store is read-only because of %q", err, s.ReadOnly())
	}
	observe(t, s, func(tx *Tx) error { return tx.PutPresence(&Presence{ClusterUID: "c"}) })
	if s.Read().Presence("c") == nil {
		t.Error("observed state is not taken")
	}
	s.SetReadOnly("")
	update(t, s, func(tx *Tx) error { return tx.DeleteCluster("c") })
	if s.ReadOnly() != "" {
		t.Errorf("the store is read-only because of %q", s.ReadOnly())
	}
}
