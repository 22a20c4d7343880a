package dispatch

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"maps"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/holdings"
)

// sweepEvery is how often presence is looked over. One timer serves all sessions.
const sweepEvery = time.Second

// farewellTimeout bounds what a hub that is going down waits for its last note.
const farewellTimeout = 2 * time.Second

// goingDown is why sessions of a hub end that is stopped.
const goingDown = "the hub is going down"

// errSuperseded ends a session that a newer one has overtaken before it began.
var errSuperseded = errors.New("a newer session of the same cluster has begun")

// registry knows the one session of each cluster, and keeps its presence: by how long ago a spoke was heard, not by what the
// clock says, which may be set by an hour or a year without anything having happened. A cluster's newest session wins: it ends the
// older one, whose reports do not count any more.
type registry struct {
	*Server

	mu       sync.Mutex
	sessions map[string]*session // by cluster uid
	// gone are clusters whose session has ended lately: when, and when they were last heard.
	gone map[string]departure
	// silent are clusters whose stream is open and from which nothing comes.
	silent map[string]bool
	// soonest is when, as of Server.elapsed, the first of the other sessions will have been silent for too long if nothing comes: none needs a look before.
	soonest  time.Duration
	draining *spokev1.Drain

	comeback *comeback
}

// departure is when a session ended, as of Server.elapsed, and what time it was when its spoke was last heard.
type departure struct {
	ended    time.Duration
	lastSeen time.Time
}

func newRegistry(s *Server, c *comeback) *registry {
	return &registry{Server: s, sessions: map[string]*session{}, gone: map[string]departure{}, silent: map[string]bool{}, comeback: c}
}

func (r *registry) nextID() string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// add makes s the session of its cluster, and the cluster connected. It answers what the hub knows of the cluster, and
// whether the reports among it are what the spoke observes now: judged after the older session's last word has been taken
// in or has come to count no more.
func (r *registry) add(s *session, h *spokev1.Hello) (known *storev1.Observed, confirmed bool, err error) {
	r.mu.Lock()
	old := r.sessions[s.uid]
	r.sessions[s.uid] = s
	delete(r.gone, s.uid)
	delete(r.silent, s.uid)
	r.soonest = min(r.soonest, s.staleAt())
	drain := r.draining
	r.metrics.sessions.Set(float64(len(r.sessions)))
	r.mu.Unlock()
	if old != nil {
		old.end(status.Error(codes.Aborted, "a newer session of the same cluster has begun"))
	}
	if drain != nil {
		s.end(&draining{drain, goingDown})
	}
	now := r.Clock()
	version := clip(h.SpokeVersion, maxReason)
	back := false
	err = r.Store.Observe(s.stream.Context(), func(tx *store.Tx) error {
		if !r.current(s) {
			return errSuperseded
		}
		was := tx.Presence(s.uid)
		known = tx.Observed(s.uid)
		since := now
		if was != nil && was.State == yardarmv1.PresenceConnected {
			since = was.Since
		} else if back = r.comeback.of(s.name, was, known.GetFirstConnected() != nil); !back {
			if err := tx.AddEvent(&yardarmv1.Event{
				Time: timestamppb.New(now), Type: yardarmv1.EventNormal, Reason: eventConnected,
				Message: "the spoke has connected (version " + version + ")", Cluster: s.name,
			}); err != nil {
				return err
			}
		}
		confirmed = holdings.Same(known.GetReportsHash(), h.ReportsHash)
		o := &storev1.Observed{ClusterUid: s.uid}
		if known != nil {
			o = proto.CloneOf(known)
		}
		if o.FirstConnected == nil {
			o.FirstConnected = timestamppb.New(now)
		}
		o.SpokeVersion, o.LastSeen = version, timestamppb.New(now)
		if err := tx.PutObserved(o); err != nil {
			return err
		}
		return tx.PutPresence(&store.Presence{
			ClusterUID: s.uid, State: yardarmv1.PresenceConnected, Since: since, LastSeen: now, Confirmed: confirmed, Session: s.id,
		})
	})
	if err == nil && back {
		r.comeback.count.Add(1)
	}
	return known, confirmed, err
}

// remove forgets a session that has ended. The cluster stays connected for the grace period, unless the hub itself
// wants it no more.
func (r *registry) remove(s *session, unwanted bool) {
	r.deltas.await(s, 0)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sessions[s.uid] == s {
		delete(r.sessions, s.uid)
		delete(r.silent, s.uid)
		d := departure{ended: r.elapsed(), lastSeen: r.Clock().Add(-s.silence())}
		if unwanted {
			d.ended -= r.ReconnectGrace
		}
		r.gone[s.uid] = d
	}
	r.metrics.sessions.Set(float64(len(r.sessions)))
}

// current tells whether s still speaks for its cluster.
func (r *registry) current(s *session) bool { return r.of(s.uid) == s }

// of answers a cluster's session, or nil.
func (r *registry) of(uid string) *session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sessions[uid]
}

// uids are the clusters that have a session.
func (r *registry) uids() map[string]struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	uids := make(map[string]struct{}, len(r.sessions))
	for uid := range r.sessions {
		uids[uid] = struct{}{}
	}
	return uids
}

func (r *registry) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.sessions)
}

