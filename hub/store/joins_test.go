package store

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/yardarm-dev/yardarm/hub/placement"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// However a cluster comes to be one that a bundle is for, it waits from that very transaction on; who was one already goes on as before.
func TestWhoJoinsWaits(t *testing.T) {
	prod := map[string]string{"env": "prod"}
	facts := func(tx *Tx) error {
		return tx.PutObserved(&storev1.Observed{ClusterUid: "new", Facts: &yardarmv1.Facts{Nodes: 3}})
	}
	for _, tc := range []struct {
		name  string
		joins func(*Tx) error
		waits bool
	}{
		{"enrolled", func(tx *Tx) error { return tx.PutCluster(cluster("another", "another", prod)) }, false},
		{"labelled", func(tx *Tx) error { return tx.PutCluster(cluster("new", "new", prod)) }, true},
		{"labelled, and back", func(tx *Tx) error {
			return errors.Join(tx.PutCluster(cluster("new", "new", prod)), tx.PutCluster(cluster("new", "new", nil)))
		}, false},
		{"by its group", func(tx *Tx) error { return tx.PutGroup(group("prod", nil)) }, true},
		{"by the bundle's targets", func(tx *Tx) error { return tx.PutBundle(bundle("b", "web", "prod", "all")) }, true},
		{"by its facts", facts, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := opened(t, Config{})
			update(t, s, func(tx *Tx) error {
				large := &yardarmv1.ClusterGroup{Metadata: &yardarmv1.ObjectMeta{Name: "large"},
					Spec: &yardarmv1.ClusterGroupSpec{Selector: &yardarmv1.LabelSelector{}, Expression: "facts.nodes > 2"}}
				return errors.Join(tx.PutGroup(group("prod", prod)), tx.PutGroup(group("all", nil)), tx.PutGroup(large), tx.PutBundle(bundle("b", "web", "prod", "large")),
					tx.PutCluster(cluster("old", "old", prod)), tx.PutCluster(cluster("new", "new", nil)))
			})
			update(t, s, func(tx *Tx) error {
				return tx.PutRollout(&storev1.Rollout{BundleUid: "b", Revision: 1, Settled: 1, Phase: 2})
			})
			err := s.Observe(t.Context(), tc.joins)
			if !errors.Is(err, ErrHard) {
				t.Fatalf("observed: %v; who joins is written before it is visible", err)
			}
			update(t, s, tc.joins)
			if runs, member := s.Read().Assigned("b", "new"); member != tc.waits || runs != 0 {
				t.Errorf("who joined: member %v, runs %d", member, runs)
			}
			if _, member := s.Read().Assigned("b", "another"); member != (s.Read().Cluster("another") != nil) {
				t.Error("who was enrolled does not wait")
			}
			if _, member := s.Read().Assigned("b", "old"); member {
				t.Error("who was there is made to wait")
			}
		})
	}
}

