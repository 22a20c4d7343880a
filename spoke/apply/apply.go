package apply

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/kube"
)

const (
	// defaultConcurrency is how many objects of a stage are written at a time: enough to hide the round trip, and few enough
	// for the API server's fair queues to let others pass.
	defaultConcurrency = 8
	// requestTimeout bounds one write, admission webhooks included, which may take 30 s.
	requestTimeout = 35 * time.Second
	// establishTimeout is how long a stage waits for its definitions to be served. They usually are within 100 ms.
	establishTimeout = 30 * time.Second
	// servedTimeout is how long a write to a kind that was just established is tried again while its path is not found: an API
	// server lists a kind a moment before it serves it, and of several servers another may lag behind.
	servedTimeout = 5 * time.Second
	// pollFirst and pollMax bound the waits between looks at something that is about to happen.
	pollFirst = 25 * time.Millisecond
	pollMax   = 500 * time.Millisecond
)

// Config of an Applier.
type Config struct {
	Dynamic  dynamic.Interface
	Metadata metadata.Interface
	// Look reads what is to be taken away. Default: Metadata. Who may not write an object may seldom read it either, and what was
	// never applied for that reason has to be found missing all the same.
	Look   metadata.Interface
	Mapper *kube.Mapper
	// Concurrency is how many requests one call has under way at a time. Default 8.
	Concurrency int
	Logger      *slog.Logger
}

// Applier writes objects. Safe for concurrent use.
type Applier struct {
	dynamic  dynamic.Interface
	metadata metadata.Interface
	look     metadata.Interface
	mapper   *kube.Mapper
	slots    int
	logger   *slog.Logger
}

