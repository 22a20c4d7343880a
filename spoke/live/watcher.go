package live

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/kube"
)

// Config of a Watcher.
type Config struct {
	Metadata metadata.Interface
	// Mapper is asked for another version of a kind when the one that is followed is served no more.
	Mapper Mapper
	Logger *slog.Logger
	// Changed is called for each object that appears, changes or disappears. It is called from the goroutine of its kind,
	// in order for one object, and must not block. It may call Get.
	Changed func(manifest.Ref)
}

// Mapper tells how kinds are served; *kube.Mapper is one.
type Mapper interface {
	Forget(group string)
	AnyVersion(ctx context.Context, group, version, kind string) (kube.Kind, error)
}

// Watcher follows the applied objects of the kinds in use. Safe for concurrent use.
type Watcher struct {
	config Config

	mu      sync.Mutex
	ctx     context.Context // nil before Run, ended after it
	kinds   map[schema.GroupKind]*follower
	running sync.WaitGroup
}

// New makes a Watcher, which follows nothing before Run.
func New(config Config) (*Watcher, error) {
	if config.Metadata == nil || config.Mapper == nil || config.Changed == nil {
		return nil, errors.New("live: a metadata client, a mapper and a callback are needed")
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	return &Watcher{config: config, kinds: map[schema.GroupKind]*follower{}}, nil
}

// Run follows what Use names until ctx ends, and returns when nothing runs any more.
func (w *Watcher) Run(ctx context.Context) error {
	w.mu.Lock()
	if w.ctx != nil {
		w.mu.Unlock()
		return errors.New("live: Run is called twice")
	}
	w.ctx = ctx
	for _, f := range w.kinds {
		w.start(f)
	}
	w.mu.Unlock()
	<-ctx.Done()
	w.running.Wait()
	return nil
}

// start runs a follower. The caller holds mu.
func (w *Watcher) start(f *follower) {
	if w.ctx == nil || w.ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithCancel(w.ctx)
	f.stop = cancel
	w.running.Go(func() { f.run(ctx) })
}

// Use says which kinds a user needs from now on. A kind is followed as long as any user needs it; a kind served in several
// versions is followed in the one that was named first, until that is served no more.
func (w *Watcher) Use(user string, kinds []kube.Kind) {
	w.mu.Lock()
	defer w.mu.Unlock()
	wanted := map[schema.GroupKind]bool{}
	for _, k := range kinds {
		gk := schema.GroupKind{Group: k.Group, Kind: k.Kind}
		wanted[gk] = true
		f := w.kinds[gk]
		if f == nil {
			f = newFollower(&w.config, k)
			w.kinds[gk] = f
			w.start(f)
		}
		f.users[user] = true
	}
	for gk, f := range w.kinds {
		if wanted[gk] {
			continue
		}
		delete(f.users, user)
		if len(f.users) == 0 {
			delete(w.kinds, gk)
			if f.stop != nil {
				f.stop()
			}
		}
	}
}

func (w *Watcher) follower(group, kind string) *follower {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.kinds[schema.GroupKind{Group: group, Kind: kind}]
}

// Sync waits until each of the kinds has been listed, or could not be. The error says which could not; what Get answers
// of those means nothing.
func (w *Watcher) Sync(ctx context.Context, kinds []kube.Kind) error {
	var failures []error
	for _, k := range kinds {
		f := w.follower(k.Group, k.Kind)
		if f == nil {
			continue
		}
		select {
		case <-f.tried:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := f.failure(); err != nil {
			failures = append(failures, fmt.Errorf("watch %s: %w", k.Resource, err))
		}
	}
	return errors.Join(failures...)
}

// Relist asks the API server for all objects anew: one request a kind. What has changed unseen is told as if it had been seen.
func (w *Watcher) Relist() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.kinds {
		f.relist()
	}
}

// Refresh is Relist for some kinds, and waits until they have been listed, or could not be.
func (w *Watcher) Refresh(ctx context.Context, kinds []kube.Kind) error {
	var listed []<-chan struct{}
	for _, k := range kinds {
		if f := w.follower(k.Group, k.Kind); f != nil {
			listed = append(listed, f.relist())
		}
	}
	for _, done := range listed {
		select {
		case <-done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// Get answers a live object. known is false while nothing can be told of its kind: it is not followed, or cannot be listed.
func (w *Watcher) Get(ref manifest.Ref) (o Object, exists, known bool) {
	f := w.follower(ref.Group, ref.Kind)
	if f == nil {
		return Object{}, false, false
	}
	return f.get(key{ref.Namespace, ref.Name})
}

// Observe notes what the API server answered to a write, so that Get knows at once. An answer older than what is known
// changes nothing.
func (w *Watcher) Observe(ref manifest.Ref, o Object) {
	if f := w.follower(ref.Group, ref.Kind); f != nil {
		f.observe(key{ref.Namespace, ref.Name}, o)
	}
}
