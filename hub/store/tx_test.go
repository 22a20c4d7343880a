package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// dump returns all that a store shows, so that two states can be compared.
func dump(tx *ReadTx) string {
	var b strings.Builder
	for _, t := range tables() {
		switch t := t.(type) {
		case *table[membership]:
			for m := range t.scan(tx, idIndex, "") {
				fmt.Fprintf(&b, "%+v\n", *m)
			}
		case *table[Presence]:
			for p := range t.scan(tx, idIndex, "") {
				fmt.Fprintf(&b, "%+v\n", *p)
			}
		default:
			for _, key := range t.keys(tx) {
				value, err := t.encodeRow(t.rowOf(tx, key))
				if err != nil {
					panic(err)
				}
				fmt.Fprintf(&b, "%s %s %x\n", t.table(), key, value)
			}
		}
	}
	for c := range tx.Clusters() {
		fmt.Fprintf(&b, "%s: groups %v, bundles ", c.Metadata.Name, tx.GroupsOf(c.Metadata.Uid))
		for bundle := range tx.BundlesOf(c.Metadata.Uid) {
			fmt.Fprintf(&b, "%s ", bundle.Metadata.Name)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// fill writes something into every table.
func fill(tx *Tx, suffix string) error {
	c, b := "c"+suffix, "b"+suffix
	return errors.Join(
		tx.PutGroup(group("g"+suffix, map[string]string{"env": "prod"})),
		tx.PutCluster(cluster(c, c, map[string]string{"env": "prod"})),
		tx.PutBundle(bundle(b, b, "g"+suffix)),
		tx.PutRevision(revision(b, 1, "d"+suffix)),
		tx.PutArtifact(&storev1.Artifact{Digest: "d" + suffix}, []byte("content"+suffix)),
		tx.PutIdentity(&storev1.Identity{ClusterUid: c}),
		tx.PutToken(&storev1.EnrolmentToken{Id: "t" + suffix}),
		tx.PutCredential(&storev1.Credential{Id: "k" + suffix, Name: "k" + suffix}),
		tx.PutSecret(&storev1.SealedSecret{Name: "s" + suffix}),
		tx.PutDeletedBundle(&storev1.DeletedBundle{Uid: "x" + suffix}),
		tx.PutDeletedCluster(&storev1.DeletedCluster{Uid: "y" + suffix}),
		tx.PutAcceptance(&storev1.Acceptance{ClusterUid: c, BundleUid: b, HoldingHash: []byte{1}}),
		tx.AddReconciliation(c, b),
		tx.PutObserved(&storev1.Observed{ClusterUid: c}),
		tx.PutObservedBundle(&storev1.ObservedBundle{ClusterUid: c, Report: &yardarmv1.Report{BundleUid: b}}),
		tx.PutPresence(&Presence{ClusterUID: c}),
		tx.AddEvent(&yardarmv1.Event{Reason: suffix}),
	)
}

// TestFailedUpdateLeavesNothing runs updates that change every table and then fail, in each way there is.
func TestFailedUpdateLeavesNothing(t *testing.T) {
	errTest := errors.New("test")
	for name, end := range map[string]func(*Tx) error{
		"error":             func(*Tx) error { return errTest },
		"panic":             func(*Tx) error { panic("test") },
		"runtime panic":     func(tx *Tx) error { tx.Cluster("none").Metadata = nil; return nil },
		"unreported error":  func(tx *Tx) error { _ = tx.PutCluster(cluster("other", "c1", nil)); return nil },
		"row without key":   func(tx *Tx) error { return tx.PutToken(&storev1.EnrolmentToken{}) },
		"no metadata":       func(tx *Tx) error { return tx.PutCluster(&yardarmv1.Cluster{}) },
		"not to be encoded": func(tx *Tx) error { return tx.PutToken(&storev1.EnrolmentToken{Id: "t", Cluster: "\xff"}) },
	} {
		t.Run(name, func(t *testing.T) {
			s := opened(t, Config{})
			update(t, s, func(tx *Tx) error { return fill(tx, "1") })
			before, rows := dump(s.Read()), s.state.rows
			sub := s.Subscribe(Clusters, Groups, Bundles, Events, Members)
			defer sub.Close()
			// In one commit with another one, which succeeds and puts what is there.
			index, errs := batched(t, s, func(tx *Tx) error {
				if err := errors.Join(
					fill(tx, "2"),
					tx.PutCluster(cluster("c1", "renamed", nil)),
					tx.PutGroup(group("g1", map[string]string{"env": "test"})),
					tx.PutBundle(bundle("b1", "b1", "g2")),
					tx.DeleteArtifact("d1"),
					tx.PutCluster(cluster("c1", "c1", nil)),
					tx.DeleteCluster("c2"),
					tx.DeleteBundle("b1"),
					tx.DeleteGroup("g2"),
				); err != nil {
					t.Errorf("the changes fail before they should: %v", err)
				}
				return end(tx)
			}, func(tx *Tx) error { return tx.PutSecret(&storev1.SealedSecret{Name: "s1"}) })
			err := errs[0]
			if err == nil || index[0] != 0 || errs[1] != nil || index[1] != 2 {
				t.Fatalf("the updates give %v, %v", index, errs)
			}
			if name == "error" && !errors.Is(err, errTest) {
				t.Errorf("the error is %v, want the function's own", err)
			}
			var panicked *PanicError
			if strings.Contains(name, "panic") && (!errors.As(err, &panicked) || !strings.Contains(string(panicked.Stack), "tx_test.go")) {
				t.Errorf("the error is %v, want a PanicError with the stack", err)
			}
			check := func(s *Store, want string) {
				t.Helper()
				if after := dump(s.Read()); after != want {
					t.Errorf("before:\n%s\nafter:\n%s", want, after)
				}
				if content, err := s.Content("d1"); string(content) != "content1" {
					t.Errorf("the content is %q, %v", content, err)
				}
				if _, err := s.Content("d2"); !errors.Is(err, ErrNotFound) {
					t.Errorf("the content of the failed update: %v", err)
				}
			}
			check(s, before)
			if s.state.rows != rows {
				t.Errorf("rows were counted as %v, and now are %v", rows, s.state.rows)
			}
			if !sub.Take().Empty() {
				t.Error("subscribers heard of it")
			}
			s = reopened(t, s)
			update(t, s, func(tx *Tx) error { return tx.PutPresence(&Presence{ClusterUID: "c1"}) }) // the only thing that is not on disk
			check(s, before)
		})
	}
}

// batched runs updates in one commit, in order.
func batched(t *testing.T, s *Store, fns ...func(*Tx) error) (indexes []uint64, errs []error) {
	t.Helper()
	indexes, errs = make([]uint64, len(fns)), make([]error, len(fns))
	s.turn <- struct{}{}
	var wg sync.WaitGroup
	for i, fn := range fns {
		wg.Go(func() { indexes[i], errs[i] = s.Update(context.Background(), fn) })
		wait(t, func() bool { return len(s.queue) > i })
	}
	<-s.turn
	wg.Wait()
	return indexes, errs
}

// A snapshot of a transaction has what was written before it, and stays so whatever the transaction goes on to write, and though nothing of that is left.
func TestSnapshotOutlivesItsTransaction(t *testing.T) {
	s := opened(t, Config{})
	update(t, s, func(tx *Tx) error { return fill(tx, "1") })
	var was, would *ReadTx
	undone := errors.New("undone")
	if _, err := s.Update(t.Context(), func(tx *Tx) error {
		was = tx.Snapshot()
		if err := fill(tx, "2"); err != nil {
			return err
		}
		would = tx.Snapshot()
		return errors.Join(fill(tx, "3"), tx.DeleteCluster("c1"), undone)
	}); !errors.Is(err, undone) {
		t.Fatal(err)
	}
	update(t, s, func(tx *Tx) error { return fill(tx, "4") })
	for name, tc := range map[string]struct {
		tx   *ReadTx
		want string
	}{"before": {was, "[c1]"}, "within": {would, "[c1 c2]"}, "after": {s.Read(), "[c1 c4]"}} {
		var names []string
		for c := range tc.tx.Clusters() {
			names = append(names, c.Metadata.Name)
		}
		if got := fmt.Sprint(names); got != tc.want || len(tc.tx.GroupsOf("c1")) == 0 {
			t.Errorf("%s it has %s, want %s", name, got, tc.want)
		}
	}
}

// TestFailedUpdateInBatch: of several transactions in one commit, a failing one takes nothing of the others with it.
func TestFailedUpdateInBatch(t *testing.T) {
	s, log := openedTestLog(t, t.TempDir())
	update(t, s, func(tx *Tx) error { return tx.PutToken(&storev1.EnrolmentToken{Id: "first"}) })
	log.appended()
	var fns []func(*Tx) error
	for i := range 10 {
		fns = append(fns, func(tx *Tx) error {
			if err := tx.PutToken(&storev1.EnrolmentToken{Id: "shared", Cluster: fmt.Sprint(i)}); err != nil {
				return err
			}
			if err := tx.PutToken(&storev1.EnrolmentToken{Id: fmt.Sprint("t", i)}); err != nil {
				return err
			}
			if i%3 == 2 {
				return fmt.Errorf("test %d", i)
			}
			return nil
		})
	}
	_, results := batched(t, s, fns...)
	for i, r := range results {
		if (r != nil) != (i%3 == 2) {
			t.Errorf("update %d: %v", i, r)
		}
	}
	if batches := log.appended(); len(batches) != 1 {
		t.Errorf("there were %d commits, want one for all", len(batches))
	}
	for range 2 {
		tx := s.Read()
		if got := tx.Token("shared").GetCluster(); got != "9" {
			t.Errorf("the shared row is from update %s, want the last, 9", got)
		}
		if tx.Index() != 1+7 {
			t.Errorf("the index is %d, want one for each of 8 updates", tx.Index())
		}
		for i := range results {
			if there := tx.Token(fmt.Sprint("t", i)) != nil; there != (i%3 != 2) {
				t.Errorf("the row of update %d: there is %v", i, there)
			}
		}
		s = reopened(t, s)
	}
}

func TestNameTaken(t *testing.T) {
	s := opened(t, Config{})
	update(t, s, func(tx *Tx) error {
		return errors.Join(tx.PutCluster(cluster("c1", "one", nil)), tx.PutBundle(bundle("b1", "one")))
	})
	for _, fn := range []func(*Tx) error{
		func(tx *Tx) error { return tx.PutCluster(cluster("c2", "one", nil)) },
		func(tx *Tx) error { return tx.PutBundle(bundle("b2", "one")) },
	} {
		if _, err := s.Update(t.Context(), fn); !errors.Is(err, ErrNameTaken) {
			t.Errorf("a second resource of the name: %v", err)
		}
	}
	// A name is free again when its resource is gone, also in the same transaction, and inherits nothing.
	update(t, s, func(tx *Tx) error {
		return errors.Join(tx.PutObserved(&storev1.Observed{ClusterUid: "c1"}), tx.DeleteCluster("c1"), tx.PutCluster(cluster("c2", "one", nil)))
	})
	if tx := s.Read(); tx.ClusterByName("one").Metadata.Uid != "c2" || tx.Observed("c2") != nil {
		t.Error("the name does not lead to the new cluster alone")
	}
}

// TestUpdateEndsWithContext: before an update runs, its context ends it; from then on, it ends with its outcome.
func TestUpdateEndsWithContext(t *testing.T) {
	s, log := openedTestLog(t, t.TempDir())
	release := make(chan struct{})
	log.hook(func(_ *Batch, do func() error) error { <-release; return do() })
	submit := func(ctx context.Context, id string) chan error {
		done, queued := make(chan error, 1), len(s.queue)
		go func() {
			_, err := s.Update(ctx, func(tx *Tx) error { return tx.PutToken(&storev1.EnrolmentToken{Id: id}) })
			done <- err
		}()
		wait(t, func() bool { return len(s.queue) > queued })
		return done
	}
	running, cancelRunning := context.WithCancel(t.Context())
	waiting, cancelWaiting := context.WithCancel(t.Context())
	s.turn <- struct{}{}
	first, second := submit(running, "first"), submit(running, "second") // one of them will commit, the other wait for it
	<-s.turn
	wait(t, func() bool { return len(log.appended()) > 0 })
	third := submit(waiting, "third")
	cancelRunning()
	cancelWaiting()
	if err := <-third; !errors.Is(err, context.Canceled) {
		t.Errorf("an update whose context ends before it runs: %v", err)
	}
	select {
	case err := <-first:
		t.Errorf("an update that is running returns %v before its outcome is known", err)
	case err := <-second:
		t.Errorf("an update that is running returns %v before its outcome is known", err)
	case <-time.After(50 * time.Millisecond): // that it does not happen cannot be waited for
	}
	close(release)
	if err := errors.Join(<-first, <-second); err != nil {
		t.Errorf("updates whose context ends while they run: %v", err)
	}
	update(t, s, func(tx *Tx) error { return tx.PutToken(&storev1.EnrolmentToken{Id: "fourth"}) })
	var ids []string
	for token := range s.Read().Tokens() {
		ids = append(ids, token.Id)
	}
	if !slices.Equal(ids, []string{"first", "fourth", "second"}) {
		t.Errorf("tokens are %v", ids)
	}
}
