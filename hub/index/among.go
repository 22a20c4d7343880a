package index

import (
	"sort"
	"sync"
)

// maxAmong is how many changes an Among remembers, some 24 KB: those of several rounds of watches, in a fleet where a thousand clusters change a second.
// Who is further behind has the log searched.
const maxAmong = 1024

// Among finds the changes of a kind that pass a filter, and looks at each once for all who ask for the same. Safe for concurrent use.
type Among[E any] struct {
	keep func(*E) bool

	mu sync.Mutex // guards the rest
	// What has happened after from, up to to, was looked at, and passed is what has passed. What is in it stays as it is.
	from, to uint64
	passed   []record[E]
}

// NewAmong makes one by a filter, which must always say the same of an entry.
func NewAmong[E any](keep func(*E) bool) *Among[E] { return &Among[E]{keep: keep} }

// since is as that of the log, whose newest change has the seq now.
func (a *Among[E]) since(l *log[E], now, seq uint64, key func(*E) string) (changes []Change[E], ok bool) {
	if seq < l.lost {
		return nil, false
	}
	a.mu.Lock()
	if a.to == 0 || a.to < l.lost { // what is forgotten need not be looked at
		a.from, a.to, a.passed = seq, seq, nil
	}
	if now > a.to {
		a.passed = passing(a.passed, l.after(a.to), a.keep)
		a.to = now
	}
	if n := len(a.passed) - maxAmong; n > 0 {
		cut := n + maxAmong/2 // so that it costs little for each
		a.from = a.passed[cut-1].seq
		a.passed = append([]record[E](nil), a.passed[cut:]...)
	}
	passed := a.passed
	behind := seq < a.from
	a.mu.Unlock()
	if behind {
		return l.since(seq, key, a.keep)
	}
	return merged(passed[sort.Search(len(passed), func(i int) bool { return passed[i].seq > seq }):], key), true
}

// ClustersAmong is as ClustersSince.
func (s *State) ClustersAmong(seq uint64, among *Among[Cluster]) (changes []Change[Cluster], ok bool) {
	return among.since(&s.clusterLog, s.Seq, seq, (*Cluster).UID)
}
