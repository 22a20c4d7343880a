package store

import (
	"errors"
	"slices"
	"testing"
)

func TestReconciliations(t *testing.T) {
	s := opened(t, Config{})
	sub := s.Subscribe(Reconciliations)
	defer sub.Close()
	add := func(clusterUID, bundleUID string) {
		t.Helper()
		update(t, s, func(tx *Tx) error { return tx.AddReconciliation(clusterUID, bundleUID) })
	}
	want := func(counts map[string]uint64) { // by cluster, of bundle b1
		t.Helper()
		for uid, want := range counts {
			if got := s.Read().Reconciliations(uid, "b1"); got != want {
				t.Errorf("%s: %d, want %d", uid, got, want)
			}
		}
	}
	update(t, s, func(tx *Tx) error {
		return errors.Join(tx.PutBundle(bundle("b1", "one")), tx.PutBundle(bundle("b10", "ten")), tx.PutCluster(cluster("c1", "c1", nil)), tx.PutCluster(cluster("c10", "c10", nil)))
	})
	want(map[string]uint64{"c1": 0, "c10": 0})
	add("c1", "b1")
	want(map[string]uint64{"c1": 1, "c10": 0})
	add("", "b1")
	add("", "b1")
	add("c10", "b10")
	want(map[string]uint64{"c1": 3, "c10": 2})
	var changed []string
	for key := range sub.Take().Keys(Reconciliations) {
		changed = append(changed, key)
	}
	slices.Sort(changed)
	if !slices.Equal(changed, []string{"b1", "b1/c1", "b10/c10"}) {
		t.Errorf("subscribers are told %q", changed)
	}
	s = reopened(t, s)
	want(map[string]uint64{"c1": 3, "c10": 2})

	update(t, s, func(tx *Tx) error { return tx.DeleteCluster("c1") })
	want(map[string]uint64{"c1": 2, "c10": 2})
	update(t, s, func(tx *Tx) error { return tx.DeleteBundle("b1") })
	want(map[string]uint64{"c1": 0, "c10": 0})
	if n := s.Read().Reconciliations("c10", "b10"); n != 1 {
		t.Errorf("that of another bundle counts %d after the deletion", n)
	}
	if _, err := s.Update(t.Context(), func(tx *Tx) error { return tx.AddReconciliation("c1", "") }); err == nil {
		t.Error("a reconciliation of no bundle is stored")
	}
}