// New makes an Applier.
func New(c Config) (*Applier, error) {
	if c.Dynamic == nil || c.Metadata == nil || c.Mapper == nil {
		return nil, errors.New("apply: clients and a mapper are needed")
	}
	if c.Look == nil {
		c.Look = c.Metadata
	}
	if c.Concurrency <= 0 {
		c.Concurrency = defaultConcurrency
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Applier{
		dynamic: c.Dynamic, metadata: c.Metadata, look: c.Look, mapper: c.Mapper,
		slots: c.Concurrency, logger: c.Logger,
	}, nil
}

// Options of Apply.
type Options struct {
	// Stop ends the work between two objects when it is closed. What is under way is finished, so that nothing happens in the
	// cluster after Apply has returned. (The end of the context breaks off everything.)
	Stop <-chan struct{}
	// Applied is called with the API server's answer about each object that was written, from several goroutines. The answer
	// is the callee's.
	Applied func(Item, *unstructured.Unstructured)
}

// ChangeSet is what came of the objects that were to be written.
type ChangeSet struct {
	Applied  []manifest.Ref
	Problems []*Problem
	// Present are somebody else's, and were to be made only if they were not there.
	Present []manifest.Ref
	// Skipped were not tried, because Stop was closed or the context ended.
	Skipped []manifest.Ref
}

// Apply writes items, stage by stage, and waits between stages where later ones need it. Each item is one request, unless its
// delivery asks for more, or another tool has applied the object before.
func (a *Applier) Apply(ctx context.Context, items []Item, o Options) ChangeSet {
	var set ChangeSet
	for _, stage := range stages(items) {
		a.each(ctx, stage.items, o.Stop, &set, func(ctx context.Context, item Item) error {
			item, err := a.asFound(ctx, item)
			if err != nil {
				return err
			}
			answer, err := a.deliver(ctx, item, o.Stop)
			if err == nil && o.Applied != nil {
				o.Applied(item, answer)
			}
			return err
		})
		if stage.wait {
			set.Problems = append(set.Problems, a.awaitUsable(ctx, stage.items, set.Applied, o.Stop)...)
		}
	}
	return set
}

// DryRun asks the API server whether it would take items, and writes nothing. Objections that the bundle's own definitions
// and namespaces will remove are left out, and so are those that end with the object being made anew: of those objects, there is no answer to call
// Applied with.
func (a *Applier) DryRun(ctx context.Context, r *Rendered, items []Item, o Options) ChangeSet {
	var set ChangeSet
	a.each(ctx, items, o.Stop, &set, func(ctx context.Context, item Item) error {
		dry := requestFor(item)
		dry.dry = true
		item, err := a.asFound(ctx, item)
		var answer *unstructured.Unstructured
		if err == nil {
			answer, err = a.write(ctx, item, dry)
		}
		if err != nil && !errors.Is(err, errPresent) {
			answer, err = nil, a.standing(ctx, r, item, err)
		}
		if err == nil && o.Applied != nil {
			o.Applied(item, answer)
		}
		return err
	})
	return set
}

// standing answers what of an objection to a dry run would stand when the turn of the item comes; nil for nothing.
func (a *Applier) standing(ctx context.Context, r *Rendered, item Item, err error) error {
	p := Explain(item.Ref, err)
	switch {
	case p.Reason == ReasonNamespaceNotFound && r.Namespaces[p.Ref.Namespace], p.Reason == ReasonUnknownKind && item.OwnKind:
		return nil
	case p.Reason == ReasonImmutableField && recreatable(item):
		return a.expendable(ctx, item, err)
	}
	return p
}

type stage struct {
	wait  bool
	items []Item
}

// stages puts items in the order of apply.
func stages(items []Item) []stage {
	byRef := make(map[manifest.Ref]*Item, len(items))
	objects := make([]manifest.Object, len(items))
	for i := range items {
		objects[i] = items[i].Object
		byRef[items[i].Ref] = &items[i]
	}
	var out []stage
	for _, s := range manifest.Order(objects) {
		next := stage{wait: s.Wait}
		for _, object := range s.Objects {
			next.items = append(next.items, *byRef[object.Ref()])
		}
		out = append(out, next)
	}
	return out
}

// each calls one for items side by side, and adds what came of them to set.
func (a *Applier) each(ctx context.Context, items []Item, stop <-chan struct{}, set *ChangeSet, one func(context.Context, Item) error) {
	var group sync.WaitGroup
	var mu sync.Mutex // guards set
	slots := make(slots, a.slots)
	for _, item := range items {
		if !slots.acquire(ctx, stop) {
			mu.Lock()
			set.Skipped = append(set.Skipped, item.Ref)
			mu.Unlock()
			continue
		}
		group.Go(func() {
			defer slots.release()
			err := one(ctx, item)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				set.Applied = append(set.Applied, item.Ref)
			case errors.Is(err, errPresent):
				set.Present = append(set.Present, item.Ref)
			default:
				set.Problems = append(set.Problems, Explain(item.Ref, err))
			}
		})
	}
	group.Wait()
}

// slots bounds the requests of one call.
type slots chan struct{}

// acquire takes a slot, unless it is to stop.
func (s slots) acquire(ctx context.Context, stop <-chan struct{}) bool {
	select {
	case <-stop:
		return false
	case <-ctx.Done():
		return false
	default:
	}
	select {
	case <-stop:
		return false
	case <-ctx.Done():
		return false
	case s <- struct{}{}:
		return true
	}
}

func (s slots) release() { <-s }

func (a *Applier) resource(kind kube.Kind, ref manifest.Ref) dynamic.ResourceInterface {
	if kind.Namespaced {
		return a.dynamic.Resource(kind.GVR()).Namespace(ref.Namespace)
	}
	return a.dynamic.Resource(kind.GVR())
}

func metadataOf(client metadata.Interface, kind kube.Kind, ref manifest.Ref) metadata.ResourceInterface {
	if kind.Namespaced {
		return client.Resource(kind.GVR()).Namespace(ref.Namespace)
	}
	return client.Resource(kind.GVR())
}

// pause waits a little, each time longer. It answers false when it is to stop.
func pause(ctx context.Context, stop <-chan struct{}, wait *time.Duration) bool {
	timer := time.NewTimer(*wait)
	defer timer.Stop()
	*wait = min(*wait*2, pollMax)
	select {
	case <-stop:
		return false
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
