package main

import (
	"runtime/debug"
	"testing"
)

func TestSpareMemory(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		name            string
		allocated, held float64
		want            bool
	}{
		{"a wave is over", 1 * mib, 200 * mib, true},
		{"heartbeats go on", 3 * mib, 200 * mib, true},
		{"the wave goes on", 12 * mib, 200 * mib, false},
		{"nothing to spare", 1 * mib, 120 * mib, false},
		{"idle for minutes after that", 1 * mib, 126 * mib, true},
	} {
		before := memory{allocated: 1000 * mib, live: 100 * mib, held: 200 * mib}
		now := memory{allocated: before.allocated + c.allocated, live: 100 * mib, held: c.held}
		if got := now.spare(before); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// What is read is there: a metric that the runtime does not have panics.
func TestReadMemory(t *testing.T) {
	if m := readMemory(); m.allocated <= 0 || m.held <= 0 {
		t.Errorf("%+v", m)
	}
}

// The hub collects less often only while it opens, and never other than the operator says.
func TestCollectLess(t *testing.T) {
	const before = 90
	defer debug.SetGCPercent(debug.SetGCPercent(before))
	percent := func() int {
		p := debug.SetGCPercent(before)
		debug.SetGCPercent(p)
		return p
	}
	for gogc, want := range map[string]int{"": openingPercent, "50": before} {
		opened := collectLess(gogc)
		if got := percent(); got != want {
			t.Errorf("GOGC %q: %d %% while the hub opens, want %d", gogc, got, want)
		}
		opened()
		if got := percent(); got != before {
			t.Errorf("GOGC %q: %d %% after that, want %d", gogc, got, before)
		}
	}
}
