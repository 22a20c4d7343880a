package admission

import (
	"container/list"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// answerGrace is how long one that has been answered is awaited before it may have to give way: a round trip of the slowest line, to a client that
// has other things to do. Fewer handshakes than fill the room can be computed in that time, so that nobody fills it by not answering.
const answerGrace = 3 * time.Second

// guests are the connections of one port. Safe for concurrent use.
type guests struct {
	room, each int
	now        func() time.Time

	mu sync.Mutex
	// strangers wait in the room, by their address; count is how many there are.
	strangers map[netip.Prefix]*queues
	count     int
	// known are by who they are, the oldest first.
	known map[string][]*guest
}

// queues are the strangers of one address: those who have said nothing yet, the longest silent first; those who have, and wait in line, the
// last to come last; and those who have been answered, and are to go on, the longest awaited first.
type queues struct{ silent, inLine, answered list.List }

func (q *queues) len() int { return q.silent.Len() + q.inLine.Len() + q.answered.Len() }

// idle is who gives way to anybody: the longest silent, for whom nothing has been done that would be lost, or whoever does not go on. Nil where there is
// nobody.
func (q *queues) idle(now time.Time) *guest {
	if e := q.silent.Front(); e != nil {
		return e.Value.(*guest)
	}
	if e := q.answered.Front(); e != nil && now.Sub(e.Value.(*guest).since) > answerGrace {
		return e.Value.(*guest)
	}
	return nil
}

// loser is who of an address gives way that takes most of the room. Where nobody is idle, it is the last in line, since the others' turns are
// near, and at the very last one that has been answered; nil where there is nobody.
func (q *queues) loser(now time.Time) *guest {
	if g := q.idle(now); g != nil {
		return g
	}
	for _, e := range []*list.Element{q.inLine.Back(), q.answered.Front()} {
		if e != nil {
			return e.Value.(*guest)
		}
	}
	return nil
}

func newGuests(room, each int) *guests {
	return &guests{room: room, each: each, now: time.Now, strangers: map[netip.Prefix]*queues{}, known: map[string][]*guest{}}
}

// enter lets a stranger into the room. If that is full, one of the address that has most of it has to go, which is answered. If no address
// has more than that of g would have, it is one of g's own that is idle, or else g.
//
// Many may share an address, behind a balancer: one among them who opens connections and says nothing pushes out its own, and keeps
// nobody out.
func (s *guests) enter(g *guest) (out *guest) {
	address := g.address()
	s.mu.Lock()
	defer s.mu.Unlock()
	alike := s.strangers[address]
	if alike == nil {
		alike = &queues{}
	}
	if s.count >= s.room {
		most := alike
		for _, other := range s.strangers {
			if other.len() > most.len() {
				most = other
			}
		}
		if most.len() <= alike.len()+1 {
			if most = alike; alike.idle(s.now()) == nil {
				return g
			}
		}
		out = most.loser(s.now())
		s.vacate(out)
	}
	s.strangers[address] = alike
	g.place, g.queue, g.since = alike.silent.PushBack(g), &alike.silent, s.now()
	s.count++
	return out
}

// awaits notes that from now on it is the stranger who has to say something.
func (s *guests) awaits(g *guest) {
	s.move(g, func(q *queues) *list.List {
		if g.answered {
			return &q.answered
		}
		return &q.silent
	})
}

// heard notes that it has, and waits in line.
func (s *guests) heard(g *guest) {
	s.move(g, func(q *queues) *list.List { return &q.inLine })
}

// move takes a stranger to the end of a queue.
func (s *guests) move(g *guest, to func(*queues) *list.List) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.place == nil {
		return // turned away meanwhile
	}
	next := to(s.strangers[g.address()])
	if next == g.queue {
		return // it has been there since it came
	}
	g.queue.Remove(g.place)
	g.queue, g.place, g.since = next, next.PushBack(g), s.now()
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
	g.queue.Remove(g.place)
	if g.place = nil; s.strangers[address].len() == 0 {
		delete(s.strangers, address)
	}
	s.count--
}

// stranger tells whether it is not known who it is.
func (s *guests) stranger(g *guest) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return g.place != nil
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
		for _, queue := range []*list.List{&alike.silent, &alike.inLine, &alike.answered} {
			for e := queue.Front(); e != nil; e = e.Next() {
				if g := e.Value.(*guest); !g.handedOn.Load() {
					all = append(all, g)
				}
			}
		}
	}
	return all
}
