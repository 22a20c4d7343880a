package index

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/hub/store"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fleet is a store with an index on it, and ways to change it.
type fleet struct {
	t     testing.TB
	store *store.Store
	index *Index
}

func newFleet(t testing.TB) *fleet {
	t.Helper()
	s, err := store.Open(store.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	x, err := New(s, 0)
	if err != nil {
		t.Fatal(err)
	}
	return &fleet{t: t, store: s, index: x}
}

func (f *fleet) update(fn func(*store.Tx) error) {
	f.t.Helper()
	if _, err := f.store.Update(context.Background(), fn); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fleet) observe(fn func(*store.Tx) error) {
	f.t.Helper()
	if err := f.store.Observe(context.Background(), fn); err != nil {
		f.t.Fatal(err)
	}
}

// seed makes groups g0 to g2 by a label of that name, bundles b0 … that target them in turn, and clusters c0 … that are members of all.
func (f *fleet) seed(clusters, bundles int) {
	f.update(func(tx *store.Tx) error {
		for i := range 3 {
			g := &yardarmv1.ClusterGroup{Metadata: meta(fmt.Sprintf("g%d", i)), Spec: &yardarmv1.ClusterGroupSpec{
				Selector: &yardarmv1.LabelSelector{MatchLabels: map[string]string{fmt.Sprintf("g%d", i): "yes"}}}}
			if err := tx.PutGroup(g); err != nil {
				return err
			}
		}
		for i := range bundles {
			if err := putBundle(tx, fmt.Sprintf("b%d", i), 1, fmt.Sprintf("g%d", i%3)); err != nil {
				return err
			}
		}
		return nil
	})
	const some = 500
	for first := 0; first < clusters; first += some {
		f.update(func(tx *store.Tx) error {
			for i := first; i < min(first+some, clusters); i++ {
				c := &yardarmv1.Cluster{Metadata: meta(fmt.Sprintf("c%d", i)), Spec: &yardarmv1.ClusterSpec{}}
				c.Metadata.Labels = map[string]string{"g0": "yes", "g1": "yes", "g2": "yes", "n": fmt.Sprint(i % 100)}
				if err := errors.Join(tx.PutCluster(c), tx.PutPresence(&store.Presence{ClusterUID: c.Metadata.Uid, State: yardarmv1.PresenceConnected, Confirmed: true})); err != nil {
					return err
				}
			}
			return nil
		})
		f.observe(func(tx *store.Tx) error {
			for i := first; i < min(first+some, clusters); i++ {
				for b := range bundles {
					if err := report(tx, fmt.Sprintf("c%d", i), fmt.Sprintf("b%d", b), yardarmv1.PhaseReady); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
}

func meta(name string) *yardarmv1.ObjectMeta {
	return &yardarmv1.ObjectMeta{Name: name, Uid: "uid-" + name}
}

func putBundle(tx *store.Tx, name string, revision uint32, groups ...string) error {
	b := &yardarmv1.Bundle{Metadata: meta(name), Spec: &yardarmv1.BundleSpec{}, Status: &yardarmv1.BundleStatus{Revision: revision, LatestRevision: revision}}
	for _, g := range groups {
		b.Spec.Targets = append(b.Spec.Targets, &yardarmv1.Target{Group: g})
	}
	r := &yardarmv1.Revision{Metadata: meta(fmt.Sprintf("%s-%d", name, revision)), Spec: &yardarmv1.RevisionSpec{Bundle: name, BundleUid: b.Metadata.Uid, Number: revision,
		Digest: fmt.Sprintf("sha256:%064d", revision)}}
	if revision%2 == 0 {
		r.Spec.Labels = []string{"tier"}
	}
	return errors.Join(tx.PutRevision(r), tx.PutBundle(b))
}

// report says that a cluster's spoke has seen what is assigned now, in a phase; as from a session, it says when that was heard, too.
func report(tx *store.Tx, cluster, bundle, phase string) error {
	r := &yardarmv1.Report{Bundle: bundle, BundleUid: "uid-" + bundle, Phase: phase, Revision: 1}
	if c, b := tx.Cluster("uid-"+cluster), tx.Bundle("uid-"+bundle); c != nil && b != nil {
		spec := placement.DesiredOf(tx, c, b)
		r.AssignmentHash, r.Revision = spec.GetHash(), spec.GetRevision()
	}
	observed := &storev1.Observed{ClusterUid: "uid-" + cluster, Facts: tx.Observed("uid-" + cluster).GetFacts(), LastSeen: timestamppb.New(heard.Add(time.Second))}
	heard = observed.LastSeen.AsTime()
	return errors.Join(tx.PutObserved(observed), tx.PutObservedBundle(&storev1.ObservedBundle{ClusterUid: "uid-" + cluster, Report: r}))
}

// heard goes on with each report.
var heard = time.Unix(1_800_000_000, 0)

// TestFollowingIsDerivingAnew changes everything that entries follow from, at random, and compares what the index has made of each change with what a new
// index derives from the same rows.
func TestFollowingIsDerivingAnew(t *testing.T) {
	f := newFleet(t)
	f.seed(12, 6)
	random := rand.New(rand.NewPCG(1, 2))
	cluster := func() string { return fmt.Sprintf("c%d", random.IntN(14)) }
	bundle := func() string { return fmt.Sprintf("b%d", random.IntN(7)) }
	group := func() string { return fmt.Sprintf("g%d", random.IntN(4)) }
	phases := []string{yardarmv1.PhaseReady, yardarmv1.PhaseFailed, yardarmv1.PhaseHeld, yardarmv1.PhaseProgressing}
	expressions := []string{"", `facts.nodes > 2`, `labels.missing == "x"`}
	revision := uint32(1)
	changes := map[string]func(*store.Tx) error{
		"cluster": func(tx *store.Tx) error {
			c := &yardarmv1.Cluster{Metadata: meta(cluster()), Spec: &yardarmv1.ClusterSpec{}}
			c.Metadata.Labels = map[string]string{group(): "yes", group(): "yes"}
			if random.IntN(4) == 0 {
				c.Spec.Removal = &yardarmv1.Removal{}
			}
			return tx.PutCluster(c)
		},
		"labels": func(tx *store.Tx) error {
			c := tx.Cluster("uid-" + cluster())
			if c == nil {
				return nil
			}
			c = proto.CloneOf(c)
			c.Metadata.Labels["tier"] = fmt.Sprint(random.IntN(3))
			return tx.PutCluster(c)
		},
		"cluster ends": func(tx *store.Tx) error { return tx.DeleteCluster("uid-" + cluster()) },
		"identity": func(tx *store.Tx) error {
			return tx.PutIdentity(&storev1.Identity{ClusterUid: "uid-" + cluster(), KubeUid: fmt.Sprint(random.Int()), NotAfter: timestamppb.New(time.Unix(random.Int64N(9), 0))})
		},
		"group": func(tx *store.Tx) error {
			name := group()
			return tx.PutGroup(&yardarmv1.ClusterGroup{Metadata: meta(name), Spec: &yardarmv1.ClusterGroupSpec{
				Selector:   &yardarmv1.LabelSelector{MatchLabels: map[string]string{group(): "yes"}},
				Expression: expressions[random.IntN(len(expressions))]}})
		},
		"group ends":  func(tx *store.Tx) error { return tx.DeleteGroup(group()) },
		"bundle":      func(tx *store.Tx) error { revision++; return putBundle(tx, bundle(), revision, group(), group()) },
		"bundle ends": func(tx *store.Tx) error { return tx.DeleteBundle("uid-" + bundle()) },
		"deletion": func(tx *store.Tx) error {
			return tx.PutDeletedBundle(&storev1.DeletedBundle{Uid: "uid-" + bundle(), Name: "gone"})
		},
		"reconcile":     func(tx *store.Tx) error { return tx.AddReconciliation("uid-"+cluster(), "uid-"+bundle()) },
		"reconcile all": func(tx *store.Tx) error { return tx.AddReconciliation("", "uid-"+bundle()) },
		"acceptance": func(tx *store.Tx) error {
			b := "uid-" + bundle()
			to := tx.Revision(b, tx.Bundle(b).GetStatus().GetRevision()).GetSpec().GetDigest()
			return tx.PutAcceptance(&storev1.Acceptance{ClusterUid: "uid-" + cluster(), BundleUid: b,
				Deletion: &yardarmv1.AcceptedDeletion{FromDigest: fmt.Sprint(random.Int()), ToDigest: to}})
		},
	}
	observations := map[string]func(*store.Tx) error{
		"report": func(tx *store.Tx) error { return report(tx, cluster(), bundle(), phases[random.IntN(len(phases))]) },
		"another's name": func(tx *store.Tx) error {
			return tx.PutObservedBundle(&storev1.ObservedBundle{ClusterUid: "uid-" + cluster(), Report: &yardarmv1.Report{Bundle: bundle(), BundleUid: "uid-former", Phase: yardarmv1.PhaseHeld}})
		},
		"report ends": func(tx *store.Tx) error { return tx.DeleteObservedBundle("uid-"+cluster(), "uid-"+bundle()) },
		"presence": func(tx *store.Tx) error {
			state := []string{yardarmv1.PresenceConnected, yardarmv1.PresenceStale}[random.IntN(2)]
			return tx.PutPresence(&store.Presence{ClusterUID: "uid-" + cluster(), State: state, Confirmed: random.IntN(2) == 0, LastSeen: time.Unix(random.Int64N(9), 0)})
		},
		"facts": func(tx *store.Tx) error {
			return tx.PutObserved(&storev1.Observed{ClusterUid: "uid-" + cluster(), Facts: &yardarmv1.Facts{Nodes: random.Uint32N(5)}})
		},
	}
	names := slices.Concat(keys(changes), keys(observations))
	slices.Sort(names)
	seen := follower{clusters: map[string]*Cluster{}, bundles: map[string]*Bundle{}, groups: map[string]*Group{}}
	for range 1500 {
		name := names[random.IntN(len(names))]
		if change, ok := changes[name]; ok {
			f.update(change)
		} else {
			f.observe(observations[name])
		}
		fresh, err := New(f.store, 0)
		if err != nil {
			t.Fatal(err)
		}
		var want map[string]string
		var labels labels
		fresh.Read(func(s *State) { want, labels = shown(s), s.labels })
		fresh.sub.Close()
		var got map[string]string
		f.index.Read(func(s *State) {
			got = shown(s)
			seen.read(t, s)
			if !reflect.DeepEqual(s.labels, labels) {
				t.Errorf("after %s, clusters are found by the labels %v, and have %v", name, s.labels, labels)
			}
		})
		compare(t, name, got, want)
		compare(t, name+", as its log tells", seen.shown(), want)
		if t.Failed() {
			return
		}
	}
}

func keys[V any](m map[string]V) (out []string) {
	for key := range m {
		out = append(out, key)
	}
	return out
}

// shown is all that a state shows, by what it is about.
func shown(s *State) map[string]string {
	out := map[string]string{}
	for c := range s.Clusters() {
		showCluster(out, c)
	}
	for b := range s.Bundles() {
		showBundle(out, b)
	}
	for g := range s.Groups() {
		showGroup(out, g)
	}
	return out
}

func showCluster(out map[string]string, c *Cluster) {
	var b strings.Builder
	fmt.Fprint(&b, c.Row.Metadata.ResourceVersion, c.Phase, c.Groups, text(c.Bundles), text(c.Identity.GetNotAfter()), text(c.Observed.GetFacts()))
	if c.Presence != nil {
		fmt.Fprint(&b, c.Presence.State, c.Presence.Confirmed)
	}
	for _, a := range c.Assignments {
		fmt.Fprint(&b, "\n", a.Bundle, a.BundleUID, a.Target != nil, a.Phase, a.Reason, a.Message, a.Revision, a.hash, text(a.Report))
	}
	out["cluster "+c.UID()] = b.String()
}

func showBundle(out map[string]string, b *Bundle) {
	out["bundle "+b.UID()] = b.Row.Metadata.ResourceVersion + text(b.Clusters)
}

func showGroup(out map[string]string, g *Group) {
	out["group "+g.Name()] = fmt.Sprint(g.Row.Metadata.ResourceVersion, g.Clusters, g.Failing, g.Bundles)
}

// text is a message, in a form that is the same each time.
func text(m proto.Message) string {
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf("[%x]", raw)
}

func compare(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	for key := range want {
		if got[key] != want[key] {
			t.Errorf("after %s, %s:\n%s\nwant\n%s", what, key, got[key], want[key])
		}
	}
	for key := range got {
		if _, ok := want[key]; !ok {
			t.Errorf("after %s, %s is still there", what, key)
		}
	}
}

// follower has what it is told by the log.
type follower struct {
	seq      uint64
	clusters map[string]*Cluster
	bundles  map[string]*Bundle
	groups   map[string]*Group
}

func (f *follower) read(t *testing.T, s *State) {
	t.Helper()
	clusters, ok1 := s.ClustersSince(f.seq, func(*Cluster) bool { return true })
	bundles, ok2 := s.BundlesSince(f.seq, func(*Bundle) bool { return true })
	groups, ok3 := s.GroupsSince(f.seq, func(*Group) bool { return true })
	if !ok1 || !ok2 || !ok3 {
		t.Error("the log does not reach back")
	}
	take(f.clusters, clusters, (*Cluster).UID)
	take(f.bundles, bundles, (*Bundle).UID)
	take(f.groups, groups, (*Group).Name)
	f.seq = s.Seq
}

func take[E any](have map[string]*E, changes []Change[E], key func(*E) string) {
	for _, c := range changes {
		if c.New == nil {
			delete(have, key(c.Old))
			continue
		}
		have[key(c.New)] = c.New
	}
}

func (f *follower) shown() map[string]string {
	out := map[string]string{}
	for _, c := range f.clusters {
		showCluster(out, c)
	}
	for _, b := range f.bundles {
		showBundle(out, b)
	}
	for _, g := range f.groups {
		showGroup(out, g)
	}
	return out
}

// A report costs what it is about, and not what its cluster has.
func TestAReportDerivesItsBundleAlone(t *testing.T) {
	f := newFleet(t)
	f.seed(1, 6)
	entry := func() (c *Cluster) {
		f.index.Read(func(s *State) { c = s.Cluster("uid-c0") })
		return c
	}
	before := entry()
	f.observe(func(tx *store.Tx) error { return report(tx, "c0", "b2", yardarmv1.PhaseFailed) })
	after := entry()
	for i, a := range after.Assignments {
		if changed := a.Bundle == "b2"; (a != before.Assignments[i]) != changed {
			t.Errorf("%s was derived anew: %v", a.Bundle, !changed)
		}
	}
	if after.Observed.GetLastSeen().AsTime() != heard {
		t.Error("it is not known when it was heard")
	}
}

// A label costs the bundles that use labels, and leaves what is as it was.
func TestALabelDerivesWhatUsesIt(t *testing.T) {
	f := newFleet(t)
	f.seed(1, 6)
	f.update(func(tx *store.Tx) error { return putBundle(tx, "b2", 2, "g2") }) // it uses the label tier
	entry := func() (c *Cluster) {
		f.index.Read(func(s *State) { c = s.Cluster("uid-c0") })
		return c
	}
	label := func(key, value string) {
		f.update(func(tx *store.Tx) error {
			c := proto.CloneOf(tx.Cluster("uid-c0"))
			c.Metadata.Labels[key] = value
			return tx.PutCluster(c)
		})
	}
	before := entry()
	label("tier", "gold")
	after := entry()
	for i, a := range after.Assignments {
		if changed := a.Bundle == "b2"; (a != before.Assignments[i]) != changed || (a.hash != before.Assignments[i].hash) != changed {
			t.Errorf("%s was derived anew: %v", a.Bundle, !changed)
		}
	}
	if after.Row.Metadata.Labels["tier"] != "gold" {
		t.Error("the entry has the labels of before")
	}
	label("g0", "no") // it leaves a group, with two bundles
	if left := entry(); len(left.Assignments) != 6 || left.Assignment("b1") != after.Assignment("b1") || left.Assignment("b0") == after.Assignment("b0") {
		t.Errorf("of what is as it was, something was kept twice: %v", left.Assignments)
	}
}

func TestLogForgets(t *testing.T) {
	const maxLog = 100
	l := log[Group]{remember: maxLog}
	all := func(*Group) bool { return true }
	for i := range uint64(2 * maxLog) {
		l.add(i+1, Change[Group]{New: &Group{Row: &yardarmv1.ClusterGroup{Metadata: meta("g")}}})
	}
	if _, ok := l.since(0, (*Group).Name, all); ok || len(l.records) > 2*maxLog {
		t.Errorf("%d records, and the first is remembered: %v", len(l.records), ok)
	}
	if changes, ok := l.since(2*maxLog-5, (*Group).Name, all); !ok || len(changes) != 1 {
		t.Errorf("%v, %v; want one change", changes, ok)
	}
	if changes, ok := l.since(2*maxLog, (*Group).Name, all); !ok || len(changes) != 0 {
		t.Errorf("%v, %v; want none", changes, ok)
	}
}

// TestRunDerivesAll: whoever reads first finds what there is already, though nobody has watched.
func TestRunDerivesAll(t *testing.T) {
	f := newFleet(t)
	f.seed(20, 2)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.index.Run(ctx) }()
	derived := func() int {
		f.index.mu.RLock()
		defer f.index.mu.RUnlock()
		return len(f.index.s.clusters)
	}
	for deadline := time.Now().Add(10 * time.Second); derived() != 20; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d clusters are derived", derived())
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

// TestRunFollowsForWatchers: a watcher that waits hears of a change though nobody reads.
func TestRunFollowsForWatchers(t *testing.T) {
	f := newFleet(t)
	f.seed(2, 1)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.index.Run(ctx) }()
	done := f.index.Watching()
	f.index.Read(func(*State) {})
	for i := range 5 {
		grown := f.index.Grown()
		f.observe(func(tx *store.Tx) error {
			return report(tx, "c1", "b0", []string{yardarmv1.PhaseFailed, yardarmv1.PhaseReady}[i%2])
		})
		select {
		case <-grown:
		case <-time.After(10 * time.Second):
			t.Fatal("the log has not grown")
		}
	}
	done()
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	// A read takes in what has come since.
	f.update(func(tx *store.Tx) error { return tx.DeleteCluster("uid-c1") })
	f.index.Read(func(s *State) {
		if s.Cluster("uid-c1") != nil {
			t.Error("a read does not show what was deleted before it")
		}
	})
}

func BenchmarkIndex(b *testing.B) {
	f := newFleet(b)
	f.seed(10_000, 20)
	b.Run("derive all", func(b *testing.B) {
		for b.Loop() {
			x, err := New(f.store, 0)
			if err != nil {
				b.Fatal(err)
			}
			x.Read(func(*State) {})
			x.sub.Close()
		}
	})
	f.index.Read(func(*State) {})
	b.Run("one report", func(b *testing.B) {
		i := 0
		for b.Loop() {
			i++
			f.observe(func(tx *store.Tx) error {
				return report(tx, fmt.Sprintf("c%d", i%10_000), "b7", []string{yardarmv1.PhaseReady, yardarmv1.PhaseFailed}[i/10_000%2])
			})
			f.index.Read(func(*State) {})
		}
	})
	b.Run("one revision for all", func(b *testing.B) {
		revision := uint32(1)
		for b.Loop() {
			revision++
			f.update(func(tx *store.Tx) error { return putBundle(tx, "b7", revision, "g1") })
			f.index.Read(func(*State) {})
		}
	})
}
