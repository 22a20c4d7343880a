package dispatch

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/hub/store"
)

// Whom a change concerns is woken, and nobody else, and looks at no more than that.
func TestConcerned(t *testing.T) {
	w := newWorld(t)
	for i, env := range []string{"prod", "dev", "dev"} {
		w.update(func(tx *store.Tx) error {
			return tx.PutCluster(&yardarmv1.Cluster{Metadata: &yardarmv1.ObjectMeta{Name: fmt.Sprintf("n%d", i+2), Uid: fmt.Sprintf("c%d", i+2), Labels: map[string]string{"env": env}}})
		})
	}
	for _, env := range []string{"prod", "dev"} {
		w.update(func(tx *store.Tx) error {
			return tx.PutGroup(&yardarmv1.ClusterGroup{Metadata: &yardarmv1.ObjectMeta{Name: env, Uid: env}, Spec: &yardarmv1.ClusterGroupSpec{Selector: &yardarmv1.LabelSelector{MatchLabels: map[string]string{"env": env}}}})
		})
	}
	w.publish("web", []byte("1"), "prod")
	w.publish("db", []byte("1"), "dev")
	holding := func(tx *store.Tx) error {
		return tx.PutObservedBundle(&storev1.ObservedBundle{ClusterUid: "c4", Report: says("web", yardarmv1.PhaseHeld)})
	}
	if err := w.Store.Observe(t.Context(), holding); err != nil {
		t.Fatal(err)
	}
	sub := w.Store.Subscribe(watched...)
	defer sub.Close()
	told := newTold(w.Store.Read())
	for _, tc := range []struct {
		name   string
		change func(*store.Tx) error
		want   string
	}{
		{"a bundle's revision, and who holds the bundle", func(tx *store.Tx) error {
			b := proto.CloneOf(tx.Bundle("web"))
			b.Status.Revision++
			return tx.PutBundle(b)
		}, "c1:web c2:web c4:web"},
		{"a bundle that a revision is published of, which nobody is to run yet", func(tx *store.Tx) error {
			b := proto.CloneOf(tx.Bundle("web"))
			b.Status.LatestRevision++
			b.Spec.Targets[0].Variant = "small"
			return tx.PutBundle(b)
		}, ""},
		{"what a rollout says who is to run", func(tx *store.Tx) error {
			if err := tx.PutRollout(&storev1.Rollout{BundleUid: "web", Chunks: 1, Settled: 2}); err != nil {
				return err
			}
			return tx.PutRolloutMembers("web", 0, []store.RolloutMember{{UID: "c2", Runs: 3}})
		}, "c2:web"},
		{"a bundle's targets, old and new", func(tx *store.Tx) error {
			b := proto.CloneOf(tx.Bundle("db"))
			b.Spec.Targets[0].Group = "prod"
			return tx.PutBundle(b)
		}, "c1:all c2:all c3:all c4:all"},
		{"a cluster", func(tx *store.Tx) error {
			c := proto.CloneOf(tx.Cluster("c3"))
			c.Spec = &yardarmv1.ClusterSpec{Ban: &yardarmv1.Ban{}}
			return tx.PutCluster(c)
		}, "c3:all"},
		{"an acceptance", func(tx *store.Tx) error {
			return tx.PutAcceptance(&storev1.Acceptance{ClusterUid: "c2", BundleUid: "web", HoldingHash: []byte("x")})
		}, "c2:web"},
		{"a request to reconcile everywhere", func(tx *store.Tx) error { return tx.AddReconciliation("", "web") }, "c1:web c2:web"},
		{"a request to reconcile in one cluster", func(tx *store.Tx) error { return tx.AddReconciliation("c2", "web") }, "c2:web"},
		{"a cluster's label", func(tx *store.Tx) error {
			c := proto.CloneOf(tx.Cluster("c2"))
			c.Metadata.Labels["region"] = "eu"
			return tx.PutCluster(c)
		}, "c2:all"},
		{"a group's selector", func(tx *store.Tx) error {
			g := proto.CloneOf(tx.Group("dev"))
			g.Spec.Selector.MatchLabels["env"] = "none"
			return tx.PutGroup(g)
		}, "c3:all c4:all"},
		{"a bundle that is gone", func(tx *store.Tx) error { return tx.DeleteBundle("web") }, "c1:all c2:all c4:web"},
		{"a revision that nobody runs", func(tx *store.Tx) error {
			return tx.PutRevision(&yardarmv1.Revision{Metadata: &yardarmv1.ObjectMeta{}, Spec: &yardarmv1.RevisionSpec{BundleUid: "db", Number: 9}})
		}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sub.Take()
			w.update(tc.change)
			got := told.concerned(w.Store.Read(), sub.Take(), func() map[string]struct{} { return map[string]struct{}{"all": {}} })
			if s := strings.Join(woken(got), " "); s != tc.want {
				t.Errorf("woken: %s, want %s", s, tc.want)
			}
		})
	}
	const many = 5000 // more than are told apart
	for _, tc := range []struct {
		name   string
		change func(*store.Tx) error
		want   string
	}{
		{"many changes", func(tx *store.Tx) error {
			for i := range many {
				if err := tx.PutAcceptance(&storev1.Acceptance{ClusterUid: "c2", BundleUid: fmt.Sprint(i), HoldingHash: []byte("x")}); err != nil {
					return err
				}
			}
			return nil
		}, "c1:all"},
		{"a rollout that reaches many", func(tx *store.Tx) error {
			members := make([]store.RolloutMember, many)
			for i := range members {
				members[i] = store.RolloutMember{UID: fmt.Sprint(i), Runs: 3}
			}
			if err := tx.PutRollout(&storev1.Rollout{BundleUid: "db", Chunks: 1}); err != nil {
				return err
			}
			return tx.PutRolloutMembers("db", 0, members)
		}, "c1:db"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sub.Take()
			w.update(tc.change)
			got := told.concerned(w.Store.Read(), sub.Take(), func() map[string]struct{} { return map[string]struct{}{"c1": {}} })
			if s := strings.Join(woken(got), " "); s != tc.want {
				t.Errorf("woken: %s, want %s", s, tc.want)
			}
		})
	}
}

