package api

import (
	"sync"

	"github.com/yardarm-dev/yardarm/hub/index"
	"github.com/yardarm-dev/yardarm/hub/query"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

// facetCount is what was counted for one question, as of a seq of the index.
type facetCount[R any] struct {
	filter  query.Filter[R]
	tallies []*tally[R]
	total   uint32
	limit   int
	seq     uint64
	// answer is that of seq; nil where it was not asked for. It must not be changed.
	answer *hubv1.Facets
}

// count counts a resource in, or out where n is -1.
func (c *facetCount[R]) count(r R, n int) {
	if !c.filter.Matches(r) {
		return
	}
	c.total += uint32(n) // wraps around, and so subtracts
	for _, t := range c.tallies {
		t.count(r, n)
	}
}

// facets is the answer.
func (c *facetCount[R]) facets() *hubv1.Facets {
	if c.answer == nil {
		c.answer = &hubv1.Facets{TotalSize: c.total}
		for _, t := range c.tallies {
			c.answer.Facets = append(c.answer.Facets, t.facet(c.limit))
		}
	}
	return c.answer
}

// small tells whether the count may be kept: where values are not told apart, none can be counted out, and many take much memory.
func (c *facetCount[R]) small() bool {
	values := 0
	for _, t := range c.tallies {
		values += len(t.counts)
	}
	return values <= maxKeptValues
}

// changesOf calls change with what has become of resources after a seq: once to count each out as it was, and once to count it in as it is. It answers false, and calls
// nothing, where that is not remembered.
type changesOf[R any] func(state *index.State, seq uint64, change func(r R, n int)) bool

func clusterChanges(state *index.State, seq uint64, change func(*index.Cluster, int)) bool {
	changes, ok := state.ClustersSince(seq, func(*index.Cluster) bool { return true })
	return ok && eachChange(changes, change)
}

func pairChanges(state *index.State, seq uint64, change func(pair, int)) bool {
	return clusterChanges(state, seq, func(c *index.Cluster, n int) {
		for _, a := range c.Assignments {
			change(pair{c, a}, n)
		}
	})
}

func bundleChanges(state *index.State, seq uint64, change func(*index.Bundle, int)) bool {
	changes, ok := state.BundlesSince(seq, func(*index.Bundle) bool { return true })
	return ok && eachChange(changes, change)
}

// eachChange answers true. What came and went since is neither old nor new.
func eachChange[E any](changes []index.Change[E], change func(*E, int)) bool {
	for _, c := range changes {
		if c.Old != nil {
			change(c.Old, -1)
		}
		if c.New != nil {
			change(c.New, 1)
		}
	}
	return true
}

// facetCounts keeps counts of those who see everything. A change of a few clusters then costs a count of those, and not of the fleet.
type facetCounts struct {
	mu    sync.Mutex     // guards all, and each count
	byKey map[string]any // of *facetCount of what the key's kind is
}

// followed answers what was counted for a key, and has changed since; nil where that is not known.
func followed[R any](f *facetCounts, key string, state *index.State, changes changesOf[R]) *hubv1.Facets {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, ok := f.byKey[key].(*facetCount[R])
	if !ok {
		return nil
	}
	if c.seq != state.Seq {
		if !changes(state, c.seq, c.count) {
			return nil
		}
		c.seq, c.answer = state.Seq, nil
		if !c.small() {
			delete(f.byKey, key)
		}
	}
	return c.facets()
}

// keep keeps a count that is to be followed. Whoever made it gives it away.
func (f *facetCounts) keep(key string, c interface{ small() bool }) {
	if !c.small() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byKey == nil || len(f.byKey) >= maxFacetCounts {
		f.byKey = make(map[string]any)
	}
	f.byKey[key] = c
}
