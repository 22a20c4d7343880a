package drive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/hub/rollout/gate"
	"github.com/yardarm-dev/yardarm/hub/store"
)

// errGates: a gate was written since the snapshot. None of what was decided may pass it.
var errGates = errors.New("a gate has just changed")

// maxSleep is how long a driver sleeps at most until a gate opens or shuts: that the machine's clock is set, no timer tells.
const maxSleep = time.Hour

// retryAfter is how long a driver waits whose changes the store did not take, as while its disk is full.
const retryAfter = 5 * time.Second

// A step looks at all members of a rollout, so that one for each report would cost a change of all in proportion to the square of the fleet. So the driver rests after a
// step for restShare times as long as that took, the disk apart, and what comes meanwhile shares the next one: of 10,000 clusters it takes some 0.3 ms. It rests no longer
// than maxRest.
const (
	restShare = 10
	maxRest   = 500 * time.Millisecond
)

// Rollouts follow from these tables.
var (
	// ofBundles have rows that say which rollouts there are, and which clusters belong to them.
	ofBundles = []store.Table{store.Bundles, store.Rollouts, store.Reconciliations, store.Turns}
	// ofClusters have rows of a cluster with all its bundles, and ofPairs of one bundle in it.
	ofClusters = []store.Table{store.Clusters, store.Members, store.Presences}
	ofPairs    = []store.Table{store.ObservedBundles, store.Acceptances}
	// watched are all of them, and the gates.
	watched = slices.Concat(ofBundles, ofClusters, ofPairs, []store.Table{store.Gates})
)

// Config of a Driver. Store and Logger are needed.
type Config struct {
	Store  *store.Store
	Logger *slog.Logger
	// Tracer makes a span of each step that changes something. Default: none are made.
	Tracer trace.Tracer
	// Clock gives the time for what people read, and for gates, which go by what people wrote. Default: time.Now.
	Clock func() time.Time
	// Elapsed is a monotonic clock, which soaks and deadlines go by. Default: since New.
	Elapsed func() time.Duration
}

// Driver takes all rollouts of a store forward: it begins one for each bundle whose latest revision has none, has it advance whenever something that it
// follows from has changed, or time alone may change something, and writes what has come of it. Its memory holds nothing that is not in the store, but since
// when things are as they are: after a restart of the hub, soaks and deadlines begin anew.
//
// It belongs to one goroutine.
type Driver struct {
	Config
	sub    *store.Subscription
	placer *placement.Placer
	// tracks are the rollouts in which something may still happen, by bundle uid.
	tracks map[string]*track
	looked bool
	// looking is how long the last step took to find what changes, by the machine's clock.
	looking time.Duration
	// moment is how the gates stand that set has.
	set    *gate.Set
	moment *gate.Moment
}

// New makes one. Close it if it does not Run.
func New(c Config) (*Driver, error) {
	if c.Store == nil || c.Logger == nil {
		return nil, errors.New("drive rollouts: store and logger are needed")
	}
	if c.Tracer == nil {
		c.Tracer = noop.NewTracerProvider().Tracer("")
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Elapsed == nil {
		started := time.Now()
		c.Elapsed = func() time.Duration { return time.Since(started) }
	}
	return &Driver{Config: c, sub: c.Store.SubscribeFleet(watched...), placer: placement.NewPlacer(), tracks: map[string]*track{}}, nil
}

// Close ends the driver's subscription.
func (d *Driver) Close() { d.sub.Close() }

// Run drives until ctx ends, and returns nil then. One timer serves all rollouts.
func (d *Driver) Run(ctx context.Context) error {
	defer d.Close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		wake, err := d.Step(ctx)
		if err != nil && ctx.Err() == nil {
			d.Logger.Warn("rollouts stand still; it is tried again", "error", err, "retry_in", retryAfter)
			wake = d.Elapsed() + retryAfter
		}
		timer.Reset(min(restShare*d.looking, maxRest))
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		if wake > 0 {
			timer.Reset(wake - d.Elapsed())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-d.sub.C():
		case <-timer.C:
		}
	}
}

// Step does all that is due, in one update of the store, and answers when time alone may make something due again, by Elapsed; 0 for never.
func (d *Driver) Step(ctx context.Context) (wake time.Duration, err error) {
	if reason := d.Store.ReadOnly(); reason != "" {
		return 0, fmt.Errorf("%w: %s", store.ErrReadOnly, reason)
	}
	began := time.Now()
	changed := d.sub.Take()
	s := step{Driver: d, tx: newSnapshot(d.Store.Read()), now: d.Elapsed(), time: d.Clock(), due: map[string]*track{}}
	s.find(changed)
	advanced := s.advance()
	d.looking = time.Since(began)
	err = s.write(ctx, advanced)
	if errors.Is(err, errGates) {
		d.looked = false
		return s.now, nil // at once, from the rows as they are
	}
	if err != nil {
		d.tracks, d.looked = map[string]*track{}, false // what was not written has not happened
		return 0, err
	}
	for uid, t := range d.tracks {
		if t.over() {
			delete(d.tracks, uid)
			continue
		}
		wake = earlier(wake, t.out.Wake)
	}
	if len(d.tracks) > 0 && !d.moment.Until.IsZero() { // nobody else waits for a gate
		wake = earlier(wake, s.now+min(d.moment.Until.Sub(s.time), maxSleep))
	}
	return wake, nil
}

