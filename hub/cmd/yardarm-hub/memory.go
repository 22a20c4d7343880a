package main

import (
	"context"
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
	// returningPercent is the same while a fleet comes back: it is what its sessions take, and most of that stays too. A hub that has lately opened holds
	// less than half of what it will, so that it takes no more at its height than a fleet that has been there for long.
	returningPercent = 300
	// returnWithin bounds how long a hub that is never quiet waits for that: by then a fleet is back.
	returnWithin = 2 * time.Minute
)

// pace has the collector run less often while the hub starts, unless the operator has said how often (GOGC). A limit (GOMEMLIMIT) holds all the same.
type pace struct {
	operators bool

	mu sync.Mutex
	// usual is what the percentage was before, and opened when the database was in memory, zero until then and once it is what it was.
	usual  int
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

// open tells that the database is in memory: now the fleet comes back, if there is one.
func (p *pace) open(fleet bool) {
	if p.operators {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !fleet {
		debug.SetGCPercent(p.usual)
		return
	}
	p.opened = time.Now()
	debug.SetGCPercent(returningPercent)
}

// look returns to what is usual once the hub is quiet, or had long enough for that.
func (p *pace) look(now time.Time, quiet bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.opened.IsZero() || !quiet && now.Sub(p.opened) < returnWithin {
		return
	}
	p.opened = time.Time{}
	debug.SetGCPercent(p.usual)
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
	held      float64 // what the system has given and not got back
}

func readMemory() memory {
	samples := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(samples)
	value := func(i int) float64 { return float64(samples[i].Value.Uint64()) }
	return memory{allocated: value(0), live: value(1), held: value(2) + value(3)}
}

// quiet tells whether the hub did little since before.
func (m memory) quiet(before memory) bool { return m.allocated-before.allocated < quietShare*m.live }

// spare tells whether the hub was quiet since before, and has much more than it needs.
func (m memory) spare(before memory) bool {
	return m.quiet(before) && m.held > (1+spareShare)*m.live
}
