package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/backoff"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/event"
	"github.com/yardarm-dev/yardarm/spoke/inventory"
	"github.com/yardarm-dev/yardarm/spoke/kube"
	"github.com/yardarm-dev/yardarm/spoke/live"
	"github.com/yardarm-dev/yardarm/spoke/policy"
	"github.com/yardarm-dev/yardarm/spoke/state"
)

const (
	// defaultResync bounds how long what no watch has seen can last.
	defaultResync = 5 * time.Minute
	// defaultParallel is how many bundles are worked on at a time. It bounds memory, since each may hold a parsed artifact, and is
	// more than the processor needs, since a bundle may have to wait for a webhook that does not answer.
	defaultParallel = 8
	// inventoryClass names the inventories' Secrets: yardarm-inventory.<bundle uid>.
	inventoryClass = "inventory"
)

// State is what the reconciler needs of package state.
type State interface {
	Entries() []state.Entry
	// Content answers an error that wraps state.ErrNoContent where it is not here yet.
	Content(ctx context.Context, digest string) ([]byte, error)
	Changed() <-chan struct{}
	// Applied keeps what the cluster holds, and Begun when an assignment began to be carried out; Applied does both at once.
	Applied(ctx context.Context, bundleUID string, applied state.Applied, beginning *spokev1.Beginning) error
	Begun(ctx context.Context, bundleUID string, beginning *spokev1.Beginning) error
	// Finished says that a removal is complete.
	Finished(ctx context.Context, bundleUID string) error
}

// Book takes reports; the latest of a bundle counts.
type Book interface {
	Set(*yardarmv1.Report)
	Remove(bundleUID string)
}

// Config of a Reconciler. Client, State and Book are needed.
type Config struct {
	Client *kube.Client
	State  State
	Book   Book
	// Policy bounds what bundles may do. Default: policy.Default.
	Policy Policy
	// Resync is how often everything is compared even if nothing tells of a change. Default 5 min.
	Resync time.Duration
	// Parallel is how many bundles are worked on at a time. Default 8.
	Parallel int
	// Facts observes the cluster, for customizations that refer to its facts; without it, none are known. FactsEvery is how often
	// that is done anew. Default: 2 min.
	Facts      func(context.Context) (*yardarmv1.Facts, error)
	FactsEvery time.Duration
	Registerer prometheus.Registerer
	Logger     *slog.Logger
	// Clock tells the time for reports. Default: time.Now.
	Clock func() time.Time
}

// Reconciler keeps all bundles of one cluster.
type Reconciler struct {
	client    *kube.Client
	state     State
	book      Book
	resync    time.Duration
	logger    *slog.Logger
	now       func() time.Time
	metrics   *metrics
	writers   *writers
	events    *event.Recorder
	watcher   *live.Watcher
	inventory *inventory.Store
	policy    Policy
	claims    *claims
	facts     facts
	// factsEvery is how often facts are observed anew.
	factsEvery time.Duration
	// slots bounds the passes under way.
	slots chan struct{}

	mu      sync.Mutex
	bundles map[string]*bundle // by uid; guarded by mu
	// ending are the bundles that are assigned no more and whose loops have not ended yet. Guarded by mu.
	ending map[string]*bundle
	// ended tells that one has; cap 1.
	ended chan struct{}

	// inventories are what was loaded at the start and has not found its bundle yet. Run's goroutine only.
	inventories map[string]*inventory.Inventory
	running     sync.WaitGroup
}

