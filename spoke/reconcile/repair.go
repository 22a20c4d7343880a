package reconcile

import (
	"fmt"
	"time"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/apply"
)

const (
	// fightAfter is how many repairs of one object within fightWindow make a fight: no person edits one object that often,
	// and another controller does so without end.
	fightAfter  = 10
	fightWindow = time.Minute
	// fightBase and fightMax bound the waits between repairs in a fight; each is twice the last.
	fightBase = time.Second
	fightMax  = time.Minute
)

// repairs counts the repairs of objects that somebody else changes again and again.
type repairs map[manifest.Ref]repair

type repair struct {
	count int
	last  time.Time
}

// recent answers what counts of an object's repairs: two quiet windows end a fight.
func (r repairs) recent(ref manifest.Ref, now time.Time) repair {
	if s := r[ref]; now.Sub(s.last) <= 2*fightWindow {
		return s
	}
	return repair{}
}

// count counts a repair.
func (r repairs) count(ref manifest.Ref, now time.Time) {
	r[ref] = repair{count: r.recent(ref, now).count + 1, last: now}
}

// may allows a repair, or answers when the next one may be.
func (r repairs) may(ref manifest.Ref, now time.Time) (next time.Time, ok bool) {
	if s := r.recent(ref, now); s.count >= fightAfter {
		wait := fightMax
		if n := s.count - fightAfter; n < 6 {
			wait = min(fightBase<<n, fightMax)
		}
		if next := s.last.Add(wait); now.Before(next) {
			return next, false
		}
	}
	return time.Time{}, true
}

// contended says of an object that somebody keeps changing it; the manager is empty if nobody can be told.
func contended(ref manifest.Ref, manager string) *apply.Problem {
	if manager == "" {
		manager = "somebody else"
	}
	return &apply.Problem{Ref: ref, Reason: reasonContended, Retry: apply.Waiting,
		Message: fmt.Sprintf("%s keeps changing what the bundle sets: it was applied again %d times in a short while, and is now less "+
			"often; take the field out of one of the two, or have the bundle ignore it", manager, fightAfter)}
}