// A group that this hub cannot read, or that is not there, is no reason to take anything away.
func TestWithinBoundary(t *testing.T) {
	w := newWorld(t)
	group := func(name, expression string, labels map[string]string) {
		w.update(func(tx *store.Tx) error {
			return tx.PutGroup(&yardarmv1.ClusterGroup{Metadata: &yardarmv1.ObjectMeta{Name: name, Uid: name}, Spec: &yardarmv1.ClusterGroupSpec{
				Selector: &yardarmv1.LabelSelector{MatchLabels: labels}, Expression: expression}})
		})
	}
	group("narrow", "facts.nodes > 5", nil)
	group("others", "", map[string]string{"env": "dev"})
	group("labels", `labels["env"] == "dev"`, nil)
	group("broken", "this is no CEL (", nil)
	for name, want := range map[string]bool{"all": true, "narrow": true, "others": false, "labels": false, "broken": true, "missing": true, "": false} {
		b := &yardarmv1.Bundle{Spec: &yardarmv1.BundleSpec{}}
		if name != "" {
			b.Spec.Targets = []*yardarmv1.Target{{Group: "others"}, {Group: name}}
		}
		tx := w.Store.Read()
		if got := withinBoundary(tx, tx.Cluster("c1"), b); got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
}

// woken tells who looks at what.
func woken(clusters map[string]scope) (out []string) {
	for uid, of := range clusters {
		what := strings.Join(of.bundles, ",")
		if of.all {
			what = "all"
		}
		out = append(out, uid+":"+what)
	}
	slices.Sort(out)
	return out
}
