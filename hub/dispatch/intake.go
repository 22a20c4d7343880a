package dispatch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/hub/store"
)

// intakeEvery is the least time between two batches: a change of a fleet has all of it report within moments, and many at a time
// cost the store a fraction of what they cost one by one.
const intakeEvery = 50 * time.Millisecond

// What clusters are to run goes before what is said of it, since both take the same cores: reports wait while a wave of deltas is on its way, as after a change
// of a large fleet.
const (
	// wave is how many deltas that are sent and not acknowledged yet reports wait for. What fewer take is nothing that anybody notices.
	wave = 64
	// deltaPause is after how long without a delta that was sent or acknowledged those that are on their way are waited for no more: their spokes do not read.
	deltaPause = 20 * time.Millisecond
	// maxYield is how long reports wait at most, so that the view of a fleet that always changes stays fresh, and for one delta: spokes that never read what they
	// are sent are no wave. A wave of 10,000 passes within it on two cores.
	maxYield = 5 * time.Second
)

// intake takes what spokes observe into the store, many at a time. Of each bundle in each cluster only the newest report
// waits, so what waits is bounded by the inventory however fast reports come.
type intake struct {
	*Server
	mu      sync.Mutex
	pending map[*session]*observation
	kick    chan struct{}
}

// observation is what one session has said since the last batch.
type observation struct {
	session *session
	reports map[string]*yardarmv1.Report // by bundle uid; nil for removed
	// complete: what is not among reports is gone.
	complete bool
	// said: hash is the spoke's word on all its reports; empty if what is kept differs from it by a refusal.
	said      bool
	hash      []byte
	facts     *yardarmv1.Facts
	factsHash []byte
}

func newIntake(s *Server) *intake {
	return &intake{Server: s, pending: map[*session]*observation{}, kick: make(chan struct{}, 1)}
}

// note changes what waits of a session's words.
func (in *intake) note(s *session, f func(*observation)) {
	in.mu.Lock()
	o := in.pending[s]
	if o == nil {
		o = &observation{session: s, reports: map[string]*yardarmv1.Report{}}
		in.pending[s] = o
	}
	f(o)
	in.mu.Unlock()
	select {
	case in.kick <- struct{}{}:
	default:
	}
}

// update is a spoke's reports, cleaned.
type update struct {
	reports  map[string]*yardarmv1.Report // nil for removed
	complete bool
	hash     []byte
}

func (in *intake) update(s *session, u update) {
	in.note(s, func(o *observation) {
		if u.complete {
			o.complete = true
			clear(o.reports)
		}
		for uid, r := range u.reports {
			o.reports[uid] = r
		}
		o.said, o.hash = true, u.hash
	})
}

func (in *intake) facts(s *session, f *yardarmv1.Facts) {
	in.note(s, func(o *observation) { o.facts, o.factsHash = f, factsHash(f) })
}

// override puts a report of the hub's own in the place of the spoke's, or, if it is nil, none. The spoke's hash then says
// nothing about what is kept, so that the next session asks for all.
func (in *intake) override(s *session, bundleUID string, r *yardarmv1.Report) {
	in.note(s, func(o *observation) {
		o.reports[bundleUID] = r
		o.said, o.hash = true, nil
	})
}

// run writes batches until ctx ends: what came in since the last one was written is the next.
func (in *intake) run(ctx context.Context) error {
	var again <-chan time.Time // from when on there may be another one
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-in.kick:
		}
		if again != nil {
			select {
			case <-ctx.Done():
				return nil
			case <-again:
			}
		}
		in.yield(ctx)
		again = time.After(intakeEvery)
		in.mu.Lock()
		batch := in.pending
		in.pending = map[*session]*observation{}
		in.mu.Unlock()
		err := in.write(ctx, batch)
		if err != nil && len(batch) > 1 && ctx.Err() == nil {
			// One cluster's words must not take those of others with them.
			for s, o := range batch {
				if err := in.write(ctx, map[*session]*observation{s: o}); err != nil {
					s.logger().Error("reports could not be taken in", "error", err)
				}
			}
		} else if err != nil && ctx.Err() == nil {
			in.Logger.Error("reports could not be taken in", "error", err)
		}
	}
}

