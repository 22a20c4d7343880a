package store

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// Subscribers of Assigned hear of the clusters that are to run another revision, and of no others, whatever else is written of a rollout.
func TestAssignedTellsWhoRunsAnother(t *testing.T) {
	s := opened(t, Config{})
	update(t, s, func(tx *Tx) error {
		err := errors.Join(tx.PutGroup(group("all", nil)), tx.PutBundle(bundle("b", "web", "all")))
		for i := range 4 {
			uid := fmt.Sprint("c", i)
			err = errors.Join(err, tx.PutCluster(cluster(uid, uid, nil)))
		}
		return err
	})
	sub := s.Subscribe(Assigned)
	defer sub.Close()
	member := func(uid string, runs, state uint32) RolloutMember {
		return RolloutMember{UID: uid, Runs: runs, State: state}
	}
	for _, step := range []struct {
		name    string
		settled uint32
		members []RolloutMember
		want    []string
	}{
		{"one of two is given it", 0, []RolloutMember{member("c0", 1, 1), member("c1", 0, 0)}, []string{"c0/b"}},
		{"its state alone changes", 0, []RolloutMember{member("c0", 1, 2), member("c1", 0, 0)}, nil},
		{"the other, too", 0, []RolloutMember{member("c0", 1, 2), member("c1", 1, 1)}, []string{"c1/b"}},
		{"it settles: those run it that are no members", 1, nil, []string{"c2/b", "c3/b"}},
		{"members that run the settled one", 1, []RolloutMember{member("c0", 1, 0), member("c2", 2, 1)}, []string{"c2/b"}},
	} {
		update(t, s, func(tx *Tx) error {
			return errors.Join(tx.PutRollout(&storev1.Rollout{BundleUid: "b", Settled: step.settled, Chunks: 1}), tx.PutRolloutMembers("b", 0, step.members))
		})
		changed := sub.Take()
		if got := slices.Sorted(changed.Keys(Assigned)); !slices.Equal(got, step.want) {
			t.Errorf("%s: %v, want %v", step.name, got, step.want)
		}
	}
	if got := maps.Collect(func(yield func(string, bool) bool) {
		for i := range 4 {
			n, ok := s.Read().Assigned("b", fmt.Sprint("c", i))
			yield(fmt.Sprint("c", i, n), ok)
		}
	}); !maps.Equal(got, map[string]bool{"c0 1": true, "c1 0": false, "c2 2": true, "c3 0": false}) {
		t.Errorf("assigned %v", got)
	}
}
