package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// TestLeaves writes rows that share leaves, some in updates that fail, and reads them in each order: within the update, after it, and after a restart.
func TestLeaves(t *testing.T) {
	s := opened(t, Config{})
	random := rand.New(rand.NewPCG(3, 4))
	// Of one digit, of the same first two, and such that one is the other's beginning.
	uids := []string{"a", "ab", "ab-1", "ab0", "ab1", "abc", "abc0", "ac", "b", "b-1", "b0", "b00"}
	bundles := []string{"b", "b0", "b1", "x"}
	update(t, s, func(tx *Tx) error {
		for _, uid := range uids {
			if err := tx.PutCluster(cluster(uid, "n"+uid, nil)); err != nil {
				return err
			}
		}
		return nil
	})
	type key struct{ cluster, bundle string }
	type rows map[key]*storev1.ObservedBundle
	byKey := func(a, b key) int { return strings.Compare(join(a.cluster, a.bundle), join(b.cluster, b.bundle)) }
	byCluster := func(a, b key) int { return strings.Compare(a.cluster, b.cluster) }
	compare := func(tx *ReadTx, want rows, when string) {
		t.Helper()
		check := func(what string, got iter.Seq[*storev1.ObservedBundle], order func(a, b key) int, in func(key) bool) {
			t.Helper()
			var keys []string
			for row := range got {
				keys = append(keys, fmt.Sprint(row.ClusterUid, "/", row.Report.BundleUid, " ", row.Report.Revision))
			}
			var wanted []string
			for _, k := range slices.SortedFunc(maps.Keys(want), order) {
				if in(k) {
					wanted = append(wanted, fmt.Sprint(k.cluster, "/", k.bundle, " ", want[k].Report.Revision))
				}
			}
			if !slices.Equal(keys, wanted) {
				t.Errorf("%s, %s: %v, want %v", when, what, keys, wanted)
			}
		}
		check("all", observedBundles.scan(tx, idIndex, ""), byKey, func(key) bool { return true })
		for _, uid := range uids {
			check("of cluster "+uid, tx.ObservedBundles(uid), byKey, func(k key) bool { return k.cluster == uid })
			for _, b := range bundles {
				if got, there := tx.ObservedBundle(uid, b), want[key{uid, b}]; (got == nil) != (there == nil) || got.GetReport().GetRevision() != there.GetReport().GetRevision() {
					t.Errorf("%s: %s in %s is %v, want %v", when, b, uid, got, there)
				}
			}
		}
		for _, b := range bundles {
			check("of bundle "+b, tx.ObservedOfBundle(b), byCluster, func(k key) bool { return k.bundle == b })
		}
	}
	have, number := rows{}, uint32(0)
	errTest := errors.New("test")
	for round := 0; round < 200 && !t.Failed(); round++ {
		before, is := s.Read(), maps.Clone(have)
		err := s.Observe(context.Background(), func(tx *Tx) error {
			for range 1 + random.IntN(8) {
				k := key{uids[random.IntN(len(uids))], bundles[random.IntN(len(bundles))]}
				if random.IntN(3) == 0 {
					if err := tx.DeleteObservedBundle(k.cluster, k.bundle); err != nil {
						return err
					}
					delete(is, k)
				} else {
					number++
					row := &storev1.ObservedBundle{ClusterUid: k.cluster, Report: &yardarmv1.Report{BundleUid: k.bundle, Revision: number}}
					if err := tx.PutObservedBundle(row); err != nil {
						return err
					}
					is[k] = row
				}
				compare(&tx.ReadTx, is, fmt.Sprintf("within update %d", round))
			}
			if random.IntN(3) == 0 {
				return errTest
			}
			return nil
		})
		compare(before, have, fmt.Sprintf("before update %d, looked at after it", round))
		switch {
		case err == nil:
			have = is
		case !errors.Is(err, errTest):
			t.Fatal(err)
		}
		compare(s.Read(), have, fmt.Sprintf("after update %d", round))
	}
	if len(have) < 10 {
		t.Fatalf("%d rows are too few to tell", len(have))
	}
	s = reopened(t, s)
	compare(s.Read(), have, "after a restart")
}

