package index

import (
	"time"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// convergence follows, from look to look, how long assignments take to be ready. It judges only clusters whose spokes are connected and have
// confirmed what they report: of others it is not known, and they are counted as stale. What is held waits on purpose, and what nothing assigns
// has nothing to converge to.
type convergence struct {
	// seq and at are of the newest look; at is zero before the first.
	seq uint64
	at  time.Time
	// open are the assignments that are not ready, and since when, by the hub's clock where it knows.
	open map[pair]time.Time
	// took is called with how long one took.
	took func(time.Duration)
}

type pair struct{ cluster, bundle string }

// look takes in what has changed since the look before: it costs as much as has changed, but for the first, or where the log does not reach back.
func (v *convergence) look(s *State, now time.Time) {
	changes, ok := s.ClustersSince(v.seq, func(*Cluster) bool { return true })
	if v.at.IsZero() || !ok {
		known := v.open
		v.open = make(map[pair]time.Time)
		for c := range s.Clusters() {
			for _, a := range c.Assignments {
				v.keep(s, c, a, known)
			}
		}
	} else {
		for _, change := range changes {
			v.change(s, change.Old, change.New, now)
		}
	}
	v.seq, v.at = s.Seq, now
}

// keep judges an assignment of which it is not known how it stood before.
func (v *convergence) keep(s *State, c *Cluster, a *Assignment, known map[pair]time.Time) {
	key := pair{c.UID(), a.BundleUID}
	since, was := known[key]
	switch {
	case !a.converges() || c.known() && a.Phase == yardarmv1.PhaseReady:
	case was:
		v.open[key] = since
	case c.known():
		v.open[key] = v.begin(s, c, a)
	}
}

func (v *convergence) change(s *State, old, next *Cluster, now time.Time) {
	before := make(map[string]*Assignment)
	if old != nil {
		for _, a := range old.Assignments {
			before[a.BundleUID] = a
		}
	}
	if next != nil {
		for _, a := range next.Assignments {
			if a.converges() {
				v.judge(s, next, before[a.BundleUID], a, now)
				delete(before, a.BundleUID)
			}
		}
	}
	for bundle := range before {
		delete(v.open, pair{old.UID(), bundle})
	}
}

func (v *convergence) judge(s *State, c *Cluster, before, a *Assignment, now time.Time) {
	if !c.known() {
		return
	}
	key := pair{c.UID(), a.BundleUID}
	since, open := v.open[key]
	if a.Phase != yardarmv1.PhaseReady {
		if !open {
			v.open[key] = v.begin(s, c, a)
		}
		return
	}
	delete(v.open, key)
	if !open {
		if before != nil && before.Target != nil && before.hash == a.hash {
			return // it was ready, and is
		}
		since = v.begin(s, c, a)
	}
	if received := s.Tx.ObservedBundle(key.cluster, key.bundle).GetReceived(); received != nil && received.AsTime().Before(now) {
		now = received.AsTime()
	}
	v.took(max(0, now.Sub(since)))
}

// begin is since when an assignment is not ready, as far as can be told: not before it was published, nor before it was last seen ready, or absent;
// at the first look, when its spoke says.
func (v *convergence) begin(s *State, c *Cluster, a *Assignment) time.Time {
	if v.at.IsZero() && a.Report.GetSince() != nil && a.Phase == a.Report.GetPhase() {
		return a.Report.GetSince().AsTime()
	}
	begin := v.at
	if published := s.Tx.Revision(a.BundleUID, a.Revision).GetSpec().GetProvenance().GetTime(); published != nil && published.AsTime().After(begin) {
		begin = published.AsTime()
	}
	if p := c.Presence; v.at.IsZero() && p.Since.After(begin) {
		begin = p.Since
	}
	return begin
}

// oldest is for how long the oldest one is open, of clusters that are connected; 0 if none is.
func (v *convergence) oldest(s *State, now time.Time) (age time.Duration) {
	for key, since := range v.open {
		if c := s.Cluster(key.cluster); c != nil && c.known() {
			age = max(age, now.Sub(since))
		}
	}
	return age
}

// converges tells whether an assignment is to become ready.
func (a *Assignment) converges() bool { return a.Target != nil && a.Phase != yardarmv1.PhaseHeld }

// known tells whether the hub knows how the cluster's assignments stand now.
func (c *Cluster) known() bool {
	return c.Presence != nil && c.Presence.State == yardarmv1.PresenceConnected && c.Presence.Confirmed
}
