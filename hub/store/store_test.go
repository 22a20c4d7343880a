package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
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

// openedOn opens a store on what wrap makes of its log.
func openedOn(t testing.TB, dir string, wrap func(*boltLog) Log) *Store {
	t.Helper()
	config := Config{Dir: dir}
	config.setDefaults()
	unlock, err := lock(dir, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	log, err := openBolt(config)
	if err != nil {
		t.Fatal(err)
	}
	s, err := open(config, wrap(log))
	if err != nil {
		t.Fatal(err)
	}
	s.unlock = unlock
	t.Cleanup(func() { _ = s.Close() })
	return s
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
	*boltLog
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
		return l.boltLog.Append(batch)
	}
	return hook(batch, func() error { return l.boltLog.Append(batch) })
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
	s := openedOn(t, dir, func(l *boltLog) Log {
		log = &testLog{boltLog: l}
		return log
	})
	log.appended()
	return s, log
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

// TestTables puts, replaces, reads, reopens and deletes a row in every table that is on disk.
func TestTables(t *testing.T) {
	for _, test := range []struct {
		table  Table
		put    func(*Tx, string) error // with a text that tells versions apart
		get    func(*ReadTx) (string, bool)
		all    func(*ReadTx) int
		delete func(*Tx) error
	}{
		{Clusters,
			func(tx *Tx, v string) error {
				return tx.PutCluster(cluster("c1", "one", map[string]string{"v": v}))
			},
			func(tx *ReadTx) (string, bool) {
				c := tx.Cluster("c1")
				if tx.ClusterByName("one") != c {
					t.Error("the name finds another cluster than the uid")
				}
				return c.GetMetadata().GetLabels()["v"], c != nil
			},
			func(tx *ReadTx) int { return count(tx.Clusters()) },
			func(tx *Tx) error { return tx.DeleteCluster("c1") }},
		{Groups,
			func(tx *Tx, v string) error { return tx.PutGroup(group("g", map[string]string{"v": v})) },
			func(tx *ReadTx) (string, bool) {
				g := tx.Group("g")
				return g.GetSpec().GetSelector().GetMatchLabels()["v"], g != nil
			},
			func(tx *ReadTx) int { return count(tx.Groups()) },
			func(tx *Tx) error { return tx.DeleteGroup("g") }},
		{Bundles,
			func(tx *Tx, v string) error { return tx.PutBundle(bundle("b1", "web", v)) },
			func(tx *ReadTx) (string, bool) {
				b := tx.Bundle("b1")
				if tx.BundleByName("web") != b {
					t.Error("the name finds another bundle than the uid")
				}
				return strings.Join(targetsOf(b), ","), b != nil
			},
			func(tx *ReadTx) int { return count(tx.Bundles()) },
			func(tx *Tx) error { return tx.DeleteBundle("b1") }},
		{Revisions,
			func(tx *Tx, v string) error { return tx.PutRevision(revision("b1", 7, v)) },
			func(tx *ReadTx) (string, bool) {
				r := tx.Revision("b1", 7)
				return r.GetSpec().GetDigest(), r != nil
			},
			func(tx *ReadTx) int { return count(tx.Revisions("b1")) },
			func(tx *Tx) error { return tx.DeleteRevision("b1", 7) }},
		{Artifacts,
			func(tx *Tx, v string) error {
				return tx.PutArtifact(&storev1.Artifact{Digest: "sha256:a", Objects: []string{v}}, []byte(v))
			},
			func(tx *ReadTx) (string, bool) {
				a := tx.Artifact("sha256:a")
				return strings.Join(a.GetObjects(), ","), a != nil
			},
			func(tx *ReadTx) int { return count(tx.Artifacts()) },
			func(tx *Tx) error { return tx.DeleteArtifact("sha256:a") }},
		{Identities,
			func(tx *Tx, v string) error {
				return tx.PutIdentity(&storev1.Identity{ClusterUid: "c1", KubeUid: v})
			},
			func(tx *ReadTx) (string, bool) {
				i := tx.Identity("c1")
				return i.GetKubeUid(), i != nil
			}, nil, nil},
		{Tokens,
			func(tx *Tx, v string) error {
				return tx.PutToken(&storev1.EnrolmentToken{Id: "t", Cluster: v})
			},
			func(tx *ReadTx) (string, bool) {
				r := tx.Token("t")
				return r.GetCluster(), r != nil
			},
			func(tx *ReadTx) int { return count(tx.Tokens()) },
			func(tx *Tx) error { return tx.DeleteToken("t") }},
		{Credentials,
			func(tx *Tx, v string) error { return tx.PutCredential(&storev1.Credential{Id: "c", Name: v}) },
			func(tx *ReadTx) (string, bool) {
				r := tx.Credential("c")
				return r.GetName(), r != nil
			},
			func(tx *ReadTx) int { return count(tx.Credentials()) },
			func(tx *Tx) error { return tx.DeleteCredential("c") }},
		{Secrets,
			func(tx *Tx, v string) error {
				return tx.PutSecret(&storev1.SealedSecret{Name: "s", Nonce: []byte(v)})
			},
			func(tx *ReadTx) (string, bool) {
				r := tx.Secret("s")
				return string(r.GetNonce()), r != nil
			},
			func(tx *ReadTx) int { return count(tx.Secrets()) },
			func(tx *Tx) error { return tx.DeleteSecret("s") }},
		{DeletedBundles,
			func(tx *Tx, v string) error {
				return tx.PutDeletedBundle(&storev1.DeletedBundle{Uid: "b", Name: v})
			},
			func(tx *ReadTx) (string, bool) {
				r := tx.DeletedBundle("b")
				return r.GetName(), r != nil
			},
			func(tx *ReadTx) int { return count(tx.DeletedBundles()) },
			func(tx *Tx) error { return tx.DeleteDeletedBundle("b") }},
		{DeletedClusters,
			func(tx *Tx, v string) error {
				return tx.PutDeletedCluster(&storev1.DeletedCluster{Uid: "c", Name: v})
			},
			func(tx *ReadTx) (string, bool) {
				r := tx.DeletedCluster("c")
				return r.GetName(), r != nil
			},
			func(tx *ReadTx) int { return count(tx.DeletedClusters()) },
			func(tx *Tx) error { return tx.DeleteDeletedCluster("c") }},
		{Acceptances,
			func(tx *Tx, v string) error {
				return tx.PutAcceptance(&storev1.Acceptance{ClusterUid: "c", BundleUid: "b", HoldingHash: []byte("h"), Actor: v})
			},
			func(tx *ReadTx) (string, bool) {
				r := first(tx.Acceptances("c", "b"))
				return r.GetActor(), r != nil
			},
			func(tx *ReadTx) int { return count(tx.Acceptances("c", "b")) },
			func(tx *Tx) error { return tx.DeleteAcceptances("c", "b") }},
		{Observed,
			func(tx *Tx, v string) error {
				if tx.Cluster("c1") == nil {
					if err := tx.PutCluster(cluster("c1", "one", nil)); err != nil {
						return err
					}
				}
				return tx.PutObserved(&storev1.Observed{ClusterUid: "c1", SpokeVersion: v})
			},
			func(tx *ReadTx) (string, bool) {
				o := tx.Observed("c1")
				return o.GetSpokeVersion(), o != nil
			},
			func(tx *ReadTx) int { return count(tx.AllObserved()) },
			func(tx *Tx) error { return tx.DeleteCluster("c1") }},
		{ObservedBundles,
			func(tx *Tx, v string) error {
				if tx.Cluster("c1") == nil {
					if err := tx.PutCluster(cluster("c1", "one", nil)); err != nil {
						return err
					}
				}
				return tx.PutObservedBundle(&storev1.ObservedBundle{ClusterUid: "c1", Report: &yardarmv1.Report{BundleUid: "b1", Phase: v}})
			},
			func(tx *ReadTx) (string, bool) {
				o := tx.ObservedBundle("c1", "b1")
				if first(tx.ObservedOfBundle("b1")) != o {
					t.Error("the bundle finds another report than the cluster")
				}
				return o.GetReport().GetPhase(), o != nil
			},
			func(tx *ReadTx) int { return count(tx.ObservedBundles("c1")) },
			func(tx *Tx) error { return tx.DeleteObservedBundle("c1", "b1") }},
		{Events,
			func(tx *Tx, v string) error {
				return tx.AddEvent(&yardarmv1.Event{Reason: v})
			},
			func(tx *ReadTx) (string, bool) {
				var last *yardarmv1.Event
				for e := range tx.Events(0) {
					last = e
				}
				return last.GetReason(), last != nil
			}, nil, nil},
	} {
		t.Run(test.table.String(), func(t *testing.T) {
			s := opened(t, Config{})
			want := func(text string, there bool) {
				t.Helper()
				tx := s.Read()
				if got, ok := test.get(tx); got != text || ok != there {
					t.Fatalf("got %q, %v; want %q, %v", got, ok, text, there)
				}
				if n := map[bool]int{true: 1}[there]; test.all != nil && test.all(tx) != n {
					t.Fatalf("the list has %d rows, want %d", test.all(tx), n)
				}
			}
			want("", false)
			if test.delete != nil {
				update(t, s, test.delete) // of nothing
			}
			update(t, s, func(tx *Tx) error { return test.put(tx, "one") })
			want("one", true)
			update(t, s, func(tx *Tx) error { return test.put(tx, "two") })
			want("two", true)
			s = reopened(t, s)
			want("two", true)
			if test.delete == nil {
				return
			}
			before := s.metrics.counts[test.table].Load()
			update(t, s, test.delete)
			want("", false)
			if after := s.metrics.counts[test.table].Load(); after != before-1 {
				t.Errorf("%d rows are counted after the deletion, %d before", after, before)
			}
			s = reopened(t, s)
			want("", false)
		})
	}
}

func count[R any](seq func(func(R) bool)) int {
	n := 0
	for range seq {
		n++
	}
	return n
}

func TestOrder(t *testing.T) {
	s := opened(t, Config{})
	update(t, s, func(tx *Tx) error {
		for i, name := range []string{"b", "c", "a"} {
			uid := string(rune('z' - i))
			if err := errors.Join(tx.PutCluster(cluster(uid, name, nil)), tx.PutGroup(group(name, nil)), tx.PutBundle(bundle(uid, name))); err != nil {
				return err
			}
		}
		for _, n := range []uint32{9, 10, 100, 1} {
			if err := errors.Join(tx.PutRevision(revision("z", n, "d")), tx.PutRevision(revision("zz", n, "e"))); err != nil {
				return err
			}
		}
		return nil
	})
	tx := s.Read()
	var clusters, groups, bundles, from []string
	for c := range tx.Clusters() {
		clusters = append(clusters, c.Metadata.Name)
	}
	for g := range tx.Groups() {
		groups = append(groups, g.Metadata.Name)
	}
	for b := range tx.Bundles() {
		bundles = append(bundles, b.Metadata.Name)
	}
	for c := range tx.ClustersFrom("aa") {
		from = append(from, c.Metadata.Name)
	}
	var numbers []uint32
	for r := range tx.Revisions("z") {
		if r.Spec.BundleUid != "z" {
			t.Errorf("the revisions of z have one of %s", r.Spec.BundleUid)
		}
		numbers = append(numbers, r.Spec.Number)
	}
	for name, got := range map[string][]string{"clusters": clusters, "groups": groups, "bundles": bundles} {
		if !slices.Equal(got, []string{"a", "b", "c"}) {
			t.Errorf("%s come as %v", name, got)
		}
	}
	if !slices.Equal(from, []string{"b", "c"}) {
		t.Errorf("clusters from aa come as %v", from)
	}
	if !slices.Equal(numbers, []uint32{100, 10, 9, 1}) {
		t.Errorf("revisions come as %v", numbers)
	}
	if n := count(tx.RevisionsWith("e")); n != 4 {
		t.Errorf("%d revisions name the artifact, want 4", n)
	}
}

func TestSnapshotsStay(t *testing.T) {
	s := opened(t, Config{})
	index := update(t, s, func(tx *Tx) error { return tx.PutCluster(cluster("c1", "one", map[string]string{"v": "1"})) })
	before := s.Read()
	next := update(t, s, func(tx *Tx) error { return tx.DeleteCluster("c1") })
	if before.Index() != index || before.Cluster("c1") == nil {
		t.Error("a snapshot has changed")
	}
	if now := s.Read(); now.Index() != next || now.Cluster("c1") != nil {
		t.Error("a new snapshot is old")
	}
}

func TestResourceVersions(t *testing.T) {
	s := opened(t, Config{})
	seen := map[string]bool{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			row := cluster("c"+string(rune('0'+i)), "n"+string(rune('0'+i)), nil)
			index := update(t, s, func(tx *Tx) error {
				if tx.Index() != tx.ReadTx.Index() {
					t.Error("a transaction has two indexes")
				}
				return tx.PutCluster(row)
			})
			mu.Lock()
			defer mu.Unlock()
			version := s.Read().Cluster(row.Metadata.Uid).Metadata.ResourceVersion
			if want := strconv.FormatUint(index, 10); version != want || seen[version] {
				t.Errorf("version %s of update %s, seen before: %v", version, want, seen[version])
			}
			seen[version] = true
		})
	}
	wg.Wait()
	if index := s.Read().Index(); index != 64 {
		t.Errorf("64 updates lead to index %d", index)
	}
	if index := update(t, s, func(*Tx) error { return nil }); index != 64 {
		t.Errorf("an update that writes nothing has index %d, want the newest, 64", index)
	}
	if index := s.Read().Index(); index != 64 {
		t.Errorf("an update that writes nothing leads to index %d", index)
	}
	s = reopened(t, s)
	if index := update(t, s, func(tx *Tx) error { return tx.DeleteCluster("c0") }); index != 65 {
		t.Errorf("the first update after a restart has index %d, want 65", index)
	}
}

