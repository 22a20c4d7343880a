package retain

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/store"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

var now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// world is a store with a bundle, and a retainer that keeps three revisions.
type world struct {
	*testing.T
	*store.Store
	retainer *Retainer
}

func newWorld(t *testing.T) *world {
	t.Helper()
	db, err := store.Open(store.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	r, err := New(Config{Store: db, Logger: slog.New(slog.DiscardHandler), Revisions: 3, Clock: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t, db, r}
	w.update(func(tx *store.Tx) error {
		return tx.PutCluster(&yardarmv1.Cluster{Metadata: &yardarmv1.ObjectMeta{Name: "c", Uid: "c"}, Spec: &yardarmv1.ClusterSpec{}})
	})
	return w
}

func (w *world) update(fn func(*store.Tx) error) {
	w.Helper()
	if _, err := w.Update(w.Context(), fn); err != nil {
		w.Fatal(err)
	}
}

// publish makes the next revision of a bundle, with an artifact.
func (w *world) publish(number uint32, digest string, undoOf uint32) {
	w.Helper()
	w.update(func(tx *store.Tx) error {
		if err := tx.PutArtifact(&storev1.Artifact{Digest: digest}, []byte("content")); err != nil {
			return err
		}
		if err := tx.PutRevision(&yardarmv1.Revision{Metadata: &yardarmv1.ObjectMeta{Name: fmt.Sprint("b-", number)}, Spec: &yardarmv1.RevisionSpec{
			Bundle: "b", BundleUid: "b", Number: number, Digest: digest, Provenance: &yardarmv1.Provenance{UndoOf: undoOf},
		}}); err != nil {
			return err
		}
		return tx.PutBundle(&yardarmv1.Bundle{Metadata: &yardarmv1.ObjectMeta{Name: "b", Uid: "b"}, Spec: &yardarmv1.BundleSpec{},
			Status: &yardarmv1.BundleStatus{Revision: number, LatestRevision: number, Digest: digest}})
	})
}

// run makes the bundle run a revision, whichever is the newest.
func (w *world) run(number uint32) {
	w.Helper()
	w.update(func(tx *store.Tx) error {
		return tx.PutBundle(&yardarmv1.Bundle{Metadata: &yardarmv1.ObjectMeta{Name: "b", Uid: "b"}, Spec: &yardarmv1.BundleSpec{},
			Status: &yardarmv1.BundleStatus{Revision: number, LatestRevision: 10}})
	})
}

// rolling has a rollout of the newest revision under way, over revision 7, with one member.
func (w *world) rolling(m store.RolloutMember) {
	w.Helper()
	w.update(func(tx *store.Tx) error {
		return errors.Join(tx.PutRollout(&storev1.Rollout{BundleUid: "b", Revision: 10, Settled: 7, Chunks: 1}), tx.PutRolloutMembers("b", 0, []store.RolloutMember{m}))
	})
}

// observe has the cluster report what it holds of a bundle.
func (w *world) observe(bundle string, revision uint32, digest string) {
	w.Helper()
	if err := w.Observe(w.Context(), func(tx *store.Tx) error {
		return tx.PutObservedBundle(&storev1.ObservedBundle{ClusterUid: "c", Report: &yardarmv1.Report{BundleUid: bundle, Revision: revision, Digest: digest}})
	}); err != nil {
		w.Fatal(err)
	}
}

func (w *world) collect() {
	w.Helper()
	if err := w.retainer.Collect(w.Context()); err != nil {
		w.Fatal(err)
	}
}

func (w *world) revisions() (numbers []uint32) {
	for r := range w.Read().Revisions("b") {
		numbers = append(numbers, r.Spec.Number)
	}
	slices.Reverse(numbers)
	return numbers
}

func (w *world) artifacts() (digests []string) {
	for a := range w.Read().Artifacts() {
		digests = append(digests, a.Digest)
	}
	return digests
}

// TestRevisions: of ten, the three newest stay, and whatever somebody needs.
func TestRevisions(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(*world)
		want    []uint32
	}{
		"nobody needs an old one":           {func(*world) {}, []uint32{8, 9, 10}},
		"one is assigned":                   {func(w *world) { w.run(2) }, []uint32{2, 8, 9, 10}},
		"one was returned to":               {func(w *world) { w.publish(11, "d4", 4) }, []uint32{4, 9, 10, 11}},
		"some that a rollout may return to": {func(w *world) { w.rolling(store.RolloutMember{UID: "c", Runs: 4, From: 2, Good: 3}) }, []uint32{2, 3, 4, 7, 8, 9, 10}},
		"the settled one of a rollout":      {func(w *world) { w.rolling(store.RolloutMember{UID: "c", Runs: 10, From: 10, Good: 10}) }, []uint32{7, 8, 9, 10}},
		"a cluster is still at one":         {func(w *world) { w.observe("b", 3, "d3") }, []uint32{3, 8, 9, 10}},
		"a cluster holds one's content":     {func(w *world) { w.observe("b", 0, "d5") }, []uint32{5, 8, 9, 10}},
		"a cluster holds another bundle's":  {func(w *world) { w.observe("other", 3, "d3") }, []uint32{8, 9, 10}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for n := uint32(1); n <= 10; n++ {
				w.publish(n, fmt.Sprint("d", n), 0)
			}
			c.prepare(w)
			w.collect()
			if got := w.revisions(); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			for _, n := range c.want {
				digest := w.Read().Revision("b", n).Spec.Digest
				if _, err := w.Content(digest); w.Read().Artifact(digest) == nil || err != nil {
					t.Errorf("revision %d stays, and its artifact is gone: %v", n, err)
				}
			}
			index := w.Read().Index()
			w.collect()
			if got := w.Read().Index(); got != index {
				t.Errorf("with nothing left to collect, the index went from %d to %d", index, got)
			}
		})
	}
}

