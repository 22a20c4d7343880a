package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
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
)

// collectLess has the collector run less often until opened is called, unless the operator has said how often (GOGC). A limit (GOMEMLIMIT) holds all the same.
func collectLess(gogc string) (opened func()) {
	if gogc != "" {
		return func() {}
	}
	percent := debug.SetGCPercent(openingPercent)
	return func() { debug.SetGCPercent(percent) }
}

// giveBack returns to the system what a wave of connections or changes has left, once the hub is quiet, until ctx ends. The
// collector alone would keep what the wave had taken at its height, for the next one.
func giveBack(ctx context.Context) {
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

// spare tells whether the hub was quiet since before, and has much more than it needs.
func (m memory) spare(before memory) bool {
	return m.allocated-before.allocated < quietShare*m.live && m.held > (1+spareShare)*m.live
}
