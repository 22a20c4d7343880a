package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"golang.org/x/sync/semaphore"
	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/api"
	"github.com/yardarm-dev/yardarm/hub/source/chart"
	"github.com/yardarm-dev/yardarm/hub/source/credentials"
	"github.com/yardarm-dev/yardarm/hub/source/git"
	"github.com/yardarm-dev/yardarm/hub/source/reach"
	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// defaultInterval is how often a repository is asked where the bundle does not say, as the proto says.
	defaultInterval = time.Minute
	// maxBackoff is the longest pause after failures of a server that is asked more often.
	maxBackoff = 10 * time.Minute
	// fetchers is how many servers are asked at once: what one gives is unpacked, with a file of it at a time in memory.
	fetchers = 4
	// lookers is how many repositories are looked at at once, most of which wait for their turn to be fetched or rendered: each may hold a pack's index and some objects in memory.
	lookers = 16
	// fetchTime is how long asking a server may take: the first fetch of a large repository over a slow line.
	fetchTime = 5 * time.Minute
)

// Publisher publishes what a source has; it is [api.Server].
type Publisher interface {
	PublishSource(context.Context, api.SourcePublication) (held string, err error)
}

// Config of a Controller. Store, Publisher, Sealer and Dir are needed.
type Config struct {
	Store     *store.Store
	Publisher Publisher
	Sealer    credentials.Sealer
	// Dir is where fetched repositories are kept. All that is in it is the controller's, and may be lost.
	Dir string
	// Dialer says which servers may be asked.
	Dialer reach.Dialer
	// Bases are the URLs below which kustomizations may refer to bases elsewhere. None by default.
	Bases []string
	// MaxSize is the largest repository, in bytes. Default: that of package git.
	MaxSize int64
	// Renders is how many bundles are rendered at once. Default: as many as there are processors, and memory for.
	Renders    int
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	// Tracer makes spans of looks. Default: none are made.
	Tracer trace.Tracer
	// Clock is time.Now by default.
	Clock func() time.Time
}

// Controller keeps the bundles of one store at what their sources hold.
type Controller struct {
	Config
	metrics *metrics
	// fetches and renders are had by turns, in the order in which they are asked for.
	fetches, renders turns
	looks            chan func(*yardarmv1.Source) bool
	done             chan result

	// What follows belongs to Run.
	repositories map[place]*repository
	followers    map[string]*follower // by bundle uid
	busy         int
}

// place is what a repository is fetched by: bundles that have all of it in common share it.
type place struct {
	kind
	url, credentials string
}

// kind says by which protocol.
type kind string

const (
	kindGit  kind = "git"
	kindHelm kind = "helm"
	kindOCI  kind = "oci"
)

// repository is one that some bundle has as its source: of commits, of charts or of artifacts.
type repository struct {
	place
	// charts is of the kind helm, and belongs to whoever looks.
	charts    *chart.Repository
	followers map[string]*follower // by bundle uid
	next      time.Time
	busy      bool
	// again says that it was asked to look while it was looking.
	again bool
	// failures is how often in a row its server gave nothing.
	failures int
}

// follower is a bundle with a source. It is replaced when its source changes.
type follower struct {
	uid, name, namespace string
	source               *yardarmv1.Source
	// labels are those of the bundle, which a scope of credentials may be over.
	labels map[string]string
	// variants are what is to be rendered, of which the bundle's targets are a part, too.
	variants []*yardarmv1.Variant
	// mark is the commit or the digest that needs no more to be looked into; empty if none does.
	mark   string
	status *yardarmv1.SourceStatus
}