// earlier is the first of two times, of which 0 is never.
func earlier(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// step is one run of Step, on one snapshot.
type step struct {
	*Driver
	tx *snapshot
	// now is by Elapsed, and time by Clock.
	now  time.Duration
	time time.Time
	// due are the rollouts to advance.
	due map[string]*track
}

// find brings what is known up to the snapshot, and finds what is due.
func (s *step) find(changed store.Changed) {
	all := !s.looked || slices.ContainsFunc(ofBundles, changed.All)
	s.looked = true
	s.gates(all || changed.Any(store.Gates))
	if all {
		for uid := range s.tracks {
			s.open(uid)
		}
		for b := range s.tx.Bundles() {
			s.open(b.Metadata.Uid)
		}
		return
	}
	for _, t := range []store.Table{store.Bundles, store.Rollouts} {
		for uid := range changed.Keys(t) {
			if t := s.tracks[uid]; t == nil || t.bundle != s.tx.Bundle(uid) || t.row != s.tx.Rollout(uid) { // otherwise the change is the driver's own
				s.open(uid)
			}
		}
	}
	for _, key := range slices.Sorted(changed.Keys(store.Turns)) { // many that join at once go in the same order each time
		bundle, cluster, _ := strings.Cut(key, "/")
		if s.tracks[bundle] == nil {
			s.open(bundle)
		}
		s.pair(cluster, bundle)
	}
	for key := range changed.Keys(store.Reconciliations) {
		bundle, cluster, one := strings.Cut(key, "/")
		if one {
			s.pair(cluster, bundle)
		} else {
			s.open(bundle)
		}
	}
	s.clusters(changed)
	for uid, t := range s.tracks {
		if t.out.Wake > 0 && t.out.Wake <= s.now {
			s.due[uid] = t
		}
	}
}

// clusters brings what is known of clusters up to the snapshot: of those that have changed, or of all if they are too many to be told apart.
func (s *step) clusters(changed store.Changed) {
	if slices.ContainsFunc(ofClusters, changed.All) || slices.ContainsFunc(ofPairs, changed.All) {
		for uid, t := range s.tracks {
			if t.lookAtAll(s) {
				s.due[uid] = t
			}
		}
		return
	}
	for _, t := range ofPairs {
		for _, key := range slices.Sorted(changed.Keys(t)) { // neighbours one after the other
			cluster, bundle, _ := strings.Cut(key, "/")
			s.pair(cluster, bundle)
		}
	}
	for _, t := range ofClusters {
		for cluster := range changed.Keys(t) {
			s.cluster(cluster)
		}
	}
}

// gates brings the moment up to date: after a change of the gates, or once the time has come to which it holds.
func (s *step) gates(changed bool) {
	switch {
	case changed:
		s.set = gate.NewSet(s.tx.Gates())
	case s.moment.Holds(s.time):
		return
	}
	s.moment = s.set.At(s.time)
	for uid, t := range s.tracks {
		if t.judge(s) {
			s.due[uid] = t
		}
	}
}

// open reads a bundle's rollout, with all that is known of its clusters, or begins it.
func (s *step) open(uid string) {
	old := s.tracks[uid]
	delete(s.tracks, uid)
	delete(s.due, uid)
	t, err := openTrack(s, uid, old)
	switch {
	case err != nil:
		s.Logger.Error("a rollout cannot be driven; its clusters stay as they are", "bundle", s.tx.Bundle(uid).GetMetadata().GetName(), "error", err)
	case t != nil:
		s.tracks[uid], s.due[uid] = t, t
	}
}

// pair looks at a bundle in one cluster.
func (s *step) pair(cluster, bundle string) {
	t := s.tracks[bundle]
	if t != nil && t.look(s, cluster) {
		s.due[bundle] = t
	}
}

// cluster looks at all bundles in one cluster.
func (s *step) cluster(uid string) {
	for _, t := range s.tracks {
		if t.look(s, uid) {
			s.due[t.uid()] = t
		}
	}
}

// advance takes what is due forward, and answers what has changed by that.
func (s *step) advance() (changed []*track) {
	for _, t := range s.due {
		if t.advance(s.now) {
			changed = append(changed, t)
		}
	}
	return changed
}

// write writes what has changed.
func (s *step) write(ctx context.Context, changed []*track) error {
	if len(changed) == 0 {
		return nil
	}
	ctx, span := s.Tracer.Start(ctx, "advance rollouts", trace.WithTimestamp(s.time))
	defer span.End()
	_, err := s.Store.Update(ctx, func(tx *store.Tx) error {
		if !s.set.Is(tx.Gates()) {
			return errGates
		}
		for _, t := range changed {
			if tx.Bundle(t.uid()) != t.bundle || tx.Rollout(t.uid()) != t.row {
				continue // somebody was faster; their change is told, and the rollout is read anew with it
			}
			if err := t.write(tx, s.Clock()); err != nil {
				return fmt.Errorf("bundle %s: %w", t.bundle.Metadata.Name, err)
			}
		}
		return nil
	})
	return err
}