func TestContent(t *testing.T) {
	s := opened(t, Config{})
	if _, err := s.Content("sha256:a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("absent content: %v", err)
	}
	large := make([]byte, 3<<20)
	for i := range large {
		large[i] = byte(i * 7)
	}
	update(t, s, func(tx *Tx) error { return tx.PutArtifact(&storev1.Artifact{Digest: "sha256:a"}, large) })
	s = reopened(t, s)
	got, err := s.Content("sha256:a")
	if err != nil || !slices.Equal(got, large) {
		t.Fatalf("content has %d bytes, %v; want %d", len(got), err, len(large))
	}
	// Without content, what is there stays.
	update(t, s, func(tx *Tx) error {
		return tx.PutArtifact(&storev1.Artifact{Digest: "sha256:a", Objects: []string{"x"}}, nil)
	})
	if got, err := s.Content("sha256:a"); err != nil || len(got) != len(large) {
		t.Errorf("content has %d bytes, %v, after its description has changed", len(got), err)
	}
	if _, err := s.Update(t.Context(), func(tx *Tx) error { return tx.PutArtifact(&storev1.Artifact{Digest: "sha256:b"}, nil) }); !errors.Is(err, ErrNotFound) {
		t.Errorf("an artifact without content: %v", err)
	}
	update(t, s, func(tx *Tx) error { return tx.DeleteArtifact("sha256:a") })
	if _, err := s.Content("sha256:a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleted content: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Content("sha256:a"); !errors.Is(err, ErrClosed) {
		t.Errorf("content of a closed store: %v", err)
	}
}

