package reconcile

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/backoff"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/pkg/manifest/ignore"
	"github.com/yardarm-dev/yardarm/spoke/apply"
	"github.com/yardarm-dev/yardarm/spoke/health"
	"github.com/yardarm-dev/yardarm/spoke/inventory"
	"github.com/yardarm-dev/yardarm/spoke/live"
	"github.com/yardarm-dev/yardarm/spoke/policy"
	"github.com/yardarm-dev/yardarm/spoke/state"
)

const (
	// Waits before a pass that failed is tried again; each bound doubles up to its maximum.
	transientBase, transientMax = 500 * time.Millisecond, 30 * time.Second
	// What waits for something else is woken when this spoke makes it; somebody else may, too.
	waitingBase, waitingMax = 2 * time.Second, 30 * time.Second
	// What is refused for what it is may be accepted after a policy or a webhook changes, at a price of one request an object.
	terminalBase, terminalMax = 15 * time.Second, 5 * time.Minute
	// Deletions that finalizers hold up: the watch tells of their end, and this of what holds them up.
	pruneBase, pruneMax = time.Second, 15 * time.Second
)

// bundle is one bundle's loop.
type bundle struct {
	r      *Reconciler
	uid    string
	logger *slog.Logger

	wake  chan struct{} // cap 1: wakes coalesce
	ended chan struct{} // closed to end the loop
	// waiting is set while something outside of the bundle may help it on.
	waiting atomic.Bool

	mu       sync.Mutex
	entry    state.Entry               // guarded by mu
	since    time.Time                 // guarded by mu; when entry was assigned
	stop     chan struct{}             // guarded by mu; closed when entry is replaced, and then another one
	assigned bool                      // guarded by mu; entry has not been seen by the loop
	again    bool                      // guarded by mu; a whole pass is asked for
	dirty    map[manifest.Ref]struct{} // guarded by mu; live objects that have changed
	woken    time.Time                 // guarded by mu; since when the loop has something to do and has not begun; zero if it has
	wants    wants                     // guarded by mu
	endings  map[manifest.Ref]ending   // guarded by mu; of Jobs, as the watch saw them
	standing standing                  // guarded by mu; other loops read it
	reads    reads                     // guarded by mu

	// What follows is the loop's alone.

	inv *inventory.Inventory
	// applied and beginning are what the state keeps. Nobody else changes them there.
	applied   state.Applied
	beginning *spokev1.Beginning
	// policy is that of the pass under way; delivery, and with it applier and ignore, what it goes by now: the assignment's policy, or that of what is
	// kept up.
	policy   *policy.Policy
	delivery *yardarmv1.DeliveryPolicy
	applier  *apply.Applier
	ignore   ignore.Rules
	// mode of the policy in the last pass.
	mode string
	// next is when a whole pass is due, for a retry or the resync.
	next  time.Time
	retry struct{ transient, waiting, terminal, prune backoff.Backoff }
	cache cache
	// finished: its removal is complete, and the loop is about to be ended. Another pass would take the inventory for lost, and make it again.
	finished bool
	// last is what came of the last whole pass.
	last outcome
	// failing are the objects that could not be applied then.
	failing map[manifest.Ref]bool
	// concluded is the hash of the assignment that last is about; nil before the first.
	concluded        []byte
	interruptedSince time.Time
	// health of the objects that have one, as far as it was judged.
	health map[manifest.Ref]verdict
	rules  rules
	// asked is the number of the last request to reconcile now, and afresh is set until live state is listed for it.
	asked   uint64
	afresh  bool
	timing  timing
	checks  checks
	repairs repairs
	drifts  drifts
	status  reporter
}

func newBundle(r *Reconciler, e state.Entry, inv *inventory.Inventory) *bundle {
	b := &bundle{
		r: r, uid: e.Assignment.GetBundleUid(),
		logger: r.logger.With("bundle", e.Assignment.GetBundle()),
		wake:   make(chan struct{}, 1), ended: make(chan struct{}),
		asked: e.Assignment.GetReconcile(), entry: e, since: time.Now(), woken: time.Now(), stop: make(chan struct{}), assigned: true, dirty: map[manifest.Ref]struct{}{},
		inv: inv, applied: e.Applied, beginning: e.Beginning, health: map[manifest.Ref]verdict{},
		repairs: repairs{},
	}
	b.retry.transient = backoff.Backoff{Base: transientBase, Max: transientMax}
	b.retry.waiting = backoff.Backoff{Base: waitingBase, Max: waitingMax}
	b.retry.terminal = backoff.Backoff{Base: terminalBase, Max: terminalMax}
	b.retry.prune = backoff.Backoff{Base: pruneBase, Max: pruneMax}
	return b
}

