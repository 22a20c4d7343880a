package main

import (
	"runtime/debug"
	"testing"
	"time"
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

// The hub collects less often while it opens and its fleet comes back, and never other than the operator says.
func TestPace(t *testing.T) {
	const before = 90
	defer debug.SetGCPercent(debug.SetGCPercent(before))
	for gogc, percents := range map[string][3]int{"": {openingPercent, returningPercent, before}, "50": {before, before, before}} {
		is := func(when string, want int) {
			t.Helper()
			got := debug.SetGCPercent(before)
			debug.SetGCPercent(got)
			if got != want {
				t.Errorf("GOGC %q: %d %% %s, want %d", gogc, got, when, want)
			}
		}
		newPace(gogc).open(false)
		is("where no fleet comes back", before)
		for when, quiet := range map[string]bool{"when it is quiet": true, "when it never is": false} {
			p := newPace(gogc)
			p.look(time.Now(), true)
			is("while the hub opens", percents[0])
			p.open(true)
			now := time.Now()
			p.look(now, false)
			is("while the fleet comes back", percents[1])
			if !quiet {
				now = now.Add(returnWithin)
			}
			p.look(now, quiet)
			is(when, percents[2])
		}
	}
}