func TestDeleteClusterTakesAll(t *testing.T) {
	s := opened(t, Config{})
	update(t, s, func(tx *Tx) error {
		for _, uid := range []string{"c1", "c10"} {
			if err := errors.Join(
				tx.PutCluster(cluster(uid, uid, nil)),
				tx.PutIdentity(&storev1.Identity{ClusterUid: uid}),
				tx.PutToken(&storev1.EnrolmentToken{Id: "t" + uid, ClusterUid: uid}),
				tx.PutAcceptance(&storev1.Acceptance{ClusterUid: uid, BundleUid: "b", HoldingHash: []byte{1}}),
				tx.PutObserved(&storev1.Observed{ClusterUid: uid}),
				tx.PutObservedBundle(&storev1.ObservedBundle{ClusterUid: uid, Report: &yardarmv1.Report{BundleUid: "b"}}),
				tx.PutPresence(&Presence{ClusterUID: uid}),
			); err != nil {
				return err
			}
		}
		return tx.PutGroup(group("all", nil))
	})
	update(t, s, func(tx *Tx) error { return tx.DeleteCluster("c1") })
	check := func(s *Store) {
		t.Helper()
		tx := s.Read()
		for uid, there := range map[string]bool{"c1": false, "c10": true} {
			got := map[string]bool{
				"identity":        tx.Identity(uid) != nil,
				"token":           tx.Token("t"+uid) != nil,
				"acceptance":      first(tx.Acceptances(uid, "b")) != nil,
				"observed":        tx.Observed(uid) != nil,
				"observed bundle": tx.ObservedBundle(uid, "b") != nil,
				"membership":      len(tx.GroupsOf(uid)) > 0,
			}
			if uid != "c10" || tx.Presence("c10") != nil { // presence is gone after a restart
				got["presence"] = tx.Presence(uid) != nil
			}
			for what, is := range got {
				if is != there {
					t.Errorf("%s of %s: there is %v, want %v", what, uid, is, there)
				}
			}
		}
	}
	check(s)
	if s.Read().Presence("c10") == nil {
		t.Error("the presence of another cluster is gone")
	}
	// A session may end after its cluster.
	observe(t, s, func(tx *Tx) error {
		return errors.Join(tx.PutObserved(&storev1.Observed{ClusterUid: "c1"}),
			tx.PutObservedBundle(&storev1.ObservedBundle{ClusterUid: "c1", Report: &yardarmv1.Report{BundleUid: "b"}}),
			tx.PutPresence(&Presence{ClusterUID: "c1"}))
	})
	check(s)
	check(reopened(t, s))
}