// A cluster whose labels or groups change, so that its assignment would, keeps it until its turn. One that is as it was again waits for nothing.
func TestWhatChangesWaits(t *testing.T) {
	for _, tc := range []struct {
		name    string
		changes []func(*Tx) error
		waits   bool
	}{
		{"a label that is used", []func(*Tx) error{relabel("env", "prod", "zone", "b")}, true},
		{"a label that is not used", []func(*Tx) error{relabel("env", "prod", "zone", "a", "other", "b")}, false},
		{"a target before its own", []func(*Tx) error{relabel("env", "prod", "zone", "a", "canary", "yes")}, true},
		{"by the group", []func(*Tx) error{func(tx *Tx) error { return tx.PutGroup(group("canary", nil)) }}, true},
		{"and back", []func(*Tx) error{relabel("env", "prod", "zone", "b"), relabel("env", "prod", "zone", "c"), relabel("env", "prod", "zone", "a")}, false},
		{"and on", []func(*Tx) error{relabel("env", "prod", "zone", "b"), relabel("env", "prod", "zone", "c")}, true},
		{"and gone", []func(*Tx) error{relabel("env", "prod", "zone", "b"), relabel("zone", "b")}, true}, // until the driver sees it
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := opened(t, Config{})
			update(t, s, func(tx *Tx) error {
				return errors.Join(tx.PutGroup(group("prod", map[string]string{"env": "prod"})), tx.PutGroup(group("canary", map[string]string{"canary": "yes"})),
					tx.PutBundle(bundle("b", "web", "canary", "prod")), relabel("env", "prod", "zone", "a")(tx),
					tx.PutRevision(&yardarmv1.Revision{Spec: &yardarmv1.RevisionSpec{BundleUid: "b", Number: 1, Labels: []string{"zone"}, Targets: []*yardarmv1.Target{
						{Group: "canary", Customization: &yardarmv1.Customization{Substitute: true}}, {Group: "prod"}}}, Metadata: &yardarmv1.ObjectMeta{Name: "r"}}))
			})
			update(t, s, func(tx *Tx) error {
				return tx.PutRollout(&storev1.Rollout{BundleUid: "b", Revision: 1, Settled: 1, Phase: 2})
			})
			hash := func() string {
				tx := s.Read()
				return string(placement.DesiredOf(tx, tx.Cluster("c"), tx.Bundle("b")).GetHash())
			}
			before := hash()
			for _, change := range tc.changes {
				update(t, s, change)
				if hash() != before {
					t.Error("it gets something else at once")
				}
			}
			if waits := s.Read().Before("b", "c") != nil; waits != tc.waits {
				t.Errorf("it waits: %v", waits)
			}
			if tc.waits {
				update(t, s, func(tx *Tx) error { return tx.TakeTurn(tx.Turn("b", "c")) })
				if hash() == before {
					t.Error("its turn changes nothing")
				}
			}
		})
	}
}

// relabel gives a cluster these labels, and no others.
func relabel(pairs ...string) func(*Tx) error {
	labels := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		labels[pairs[i]] = pairs[i+1]
	}
	return func(tx *Tx) error { return tx.PutCluster(cluster("c", "c", labels)) }
}

// A join costs the same however many wait: it writes a row of its own, and none that others have.
func TestAJoinTouchesNobodyElse(t *testing.T) {
	s := opened(t, Config{})
	update(t, s, func(tx *Tx) error {
		return errors.Join(tx.PutGroup(group("all", nil)), tx.PutBundle(bundle("b", "web", "all")), tx.PutRollout(&storev1.Rollout{BundleUid: "b", Revision: 1, Settled: 1, Phase: 2}))
	})
	for i := range 200 {
		sub := s.Subscribe(Turns, Rollouts, RolloutMembers, Assigned)
		uid := fmt.Sprintf("c%d", i)
		update(t, s, func(tx *Tx) error { return tx.PutCluster(cluster(uid, uid, nil)) })
		changed := sub.Take()
		if turns, assigned := slices.Collect(changed.Keys(Turns)), slices.Collect(changed.Keys(Assigned)); len(turns) != 1 || len(assigned) != 1 || changed.Any(Rollouts) || changed.Any(RolloutMembers) {
			t.Fatalf("with %d who wait, a join changes %v, %v", i, turns, assigned)
		}
		sub.Close()
	}
}

// A turn is taken by whoever knows what the cluster waits for. One that has left and come back since waits anew.
func TestTakeTurn(t *testing.T) {
	s := opened(t, Config{})
	update(t, s, func(tx *Tx) error {
		return errors.Join(tx.PutGroup(group("all", nil)), tx.PutBundle(bundle("b", "web", "all")), tx.PutRollout(&storev1.Rollout{BundleUid: "b", Revision: 1, Settled: 1, Phase: 2}))
	})
	update(t, s, func(tx *Tx) error { return tx.PutCluster(cluster("c", "c", nil)) })
	old := s.Read().Turn("b", "c")
	update(t, s, func(tx *Tx) error { return tx.DeleteCluster("c") })
	if s.Read().Turn("b", "c") != nil {
		t.Error("the turn of a cluster that is deleted is left")
	}
	update(t, s, func(tx *Tx) error { return tx.PutCluster(cluster("c", "c", nil)) })
	update(t, s, func(tx *Tx) error { return tx.TakeTurn(old) })
	if _, waits := s.Read().Assigned("b", "c"); !waits {
		t.Error("it has taken a turn that is not its own")
	}
	update(t, s, func(tx *Tx) error { return tx.TakeTurn(tx.Turn("b", "c")) })
	if _, waits := s.Read().Assigned("b", "c"); waits {
		t.Error("it waits still")
	}
}