// TestMixedLeaves: of a leaf that has the rows of several values, a scan yields those of one.
func TestMixedLeaves(t *testing.T) {
	s := opened(t, Config{})
	kubes := []string{"", "k", "ka", "ka0", "ka1", "ka10", "kb"}
	want := map[string][]string{}
	update(t, s, func(tx *Tx) error {
		for i := range 3 * len(kubes) {
			kube, uid := kubes[i%len(kubes)], fmt.Sprintf("uid%02d", i)
			want[kube] = append(want[kube], uid)
			if err := tx.PutIdentity(&storev1.Identity{ClusterUid: uid, KubeUid: kube}); err != nil {
				return err
			}
		}
		return nil
	})
	check := func(when string) {
		t.Helper()
		for _, kube := range append(kubes, "a", "k0", "ka00", "z") {
			var got []string
			for i := range s.Read().IdentitiesOf(kube) {
				got = append(got, i.ClusterUid)
				if len(got) == 2 && kube == "ka1" {
					break // who has seen enough is asked no more
				}
			}
			if wanted := want[kube]; !slices.Equal(got, wanted) && (kube != "ka1" || !slices.Equal(got, wanted[:2])) {
				t.Errorf("%s, of %q: %v, want %v", when, kube, got, wanted)
			}
		}
	}
	check("as written")
	s = reopened(t, s)
	check("after a restart")
	update(t, s, func(tx *Tx) error {
		return tx.PutIdentity(&storev1.Identity{ClusterUid: want["ka0"][0], KubeUid: "ka1"})
	})
	want["ka1"], want["ka0"] = append(want["ka0"][:1:1], want["ka1"]...), want["ka0"][1:]
	slices.Sort(want["ka1"])
	check("with another value")
}

// TestLeafSizes: rows share leaves, where that was wanted, and no leaf is left of rows that are gone.
func TestLeafSizes(t *testing.T) {
	s := opened(t, Config{})
	const many = 64
	uid := func(i int) string { return fmt.Sprintf("%02x%02d", i%4, i) }
	update(t, s, func(tx *Tx) error {
		for i := range many {
			if err := errors.Join(
				tx.PutCluster(cluster(uid(i), "n"+uid(i), nil)),
				tx.PutIdentity(&storev1.Identity{ClusterUid: uid(i), KubeUid: uid(i)}),
				tx.PutObserved(&storev1.Observed{ClusterUid: uid(i)}),
				tx.PutPresence(&Presence{ClusterUID: uid(i)}),
				tx.AddEvent(&yardarmv1.Event{Sequence: uint64(i)}),
			); err != nil {
				return err
			}
			for b := range 10 {
				if err := tx.PutObservedBundle(&storev1.ObservedBundle{ClusterUid: uid(i), Report: &yardarmv1.Report{BundleUid: fmt.Sprint("b", b)}}); err != nil {
					return err
				}
			}
		}
		return nil
	})
	count := func(table string) (n int) {
		it, err := s.Read().txn.Get(table, idIndex, &probe{})
		if err != nil {
			t.Fatal(err)
		}
		for it.Next() != nil {
			n++
		}
		return n
	}
	for table, want := range map[string]int{
		"clusters": 4, "clusters by name": many, "identities": 4, "identities by kube_uid": 4, "observed": 4, "presences": 4,
		"events": many/10 + 2, "observed_bundles": many, "observed_bundles by bundle": 10 * 4,
	} {
		if got := count(table); got != want {
			t.Errorf("%s has %d leaves, want %d", table, got, want)
		}
	}
	update(t, s, func(tx *Tx) error {
		for i := range many {
			if err := tx.DeleteCluster(uid(i)); err != nil {
				return err
			}
		}
		return nil
	})
	for table := range schema().Tables {
		if got := count(table); got != 0 && table != "events" { // which stay
			t.Errorf("%s has %d leaves, and no rows", table, got)
		}
	}
}

