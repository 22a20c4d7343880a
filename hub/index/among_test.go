package index

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
)

// TestAmongFindsWhatTheLogDoes: whoever asks, from wherever, for whatever has passed, gets what a search of the log finds.
func TestAmongFindsWhatTheLogDoes(t *testing.T) {
	type buoy struct{ name, colour int }
	key := func(b *buoy) string { return fmt.Sprint(b.name) }
	random := rand.New(rand.NewPCG(3, 4))
	for _, tc := range []struct{ remember, each int }{{4 * maxAmong, 300}, {100, 40}, {10_000, 1}} {
		l := log[buoy]{remember: tc.remember}
		looks := 0
		red := func(b *buoy) bool { looks++; return b.colour == 0 }
		among := NewAmong(red)
		have := map[int]*buoy{}
		seq := uint64(0)
		for range 200 {
			for range random.IntN(tc.each) + 1 {
				name := random.IntN(20)
				next := &buoy{name, random.IntN(2)}
				if have[name] != nil && random.IntN(5) == 0 {
					next = nil
				}
				if have[name] == nil && next == nil {
					continue
				}
				seq++
				l.add(seq, Change[buoy]{have[name], next})
				have[name] = next
			}
			for range 3 {
				from := uint64(random.Int64N(int64(seq) + 1))
				if random.IntN(2) == 0 {
					from = seq - min(seq, uint64(random.IntN(2*tc.each)))
				}
				want, known := l.since(from, key, red)
				got, ok := among.since(&l, seq, from, key)
				if ok != known || !reflect.DeepEqual(got, want) {
					t.Fatalf("%+v: since %d of %d: %v, %v, want %v, %v", tc, from, seq, got, ok, want, known)
				}
			}
			if len(among.passed) > maxAmong {
				t.Fatalf("%d changes are remembered", len(among.passed))
			}
		}
		among.since(&l, seq, seq, key)
		looks = 0
		for range 10 {
			among.since(&l, seq, seq-uint64(tc.each/2), key)
		}
		if looks > 0 {
			t.Errorf("%+v: what was looked at is looked at again, %d times", tc, looks)
		}
	}
}
