package index

import (
	"context"
	"errors"
	"iter"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// followAtMost is how often the index follows by itself while there are watchers: changes of so long become one step.
	followAtMost = 20 * time.Millisecond
	// followUnwatched is how often it does while it is only read, so that the next read finds little to do.
	followUnwatched = time.Second
	// rest is after how long without a reader it follows no more. The next one may wait for as long as deriving all takes.
	rest = time.Minute
)

// Index is the index of one store. Safe for concurrent use.
type Index struct {
	store *store.Store
	sub   *store.Subscription // for as long as the store is open

	watchers atomic.Int32
	read     atomic.Int64 // when it was read last, in nanoseconds

	mu sync.RWMutex // guards the rest
	s  State
	// grown is closed, and replaced, when the log has grown.
	grown chan struct{}
}

// State is the index as of one snapshot of the store. It is valid only within the function that it is given to; its entries are for ever.
type State struct {
	// Tx is the snapshot, the newest that there was; nil before the first.
	Tx *store.ReadTx
	// Seq is that of the newest entry of the log. What is counted of entries with the same Seq is the same.
	Seq uint64

	clusters map[string]*Cluster
	labels   labels
	bundles  map[string]*Bundle
	groups   map[string]*Group
	gates    map[string]*yardarmv1.Gate

	// placer keeps what is the same for most clusters of a bundle.
	placer  *placement.Placer
	counts  map[string]*yardarmv1.PhaseCounts // of bundles, by uid
	members map[string]*membership            // of groups, by name

	clusterLog log[Cluster]
	bundleLog  log[Bundle]
	groupLog   log[Group]
	gateLog    log[yardarmv1.Gate]
}

// New makes the index of a store, which remembers so many changes of each kind for watches; 32,768 if 0. Nothing is derived before Run or the first
// read.
func New(s *store.Store, remember int) (*Index, error) {
	if s == nil || remember < 0 {
		return nil, errors.New("index: a store is needed, and a number of changes that is not negative")
	}
	if remember == 0 {
		remember = defaultRemember
	}
	x := &Index{store: s, sub: s.SubscribeFleet(tables...), grown: make(chan struct{})}
	x.s.clusterLog.remember, x.s.bundleLog.remember, x.s.groupLog.remember, x.s.gateLog.remember = remember, remember, remember, remember
	return x, nil
}

// Run derives all at first, since whoever reads a large fleet's index first would wait for that, seconds while its spokes come back; and then lets it follow the
// store while somebody watches it, or has read it lately. It returns when ctx ends; reads follow by themselves.
func (x *Index) Run(ctx context.Context) error {
	x.follow()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-x.sub.C():
		}
		pause := followUnwatched
		if x.watchers.Load() > 0 {
			pause = followAtMost
		}
		if pause == followAtMost || time.Since(time.Unix(0, x.read.Load())) < rest {
			x.follow()
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// Read calls fn with a state that shows at least what the store showed when Read was called. fn must neither block nor call the index.
func (x *Index) Read(fn func(*State)) {
	x.read.Store(time.Now().UnixNano())
	x.follow()
	x.mu.RLock()
	defer x.mu.RUnlock()
	fn(&x.s)
}

// follow takes in what has changed.
func (x *Index) follow() {
	x.mu.Lock()
	defer x.mu.Unlock()
	changed := x.sub.Take()
	tx := x.store.Read()
	if x.s.Tx != nil && changed.Empty() {
		x.s.Tx = tx // other rows may have changed, such as those that say who sees what
		return
	}
	before := x.s.Seq
	x.s.apply(tx, changed)
	if x.s.Seq != before {
		close(x.grown)
		x.grown = make(chan struct{})
	}
}

// Entry answers a cluster's entry, as of at least what the store shows; nil where there is none, or nobody watches and there may be much to take in first.
func (x *Index) Entry(uid string) *Cluster {
	if x.watchers.Load() == 0 {
		return nil
	}
	x.follow()
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.s.clusters[uid]
}

// Watching counts a watcher in, for whom the index follows; done counts it out.
func (x *Index) Watching() (done func()) {
	x.watchers.Add(1)
	return func() { x.watchers.Add(-1) }
}

// Grown returns a channel that is closed once the log is longer than it is now. Ask for it before Read, so that nothing falls in between.
func (x *Index) Grown() <-chan struct{} {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.grown
}

// Clusters yields all clusters, in no particular order.
func (s *State) Clusters() iter.Seq[*Cluster] { return maps.Values(s.clusters) }

// Cluster answers one by its uid; nil if there is none.
func (s *State) Cluster(uid string) *Cluster { return s.clusters[uid] }

// Bundles yields all bundles, in no particular order.
func (s *State) Bundles() iter.Seq[*Bundle] { return maps.Values(s.bundles) }

// Groups yields all groups, in no particular order.
func (s *State) Groups() iter.Seq[*Group] { return maps.Values(s.groups) }

// ClustersSince answers what has become, after a seq, of the clusters that keep lets pass, as they were or as they are; ok is false where the log does not
// reach back to it. So do the others.
func (s *State) ClustersSince(seq uint64, keep func(*Cluster) bool) (changes []Change[Cluster], ok bool) {
	return s.clusterLog.since(seq, (*Cluster).UID, keep)
}

// BundlesSince is as ClustersSince.
func (s *State) BundlesSince(seq uint64, keep func(*Bundle) bool) (changes []Change[Bundle], ok bool) {
	return s.bundleLog.since(seq, (*Bundle).UID, keep)
}

// GroupsSince is as ClustersSince.
func (s *State) GroupsSince(seq uint64, keep func(*Group) bool) (changes []Change[Group], ok bool) {
	return s.groupLog.since(seq, (*Group).Name, keep)
}