// assign hands over an entry. It answers false if nothing in it has changed that matters here; otherwise the pass under way,
// which is for the old one, ends soon.
func (b *bundle) assign(e state.Entry) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if sameEntry(&b.entry, &e) {
		return false
	}
	b.entry, b.since, b.assigned = e, time.Now(), true
	close(b.stop)
	b.stop = make(chan struct{})
	b.rouse()
	return true
}

func sameEntry(a, b *state.Entry) bool {
	return bytes.Equal(a.Assignment.GetHash(), b.Assignment.GetHash()) && proto.Equal(a.Assignment, b.Assignment) &&
		proto.Equal(a.Hold, b.Hold) && proto.Equal(a.Removal, b.Removal) && a.HasContent == b.HasContent
}

// touch says that a live object has changed. It never blocks.
func (b *bundle) touch(ref manifest.Ref) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dirty[ref] = struct{}{}
	b.rouse()
}

// nudge asks for a whole pass if the bundle waits for something outside of it.
func (b *bundle) nudge() {
	if !b.waiting.Load() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.again = true
	b.rouse()
}

// rouse wakes the loop. The caller holds mu.
func (b *bundle) rouse() {
	if b.woken.IsZero() {
		b.woken = time.Now()
	}
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// end ends the loop soon: a pass under way ends between two objects.
func (b *bundle) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.stop)
	b.stop = make(chan struct{})
	close(b.ended)
}

// work is why the loop was woken.
type work struct {
	entry    state.Entry
	stop     <-chan struct{}
	assigned bool // entry is new
	again    bool
	dirty    map[manifest.Ref]struct{}
	endings  map[manifest.Ref]ending
}

func (b *bundle) take() work {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := work{entry: b.entry, stop: b.stop, assigned: b.assigned, again: b.again, dirty: b.dirty, endings: b.endings}
	b.assigned, b.again, b.endings = false, false, nil
	if len(b.dirty) > 0 {
		b.dirty = map[manifest.Ref]struct{}{}
	}
	return w
}

// run is the loop.
func (b *bundle) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.ended:
			return
		case <-b.wake:
		case <-timer.C:
		}
		timer.Reset(b.turn(ctx, b.take()))
	}
}

// turn does what is to be done now, and answers how long nothing is to be done unless something wakes the loop.
func (b *bundle) turn(ctx context.Context, w work) time.Duration {
	now := time.Now()
	if b.finished && !w.assigned {
		b.begun()
		return time.Hour
	}
	if w.assigned {
		b.finished = false
		b.useRules(w.entry.Assignment.GetDelivery().GetHealth())
		if w.entry.Removal != nil {
			b.timing, b.beginning = timing{}, nil // assigned again, though it be the same, it begins anew
		}
		if hash := w.entry.Assignment.GetHash(); !bytes.Equal(b.timing.hash, hash) {
			b.timing = timingOf(w.entry.Assignment.GetDelivery(), hash, b.beginning, now)
		}
		b.request(w.entry.Assignment.GetReconcile())
		b.retry.transient.Reset()
		b.retry.waiting.Reset()
		b.retry.terminal.Reset()
		b.retry.prune.Reset()
		b.checks.hurry(now)
		b.repairs = repairs{}
	}
	b.noteEndings(ctx, w.endings)
	if w.assigned || w.again || b.suspects(w.dirty) || !now.Before(b.next) {
		b.pass(ctx, w)
	} else {
		b.begun()
	}
	if ctx.Err() != nil {
		return time.Hour
	}
	b.checkHealth(ctx)
	b.report(&w.entry)
	b.keepBeginning(ctx)
	wait := time.Until(b.next)
	if check, ok := b.nextCheck(); ok {
		wait = min(wait, time.Until(check))
	}
	if due, ok := b.timing.due(time.Now()); ok {
		wait = min(wait, time.Until(due))
	}
	return max(wait, 0)
}

// request takes in the number of requests to reconcile now. A new one has all that is not well looked at again: live state is listed before it
// is compared, and objects that are not ready are read.
func (b *bundle) request(n uint64) {
	if n == b.asked {
		return
	}
	b.asked, b.afresh = n, true
	for ref, v := range b.health {
		v.stale = v.stale || v.State != health.Ready
		b.health[ref] = v
	}
}

