package admission

import (
	"container/list"
	"net/netip"
	"sync"
)

// line hands out the cores on which handshakes compute. Whoever has begun goes before all who have not: a handshake takes a core twice,
// and if each time it stood behind a whole storm, none would end before its client's patience. Of those who have not, addresses take turns, so that nobody stands
// behind all that one of them sends. Safe for concurrent use.
type line struct {
	mu   sync.Mutex
	free int
	// begun, and fresh by address, are channels that are closed when it is one's turn, the longest waiting first.
	begun list.List
	fresh map[netip.Prefix]*list.List
	// turns are the addresses of fresh, the next one first.
	turns list.List
}

func newLine(cores int) *line { return &line{free: cores, fresh: map[netip.Prefix]*list.List{}} }

// take waits for a core. Whoever has one gives it back before it waits for anything else, so that it lasts only as long as those before
// it compute.
func (l *line) take(from netip.Prefix, begun bool) {
	l.mu.Lock()
	if l.free > 0 {
		l.free--
		l.mu.Unlock()
		return
	}
	turn := make(chan struct{})
	if begun {
		l.begun.PushBack(turn)
	} else {
		alike := l.fresh[from]
		if alike == nil {
			alike = &list.List{}
			l.fresh[from] = alike
			l.turns.PushBack(from)
		}
		alike.PushBack(turn)
	}
	l.mu.Unlock()
	<-turn
}

// give hands a core to the next in line.
func (l *line) give() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.begun.Front(); e != nil {
		close(l.begun.Remove(e).(chan struct{}))
		return
	}
	address := l.turns.Front()
	if address == nil {
		l.free++
		return
	}
	from := address.Value.(netip.Prefix)
	alike := l.fresh[from]
	close(alike.Remove(alike.Front()).(chan struct{}))
	if l.turns.MoveToBack(address); alike.Len() == 0 {
		l.turns.Remove(address)
		delete(l.fresh, from)
	}
}