// TestArtifacts: one stays as long as a revision of any bundle names it or a cluster holds it.
func TestArtifacts(t *testing.T) {
	w := newWorld(t)
	for n := uint32(1); n <= 10; n++ {
		w.publish(n, fmt.Sprint("d", n%5), 0) // each is named twice
	}
	w.observe("other", 7, "x")
	w.update(func(tx *store.Tx) error { return tx.PutArtifact(&storev1.Artifact{Digest: "x"}, []byte("held")) })
	w.update(func(tx *store.Tx) error { return tx.PutArtifact(&storev1.Artifact{Digest: "y"}, []byte("of nobody")) })
	w.collect()
	if got, want := w.artifacts(), []string{"d0", "d3", "d4", "x"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if _, err := w.Content("y"); err == nil {
		t.Error("a content of nobody is still on disk")
	}
}

// TestVariants: the artifacts of a revision stay with it, and it stays while a cluster holds any of them.
func TestVariants(t *testing.T) {
	w := newWorld(t)
	for n := uint32(1); n <= 6; n++ {
		w.publish(n, fmt.Sprint("a", n), 0)
		w.update(func(tx *store.Tx) error {
			r := proto.CloneOf(tx.Revision("b", n))
			r.Spec.Variants = []*yardarmv1.RevisionVariant{{Digest: r.Spec.Digest}, {Name: "other", Digest: fmt.Sprint("b", n)}, {Name: "same", Digest: r.Spec.Digest}}
			return errors.Join(tx.PutArtifact(&storev1.Artifact{Digest: fmt.Sprint("b", n)}, []byte("content")), tx.PutRevision(r))
		})
	}
	w.observe("b", 0, "b2")
	w.collect()
	if got, want := w.revisions(), []uint32{2, 4, 5, 6}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := w.artifacts(), []string{"a2", "a4", "a5", "a6", "b2", "b4", "b5", "b6"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestDeletions: a record stays as long as a spoke of its time could come back, or a cluster holds the bundle.
func TestDeletions(t *testing.T) {
	w := newWorld(t)
	old, young := timestamppb.New(now.Add(-92*24*time.Hour)), timestamppb.New(now.Add(-90*24*time.Hour))
	w.update(func(tx *store.Tx) error {
		for uid, at := range map[string]*timestamppb.Timestamp{"old": old, "young": young, "held": old} {
			if err := tx.PutDeletedBundle(&storev1.DeletedBundle{Uid: uid, Time: at}); err != nil {
				return err
			}
			if err := tx.PutDeletedCluster(&storev1.DeletedCluster{Uid: uid, Time: at}); err != nil {
				return err
			}
		}
		return nil
	})
	w.observe("held", 1, "d")
	w.collect()
	tx := w.Read()
	var bundles, clusters []string
	for d := range tx.DeletedBundles() {
		bundles = append(bundles, d.Uid)
	}
	for d := range tx.DeletedClusters() {
		clusters = append(clusters, d.Uid)
	}
	if !slices.Equal(bundles, []string{"held", "young"}) || !slices.Equal(clusters, []string{"young"}) {
		t.Errorf("of bundles, %v stay; of clusters, %v", bundles, clusters)
	}
}

func TestConfig(t *testing.T) {
	w := newWorld(t)
	if _, err := New(Config{Store: w.Store, Logger: slog.New(slog.DiscardHandler), Revisions: -1}); err == nil {
		t.Error("fewer than one revision")
	}
	r, err := New(Config{Store: w.Store, Logger: slog.New(slog.DiscardHandler)})
	if err != nil || r.Revisions != DefaultRevisions {
		t.Errorf("got %v, %v", r, err)
	}
}

// TestAudit: entries of the audit log stay as long as they are to be kept, and all of them where nothing is said.
func TestAudit(t *testing.T) {
	at := now.Add(-3 * time.Hour)
	db, err := store.Open(store.Config{Dir: t.TempDir(), Audit: &store.Audit{Key: []byte("key")}, Clock: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for i := range 4 {
		if _, err := db.Update(t.Context(), func(tx *store.Tx) error { return tx.PutToken(&storev1.EnrolmentToken{Id: fmt.Sprint(i)}) }); err != nil {
			t.Fatal(err)
		}
		at = at.Add(time.Hour)
	}
	for _, tc := range []struct {
		keep time.Duration
		left uint64
	}{{0, 4}, {90 * time.Minute, 2}} {
		r, err := New(Config{Store: db, Logger: slog.New(slog.DiscardHandler), Audit: tc.keep, Clock: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Collect(t.Context()); err != nil {
			t.Fatal(err)
		}
		if first, last, err := db.AuditRange(); err != nil || last+1-first != tc.left {
			t.Errorf("kept for %s: %d to %d are left, want %d: %v", tc.keep, first, last, tc.left, err)
		}
	}
	if _, err := New(Config{Store: db, Logger: slog.New(slog.DiscardHandler), Audit: time.Second}); err == nil {
		t.Error("entries are to be kept for a second")
	}
}

// TestReadOnly: a store that takes no changes is left alone.
func TestReadOnly(t *testing.T) {
	w := newWorld(t)
	for n := uint32(1); n <= 10; n++ {
		w.publish(n, fmt.Sprint("d", n), 0)
	}
	w.SetReadOnly("by hand")
	w.collect()
	if got := w.revisions(); len(got) != 10 {
		t.Errorf("%v are left", got)
	}
}
