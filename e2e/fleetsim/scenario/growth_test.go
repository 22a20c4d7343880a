package scenario

import (
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
	c := changes{cost: cost{hub: 300 * time.Millisecond}, took: 2 * time.Second}
	if got := c.without(0.1); got < 0.0999 || got > 0.1001 {
		t.Errorf("got %v s, want 0.1", got)
	}
	if got := c.without(0.2); got != 0 {
		t.Errorf("got %v s of what cost less than nothing", got)
	}
}