// TestFrom reads from each place on: where a row is, and before, between and after them.
func TestFrom(t *testing.T) {
	s := opened(t, Config{})
	update(t, s, func(tx *Tx) error {
		for i := range 45 {
			uid := fmt.Sprintf("%c%c%d", 'a'+i%3, 'a'+i%2, i)
			if err := errors.Join(tx.PutCluster(cluster(uid, "n"+uid, nil)), tx.PutIdentity(&storev1.Identity{ClusterUid: uid, KubeUid: "k" + uid}),
				tx.AddEvent(&yardarmv1.Event{Reason: "Test"})); err != nil {
				return err
			}
		}
		return nil
	})
	tx := s.Read()
	checkFrom(t, tx, clusters, idIndex, func(c *yardarmv1.Cluster) string { return c.Metadata.Uid })
	checkFrom(t, tx, clusters, nameIndex, func(c *yardarmv1.Cluster) string { return c.Metadata.Name })
	checkFrom(t, tx, identities, kubeUIDIndex, func(i *storev1.Identity) string { return join(i.KubeUid, i.ClusterUid) })
	checkFrom(t, tx, events, idIndex, func(e *yardarmv1.Event) string { return eventKey(e.Sequence) })
	update(t, s, func(tx *Tx) error {
		for e := range tx.Events(20) {
			if e.Sequence%10 < 5 {
				if err := errors.Join(tx.AddEvent(&yardarmv1.Event{Reason: "Another"}), removed(tx, eventKey(e.Sequence))); err != nil {
					return err
				}
			}
		}
		return nil
	})
	checkFrom(t, s.Read(), events, idIndex, func(e *yardarmv1.Event) string { return eventKey(e.Sequence) })
}

func removed(tx *Tx, event string) error {
	_, err := events.remove(tx, event)
	return err
}

// checkFrom compares what is read from each place on with the rest of what is read from the beginning.
func checkFrom[R any](t *testing.T, tx *ReadTx, table *table[R], index string, value func(*R) string) {
	t.Helper()
	var all []string
	for row := range table.scan(tx, index, "") {
		all = append(all, value(row))
	}
	if !slices.IsSorted(all) || len(all) < 40 {
		t.Fatalf("%s by %s: %v", table.id, index, all)
	}
	lows := []string{""}
	for _, value := range all {
		lows = append(lows, value)
		if table.id == Events { // whose keys are of one length
			n, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			lows = append(lows, eventKey(n-1), eventKey(n+1), eventKey(n+7))
		} else {
			lows = append(lows, value+"!", value[:len(value)-1])
		}
	}
	for _, low := range lows {
		first, _ := slices.BinarySearch(all, low)
		var got []string
		for row := range table.from(tx, index, low) {
			got = append(got, value(row))
		}
		if !slices.Equal(got, all[first:]) {
			t.Fatalf("%s by %s from %q: %v, want %v", table.id, index, low, got, all[first:])
		}
	}
}

// TestOnlySingleRowsAreReadBackwards: what would be read wrongly is not read.
func TestOnlySingleRowsAreReadBackwards(t *testing.T) {
	tx := opened(t, Config{}).Read()
	defer func() {
		if recover() == nil {
			t.Error("leaves of several rows are read backwards")
		}
	}()
	observedBundles.scanBack(tx, "a/")
}

// TestNoKeyFindsNothing: also where it is the first that is ever sought.
func TestNoKeyFindsNothing(t *testing.T) {
	s := opened(t, Config{})
	update(t, s, func(tx *Tx) error { return fill(tx, "1") })
	runtime.GC()
	runtime.GC() // what is pooled is gone after two
	if got := s.Read().Artifact(""); got != nil {
		t.Errorf("no digest finds %v", got)
	}
	runtime.GC()
	runtime.GC()
	if got := s.Read().Cluster(""); got != nil {
		t.Errorf("no uid finds %v", got)
	}
}

// TestReadsMakeNoGarbage: what runs where is asked of the store dozens of times for each cluster and change. What go-memdb makes for a read, it makes.
func TestReadsMakeNoGarbage(t *testing.T) {
	s := opened(t, Config{})
	update(t, s, func(tx *Tx) error { return fill(tx, "1") })
	tx := s.Read()
	if tx.ObservedBundle("c1", "b1") == nil || tx.Cluster("c1") == nil {
		t.Fatal("no such rows")
	}
	floor := testing.AllocsPerRun(100, func() {
		if raw, err := tx.txn.First("clusters", idIndex, noGarbage[:]...); raw == nil || err != nil {
			t.Error(raw, err)
		}
	})
	for what, read := range map[string]func(){
		"by uid":      func() { tx.Cluster("c1") },
		"by two uids": func() { tx.ObservedBundle("c1", "b1") },
	} {
		if got := testing.AllocsPerRun(100, read); got > floor {
			t.Errorf("%s: %v allocations, and %v are go-memdb's own", what, got, floor)
		}
	}
}

// noGarbage asks as an order does.
var noGarbage = [1]any{&probe{leaf: []byte("c1")}}