// yield waits for a wave of deltas to have passed, or for ctx to end.
func (in *intake) yield(ctx context.Context) {
	for end := time.Now().Add(maxYield); in.deltas.flying(wave, in.elapsed()); {
		wait := min(time.Until(in.deltas.last().Add(deltaPause)), time.Until(end))
		if wait <= 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// sendings notes that a delta has been sent or acknowledged, and when one last was. Safe for concurrent use.
type sendings struct {
	at atomic.Pointer[time.Time]

	mu sync.Mutex
	// awaited are the sessions that have a delta on its way, and until when reports wait for it, as of Server.elapsed.
	awaited map[*session]time.Duration
}

// await says until when reports wait for a session's delta; 0 for none.
func (s *sendings) await(of *session, until time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case until != 0 && s.awaited == nil:
		s.awaited = map[*session]time.Duration{of: until}
	case until != 0:
		s.awaited[of] = until
	default:
		if delete(s.awaited, of); len(s.awaited) == 0 {
			s.awaited = nil // a map keeps the room for as much as it has ever held, and is gone through with it
		}
	}
}

// flying tells whether as many sessions have a delta on its way that reports wait for. It forgets those that it finds to have been waited for long enough.
func (s *sendings) flying(many int, now time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for of, until := range s.awaited {
		if until <= now {
			delete(s.awaited, of)
		} else if many--; many <= 0 {
			return true
		}
	}
	return false
}

func (s *sendings) note() {
	now := time.Now()
	s.at.Store(&now)
}

func (s *sendings) last() time.Time {
	if at := s.at.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

func (in *intake) write(ctx context.Context, batch map[*session]*observation) error {
	now := in.Clock()
	// One for all rows, which never change.
	at := timestamppb.New(now)
	// In the order of their rows, as sessions are woken.
	sessions := slices.SortedFunc(maps.Keys(batch), func(a, b *session) int { return strings.Compare(a.uid, b.uid) })
	take := func(tx *store.Tx) error {
		for _, s := range sessions {
			if !in.sessions.current(s) {
				continue // a newer session has the word
			}
			if err := batch[s].write(tx, now, at); err != nil {
				return fmt.Errorf("cluster %s: %w", s.name, err)
			}
		}
		return nil
	}
	err := in.Store.Observe(ctx, take)
	if errors.Is(err, store.ErrHard) { // by its facts a cluster belongs to another group now, and joins what that is to run
		_, err = in.Store.Update(ctx, take)
	}
	return err
}

func (o *observation) write(tx *store.Tx, now time.Time, at *timestamppb.Timestamp) error {
	uid := o.session.uid
	row := &storev1.Observed{ClusterUid: uid}
	if old := tx.Observed(uid); old != nil {
		// What it refers to is shared, and never changed: a clone would be mostly facts.
		row.SpokeVersion, row.FirstConnected = old.SpokeVersion, old.FirstConnected
		row.Facts, row.FactsHash, row.ReportsHash = old.Facts, old.FactsHash, old.ReportsHash
	}
	if o.facts != nil {
		row.Facts, row.FactsHash = o.facts, o.factsHash
	}
	if o.said {
		row.ReportsHash = o.hash
	}
	row.LastSeen = at
	rows, kept, most := 0, 0, detailsOfEach(tx.Rows(store.Clusters))
	for old := range tx.ObservedBundles(uid) {
		bundleUID := old.Report.BundleUid
		if _, there := o.reports[bundleUID]; !there && o.complete {
			o.reports[bundleUID] = nil
		} else if !there {
			rows++
			kept += details(old.Report)
		}
	}
	if o.complete {
		if p := tx.Presence(uid); p != nil && !p.Confirmed {
			c := *p
			c.Confirmed = true
			if err := tx.PutPresence(&c); err != nil {
				return err
			}
		}
	}
	for bundleUID, r := range o.reports {
		if r == nil {
			if err := o.forget(tx, bundleUID, now); err != nil {
				return err
			}
			continue
		}
		if rows++; rows > maxReports {
			continue // no cluster has as many bundles; only a spoke gone wrong does
		}
		if size := details(r); size > 0 && kept+size > most {
			r = withoutDetails(r, most, row.LastSeen)
			row.ReportsHash = nil // what is kept is not what the spoke has said, so its next session is asked for all
		} else {
			kept += size
		}
		old := tx.ObservedBundle(uid, bundleUID)
		if b := tx.Bundle(bundleUID); b != nil && b.Metadata.Name != r.Bundle {
			r = proto.CloneOf(r)
			r.Bundle = b.Metadata.Name // the hub's word for it
		}
		if err := tx.PutObservedBundle(&storev1.ObservedBundle{ClusterUid: uid, Report: r, Received: at}); err != nil {
			return err
		}
		if e := transition(o.session.name, old.GetReport(), r, now); e != nil && o.session.events.AllowN(now, 1) {
			if err := tx.AddEvent(e); err != nil {
				return err
			}
		}
	}
	return tx.PutObserved(row)
}

// forget notes that a bundle has left its cluster.
func (o *observation) forget(tx *store.Tx, bundleUID string, now time.Time) error {
	old := tx.ObservedBundle(o.session.uid, bundleUID).GetReport()
	if old == nil {
		return nil
	}
	if err := tx.DeleteObservedBundle(o.session.uid, bundleUID); err != nil || !o.session.events.AllowN(now, 1) {
		return err
	}
	return tx.AddEvent(&yardarmv1.Event{
		Time: timestamppb.New(now), Type: yardarmv1.EventNormal, Reason: "BundleGone",
		Cluster: o.session.name, Bundle: old.Bundle, Revision: old.Revision,
		Message: "the cluster holds nothing of it any more, or has let it go",
	})
}

// transition is the event that a report makes, if it is one worth telling.
func transition(cluster string, old, r *yardarmv1.Report, now time.Time) *yardarmv1.Event {
	if old != nil && old.Phase == r.Phase && old.Reason == r.Reason && bytes.Equal(old.AssignmentHash, r.AssignmentHash) {
		return nil
	}
	e := &yardarmv1.Event{
		Time: timestamppb.New(now), Type: yardarmv1.EventWarning, Reason: "Bundle" + r.Phase,
		Cluster: cluster, Bundle: r.Bundle, Revision: r.Revision, Message: r.Message,
	}
	switch r.Phase {
	case yardarmv1.PhaseReady:
		e.Type = yardarmv1.EventNormal
		e.Message = fmt.Sprintf("revision %d is ready", r.Revision)
	case yardarmv1.PhaseHeld:
	case yardarmv1.PhaseFailed, yardarmv1.PhaseDegraded:
		if len(r.Problems) > 0 {
			p := r.Problems[0]
			e.Message = fmt.Sprintf("%s: %s: %s", p.Object, p.Reason, p.Message)
		}
	default:
		return nil
	}
	return e
}
