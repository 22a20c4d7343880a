package admission

import (
	"container/list"
	"sync"
)

// line hands out the cores on which handshakes compute. Whoever has begun goes before all who have not: a handshake takes a core twice,
// and if each time it stood behind a whole storm, none would end before its client's patience. Safe for concurrent use.
type line struct {
	mu   sync.Mutex
	free int
	// begun and fresh are channels that are closed when it is one's turn, the longest waiting first.
	begun, fresh list.List
}

func newLine(cores int) *line { return &line{free: cores} }

// take waits for a core. Whoever has one gives it back before it waits for anything else, so that it lasts only as long as those before
// it compute.
func (l *line) take(begun bool) {
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
		l.fresh.PushBack(turn)
	}
	l.mu.Unlock()
	<-turn
}

// give hands a core to the next in line.
func (l *line) give() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, waiting := range []*list.List{&l.begun, &l.fresh} {
		if e := waiting.Front(); e != nil {
			close(waiting.Remove(e).(chan struct{}))
			return
		}
	}
	l.free++
}
