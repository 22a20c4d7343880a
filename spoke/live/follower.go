package live

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/backoff"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/kube"
)

const (
	// listPage bounds what is decoded at a time.
	listPage = 500
	// listTimeout bounds one page.
	listTimeout = 30 * time.Second
	// watchFor is how long a watch lasts at least, and at most twice as long; the API server ends it. Renewing costs one
	// request, and bounds how long a half-dead connection can go unseen.
	watchFor = 5 * time.Minute
	// backoffBase and backoffMax bound the waits after failures: short, since drift is blind meanwhile.
	backoffBase = 200 * time.Millisecond
	backoffMax  = 10 * time.Second
)

// key is an object's name within its kind.
type key struct{ namespace, name string }

// follower keeps what is known of one kind.
type follower struct {
	config *Config
	kind   kube.Kind
	// gvr is where the kind is followed: in the version of kind, or in another one since that is served no more. The running goroutine's alone.
	gvr   schema.GroupVersionResource
	users map[string]bool    // guarded by Watcher.mu
	stop  context.CancelFunc // guarded by Watcher.mu; nil before it runs

	// tried is closed when the first list is done or has failed.
	tried chan struct{}
	// again asks for a list.
	again chan struct{}

	mu      sync.Mutex
	objects map[key]Object
	// gone holds the versions at which objects disappeared, since the last list: an answer to a write that was overtaken by
	// a deletion must not bring the object back.
	gone map[key]uint64
	// as is the version of the last list. It holds all that happened up to then.
	as     uint64
	listed bool          // objects is what the API server said last
	err    error         // why it is not
	asked  chan struct{} // closed when the list is done that again asks for; nil if nobody waits
}

func newFollower(config *Config, kind kube.Kind) *follower {
	return &follower{
		config: config, kind: kind, gvr: kind.GVR(), users: map[string]bool{},
		tried: make(chan struct{}), again: make(chan struct{}, 1), objects: map[key]Object{}, gone: map[key]uint64{},
	}
}

// relist asks for a list, and answers a channel that is closed when one that begins after this is done or has failed.
func (f *follower) relist() <-chan struct{} {
	f.mu.Lock()
	if f.asked == nil {
		f.asked = make(chan struct{})
	}
	done := f.asked
	f.mu.Unlock()
	select {
	case f.again <- struct{}{}:
	default:
	}
	return done
}

// run lists and watches until ctx ends.
func (f *follower) run(ctx context.Context) {
	logger := f.config.Logger.With("resource", f.kind.GVR().GroupResource().String())
	wait := backoff.Backoff{Base: backoffBase, Max: backoffMax}
	tried := sync.OnceFunc(func() { close(f.tried) })
	version := "" // where the watch goes on; empty: list first
	for ctx.Err() == nil {
		var err error
		if version == "" {
			version, err = f.renew(ctx)
			if ctx.Err() != nil {
				return
			}
			tried()
		}
		if err == nil {
			version, err = f.watch(ctx, version)
		}
		if err == nil {
			wait.Reset()
			continue
		}
		if ctx.Err() != nil {
			return
		}
		// A connection that breaks is daily business, and only a second failure is news.
		level := slog.LevelDebug
		if wait.Failures() == 1 {
			level = slog.LevelWarn
		}
		logger.Log(ctx, level, "cannot watch; drift of this kind goes unseen", "error", err)
		switch {
		case tooLarge(err):
			// The API server is behind what it said before: its database was restored. Nothing known holds any more.
			f.distrust()
			version = ""
		case apierrors.IsNotFound(err), apierrors.IsForbidden(err):
			f.settle(err)
			version = ""
			if apierrors.IsNotFound(err) && f.move(ctx) {
				logger.Info("the version is served no more; going on in another", "version", f.gvr.Version)
				continue
			}
		}
		select {
		case <-ctx.Done():
		case <-f.again:
			version = ""
		case <-time.After(wait.Next()):
		}
	}
}

// move goes on in another version of the kind, if there is one and the present one is served no more.
func (f *follower) move(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	f.config.Mapper.Forget(f.gvr.Group)
	kind, err := f.config.Mapper.AnyVersion(ctx, f.gvr.Group, f.gvr.Version, f.kind.Kind)
	if err != nil || kind.GVR() == f.gvr {
		return false
	}
	f.gvr = kind.GVR()
	return true
}

// tooLarge tells whether the API server has not reached the version asked for.
func tooLarge(err error) bool {
	return apierrors.HasStatusCause(err, metav1.CauseTypeResourceVersionTooLarge)
}

// distrust makes every object older than any list.
func (f *follower) distrust() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for k, o := range f.objects {
		o.Version = 0
		f.objects[k] = o
	}
	clear(f.gone)
}

// settle notes whether the kind can be followed.
func (f *follower) settle(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listed, f.err = err == nil, err
}

func (f *follower) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// renew lists, notes whether that could be done, and tells who waits for it. It answers the version to watch from.
func (f *follower) renew(ctx context.Context) (string, error) {
	select {
	case <-f.again: // this list answers it
	default:
	}
	f.mu.Lock()
	asked := f.asked
	f.asked = nil
	f.mu.Unlock()
	version, err := f.list(ctx)
	if ctx.Err() == nil {
		f.settle(err)
	}
	if asked != nil {
		close(asked)
	}
	return version, err
}