// New makes one; Run does the work.
func New(c Config) (*Controller, error) {
	if c.Store == nil || c.Publisher == nil || c.Sealer == nil || c.Dir == "" {
		return nil, errors.New("source: a store, a publisher, a sealer and a directory are needed")
	}
	for _, base := range c.Bases {
		if _, err := git.ParsePrefix(base); err != nil {
			return nil, fmt.Errorf("source: the URL %q of bases %w", base, err)
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Tracer == nil {
		c.Tracer = noop.NewTracerProvider().Tracer("")
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Renders <= 0 {
		c.Renders = defaultRenders()
	}
	m := newMetrics(c.Registerer, c.Store)
	return &Controller{Config: c, metrics: m, looks: make(chan func(*yardarmv1.Source) bool), done: make(chan result, lookers),
		fetches:      turns{semaphore.NewWeighted(fetchers), m.waiting.WithLabelValues("fetch")},
		renders:      turns{semaphore.NewWeighted(int64(c.Renders)), m.waiting.WithLabelValues("render")},
		repositories: make(map[place]*repository), followers: make(map[string]*follower)}, nil
}

// Run follows sources until ctx ends, and returns nil then.
func (c *Controller) Run(ctx context.Context) error {
	sub := c.Store.Subscribe(store.Bundles, store.SourceCredentials)
	defer sub.Close()
	defer c.rest()
	for b := range c.Store.Read().Bundles() {
		c.follow(b.GetMetadata().GetUid())
	}
	c.tidy()
	c.sweep()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-sub.C():
			c.take(sub.Take())
		case matches := <-c.looks:
			c.hasten(func(r *repository) bool {
				return slices.ContainsFunc(slices.Collect(maps.Values(r.followers)), func(f *follower) bool { return matches(f.source) })
			})
		case r := <-c.done:
			c.finish(ctx, r)
		case <-timer.C:
		}
		if next := c.start(ctx); !next.IsZero() {
			timer.Reset(max(0, next.Sub(c.Clock())))
		}
	}
}

// rest waits for those that still look: they end soon, since their context has.
func (c *Controller) rest() {
	for ; c.busy > 0; c.busy-- {
		<-c.done
	}
}

// Look has the repositories that match, by the source of one of their bundles, looked at now. It returns once that is noted.
func (c *Controller) Look(ctx context.Context, matches func(*yardarmv1.Source) bool) error {
	select {
	case c.looks <- matches:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// take takes in what has changed in the store.
func (c *Controller) take(changed store.Changed) {
	uids := changed.Keys(store.Bundles)
	if changed.All(store.Bundles) {
		uids = func(yield func(string) bool) {
			for b := range c.Store.Read().Bundles() {
				if !yield(b.GetMetadata().GetUid()) {
					return
				}
			}
			for uid := range maps.Clone(c.followers) {
				if !yield(uid) {
					return
				}
			}
		}
	}
	for uid := range uids {
		c.follow(uid)
	}
	if changed.Any(store.SourceCredentials) {
		c.hasten(func(r *repository) bool {
			return r.credentials != "" && (changed.All(store.SourceCredentials) || changed.Has(store.SourceCredentials, r.credentials))
		})
	}
}

// follow compares a bundle with what is followed.
func (c *Controller) follow(uid string) {
	b := c.Store.Read().Bundle(uid)
	from := b.GetSpec().GetSource().Origin()
	old := c.followers[uid]
	namespace, labels, variants := b.GetSpec().GetDelivery().GetNamespace(), b.GetMetadata().GetLabels(), b.GetSpec().Renderings()
	// Of the same source, there is one more to be rendered or one less where targets begin or cease to ask for none of its variants.
	if old != nil && from != nil && proto.Equal(old.source, b.Spec.Source) && old.namespace == namespace && len(old.variants) == len(variants) {
		if from.GetCredentials() != "" && !maps.Equal(old.labels, labels) {
			old.labels = labels
			c.repositories[placeOf(old.source)].soon(c.Clock())
		}
		return
	}
	if old != nil {
		c.leave(old)
	}
	if from == nil {
		return
	}
	f := &follower{uid: uid, name: b.Metadata.Name, namespace: namespace, source: b.Spec.Source, labels: labels, variants: variants}
	p := placeOf(f.source)
	r := c.repositories[p]
	if r == nil {
		r = &repository{place: p, charts: &chart.Repository{Cache: *c.archives(p)}, followers: make(map[string]*follower)}
		c.repositories[p] = r
	}
	r.followers[uid], c.followers[uid] = f, f
	r.soon(c.Clock())
}

func placeOf(s *yardarmv1.Source) place {
	p := place{kind: kindGit, url: s.Origin().GetUrl(), credentials: s.Origin().GetCredentials()}
	switch {
	case s.GetHelm() != nil:
		p.kind = kindHelm
	case s.GetOci() != nil:
		p.kind = kindOCI
	}
	return p
}

// leave ends following a bundle, and what was seen for it. What was fetched for nobody else is removed by the next tidy.
func (c *Controller) leave(f *follower) {
	p := placeOf(f.source)
	delete(c.followers, f.uid)
	if r := c.repositories[p]; r != nil {
		delete(r.followers, f.uid)
		if len(r.followers) == 0 {
			delete(c.repositories, p)
			if !r.busy {
				c.tidy()
			}
		}
	}
	c.note(f.uid, nil, nil)
}

// soon has a repository looked at as soon as may be.
func (r *repository) soon(now time.Time) {
	r.next, r.failures = now, 0
	r.again = r.busy
}

func (c *Controller) hasten(which func(*repository) bool) {
	for _, r := range c.repositories {
		if which(r) {
			r.soon(c.Clock())
		}
	}
}

// start looks at what is due, as far as there is room, and answers when the next one is; zero if there is none, or if the end of a look comes first.
func (c *Controller) start(ctx context.Context) (next time.Time) {
	now := c.Clock()
	var due []*repository
	for _, r := range c.repositories {
		switch {
		case r.busy:
		case !r.next.After(now):
			due = append(due, r)
		case next.IsZero() || r.next.Before(next):
			next = r.next
		}
	}
	slices.SortFunc(due, func(a, b *repository) int { return a.next.Compare(b.next) })
	for _, r := range due[:min(len(due), lookers-c.busy)] {
		c.busy++
		r.busy, r.again = true, false
		job := c.job(r)
		go func() { c.done <- c.look(ctx, job) }()
	}
	return next
}

// finish takes in what a look has found.
func (c *Controller) finish(ctx context.Context, done result) {
	c.busy--
	r := done.repository
	r.busy = false
	if c.repositories[r.place] != r {
		c.tidy()
		return
	}
	if ctx.Err() != nil {
		return
	}
	r.failures++
	for _, o := range done.outcomes {
		if o.status.GetProblem() == nil {
			r.failures = 0
		}
		if c.followers[o.follower.uid] != o.follower {
			continue // it has another source by now
		}
		before := o.follower.status
		o.follower.mark, o.follower.status = o.mark, o.status
		c.note(o.follower.uid, before, o.status)
	}
	r.next = c.Clock().Add(r.pause())
	if r.again {
		r.next = c.Clock()
	}
}

// pause is how long a repository is left alone: the shortest interval of its bundles, longer with each failure, and never quite the same, so that those that were
// begun together do not stay together.
func (r *repository) pause() time.Duration {
	shortest := time.Duration(0)
	for _, f := range r.followers {
		interval := defaultInterval
		if i := f.source.Origin().GetInterval(); i != nil {
			interval = i.AsDuration()
		}
		if shortest == 0 || interval < shortest {
			shortest = interval
		}
	}
	if r.failures > 1 && shortest < maxBackoff {
		shortest = min(maxBackoff, shortest<<min(r.failures-1, 10))
	}
	return time.Duration(float64(shortest) * (0.9 + 0.2*rand.Float64()))
}

// note makes visible what was seen, and tells of a source that has begun or ceased to fail.
func (c *Controller) note(uid string, before, now *yardarmv1.SourceStatus) {
	if before == nil && now == nil && c.Store.Read().Source(uid) == nil {
		return
	}
	err := c.Store.Observe(context.Background(), func(tx *store.Tx) error {
		b := tx.Bundle(uid)
		if e := eventOf(b, before, now, c.Clock()); e != nil {
			if err := tx.AddEvent(e); err != nil {
				return err
			}
		}
		return tx.PutSource(uid, now)
	})
	if err != nil && !errors.Is(err, store.ErrClosed) {
		c.Logger.Error("what was seen of a source is not shown", "error", err)
	}
}

// tidy removes what was fetched of repositories that nobody follows any more.
func (c *Controller) tidy() {
	kept := make(map[string]bool)
	for p := range c.repositories {
		kept[p.dir()] = true
	}
	entries, err := os.ReadDir(c.Dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		c.Logger.Warn("old repositories were not removed", "error", err)
	}
	for _, entry := range entries {
		if kept[entry.Name()] || strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		if err := os.RemoveAll(filepath.Join(c.Dir, entry.Name())); err != nil {
			c.Logger.Warn("an old repository was not removed", "error", err)
		}
	}
}

// sweep removes what a hub before has left of bases while it rendered.
func (c *Controller) sweep() {
	left, _ := filepath.Glob(filepath.Join(c.Dir, basesDir+"*")) // the pattern is good
	for _, dir := range left {
		if err := os.RemoveAll(dir); err != nil {
			c.Logger.Warn("bases of an earlier rendering were not removed", "error", err)
		}
	}
}

// dir is the name of what was fetched. Credentials are part of it: whoever has others may not read what these gave.
func (p place) dir() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s", p.kind, p.url, p.credentials))
	return hex.EncodeToString(sum[:16])
}
