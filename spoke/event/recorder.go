package event

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/yardarm-dev/yardarm/pkg/backoff"
	"github.com/yardarm-dev/yardarm/spoke/kube"
)

const (
	// requestTimeout bounds one write. An event is not worth waiting for longer.
	requestTimeout = 10 * time.Second
	// retryBase and retryMax bound the waits while the API server does not answer.
	retryBase, retryMax = time.Second, time.Minute
)

// Config of a Recorder. Client is needed.
type Config struct {
	Client *kube.Client
	// Instance is the pod or machine that events name. Default: the host's name.
	Instance   string
	Registerer prometheus.Registerer
	Logger     *slog.Logger
}

// Recorder writes events. Safe for concurrent use.
type Recorder struct {
	client   *kube.Client
	instance string
	logger   *slog.Logger
	results  *prometheus.CounterVec

	wake chan struct{} // cap 1: wakes coalesce

	mu    sync.Mutex
	queue *queue // guarded by mu
}

// What becomes of events, as the counter has it.
const (
	resultWritten  = "written"
	resultRepeated = "repeated" // counted in one that was written before
	resultDropped  = "dropped"  // too many, or too old
	resultFailed   = "failed"   // the API server did not take it
)

// New makes a Recorder, which only gathers before Run.
func New(c Config) (*Recorder, error) {
	if c.Client == nil {
		return nil, errors.New("event: a client is needed")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Instance == "" {
		c.Instance, _ = os.Hostname()
	}
	r := &Recorder{
		client: c.Client, instance: clip(cmp.Or(c.Instance, "unknown"), reasonLimit, ""), logger: c.Logger,
		wake: make(chan struct{}, 1), queue: newQueue(),
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "yardarm_spoke_events_total", Help: "Kubernetes Events, by what became of them.",
		}, []string{"result"}),
	}
	for _, result := range []string{resultWritten, resultRepeated, resultDropped, resultFailed} {
		r.results.WithLabelValues(result)
	}
	if c.Registerer != nil {
		if err := c.Registerer.Register(r.results); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return r, nil
}

// Record has an event written when its turn comes. It never blocks.
func (r *Recorder) Record(e Event) {
	r.mu.Lock()
	dropped := r.queue.put(e, time.Now())
	r.mu.Unlock()
	r.results.WithLabelValues(resultDropped).Add(float64(dropped))
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Oldest answers since when the event waits that waits longest; zero if none does.
func (r *Recorder) Oldest() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.queue.oldest()
}

// Run writes until ctx ends. What waits then is lost.
func (r *Recorder) Run(ctx context.Context) {
	retry := backoff.Backoff{Base: retryBase, Max: retryMax}
	failing := false
	for {
		p, wait := r.next()
		if p == nil {
			if !pause(ctx, r.wake, wait) {
				return
			}
			continue
		}
		count, err := r.write(ctx, p)
		if err == nil {
			r.wrote(p, count)
			retry.Reset()
			failing = false
			continue
		}
		if ctx.Err() != nil {
			return
		}
		// A namespace that may not be written to, or is gone, is no news each time.
		level := slog.LevelDebug
		if !failing {
			level = slog.LevelWarn
		}
		failing = true
		r.logger.Log(ctx, level, "cannot write an event", "object", p.Regarding.String(), "reason", p.Reason, "error", err)
		if !kube.Transient(err) {
			r.results.WithLabelValues(resultFailed).Inc()
			continue
		}
		r.back(p)
		if !pause(ctx, nil, retry.Next()) {
			return
		}
	}
}

func (r *Recorder) next() (*pending, time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, wait, dropped := r.queue.next(time.Now())
	r.results.WithLabelValues(resultDropped).Add(float64(dropped))
	return p, wait
}

func (r *Recorder) wrote(p *pending, count int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue.wrote(p.key, count, time.Now())
	result := resultWritten
	if count > p.count {
		result = resultRepeated
	}
	r.results.WithLabelValues(result).Inc()
}

// back puts an event back that could not be written yet.
func (r *Recorder) back(p *pending) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue.back(p)
}

// pause waits until it is woken, or for a time; 0 is for ever. It answers false when ctx has ended.
func pause(ctx context.Context, wake <-chan struct{}, wait time.Duration) bool {
	var turn <-chan time.Time
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		turn = timer.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-wake:
	case <-turn:
	}
	return true
}

// write makes the event, or counts on in the one that says the same. It answers how often that was said in all.
func (r *Recorder) write(ctx context.Context, p *pending) (count int, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	namespace := p.Regarding.namespace()
	if namespace == r.client.Namespace() {
		if err := r.client.EnsureNamespace(ctx); err != nil {
			return 0, err
		}
	}
	events := r.client.Dynamic.Resource(resource).Namespace(namespace)
	r.mu.Lock()
	before := r.queue.told[p.key].count
	r.mu.Unlock()
	if before > 0 {
		err := r.repeat(ctx, events, p, before+p.count)
		if !apierrors.IsNotFound(err) {
			return before + p.count, err
		}
	}
	_, err = events.Create(ctx, p.object(r.instance), metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		return p.count, err
	}
	// Said before this process began.
	old, err := events.Get(ctx, p.name(), metav1.GetOptions{})
	if err != nil {
		return 0, err
	}
	before = 1
	if n, ok, _ := unstructured.NestedInt64(old.Object, "series", "count"); ok {
		before = int(n)
	}
	return before + p.count, r.repeat(ctx, events, p, before+p.count)
}

// object answers the event as the API server takes it.
func (p *pending) object(instance string) *unstructured.Unstructured {
	regarding := map[string]any{"kind": p.Regarding.Kind, "name": p.Regarding.Name}
	if p.Regarding.Version != "" {
		regarding["apiVersion"] = schema.GroupVersion{Group: p.Regarding.Group, Version: p.Regarding.Version}.String()
	}
	if p.Regarding.Namespace != "" {
		regarding["namespace"] = p.Regarding.Namespace
	}
	if p.Regarding.UID != "" {
		regarding["uid"] = p.Regarding.UID
	}
	object := map[string]any{
		"apiVersion": resource.GroupVersion().String(), "kind": "Event",
		"metadata":  map[string]any{"name": p.name(), "namespace": p.Regarding.namespace()},
		"eventTime": timestamp(p.first), "reportingController": controller, "reportingInstance": instance,
		"type": p.Type, "reason": clip(p.Reason, reasonLimit, ""), "action": clip(p.Action, reasonLimit, ""), "note": clip(p.Note, noteLimit, "…"),
		"regarding": regarding,
	}
	if p.count > 1 {
		object["series"] = map[string]any{"count": int64(p.count), "lastObservedTime": timestamp(p.last)}
	}
	return &unstructured.Unstructured{Object: object}
}

// repeat writes how often an event was said. Nothing else of an event can change.
func (r *Recorder) repeat(ctx context.Context, events dynamic.ResourceInterface, p *pending, count int) error {
	patch := fmt.Sprintf(`{"series":{"count":%d,"lastObservedTime":%q}}`, count, timestamp(p.last))
	_, err := events.Patch(ctx, p.name(), types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	return err
}