// New makes a Reconciler; Run does the work.
func New(c Config) (*Reconciler, error) {
	if c.Client == nil || c.State == nil || c.Book == nil {
		return nil, errors.New("reconcile: a client, a state and a book are needed")
	}
	if c.Resync <= 0 {
		c.Resync = defaultResync
	}
	if c.Parallel <= 0 {
		c.Parallel = defaultParallel
	}
	if c.Policy == nil {
		c.Policy = fixed{policy.Default(c.Client.Namespace())}
	}
	if c.FactsEvery <= 0 {
		c.FactsEvery = defaultFactsEvery
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	r := &Reconciler{
		client: c.Client, state: c.State, book: c.Book, resync: c.Resync, logger: c.Logger, now: c.Clock,
		inventory: inventory.NewStore(c.Client.Blobs(inventoryClass), c.Logger),
		policy:    c.Policy,
		writers:   newWriters(c.Client, c.Logger),
		claims:    newClaims(),
		facts:     facts{observe: c.Facts}, factsEvery: c.FactsEvery,
		slots:   make(chan struct{}, c.Parallel),
		bundles: map[string]*bundle{}, ending: map[string]*bundle{}, ended: make(chan struct{}, 1),
	}
	var err error
	r.watcher, err = live.New(live.Config{Metadata: c.Client.Metadata, Mapper: c.Client.Mapper, Logger: c.Logger, Changed: r.changed})
	if err != nil {
		return nil, err
	}
	r.events, err = event.New(event.Config{Client: c.Client, Registerer: c.Registerer, Logger: c.Logger})
	if err != nil {
		return nil, err
	}
	r.metrics, err = newMetrics(c.Registerer, r)
	return r, err
}

// Run reconciles until ctx ends, and returns when nothing runs any more. An error means that it could not begin.
func (r *Reconciler) Run(ctx context.Context) error {
	if err := r.load(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.running.Go(func() { _ = r.watcher.Run(ctx) }) // fails only when run twice
	r.running.Go(func() { r.events.Run(ctx) })
	r.running.Go(func() { r.watchFacts(ctx) })
	resync := time.NewTimer(r.nextResync())
	defer resync.Stop()
	for {
		r.dispatch(ctx)
		select {
		case <-ctx.Done():
			r.running.Wait()
			return nil
		case <-r.state.Changed():
		case <-r.ended:
		case <-r.policy.Changed():
			r.review()
		case <-resync.C:
			r.watcher.Relist()
			resync.Reset(r.nextResync())
		}
	}
}

// nextResync spreads the resyncs of many spokes: 80 to 120 % of the interval.
func (r *Reconciler) nextResync() time.Duration {
	return r.resync*4/5 + rand.N(r.resync*2/5+1)
}

// load reads the inventories, as soon as the API server answers.
func (r *Reconciler) load(ctx context.Context) error {
	wait := backoff.Backoff{Base: 500 * time.Millisecond, Max: 10 * time.Second}
	for {
		all, err := r.inventory.Load(ctx)
		if err == nil {
			r.inventories = all
			for uid, i := range all {
				for ref := range i.Entries {
					r.claims.take(ref, uid)
				}
			}
			return nil
		}
		if ctx.Err() != nil {
			return nil
		}
		if !kube.Transient(err) {
			return fmt.Errorf("begin to reconcile: %w", err)
		}
		r.logger.Warn("waiting for the API server", "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait.Next()):
		}
	}
}

// dispatch hands each bundle its newest entry, begins those that are new, and ends those that are gone. It waits for no pass: a bundle that comes back
// while its old loop is ending begins when that has ended.
func (r *Reconciler) dispatch(ctx context.Context) {
	entries := r.state.Entries()
	present := make(map[string]bool, len(entries))
	changed := false
	r.mu.Lock()
	for _, e := range entries {
		// All of them first: the first bundle to run must not take what another one has.
		r.claims.current(e.Assignment.GetBundleUid(), e.Assignment.GetBundle())
	}
	for _, e := range entries {
		uid := e.Assignment.GetBundleUid()
		present[uid] = true
		switch b := r.bundles[uid]; {
		case b != nil:
			changed = b.assign(e) || changed
		case r.ending[uid] == nil:
			b = newBundle(r, e, r.takeInventory(uid, e.Assignment.GetBundle()))
			r.bundles[uid] = b
			r.running.Go(func() { r.run(ctx, b) })
			changed = true
		}
	}
	for uid, b := range r.bundles {
		if !present[uid] {
			delete(r.bundles, uid)
			r.ending[uid] = b
			b.end()
		}
	}
	r.mu.Unlock()
	if changed {
		r.nudge("")
	}
}

// run runs a bundle's loop, and forgets the bundle when that ends before ctx does.
func (r *Reconciler) run(ctx context.Context, b *bundle) {
	b.run(ctx)
	if ctx.Err() != nil {
		return
	}
	r.metrics.phase(b.status.phase, "")
	r.claims.end(b.uid)
	r.watcher.Use(b.uid, nil)
	r.book.Remove(b.uid)
	r.mu.Lock()
	delete(r.ending, b.uid)
	r.mu.Unlock()
	r.nudge("")
	select {
	case r.ended <- struct{}{}:
	default:
	}
}

// takeInventory answers what was loaded of a bundle, less what other bundles have taken over meanwhile.
func (r *Reconciler) takeInventory(uid, name string) *inventory.Inventory {
	i := r.inventories[uid]
	delete(r.inventories, uid)
	if i == nil {
		return inventory.New(uid, name)
	}
	i.Bundle = name
	for ref := range i.Entries {
		if r.claims.holder(ref) != uid {
			delete(i.Entries, ref)
		}
	}
	return i
}

// changed is told by the watcher which object appeared, changed or disappeared.
func (r *Reconciler) changed(ref manifest.Ref) {
	uid := r.claims.holder(ref)
	if uid == "" {
		return
	}
	r.mu.Lock()
	b := r.bundles[uid]
	r.mu.Unlock()
	if b != nil {
		b.touch(ref)
		if o, _, _ := r.watcher.Get(ref); o.End != live.EndNone && isJob(ref) {
			b.ends(ref, o)
		}
	}
}

// nudge wakes the bundles that wait for something outside of themselves: a kind, a namespace, an object's release, or
// another bundle's content. The bundle that made it come about knows.
func (r *Reconciler) nudge(except string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for uid, b := range r.bundles {
		if uid != except {
			b.nudge()
		}
	}
}
