package admission

import (
	"container/list"
	"net/netip"
	"slices"
	"sync"
)

// guests are the connections of one port. Safe for concurrent use.
type guests struct {
	room, each int

	mu sync.Mutex
	// strangers wait in the room, by their address, the newest last; count is how many there are.
	strangers map[netip.Prefix]*list.List
	count     int
	// known are by who they are, the oldest first.
	known map[string][]*guest
}

func newGuests(room, each int) *guests {
	return &guests{room: room, each: each, strangers: map[netip.Prefix]*list.List{}, known: map[string][]*guest{}}
}

// enter lets a stranger into the room. If that is full, the newest of the address that has most of it has to go, which is
// answered: it has waited least. If no address has more than that of g would have, it is g that goes.
func (s *guests) enter(g *guest) (out *guest) {
	address := g.address()
	s.mu.Lock()
	defer s.mu.Unlock()
	alike := s.strangers[address]
	if alike == nil {
		alike = list.New()
	}
	if s.count >= s.room {
		most := alike
		for _, other := range s.strangers {
			if other.Len() > most.Len() {
				most = other
			}
		}
		if most.Len() <= alike.Len()+1 {
			return g
		}
		out = most.Back().Value.(*guest)
		s.vacate(out)
	}
	s.strangers[address] = alike
	g.place = alike.PushBack(g)
	s.count++
	return out
}

// know notes who a stranger is, and lets it out of the room. Whom it takes the place of is answered, nil for nobody.
func (s *guests) know(g *guest, who string) (old *guest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.closed.Load() {
		return nil // it was turned away while it shook hands
	}
	s.vacate(g)
	g.who = who
	alike := s.known[who]
	if len(alike) >= s.each {
		old = alike[0]
	}
	s.known[who] = append(alike, g)
	return old
}

// leave forgets a guest.
func (s *guests) leave(g *guest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.vacate(g)
	alike := s.known[g.who]
	i := slices.Index(alike, g)
	switch {
	case i < 0:
	case len(alike) == 1:
		delete(s.known, g.who)
	default:
		s.known[g.who] = slices.Delete(alike, i, i+1)
	}
}

// vacate gives up a stranger's place. s.mu is held.
func (s *guests) vacate(g *guest) {
	if g.place == nil {
		return
	}
	address := g.address()
	alike := s.strangers[address]
	alike.Remove(g.place)
	if g.place = nil; alike.Len() == 0 {
		delete(s.strangers, address)
	}
	s.count--
}

// waiting is how many strangers there are.
func (s *guests) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// shaking answers the strangers that have not been handed on yet.
func (s *guests) shaking() (all []*guest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, alike := range s.strangers {
		for e := alike.Front(); e != nil; e = e.Next() {
			if g := e.Value.(*guest); !g.handedOn.Load() {
				all = append(all, g)
			}
		}
	}
	return all
}
