package scenario

import (
	"slices"
	"testing"
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
