package store

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// woken tells whether a subscription has something to say.
func woken(s *Subscription) bool { return len(s.wake) > 0 }

func sortedKeys(c Changed, t Table) []string { return slices.Sorted(c.Keys(t)) }

// TestSubscribe: who has asked for a table is woken when it changes, and no one else.
func TestSubscribe(t *testing.T) {
	s := opened(t, Config{})
	update(t, s, func(tx *Tx) error { return tx.PutCluster(cluster("c", "c", nil)) })
	subs := map[Table]*Subscription{}
	for table := range meta {
		subs[table] = s.Subscribe(table)
		defer subs[table].Close()
	}
	for _, test := range []struct {
		name string
		fn   func(*Tx) error
		soft bool
		want map[Table]string
	}{
		{"cluster", func(tx *Tx) error { return tx.PutCluster(cluster("c1", "one", nil)) }, false, map[Table]string{Clusters: "c1"}},
		{"bundle", func(tx *Tx) error { return tx.PutBundle(bundle("b1", "web", "g")) }, false, map[Table]string{Bundles: "b1"}},
		{"revision", func(tx *Tx) error { return tx.PutRevision(revision("b1", 7, "d")) }, false, map[Table]string{Revisions: "b1/0000000007"}},
		{"acceptance", func(tx *Tx) error {
			return tx.PutAcceptance(&storev1.Acceptance{ClusterUid: "c", BundleUid: "b1", HoldingHash: []byte{1}})
		}, false, map[Table]string{Acceptances: "c/b1"}},
		{"report", report("Ready"), true, map[Table]string{ObservedBundles: "c/b"}},
		{"presence", func(tx *Tx) error { return tx.PutPresence(&Presence{ClusterUID: "c"}) }, true, map[Table]string{Presences: "c"}},
		{"presence in an update", func(tx *Tx) error { return tx.PutPresence(&Presence{ClusterUID: "c"}) }, false, map[Table]string{Presences: "c"}},
		{"group", func(tx *Tx) error { return tx.PutGroup(group("g", map[string]string{"env": "prod"})) }, false, map[Table]string{Groups: "g"}},
		{"label", func(tx *Tx) error { return tx.PutCluster(cluster("c1", "one", map[string]string{"env": "prod"})) }, false,
			map[Table]string{Clusters: "c1", Members: "c1"}},
		{"another field of the cluster", func(tx *Tx) error {
			c := cluster("c1", "one", map[string]string{"env": "prod"})
			c.Spec = &yardarmv1.ClusterSpec{Ban: &yardarmv1.Ban{}}
			return tx.PutCluster(c)
		}, false, map[Table]string{Clusters: "c1"}},
		{"other targets", func(tx *Tx) error { return tx.PutBundle(bundle("b1", "web")) }, false, map[Table]string{Bundles: "b1", Members: "c1"}},
		{"same targets", func(tx *Tx) error { return tx.PutBundle(bundle("b1", "web")) }, false, map[Table]string{Bundles: "b1"}},
		{"targets again", func(tx *Tx) error { return tx.PutBundle(bundle("b1", "web", "g")) }, false, map[Table]string{Bundles: "b1", Members: "c1"}},
		{"deletion of the bundle", func(tx *Tx) error { return tx.DeleteBundle("b1") }, false,
			map[Table]string{Bundles: "b1", Members: "c1", Revisions: "b1/0000000007", Acceptances: "c/b1"}},
		{"deletion of the group", func(tx *Tx) error { return tx.DeleteGroup("g") }, false, map[Table]string{Groups: "g", Members: "c1"}},
		{"nothing", func(tx *Tx) error { return nil }, false, nil},
		{"deletion of nothing", func(tx *Tx) error { return errors.Join(tx.DeleteGroup("g"), tx.DeleteBundle("b1")) }, false, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.soft {
				observe(t, s, test.fn)
			} else {
				update(t, s, test.fn)
			}
			for table, sub := range subs {
				key, want := test.want[table]
				if woken(sub) != want {
					t.Errorf("subscribers of %s are woken: %v", table, woken(sub))
				}
				c := sub.Take()
				if c.Empty() == want || c.Any(table) != want || c.All(table) {
					t.Errorf("changes of %s are %+v", table, c)
				}
				if want && (!slices.Equal(sortedKeys(c, table), []string{key}) || !c.Has(table, key) || c.Has(table, "other")) {
					t.Errorf("the changed keys of %s are %v, want %s", table, sortedKeys(c, table), key)
				}
				if woken(sub) || !sub.Take().Empty() {
					t.Errorf("subscribers of %s hear of it twice", table)
				}
			}
		})
	}
}