// begun notes that what the loop was woken for is being done, and answers how long that had to wait.
func (b *bundle) begun() (waited time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.woken.IsZero() {
		waited = time.Since(b.woken)
	}
	b.woken = time.Time{}
	return waited
}

// suspects notes which live objects have changed, and tells whether any is not what was applied.
func (b *bundle) suspects(dirty map[manifest.Ref]struct{}) bool {
	found := false
	for ref := range dirty {
		object, exists, known := b.r.watcher.Get(ref)
		if v, ok := b.health[ref]; ok && v.version != object.Version {
			v.stale = true
			b.health[ref] = v
		}
		e, ok := b.inv.Entries[ref]
		if !ok {
			continue
		}
		switch {
		case !known:
		case e.Condemned:
			found = found || !exists
		case e.Content != 0 && !b.failing[ref]: // else its retry has a time
			found = b.suspicious(ref, e, object, exists) || found
		}
	}
	return found
}

// intact tells whether a live object still is what was applied: nobody made it anew, and nobody took a field from us. The
// label and annotation that say whose it is are among those fields.
func intact(e inventory.Entry, object live.Object, exists bool) bool {
	return exists && e.Content != 0 && object.UID == e.UID && object.Fields == e.Fields
}

// pass is a whole one, within the bounds of how many may be under way.
func (b *bundle) pass(ctx context.Context, w work) {
	select {
	case <-ctx.Done():
		return
	case b.r.slots <- struct{}{}:
	}
	defer func() { <-b.r.slots }()
	started := time.Now()
	b.r.metrics.queued.Observe(b.begun().Seconds())
	// Whatever happens from now on that the pass may miss is worth another one.
	b.waiting.Store(true)
	b.conclude(w, b.act(ctx, w))
	b.schedule()
	b.forget()
	b.r.metrics.passes.Observe(time.Since(started).Seconds())
}

// conclude takes an outcome in. One that was interrupted says nothing new for a while: a restart of the API server should
// not change what is known.
func (b *bundle) conclude(w work, o outcome) {
	if !o.interrupted {
		b.last, b.concluded = o, w.entry.Assignment.Hash
		b.failing = map[manifest.Ref]bool{}
		for _, p := range o.problems {
			b.failing[p.Ref] = true
		}
		b.interruptedSince = time.Time{}
		return
	}
	if b.interruptedSince.IsZero() {
		b.interruptedSince = time.Now()
	}
	if b.concluded == nil || !bytes.Equal(b.concluded, w.entry.Assignment.Hash) {
		b.last = o
		return
	}
	b.last.transient = true
	if time.Since(b.interruptedSince) > transientGrace {
		b.last.phase, b.last.reason, b.last.message = o.phase, o.reason, o.message
	}
}

// schedule decides when the next whole pass is due, by the soonest of what may help.
func (b *bundle) schedule() {
	o := &b.last
	wait := b.r.nextResync()
	clean := true
	consider := func(applies bool, bo *backoff.Backoff) {
		if !applies {
			bo.Reset()
			return
		}
		clean = false
		wait = min(wait, bo.Next())
	}
	consider(o.transient, &b.retry.transient)
	consider(o.waiting, &b.retry.waiting)
	consider(o.terminal, &b.retry.terminal)
	consider(b.inv.Condemned() > 0 && o.pruned, &b.retry.prune)
	if !o.again.IsZero() {
		wait = min(wait, time.Until(o.again))
	}
	b.waiting.Store(o.waiting || o.blocked)
	b.next = time.Now().Add(wait)
	if clean {
		b.logger.Debug("pass complete", "objects", len(b.inv.Entries))
	}
}

// forget drops what is known of objects that are the bundle's no more.
func (b *bundle) forget() {
	maps.DeleteFunc(b.health, func(ref manifest.Ref, _ verdict) bool {
		e, ok := b.inv.Entries[ref]
		return !ok || e.Condemned
	})
	maps.DeleteFunc(b.repairs, func(ref manifest.Ref, _ repair) bool {
		_, ok := b.inv.Entries[ref]
		return !ok
	})
	b.drifts.forget(func(ref manifest.Ref) bool {
		_, ok := b.inv.Entries[ref]
		return ok || b.readOnly()
	})
}
