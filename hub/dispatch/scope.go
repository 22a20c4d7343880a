package dispatch

import (
	"slices"
	"sync"
)

// maxScope is how many bundles a session looks at one by one; beyond, it looks at all that there are.
const maxScope = 32

// scope is which bundles are to be looked at: some, by uid, or all.
type scope struct {
	all     bool
	bundles []string
}

// everything is all bundles: those that are there, and those that a spoke holds though they are gone.
var everything = scope{all: true}

func (s *scope) empty() bool { return !s.all && len(s.bundles) == 0 }

func (s *scope) add(o scope) {
	for _, uid := range o.bundles {
		if !s.all && !slices.Contains(s.bundles, uid) {
			s.bundles = append(s.bundles, uid)
		}
	}
	if o.all || len(s.bundles) > maxScope {
		*s = everything
	}
}

// of answers the part of what is held that is in the scope.
func (s *scope) of(held holdingSet) holdingSet {
	if s.all {
		return held
	}
	var out holdingSet
	for _, uid := range s.bundles {
		if h, ok := held.of(uid); ok {
			out = append(out, h)
		}
	}
	slices.SortFunc(out, byUID)
	return out
}

// due is what a session still has to look at. Safe for concurrent use.
type due struct {
	mu    sync.Mutex
	scope scope
}

func (d *due) add(s scope) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.scope.add(s)
}

// any tells whether anything is due.
func (d *due) any() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.scope.empty()
}

// take answers what is due, which is then up to the caller.
func (d *due) take() scope {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.scope
	d.scope = scope{}
	return s
}