func TestDeleteBundleTakesRevisions(t *testing.T) {
	s := opened(t, Config{})
	update(t, s, func(tx *Tx) error {
		return errors.Join(
			tx.PutBundle(bundle("b1", "one")), tx.PutBundle(bundle("b10", "ten")),
			tx.PutRevision(revision("b1", 1, "d")), tx.PutRevision(revision("b10", 1, "d")),
			tx.PutAcceptance(&storev1.Acceptance{ClusterUid: "c", BundleUid: "b1", HoldingHash: []byte{1}}),
			tx.PutAcceptance(&storev1.Acceptance{ClusterUid: "c", BundleUid: "b10", HoldingHash: []byte{1}}))
	})
	update(t, s, func(tx *Tx) error { return tx.DeleteBundle("b1") })
	tx := s.Read()
	if tx.Revision("b1", 1) != nil || first(tx.Acceptances("c", "b1")) != nil {
		t.Error("something of the deleted bundle is left")
	}
	if tx.Revision("b10", 1) == nil || first(tx.Acceptances("c", "b10")) == nil {
		t.Error("something of the other bundle is gone")
	}
}

func TestAcceptancesOfOneBundle(t *testing.T) {
	s := opened(t, Config{})
	accept := func(change func(*storev1.Acceptance)) func(*Tx) error {
		a := &storev1.Acceptance{ClusterUid: "c", BundleUid: "b"}
		change(a)
		return func(tx *Tx) error { return tx.PutAcceptance(a) }
	}
	for range 2 { // accepting again adds nothing
		update(t, s, accept(func(a *storev1.Acceptance) { a.HoldingHash = []byte{1} }))
		update(t, s, accept(func(a *storev1.Acceptance) { a.Deletion = &yardarmv1.AcceptedDeletion{FromDigest: "x", ToDigest: "y"} }))
		update(t, s, accept(func(a *storev1.Acceptance) { a.Deletion = &yardarmv1.AcceptedDeletion{FromDigest: "x"} }))
	}
	if n := count(s.Read().Acceptances("c", "b")); n != 3 {
		t.Errorf("there are %d acceptances, want 3", n)
	}
	if _, err := s.Update(t.Context(), accept(func(*storev1.Acceptance) {})); err == nil {
		t.Error("an acceptance of nothing is stored")
	}
}

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
