package main

import (
	"runtime"
	"runtime/debug"
	"sync/atomic"
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

// The hub collects less often while it opens and its fleet comes back, until that is there or should be, and never other than the operator says.
func TestPace(t *testing.T) {
	const before, clusters = 90, 100_000
	defer debug.SetGCPercent(debug.SetGCPercent(before))
	percent := func() int {
		p := debug.SetGCPercent(before)
		debug.SetGCPercent(p)
		return p
	}
	for name, end := range map[string]func(*pace){
		"it is quiet":       func(p *pace) { p.look(time.Now(), true) },
		"it never is quiet": func(p *pace) { p.look(time.Now().Add(returnWithin), false) },
		"the fleet is back": func(p *pace) {
			p.mu.Lock()
			p.goal = 1
			p.mu.Unlock()
			p.collected()
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPace("")
			p.look(time.Now(), true)
			if got := percent(); got != openingPercent {
				t.Errorf("%d %% while the hub opens", got)
			}
			p.open(clusters)
			p.look(time.Now(), false)
			if got := percent(); got <= before {
				t.Errorf("%d %% while the fleet comes back", got)
			}
			end(p)
			if got := percent(); got != before {
				t.Errorf("%d %% after that", got)
			}
			if p.collected() || percent() != before {
				t.Errorf("%d %% after a collection after that", percent())
			}
		})
	}
	p := newPace("50")
	p.open(clusters)
	if got := percent(); got != before {
		t.Errorf("%d %% where the operator has said something else", got)
	}
}

// A heap that grows towards what it is with the fleet connected is collected when it is as large as it may be then.
func TestPercentWhileAFleetComesBack(t *testing.T) {
	const mib = 1 << 20
	p := &pace{usual: 100, goal: 1000 * mib}
	for live, want := range map[float64]int{50 * mib: 1900, 250 * mib: 300, 500 * mib: 100, 900 * mib: 100, 0: 24900} {
		if got := p.percent(live); got != want {
			t.Errorf("%.0f MiB live: got %d %%, want %d", live/mib, got, want)
		}
	}
}

// It is told of one collection after the other, though not of each: the next one can have begun before it listens.
func TestAfterEachCollection(t *testing.T) {
	var calls atomic.Int32
	afterEach(func() bool { return calls.Add(1) < 3 })
	for calls.Load() < 3 && t.Context().Err() == nil {
		runtime.GC()
	}
	for range 3 {
		runtime.GC()
	}
	if got := calls.Load(); got != 3 {
		t.Errorf("called %d times, though it wanted no more after 3", got)
	}
}