// TestSubscriptionCoalesces: many changes are one wake-up and one answer, which never grows beyond a bound.
func TestSubscriptionCoalesces(t *testing.T) {
	s := opened(t, Config{})
	sub := s.Subscribe(Tokens, Clusters)
	put := func(from, to int) {
		update(t, s, func(tx *Tx) error {
			for i := from; i < to; i++ {
				if err := tx.PutToken(&storev1.EnrolmentToken{Id: fmt.Sprint(i)}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for range 3 {
		put(0, maxChangedKeys/2)
		put(maxChangedKeys/2, maxChangedKeys)
		update(t, s, func(tx *Tx) error { return tx.PutCluster(cluster("c", "c", nil)) })
	}
	if len(sub.C()) != 1 {
		t.Errorf("the subscriber is woken %d times", len(sub.C()))
	}
	c := sub.Take()
	if n := len(sortedKeys(c, Tokens)); c.All(Tokens) || n != maxChangedKeys || !c.Has(Tokens, "0") {
		t.Errorf("%d keys are told, all: %v; want %d", n, c.All(Tokens), maxChangedKeys)
	}
	if !c.Has(Clusters, "c") {
		t.Error("the other table's change is not told")
	}

	for _, split := range []int{0, 1, maxChangedKeys} {
		put(0, split)
		put(split, maxChangedKeys+1)
		put(0, 10)
		update(t, s, func(tx *Tx) error { return tx.DeleteCluster("c") })
		update(t, s, func(tx *Tx) error { return tx.PutCluster(cluster("c", "c", nil)) })
		c = sub.Take()
		if n := len(sortedKeys(c, Tokens)); !c.All(Tokens) || !c.Any(Tokens) || !c.Has(Tokens, "whatever") || n != 0 {
			t.Errorf("with one key too many, split at %d, %d keys are told, all: %v", split, n, c.All(Tokens))
		}
		if c.All(Clusters) || !slices.Equal(sortedKeys(c, Clusters), []string{"c"}) {
			t.Error("the other table's change is told as all")
		}
	}

	fleet := s.SubscribeFleet(Tokens)
	put(0, maxChangedKeys+1)
	if c = fleet.Take(); c.All(Tokens) || len(sortedKeys(c, Tokens)) != maxChangedKeys+1 || !sub.Take().All(Tokens) {
		t.Errorf("who follows a fleet is told of %d rows, want %d", len(sortedKeys(c, Tokens)), maxChangedKeys+1)
	}
	fleet.most = maxChangedKeys
	put(0, maxChangedKeys+1)
	if !fleet.Take().All(Tokens) || !sub.Take().All(Tokens) {
		t.Error("who follows a fleet is told of any number of rows")
	}
	fleet.Close()

	put(0, 1)
	if c = sub.Take(); c.All(Tokens) || !c.Has(Tokens, "0") || c.Has(Tokens, "1") {
		t.Error("after an overflow has been taken, changes are not told apart again")
	}
	sub.Close()
	sub.Close()
	put(0, 1)
	if woken(sub) || !sub.Take().Empty() {
		t.Error("a closed subscription hears of changes")
	}
}

// TestTakeThenRead: a snapshot that is read after Take shows what Take has told.
func TestTakeThenRead(t *testing.T) {
	s := opened(t, Config{})
	sub := s.Subscribe(Clusters)
	defer sub.Close()
	const last = 500
	go func() {
		for i := 1; i <= last; i++ {
			if _, err := s.Update(t.Context(), func(tx *Tx) error {
				return tx.PutCluster(cluster("c", "c", map[string]string{"n": fmt.Sprint(i)}))
			}); err != nil {
				return
			}
		}
	}()
	for n := ""; n != fmt.Sprint(last); {
		<-sub.C()
		if !sub.Take().Has(Clusters, "c") {
			t.Fatal("it is woken by nothing")
		}
		now := s.Read().Cluster("c").GetMetadata().GetLabels()["n"]
		if now == n {
			// It may have been told of a change that the read before has already shown. But never is the last one missed: then this would hang.
			continue
		}
		n = now
	}
}
