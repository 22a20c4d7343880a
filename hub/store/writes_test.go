package store

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// TestWrites: each row is told once, with what it was before the transaction and what it is after it, and no more if that is the same.
func TestWrites(t *testing.T) {
	s := opened(t, Config{})
	update(t, s, func(tx *Tx) error {
		return errors.Join(tx.PutGroup(group("g", map[string]string{"env": "prod"})), tx.PutGroup(group("old", map[string]string{"env": "old"})),
			tx.PutCluster(cluster("c1", "one", map[string]string{"env": "old"})), tx.PutCluster(cluster("c2", "two", nil)))
	})
	update(t, s, func(tx *Tx) error {
		if len(tx.Writes()) != 0 {
			t.Errorf("before any write: %v", tx.Writes())
		}
		before := tx.Cluster("c1")
		err := errors.Join(
			tx.PutCluster(cluster("c1", "one", map[string]string{"env": "prod"})), tx.PutCluster(cluster("c1", "one", map[string]string{"env": "prod", "a": "b"})),
			tx.DeleteCluster("c2"), tx.PutCluster(cluster("c3", "three", nil)), tx.DeleteCluster("c3"), tx.AddEvent(&yardarmv1.Event{}))
		if err != nil {
			return err
		}
		var got []string
		for _, w := range tx.Writes() {
			got = append(got, fmt.Sprint(w.Table, " ", w.Key, " ", w.Old != nil, " ", w.New != nil))
			if w.Key == "c1" && (w.Old != before || w.New != tx.Cluster("c1")) {
				t.Errorf("c1 goes from %v to %v", w.Old, w.New)
			}
		}
		if want := []string{"clusters c1 true true", "clusters c2 true false"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		var moves []string
		for uid, group := range tx.Moves() {
			moves = append(moves, uid+" "+group)
		}
		slices.Sort(moves)
		if want := []string{"c1 g", "c1 old"}; !slices.Equal(moves, want) {
			t.Errorf("moves %q, want %q", moves, want)
		}
		return nil
	})
}