// list replaces all that is known, tells what differs, and answers the version to watch from.
func (f *follower) list(ctx context.Context) (string, error) {
	started := time.Now()
	seen := map[key]Object{}
	options := metav1.ListOptions{LabelSelector: yardarmv1.LabelBundle, Limit: listPage}
	version := ""
	for {
		page, err := f.page(ctx, options)
		if err != nil {
			return "", fmt.Errorf("list: %w", err)
		}
		for i := range page.Items {
			m := &page.Items[i]
			seen[key{m.Namespace, m.Name}] = Of(m)
		}
		version = page.ResourceVersion
		if options.Continue = page.Continue; options.Continue == "" {
			break
		}
	}
	f.config.Logger.Debug("listed", "resource", f.kind.Resource, "objects", len(seen), "took", time.Since(started))
	f.replace(seen, parseVersion(version))
	return version, nil
}

func (f *follower) page(ctx context.Context, options metav1.ListOptions) (*metav1.PartialObjectMetadataList, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	return f.config.Metadata.Resource(f.gvr).List(ctx, options)
}

// replace makes a list what is known. What was written after the list, as of its version, stays.
func (f *follower) replace(seen map[key]Object, version uint64) {
	var changed []key
	f.mu.Lock()
	for k, old := range f.objects {
		now, ok := seen[k]
		switch {
		case old.Version > version:
			seen[k] = old
		case !ok || now != old:
			changed = append(changed, k)
		}
	}
	for k := range seen {
		if _, ok := f.objects[k]; !ok {
			changed = append(changed, k)
		}
	}
	f.objects, f.as = seen, version
	clear(f.gone)
	f.mu.Unlock()
	f.tell(changed...)
}

// watch follows changes until the API server ends the watch or something fails. It answers the version to go on from, or an empty
// one if that is to be a new list. A list that is asked for costs no new watch.
func (f *follower) watch(ctx context.Context, version string) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	seconds := int64((watchFor + rand.N(watchFor)) / time.Second)
	events, err := f.config.Metadata.Resource(f.gvr).Watch(ctx, metav1.ListOptions{
		LabelSelector: yardarmv1.LabelBundle, ResourceVersion: version, AllowWatchBookmarks: true, TimeoutSeconds: &seconds,
	})
	if err != nil {
		if expired(err) {
			return "", nil
		}
		return version, fmt.Errorf("watch: %w", err)
	}
	defer events.Stop()
	for {
		select {
		case <-f.again:
			listed, err := f.renew(ctx)
			if err != nil {
				return "", err // what is known holds no more, and is listed before it is watched again
			}
			version = listed
		case event, ok := <-events.ResultChan():
			if !ok {
				return version, nil
			}
			next, err := f.handle(event)
			if expired(err) {
				return "", nil
			}
			if err != nil {
				return version, err
			}
			if next != "" {
				version = next
			}
		}
	}
}

// handle takes one event in, and answers the version that it brings; none if it is older than the last list.
func (f *follower) handle(event watch.Event) (string, error) {
	if event.Type == watch.Error {
		return "", fmt.Errorf("watch: %w", apierrors.FromObject(event.Object))
	}
	m, ok := event.Object.(*metav1.PartialObjectMetadata)
	if !ok {
		return "", errors.New("watch: an event without metadata")
	}
	if f.overtaken(parseVersion(m.ResourceVersion)) {
		return "", nil
	}
	k := key{m.Namespace, m.Name}
	switch event.Type {
	case watch.Added, watch.Modified:
		f.observe(k, Of(m))
	case watch.Deleted:
		f.forget(k, parseVersion(m.ResourceVersion))
	}
	return m.ResourceVersion, nil
}

// overtaken tells whether a list has what happened at a version.
func (f *follower) overtaken(version uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return version != 0 && version <= f.as
}

// observe takes in a state of an object unless a newer one is known.
func (f *follower) observe(k key, o Object) {
	f.mu.Lock()
	old, ok := f.objects[k]
	if ok && (old == o || old.Version > o.Version) || f.gone[k] > o.Version {
		f.mu.Unlock()
		return
	}
	f.objects[k] = o
	delete(f.gone, k)
	f.mu.Unlock()
	f.tell(k)
}

// forget takes in a deletion unless the object was made again since. An object that lost our label is deleted too, as
// far as the watch goes.
func (f *follower) forget(k key, version uint64) {
	f.mu.Lock()
	old, ok := f.objects[k]
	if ok && old.Version > version {
		f.mu.Unlock()
		return
	}
	delete(f.objects, k)
	f.gone[k] = version
	f.mu.Unlock()
	f.tell(k)
}

func (f *follower) tell(keys ...key) {
	for _, k := range keys {
		f.config.Changed(f.ref(k))
	}
}

func (f *follower) ref(k key) manifest.Ref {
	return manifest.Ref{Group: f.kind.Group, Kind: f.kind.Kind, Namespace: k.namespace, Name: k.name}
}

func (f *follower) get(k key) (o Object, exists, known bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o, exists = f.objects[k]
	return o, exists, f.listed
}

func expired(err error) bool {
	return apierrors.IsResourceExpired(err) || apierrors.IsGone(err)
}
