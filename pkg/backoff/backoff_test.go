package backoff

import (
	"testing"
	"time"
)

func TestNextGrowsToMax(t *testing.T) {
	for range 200 {
		b := Backoff{Base: time.Second, Max: 5 * time.Second}
		for i, bound := range []time.Duration{1, 2, 4, 5, 5} {
			bound *= time.Second
			if got := b.Next(); got < bound/10 || got > bound {
				t.Fatalf("wait %d: %v, want between %v and %v", i, got, bound/10, bound)
			}
		}
		b.Reset()
		if got := b.Next(); got > time.Second {
			t.Fatalf("after Reset: %v", got)
		}
	}
}

func TestNextIsRandom(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 100 {
		b := Backoff{Base: time.Minute, Max: time.Hour}
		seen[b.Next()] = true
	}
	if len(seen) < 90 {
		t.Fatalf("%d different waits in 100", len(seen))
	}
}

func TestZeroWaitsNot(t *testing.T) {
	var b Backoff
	if got := b.Next(); got != 0 {
		t.Fatalf("got %v", got)
	}
}
