package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	// lookEvery is how often the hub looks whether it may give memory back.
	lookEvery = 10 * time.Second
	// quietShare is how much a quiet hub allocates between two looks, as a part of what it keeps: the heartbeats of all spokes
	// are some 2 %, a change for all is as much as it keeps, or more. With spareShare, the hub so collects for this once in a minute or two, which the
	// runtime does by itself when there is nothing to do.
	quietShare = 1. / 10
	// spareShare is how much more than it keeps a quiet hub may have, as a part of that, before it gives it back.
	spareShare = 1. / 4
	// openingPercent is how much may be allocated before the next collection while the database is read, in percent of what the last one has left: nearly all of
	// it stays, so that collections find little. It bounds what is left of anything else.
	openingPercent = 800
	// sessionBytes is what a hub keeps for a cluster whose spoke is there, beyond its rows: about that, by the heap profile in e2e/fleetsim/README.md.
	sessionBytes = 40 << 10
	// returnWithin bounds how long a hub that is never quiet waits for its fleet: by then it is back.
	returnWithin = 2 * time.Minute
	// minHeap is what the runtime takes a heap for at least, in bytes (runtime: heapMinimum).
	minHeap = 4 << 20
)

// pace has the collector run less often while the hub starts, unless the operator has said how often (GOGC): hardly while the database is read, and then no more
// often than with its fleet connected, since what sessions take stays as well. So a hub takes no more at its height than one whose fleet has been there for
// long. A limit (GOMEMLIMIT) holds all the same.
type pace struct {
	operators bool

	mu sync.Mutex
	// usual is what the percentage was before, and goal how large a heap may become with it and with the fleet connected, in bytes: 0 until the database is in
	// memory, and once the fleet is back.
	usual  int
	goal   float64
	opened time.Time
}

// newPace begins with the database's reading.
func newPace(gogc string) *pace {
	p := &pace{operators: gogc != ""}
	if !p.operators {
		p.usual = debug.SetGCPercent(openingPercent)
	}
	return p
}

// open tells that the database is in memory, and how large a fleet now comes back.
func (p *pace) open(clusters int) {
	if p.operators {
		return
	}
	p.mu.Lock()
	p.opened = time.Now()
	p.goal = (readMemory().objects + float64(clusters)*sessionBytes) * (1 + float64(p.usual)/100)
	p.mu.Unlock()
	if p.collected() {
		afterEach(p.collected)
	}
}

// collected sets, by what a collection has left, when the next one is due. It answers false once that is as usual.
func (p *pace) collected() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.goal == 0 {
		return false
	}
	percent := p.percent(readMemory().live)
	debug.SetGCPercent(percent)
	if percent == p.usual {
		p.goal = 0
	}
	return p.goal > 0
}

// percent is how much may be allocated beside what is live for the heap to become what it may.
func (p *pace) percent(live float64) int {
	return max(p.usual, int(100*(p.goal/max(live, minHeap)-1)))
}

// look returns to what is usual once the hub is quiet, or had long enough for its fleet to come back.
func (p *pace) look(now time.Time, quiet bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.goal > 0 && (quiet || now.Sub(p.opened) >= returnWithin) {
		p.goal = 0
		debug.SetGCPercent(p.usual)
	}
}

// afterEach calls fn after collections until it answers false: after each, but for one that begins before fn has answered for the last.
func afterEach(fn func() bool) {
	type garbage struct{ _ *garbage } // of a type with a pointer: the runtime puts small objects without one together, and frees none before the others
	runtime.SetFinalizer(&garbage{}, func(*garbage) {
		if fn() {
			afterEach(fn)
		}
	})
}

// giveBack returns to the system what a wave of connections or changes has left, once the hub is quiet, until ctx ends. The
// collector alone would keep what the wave had taken at its height, for the next one.
func giveBack(ctx context.Context, p *pace) {
	before := readMemory()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := readMemory()
		p.look(time.Now(), now.quiet(before))
		if now.spare(before) {
			debug.FreeOSMemory()
			now = readMemory()
		}
		before = now
	}
}

// memory is the heap's, in bytes.
type memory struct {
	allocated float64 // since the start
	live      float64 // what the last collection has left
	objects   float64 // live, or not yet collected
	held      float64 // what the system has given and not got back
}

func readMemory() memory {
	samples := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(samples)
	value := func(i int) float64 { return float64(samples[i].Value.Uint64()) }
	return memory{allocated: value(0), live: value(1), objects: value(2), held: value(2) + value(3)}
}

// quiet tells whether the hub did little since before.
func (m memory) quiet(before memory) bool { return m.allocated-before.allocated < quietShare*m.live }

// spare tells whether the hub was quiet since before, and has much more than it needs.
func (m memory) spare(before memory) bool {
	return m.quiet(before) && m.held > (1+spareShare)*m.live
}
