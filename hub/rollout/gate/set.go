package gate

import (
	"iter"
	"time"

	"github.com/yardarm-dev/yardarm/hub/rollout"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// maxOpenings bounds how many times in the future are looked at for one at which nothing is shut.
const maxOpenings = 200

// Set is gates. It is immutable.
type Set struct{ gates []*gate }

// NewSet makes one.
func NewSet(rows iter.Seq[*yardarmv1.Gate]) *Set {
	s := &Set{}
	for row := range rows {
		g, _ := compile(row)
		s.gates = append(s.gates, g)
	}
	return s
}

// Is tells whether the set is made of just these rows, in the same order.
func (s *Set) Is(rows iter.Seq[*yardarmv1.Gate]) bool {
	i := 0
	for row := range rows {
		if i == len(s.gates) || s.gates[i].row != row {
			return false
		}
		i++
	}
	return i == len(s.gates)
}

// About is the part of the set that is about a subject.
func (s *Set) About(subject Subject) *Set {
	out := &Set{}
	for _, g := range s.gates {
		if g.concerns(subject) {
			out.gates = append(out.gates, g)
		}
	}
	return out
}

// At is how the gates stand at a time.
func (s *Set) At(now time.Time) *Moment {
	m := &Moment{at: now, standings: make([]standing, len(s.gates))}
	for i, g := range s.gates {
		shut, changes := g.at(now)
		m.standings[i] = standing{g, shut, changes}
		if !changes.IsZero() && (m.Until.IsZero() || changes.Before(m.Until)) {
			m.Until = changes
		}
	}
	return m
}

// Opens is when, from now on, no gate of the set is shut: all of it counts, whatever it is about. It is zero where that is not to be foreseen, as with a
// freeze that has no end, or windows that leave no moment.
func (s *Set) Opens(now time.Time) time.Time {
	for range maxOpenings {
		v := s.At(now).judge(func(*gate) bool { return true })
		if v.Gate == rollout.Open {
			return now
		}
		if v.Until.IsZero() {
			break
		}
		now = v.Until
	}
	return time.Time{}
}

// Windows is the set without what is no window.
func (s *Set) Windows() *Set {
	out := &Set{}
	for _, g := range s.gates {
		if g.window != nil {
			out.gates = append(out.gates, g)
		}
	}
	return out
}

// Empty tells whether there is none.
func (s *Set) Empty() bool { return len(s.gates) == 0 }

// Names are those of the gates, in order.
func (s *Set) Names() []string {
	names := make([]string, len(s.gates))
	for i, g := range s.gates {
		names[i] = g.row.GetMetadata().GetName()
	}
	return names
}

// Moment is how gates stand at one time.
type Moment struct {
	at        time.Time
	standings []standing
	// Until is when the first of them stands differently by itself; zero for never.
	Until time.Time
}

// standing is how one gate does.
type standing struct {
	*gate
	shut    bool
	changes time.Time
}

// Holds tells whether what the moment says still is so. Somebody may have set the clock back.
func (m *Moment) Holds(now time.Time) bool {
	return !now.Before(m.at) && (m.Until.IsZero() || now.Before(m.Until))
}

// Verdict is what gates make of a subject.
type Verdict struct {
	Gate rollout.Gate
	// By is the gate that holds it back, the one that does for longest if there are several, and Until when that one stands differently; zero for
	// never by itself. By is nil where nothing does.
	By    *yardarmv1.Gate
	Until time.Time
}

// Judge tells whether a subject may go on.
func (m *Moment) Judge(subject Subject) Verdict {
	return m.judge(func(g *gate) bool { return g.concerns(subject) })
}

// judge is Judge by those gates that concern the subject. A freeze comes before a window that denies, and that before those that allow, of which one that
// is open is enough.
func (m *Moment) judge(concerns func(*gate) bool) Verdict {
	var v, allows Verdict
	allowed := false
	for _, s := range m.standings {
		allow := s.window != nil && s.window.allow
		switch {
		case allow && allowed, !allow && !s.shut, !concerns(s.gate):
		case allow && !s.shut:
			allowed = true
		case allow:
			if allows.By == nil || sooner(s.changes, allows.Until) {
				allows = Verdict{rollout.Shut, s.row, s.changes}
			}
		default:
			if g := s.holds(); v.By == nil || g > v.Gate || g == v.Gate && sooner(v.Until, s.changes) {
				v = Verdict{g, s.row, s.changes}
			}
		}
	}
	if v.By == nil && !allowed {
		return allows
	}
	return v
}

// holds is what a gate that is shut means.
func (s standing) holds() rollout.Gate {
	switch {
	case s.window != nil:
		return rollout.Shut
	case s.clusters != nil:
		return rollout.Aside
	}
	return rollout.Frozen
}

// sooner orders times of which zero is never.
func sooner(a, b time.Time) bool { return !a.IsZero() && (b.IsZero() || a.Before(b)) }
