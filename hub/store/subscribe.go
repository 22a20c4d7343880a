package store

import (
	"iter"
	"maps"
	"slices"
	"sync"
)

const (
	// maxChangedKeys is how many keys of a table a subscription remembers before it says "any of them": 4096 keys are about 300 KB, and there may be one for each stream.
	maxChangedKeys = 4096
	// maxFleetKeys is how many one of a whole fleet does, of which there are few: about 5 MB.
	maxFleetKeys = 1 << 16
)

// Subscription tells that rows of some tables have changed since it was last asked, and which. It is no queue: changes of one row merge, and a
// subscriber that is late gets one answer about all of them. It never holds up the store.
type Subscription struct {
	store  *subscriptions
	tables []Table
	most   int           // keys of a table that are remembered
	wake   chan struct{} // capacity 1

	mu      sync.Mutex
	changed Changed
}

// Changed says what has changed. Deleted rows count as changed. The zero value says: nothing.
type Changed struct {
	tables map[Table]map[string]struct{} // a nil set means any row
}

// Empty tells whether nothing has changed.
func (c Changed) Empty() bool { return len(c.tables) == 0 }

// Any tells whether any row of the table has changed.
func (c Changed) Any(t Table) bool {
	_, ok := c.tables[t]
	return ok
}

// All tells whether so many rows of the table have changed that they are not told apart.
func (c Changed) All(t Table) bool {
	keys, ok := c.tables[t]
	return ok && keys == nil
}

// Has tells whether the row with the key may have changed.
func (c Changed) Has(t Table, key string) bool {
	keys, ok := c.tables[t]
	if !ok {
		return false
	}
	_, has := keys[key]
	return has || keys == nil
}

// Keys yields the keys of the changed rows of the table, in no particular order; none if All.
func (c Changed) Keys(t Table) iter.Seq[string] { return maps.Keys(c.tables[t]) }

// Subscribe returns a subscription to changes of the tables, from now on. Subscribe first and read then, so that no change falls in between. It costs the
// store some time with each commit that concerns it, so one subscription for many sessions is better than one for each.
func (s *Store) Subscribe(tables ...Table) *Subscription { return s.subscribe(maxChangedKeys, tables) }

// SubscribeFleet is Subscribe for who follows a whole fleet, and would look at all of it, with all of its bundles, where changes are not told apart: those of 65,536 rows of a
// table are. So long as it is not taken, it may hold 5 MB for each table.
func (s *Store) SubscribeFleet(tables ...Table) *Subscription {
	return s.subscribe(maxFleetKeys, tables)
}

func (s *Store) subscribe(most int, tables []Table) *Subscription {
	sub := &Subscription{store: &s.subscriptions, tables: slices.Clone(tables), most: most, wake: make(chan struct{}, 1)}
	s.subscriptions.add(sub)
	return sub
}

// C returns a channel that gives one value when something has changed since the last Take. It is never closed.
func (s *Subscription) C() <-chan struct{} { return s.wake }

// Take returns what has changed since the last Take, or since Subscribe. A snapshot that is read after it shows all those changes.
func (s *Subscription) Take() Changed {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.wake:
	default:
	}
	c := s.changed
	s.changed = Changed{}
	return c
}

// Close ends the subscription. It may be called twice.
func (s *Subscription) Close() { s.store.remove(s) }

// notify adds keys, and wakes the subscriber if any of them concern it.
func (s *Subscription) notify(changed map[Table]map[string]struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	woken := false
	for _, t := range s.tables {
		keys := changed[t]
		if len(keys) == 0 {
			continue
		}
		woken = true
		if s.changed.tables == nil {
			s.changed.tables = map[Table]map[string]struct{}{}
		}
		have, ok := s.changed.tables[t]
		switch {
		case ok && have == nil:
		case len(have)+len(keys) > s.most && overflows(have, keys, s.most):
			s.changed.tables[t] = nil
		case !ok:
			s.changed.tables[t] = maps.Clone(keys)
		default:
			maps.Copy(have, keys)
		}
	}
	if woken {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// overflows tells whether the union of both sets is larger than most.
func overflows(a, b map[string]struct{}, most int) bool {
	n := len(a)
	for key := range b {
		if _, ok := a[key]; !ok {
			n++
		}
	}
	return n > most
}

// subscriptions are all subscriptions of a store, by table: each open stream has some, to tables that hardly ever change.
type subscriptions struct {
	mu      sync.Mutex
	byTable map[Table]map[*Subscription]struct{}
}

func (s *subscriptions) add(sub *Subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byTable == nil {
		s.byTable = map[Table]map[*Subscription]struct{}{}
	}
	for _, t := range sub.tables {
		if s.byTable[t] == nil {
			s.byTable[t] = map[*Subscription]struct{}{}
		}
		s.byTable[t][sub] = struct{}{}
	}
}

func (s *subscriptions) remove(sub *Subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range sub.tables {
		delete(s.byTable[t], sub)
	}
}

// changes are what a batch has changed.
type changes struct {
	rows    []change
	touched []touch // see Tx.touched
}

func (c *changes) add(tx *Tx) {
	c.rows = append(c.rows, tx.journal...)
	c.touched = append(c.touched, tx.touched...)
}

// keys returns the keys of what has changed, table by table.
func (c *changes) keys() map[Table]map[string]struct{} {
	out := map[Table]map[string]struct{}{}
	add := func(t Table, key string) {
		if out[t] == nil {
			out[t] = map[string]struct{}{}
		}
		out[t][key] = struct{}{}
	}
	for _, c := range c.rows {
		row := c.new
		if row == nil {
			row = c.old
		}
		add(c.table.table(), c.table.changedKey(row))
	}
	for _, t := range c.touched {
		add(t.table, t.key)
	}
	return out
}

// notify tells subscribers about changes that are visible now.
func (s *subscriptions) notify(c changes) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.byTable) == 0 || len(c.rows) == 0 {
		return
	}
	changed := c.keys()
	concerned := map[*Subscription]struct{}{}
	for t := range changed {
		maps.Copy(concerned, s.byTable[t])
	}
	for sub := range concerned {
		sub.notify(changed)
	}
}
