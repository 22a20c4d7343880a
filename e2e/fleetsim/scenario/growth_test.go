package scenario

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestGrowthSizes(t *testing.T) {
	for n, want := range map[int][]int{
		1: {1}, 19: {19}, 20: {10, 20}, 100: {12, 25, 50, 100}, 19_500: {1218, 2437, 4875, 9750, 19_500},
	} {
		if got := growthSizes(n); !slices.Equal(got, want) {
			t.Errorf("%d: got %v, want %v", n, got, want)
		}
	}
}

// What a fleet's connections cost meanwhile is no part of a change's cost.
func TestChangeWithoutWhatIdlingCosts(t *testing.T) {
	c := changes{each: []spent{{cost{hub: 300 * time.Millisecond}, 2 * time.Second}, {cost{hub: 400 * time.Millisecond}, time.Second}}}
	got := c.without(0.1)
	if len(got) != 2 || math.Abs(got[0]-0.1) > 1e-9 || math.Abs(got[1]-0.3) > 1e-9 {
		t.Errorf("got %v s, want 0.1 and 0.3", got)
	}
	if mean := c.cost().hub; mean != 350*time.Millisecond {
		t.Errorf("got %v for one in the mean", mean)
	}
}
