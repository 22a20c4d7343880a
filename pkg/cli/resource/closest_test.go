package resource

import (
	"slices"
	"testing"
)

func TestClosest(t *testing.T) {
	candidates := []string{"edge-1", "edge-2", "web", "clusters", "cluster"}
	for word, want := range map[string]string{
		"edge1": "edge-1", "Edge-2": "edge-2", "egde-2": "edge-2", "edge-3": "", "edge": "", "wbe": "", "wep": "web", "x": "", "cluser": "cluster", "clustres": "clusters",
		"nothing": "", "": "",
	} {
		if got := Closest(word, slices.Values(candidates)); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
