package dispatch

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestHoldingSet compares sets with maps.
func TestHoldingSet(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	some := func() (all []holding) {
		for range random.IntN(6) {
			all = append(all, holding{uid: fmt.Sprint("b", random.IntN(8)), index: random.Uint64()})
		}
		return all
	}
	for round := range 500 {
		all, want := some(), map[string]holding{}
		for _, h := range all {
			if _, known := want[h.uid]; !known {
				want[h.uid] = h
			}
		}
		set := setOf(all)
		for step := range 4 {
			if !slices.EqualFunc(set, slices.Sorted(maps.Keys(want)), func(h holding, uid string) bool { return h.uid == uid && h.index == want[uid].index }) {
				t.Fatalf("round %d, step %d: %v, want %v", round, step, set, want)
			}
			for i := range 9 {
				uid := fmt.Sprint("b", i)
				h, held := set.of(uid)
				if w, there := want[uid]; held != there || h.index != w.index {
					t.Fatalf("round %d, step %d: %s is %v, %t, want %v, %t", round, step, uid, h, held, w, there)
				}
			}
			changed := setOf(some())
			hash := setHash(set, changed)
			for _, h := range changed {
				want[h.uid] = h
			}
			if set = set.with(changed); !bytes.Equal(hash, setHash(set, nil)) {
				t.Fatalf("round %d, step %d: what is to be hashes to something else than what is", round, step)
			}
		}
	}
}
