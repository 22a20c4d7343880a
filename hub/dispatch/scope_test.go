package dispatch

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/hub/store"
)

func TestScope(t *testing.T) {
	some := func(uids ...string) scope { return scope{bundles: uids} }
	var many scope
	for i := range maxScope + 1 {
		many.add(some(fmt.Sprint(i)))
	}
	for _, tc := range []struct {
		name      string
		got, want scope
	}{
		{"nothing", sum(), scope{}},
		{"one", sum(some("a")), some("a")},
		{"one twice", sum(some("a"), some("a")), some("a")},
		{"two", sum(some("a"), some("b")), some("a", "b")},
		{"one, then all", sum(some("a"), everything), everything},
		{"all, then one", sum(everything, some("a")), everything},
		{"many", many, everything},
	} {
		if tc.got.all != tc.want.all || !slices.Equal(tc.got.bundles, tc.want.bundles) {
			t.Errorf("%s: %v, want %v", tc.name, tc.got, tc.want)
		}
	}
}

// What is held of some bundles is in the order of their uids, in whatever order they became due.
func TestScopeOf(t *testing.T) {
	held := holdingSet{{uid: "a"}, {uid: "b"}, {uid: "d"}}
	for _, tc := range []struct {
		scope scope
		want  string
	}{
		{everything, "a b d"},
		{scope{bundles: []string{"d", "c", "a"}}, "a d"},
		{scope{}, ""},
	} {
		var got []string
		for _, h := range tc.scope.of(held) {
			got = append(got, h.uid)
		}
		if strings.Join(got, " ") != tc.want {
			t.Errorf("%v: %v, want %s", tc.scope, got, tc.want)
		}
	}
}

func sum(all ...scope) (out scope) {
	for _, s := range all {
		out.add(s)
	}
	return out
}

// A session that only ever looks at what a change concerns comes to hold what one that looks at all of it does, whatever
// changes, also while a delta is in flight.
func TestLooksAtWhatHasChanged(t *testing.T) {
	w := newWorld(t)
	sub := w.Store.Subscribe(watched...)
	defer sub.Close()
	told := newTold(w.Store.Read())
	s, stream := w.join()
	rng := rand.New(rand.NewPCG(1, 1))
	bundle := func() string { return fmt.Sprintf("b%d", rng.IntN(4)) }
	sent := 0
	for round := range 300 {
		name := bundle()
		switch rng.IntN(6) {
		case 0:
			w.update(func(tx *store.Tx) error { return tx.AddReconciliation([]string{"", "c1"}[rng.IntN(2)], name) })
		case 1:
			w.publish(name, fmt.Append(nil, round)) // no longer for anybody
		case 2:
			w.update(func(tx *store.Tx) error {
				if tx.Bundle(name) == nil {
					return nil
				}
				if err := tx.PutDeletedBundle(&storev1.DeletedBundle{Uid: name, Name: name, Workloads: yardarmv1.Workloads_WORKLOADS_KEEP}); err != nil {
					return err
				}
				return tx.DeleteBundle(name)
			})
		case 3:
			w.update(func(tx *store.Tx) error {
				c := proto.CloneOf(tx.Cluster("c1"))
				c.Metadata.Labels["env"] = []string{"prod", "dev"}[rng.IntN(2)]
				return tx.PutCluster(c)
			})
		default:
			w.publish(name, fmt.Append(nil, round), "all")
		}
		w.alert(w.Store.Read(), told.concerned(w.Store.Read(), sub.Take(), w.sessions.uids))
		if err := s.advance(); err != nil {
			t.Fatal(err)
		}
		if rng.IntN(3) == 0 {
			continue // it stays in flight
		}
		for s.sent != nil {
			sent++
			if err := s.acked(&spokev1.Ack{Cursor: s.sent.cursor, Complete: true}); err != nil {
				t.Fatal(err)
			}
			if err := s.advance(); err != nil {
				t.Fatal(err)
			}
		}
		s.poke()
		if err := s.advance(); err != nil {
			t.Fatal(err)
		}
		if s.sent != nil {
			t.Fatalf("round %d: looking at all finds %v", round, stream.take())
		}
		stream.take()
	}
	if sent < 50 {
		t.Errorf("only %d deltas: the test tests nothing", sent)
	}
}
