package dispatch

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/hub/store"
)

// intake takes what spokes observe into the store, many at a time. Of each bundle in each cluster only the newest report
// waits, so what waits is bounded by the inventory however fast reports come.
type intake struct {
	*Server
	mu      sync.Mutex
	pending map[string]*observation // by cluster uid
	kick    chan struct{}
}

// observation is what one session has said since the last batch.
type observation struct {
	session   *session
	reports   map[string]*yardarmv1.Report // by bundle uid; nil for removed
	complete  bool
	hash      []byte
	facts     *yardarmv1.Facts
	factsHash []byte
}

func newIntake(s *Server) *intake {
	return &intake{Server: s, pending: map[string]*observation{}, kick: make(chan struct{}, 1)}
}

// of answers what waits for the session's cluster; the newest session's word replaces that of an older one.
func (in *intake) of(s *session) *observation {
	o := in.pending[s.uid]
	if o == nil || o.session != s {
		o = &observation{session: s, reports: map[string]*yardarmv1.Report{}}
		in.pending[s.uid] = o
	}
	select {
	case in.kick <- struct{}{}:
	default:
	}
	return o
}

func (in *intake) reports(s *session, u *spokev1.ReportUpdate) error {
	if len(u.Reports) > maxReports {
		return status.Errorf(codes.InvalidArgument, "%d reports in one message; the limit is %d", len(u.Reports), maxReports)
	}
	for _, r := range u.Reports {
		if err := clean(r); err != nil {
			return status.Error(codes.InvalidArgument, err.Error())
		}
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	o := in.of(s)
	if u.Complete {
		o.complete = true
		clear(o.reports)
	}
	for _, r := range u.Reports {
		o.reports[r.BundleUid] = r
	}
	for _, uid := range u.Removed {
		o.reports[uid] = nil
	}
	o.hash = u.ReportsHash
	return nil
}

func (in *intake) facts(s *session, f *yardarmv1.Facts) {
	cleanFacts(f)
	in.mu.Lock()
	defer in.mu.Unlock()
	o := in.of(s)
	o.facts, o.factsHash = f, factsHash(f)
}

// refused notes an assignment that a spoke has refused for good, as a failure of that bundle alone.
func (in *intake) refused(s *session, a *yardarmv1.AssignmentSpec, n *spokev1.Nack) {
	now := timestamppb.New(in.Clock())
	in.mu.Lock()
	defer in.mu.Unlock()
	in.of(s).reports[a.BundleUid] = &yardarmv1.Report{
		Bundle: a.Bundle, BundleUid: a.BundleUid, AssignmentHash: a.Hash, Revision: a.Revision, Digest: a.Digest,
		Phase: yardarmv1.PhaseFailed, Reason: "Refused", Since: now, ObservedTime: now,
		Message: fmt.Sprintf("the spoke refuses the assignment (%s): %s", n.Code, clip(n.Message, maxMessage)),
	}
}

// run writes batches until ctx ends: what came in while the last one was written is the next.
func (in *intake) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-in.kick:
		}
		in.mu.Lock()
		batch := in.pending
		in.pending = map[string]*observation{}
		in.mu.Unlock()
		now := in.Clock()
		err := in.Store.Observe(ctx, func(tx *store.Tx) error {
			for _, o := range batch {
				if !in.sessions.current(o.session) {
					continue
				}
				if err := o.write(tx, now); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("take in reports: %w", err)
		}
	}
}

func (o *observation) write(tx *store.Tx, now time.Time) error {
	uid := o.session.uid
	row := &storev1.Observed{ClusterUid: uid}
	if old := tx.Observed(uid); old != nil {
		row = proto.CloneOf(old)
	}
	if o.facts != nil {
		row.Facts, row.FactsHash = o.facts, o.factsHash
	}
	if o.hash != nil {
		row.ReportsHash = o.hash
	}
	row.LastSeen = timestamppb.New(now)
	if err := tx.PutObserved(row); err != nil {
		return err
	}
	if o.complete {
		for old := range tx.ObservedBundles(uid) {
			if _, there := o.reports[old.Report.BundleUid]; !there {
				o.reports[old.Report.BundleUid] = nil
			}
		}
		if p := tx.Presence(uid); p != nil && !p.Confirmed {
			c := *p
			c.Confirmed = true
			if err := tx.PutPresence(&c); err != nil {
				return err
			}
		}
	}
	for bundleUID, r := range o.reports {
		old := tx.ObservedBundle(uid, bundleUID)
		if r == nil {
			if err := tx.DeleteObservedBundle(uid, bundleUID); err != nil {
				return err
			}
			continue
		}
		if err := tx.PutObservedBundle(&storev1.ObservedBundle{ClusterUid: uid, Report: r, Received: timestamppb.New(now)}); err != nil {
			return err
		}
		if e := transition(o.session.name, old.GetReport(), r, now); e != nil {
			if err := tx.AddEvent(e); err != nil {
				return err
			}
		}
	}
	return nil
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
	case yardarmv1.PhaseFailed, yardarmv1.PhaseDegraded, yardarmv1.PhaseHeld:
		if len(r.Problems) > 0 {
			p := r.Problems[0]
			e.Message = fmt.Sprintf("%s: %s: %s", p.Object, p.Reason, p.Message)
		}
	default:
		return nil
	}
	return e
}