// begin marks the clusters that have been connected before as unknown: they have the grace period to come back.
func (r *registry) begin(ctx context.Context) error {
	now := r.Clock()
	before := map[string]departure{}
	for o := range r.Store.Read().AllObserved() {
		if o.FirstConnected != nil {
			// Not gone before the restart's grace is over, which is longer than the usual one.
			before[o.ClusterUid] = departure{ended: r.elapsed() + r.RestartGrace - r.ReconnectGrace, lastSeen: o.LastSeen.AsTime()}
		}
	}
	r.mu.Lock()
	for uid := range before {
		if r.sessions[uid] != nil {
			delete(before, uid)
		}
	}
	maps.Copy(r.gone, before)
	r.mu.Unlock()
	return r.Store.Observe(ctx, func(tx *store.Tx) error {
		for uid, d := range before {
			if tx.Presence(uid) != nil {
				continue // it has connected meanwhile
			}
			if err := tx.PutPresence(&store.Presence{
				ClusterUID: uid, State: yardarmv1.PresenceUnknown, Since: now, LastSeen: d.lastSeen,
			}); err != nil {
				return err
			}
		}
		return nil
	})
}

// sweep looks after presence until ctx ends, and then notes when each spoke was last heard.
func (r *registry) sweep(ctx context.Context) error {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return r.farewell(context.WithoutCancel(ctx))
		case <-ticker.C:
		}
		r.again.forget(time.Now())
		if err := r.look(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// farewell notes when each spoke was last heard, for the hub's next life.
func (r *registry) farewell(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, farewellTimeout)
	defer cancel()
	seen := map[string]time.Time{}
	r.mu.Lock()
	for uid, d := range r.gone {
		seen[uid] = d.lastSeen
	}
	for uid, s := range r.sessions {
		seen[uid] = r.Clock().Add(-s.silence())
	}
	r.mu.Unlock()
	return r.Store.Observe(ctx, func(tx *store.Tx) error {
		for uid, at := range seen {
			if err := noteSeen(tx, uid, at); err != nil {
				return err
			}
		}
		return nil
	})
}

func noteSeen(tx *store.Tx, uid string, at time.Time) error {
	o := tx.Observed(uid)
	if o == nil {
		return nil
	}
	o = proto.CloneOf(o)
	o.LastSeen = timestamppb.New(at)
	return tx.PutObserved(o)
}

// turn is a change of presence.
type turn struct {
	state    string
	lastSeen time.Time
	// session is the one that it is about; nil where the last one has ended.
	session *session
}

// look finds the clusters whose presence has changed by the passing of time, and notes it; and how many are back since the hub's start.
func (r *registry) look(ctx context.Context) error {
	now := r.Clock()
	if turns := r.due(now); len(turns) > 0 {
		if err := r.turn(ctx, turns, now); err != nil {
			return err
		}
	}
	return r.tell(ctx, now)
}

func (r *registry) due(now time.Time) map[string]turn {
	turns := map[string]turn{}
	r.mu.Lock()
	defer r.mu.Unlock()
	elapsed := r.elapsed()
	for uid, d := range r.gone {
		if elapsed-d.ended >= r.ReconnectGrace {
			delete(r.gone, uid)
			turns[uid] = turn{yardarmv1.PresenceStale, d.lastSeen, nil}
		}
	}
	for uid := range r.silent {
		if s := r.sessions[uid]; s.staleAt() > elapsed {
			delete(r.silent, uid)
			turns[uid] = turn{yardarmv1.PresenceConnected, now.Add(-s.silence()), s}
		}
	}
	if elapsed < r.soonest {
		return turns
	}
	r.soonest = elapsed + r.StaleAfter
	for uid, s := range r.sessions {
		switch at := s.staleAt(); {
		case r.silent[uid]:
		case at > elapsed:
			r.soonest = min(r.soonest, at)
		default:
			r.silent[uid] = true
			turns[uid] = turn{yardarmv1.PresenceStale, now.Add(-s.silence()), s}
		}
	}
	return turns
}

func (r *registry) turn(ctx context.Context, turns map[string]turn, now time.Time) error {
	return r.Store.Observe(ctx, func(tx *store.Tx) error {
		for uid, t := range turns {
			if r.of(uid) != t.session {
				continue // it has come back meanwhile, and has said so itself
			}
			if err := turnPresence(tx, uid, t, now); err != nil {
				return err
			}
		}
		return nil
	})
}

func turnPresence(tx *store.Tx, uid string, t turn, now time.Time) error {
	cluster := tx.Cluster(uid)
	if cluster == nil {
		return nil
	}
	p := &store.Presence{ClusterUID: uid}
	if was := tx.Presence(uid); was != nil {
		c := *was
		p = &c
	}
	if p.State == t.state {
		return nil // silent before its stream ended
	}
	p.State, p.LastSeen, p.Since = t.state, t.lastSeen, now
	event := &yardarmv1.Event{Time: timestamppb.New(now), Type: yardarmv1.EventNormal, Reason: eventConnected,
		Message: "the spoke is heard again", Cluster: cluster.Metadata.Name}
	if t.state == yardarmv1.PresenceStale {
		// Stale since it was last heard, not since the hub has noticed.
		p.Since = t.lastSeen
		// A stream that is open has lost nothing: when its spoke is heard again, what it said still holds.
		p.Confirmed = p.Confirmed && t.session != nil
		event.Type, event.Reason = yardarmv1.EventWarning, eventStale
		event.Message = "the spoke has not been heard since " + t.lastSeen.UTC().Format(time.RFC3339)
		if err := noteSeen(tx, uid, t.lastSeen); err != nil {
			return err
		}
	}
	if err := tx.AddEvent(event); err != nil {
		return err
	}
	return tx.PutPresence(p)
}

// drain asks every spoke to come back at a time of its own, within a window that is at least as long as asked for, and waits
// until all have gone.
func (r *registry) drain(ctx context.Context, atLeast time.Duration) {
	r.mu.Lock()
	d := &spokev1.Drain{ReconnectWithin: durationpb.New(r.spread(len(r.sessions), atLeast))}
	r.draining = d
	for _, s := range r.sessions {
		s.end(&draining{d, goingDown})
	}
	r.mu.Unlock()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for r.len() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
