package scenario

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yardarm-dev/yardarm/e2e/fleetsim/artifact"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/measure"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/seed"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/spokes"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/worker"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// groupAll and groupTen are the groups that bundles target.
	groupAll = seed.GroupAll
	groupTen = "fleetsim-ten"
	// tokensAtOnce is how many calls for tokens are under way at a time: they share commits.
	tokensAtOnce = 64
)

// world is a hub and the processes that run its spokes.
type world struct {
	Config
	hub     *hub
	workers []*worker.Worker
	// sizes is how many spokes each worker has, enrolled how many have been enrolled, and started how many of those have been started; stalled are how many of those of each
	// worker read nothing any more.
	sizes             []int
	enrolled, started int
	stalled           map[*worker.Worker]int
	// changes counts publications of each bundle, so that each differs from the last.
	changes map[string]int
	// published are the bundles whose rollouts may not have come to their end, with the group each is for.
	published map[string]string
}

// newWorld starts a hub, and makes the groups that clusters will be in.
func newWorld(ctx context.Context, c Config) (*world, error) {
	w := &world{Config: c, changes: map[string]int{}, published: map[string]string{}}
	var err error
	if w.hub, err = newHub(ctx, c); err != nil {
		return nil, err
	}
	if _, err := w.hub.client.Apply(ctx, &hubv1.ApplyRequest{Resources: []*hubv1.Resource{group(groupAll, "fleetsim"), group(groupTen, "ten")}}); err != nil {
		return nil, errors.Join(fmt.Errorf("make the groups: %w", err), w.close())
	}
	return w, nil
}

// close ends all that runs. It may be called again.
func (w *world) close() error {
	var err error
	for _, worker := range w.workers {
		err = errors.Join(err, worker.Stop())
	}
	w.workers, w.sizes, w.stalled = nil, nil, nil
	return errors.Join(err, w.hub.close())
}

// enrol enrols spokes until there are n: tokens over the API, then each spoke over a connection of its own.
func (w *world) enrol(ctx context.Context, n int) (took time.Duration, err error) {
	began := time.Now()
	clusters, err := w.tokens(ctx, w.enrolled, n)
	if err != nil {
		return 0, err
	}
	w.enrolled = n
	w.say("%d enrolment tokens in %s", len(clusters), short(time.Since(began)))
	group := errgroup.Group{}
	for len(clusters) > 0 {
		some := clusters[:min(w.PerProcess, len(clusters))]
		clusters = clusters[len(some):]
		number := len(w.workers)
		worker, err := w.startWorker(fmt.Sprintf("spokes-%d", number))
		if err != nil {
			return 0, err
		}
		w.sizes = append(w.sizes, len(some))
		group.Go(func() error {
			return worker.Enrol(enrolArgs(w.hub.spokeAddress(), number, some))
		})
	}
	err = group.Wait()
	took = time.Since(began)
	w.say("%d spokes enrolled in %s", n, short(took))
	return took, err
}

// enrolArgs gives each worker a network of its own, apart from those that hubs listen on.
func enrolArgs(hub string, n int, clusters []spokes.Cluster) worker.EnrolArgs {
	return worker.EnrolArgs{Hub: hub, Network: firstNetwork + n, Clusters: clusters, Timeout: patience}
}

// firstNetwork is 127.220.0.0/16: e2e/fleet's hubs end below it.
const firstNetwork = 220

func (w *world) startWorker(name string) (*worker.Worker, error) {
	worker, err := worker.Start(filepath.Join(w.Dir, name))
	if err == nil {
		w.workers = append(w.workers, worker)
	}
	return worker, err
}

func group(name, label string) *hubv1.Resource {
	return &hubv1.Resource{Resource: &hubv1.Resource_ClusterGroup{ClusterGroup: &yardarmv1.ClusterGroup{
		ApiVersion: yardarmv1.APIVersion, Kind: yardarmv1.KindClusterGroup, Metadata: &yardarmv1.ObjectMeta{Name: name},
		Spec: &yardarmv1.ClusterGroupSpec{Selector: &yardarmv1.LabelSelector{MatchLabels: map[string]string{label: "yes"}}},
	}}}
}

// tokens makes those of the clusters from one number up to another.
func (w *world) tokens(ctx context.Context, from, to int) ([]spokes.Cluster, error) {
	clusters := make([]spokes.Cluster, to-from)
	calls, ctx := errgroup.WithContext(ctx)
	calls.SetLimit(tokensAtOnce)
	for i := from; i < to; i++ {
		calls.Go(func() error {
			labels := map[string]string{"fleetsim": "yes", "env": []string{"prod", "test"}[i%2], "shop": fmt.Sprint(i)}
			if i < tens {
				labels["ten"] = "yes"
			}
			name := seed.ClusterName(i)
			answer, err := w.hub.client.EnrollCluster(ctx, &hubv1.EnrollClusterRequest{Name: name, Labels: labels})
			if err != nil {
				return fmt.Errorf("ask for a token: %w", err)
			}
			clusters[i-from] = spokes.Cluster{Name: name, Token: answer.Token}
			return nil
		})
	}
	return clusters, calls.Wait()
}

// connect starts spokes until n are connected, at a bounded rate, and answers how long it took.
func (w *world) connect(n int) (time.Duration, error) {
	began := time.Now()
	over := time.Second * time.Duration(n-w.started) / time.Duration(w.ConnectPerSecond)
	first := 0
	for i, size := range w.sizes {
		from, to := max(w.started-first, 0), min(n-first, size)
		if from < to {
			if err := w.workers[i].Start(worker.StartArgs{From: from, To: to, Over: over}); err != nil {
				return 0, err
			}
		}
		first += size
	}
	w.started = n
	_, err := w.awaitConnected()
	took := time.Since(began)
	w.say("%d spokes connected in %s", n, short(took))
	return took, err
}

// running answers how many spokes of each worker have been started.
func (w *world) running() []int {
	counts := make([]int, len(w.sizes))
	left := w.started
	for i, size := range w.sizes {
		counts[i] = min(left, size)
		left -= counts[i]
	}
	return counts
}

// each calls fn for every worker that has spokes running, at the same time.
func (w *world) each(fn func(worker *worker.Worker, spokes int) error) error {
	var group errgroup.Group
	for i, n := range w.running() {
		if n > 0 {
			group.Go(func() error { return fn(w.workers[i], n) })
		}
	}
	return group.Wait()
}

// awaitConnected waits for all that have been started, and answers when the last one was welcomed.
func (w *world) awaitConnected() (last time.Time, err error) {
	var mu sync.Mutex
	err = w.each(func(worker *worker.Worker, n int) error {
		at, err := worker.AwaitConnected(n, patience)
		mu.Lock()
		defer mu.Unlock()
		if at.After(last) {
			last = at
		}
		return err
	})
	return last, err
}

// publish changes one field of a bundle, which a group is to run, and answers the revision and when the hub had answered.
func (w *world) publish(ctx context.Context, bundle, group string) (revision uint32, answered time.Time, err error) {
	w.changes[bundle]++
	w.published[bundle] = group
	var seed uint64
	for _, c := range []byte(bundle) {
		seed = seed*31 + uint64(c)
	}
	answer, err := w.hub.client.Publish(ctx, &hubv1.Publication{Bundle: bundle, Groups: []string{group}, Rollout: allAtOnce},
		[]manifest.File{{Path: "app.yaml", Data: artifact.Manifests(seed, artifactSize, w.changes[bundle])}}, nil)
	answered = time.Now()
	if err != nil {
		return 0, answered, fmt.Errorf("publish %s: %w", bundle, err)
	}
	return answer.Revision.Spec.Number, answered, nil
}

// awaitRevision waits until all that are to have a revision have it, and answers when each had.
func (w *world) awaitRevision(bundle, group string, revision uint32) ([]time.Time, error) {
	if group == groupTen {
		return w.workers[0].AwaitRevision(bundle, revision, min(tens, w.started), patience)
	}
	var mu sync.Mutex
	var all []time.Time
	err := w.each(func(worker *worker.Worker, n int) error {
		times, err := worker.AwaitRevision(bundle, revision, n-w.stalled[worker], patience)
		mu.Lock()
		defer mu.Unlock()
		all = append(all, times...)
		return err
	})
	return all, err
}

// deploy publishes the bundles that all run, and waits for them if spokes are there.
func (w *world) deploy(ctx context.Context) error {
	for i := range w.Bundles {
		if err := w.change(ctx, seed.BundleName(i), groupAll); err != nil {
			return err
		}
	}
	return nil
}

// change makes one change and waits until all have it.
func (w *world) change(ctx context.Context, bundle, group string) error {
	revision, _, err := w.publish(ctx, bundle, group)
	if err != nil {
		return err
	}
	_, err = w.awaitRevision(bundle, group, revision)
	return err
}

// quietFor is how long nothing may come from the spokes for the fleet to count as at rest, and quietEvery how often one looks.
const (
	quietFor   = time.Second
	quietEvery = 100 * time.Millisecond
	// rolloutEvery is how often one asks for a rollout, which counts its members.
	rolloutEvery = 500 * time.Millisecond
)

// settle waits until spokes and hub say no more to each other than heartbeats, and the rollouts have come to their end: reports follow a change by a while,
// and the hub's own work follows them. A rollout is asked for once all is quiet, and none that was over before, since the hub counts the clusters of each that it is asked for.
func (w *world) settle(ctx context.Context) error {
	deadline := time.Now().Add(patience)
	if err := w.awaitQuiet(ctx, deadline); err != nil {
		return err
	}
	for bundle, group := range w.published {
		if !w.whole(group) {
			continue
		}
		if err := w.awaitRollout(ctx, bundle, deadline); err != nil {
			return err
		}
		delete(w.published, bundle)
	}
	return nil
}

// awaitQuiet waits until nothing but heartbeats came from the spokes for quietFor.
func (w *world) awaitQuiet(ctx context.Context, deadline time.Time) error {
	last, since := int64(-1), time.Now()
	for time.Since(since) < quietFor {
		stats, err := w.stats()
		if err != nil {
			return err
		}
		// Heartbeats and pings are some 50 bytes every 30 s.
		if sum := stats.BytesIn + stats.BytesOut; sum-last > int64(w.started)*4 {
			last, since = sum, time.Now()
		}
		if time.Now().After(deadline) {
			return errors.New("the fleet does not come to rest")
		}
		if err := pause(ctx, quietEvery); err != nil {
			return err
		}
	}
	return nil
}

// whole tells whether all clusters of a group are there; its rollouts wait for those who are not.
func (w *world) whole(group string) bool {
	of := w.enrolled
	if group == groupTen {
		of = min(tens, of)
	}
	return w.started >= of && len(w.stalled) == 0
}

// awaitRollout waits until a bundle's rollout, if it has any, is over.
func (w *world) awaitRollout(ctx context.Context, bundle string, deadline time.Time) error {
	for {
		r, err := w.hub.client.GetRollout(ctx, &hubv1.GetRolloutRequest{Bundle: bundle})
		switch {
		case status.Code(err) == codes.NotFound, err == nil && r.GetStatus().GetPhase() == yardarmv1.RolloutCompleted:
			return nil
		case err != nil:
			return err
		case time.Now().After(deadline):
			return fmt.Errorf("the rollout of %s does not come to its end: %s", bundle, r.GetStatus().GetPhase())
		}
		if err := pause(ctx, rolloutEvery); err != nil {
			return err
		}
	}
}

// stats sums up what the workers' spokes have seen.
func (w *world) stats() (spokes.Stats, error) {
	var mu sync.Mutex
	var sum spokes.Stats
	err := w.each(func(worker *worker.Worker, _ int) error {
		s, err := worker.Stats()
		mu.Lock()
		defer mu.Unlock()
		sum.Connected += s.Connected
		sum.Drops += s.Drops
		sum.BytesIn += s.BytesIn
		sum.BytesOut += s.BytesOut
		sum.MessageBytes += s.MessageBytes
		sum.LongestWait = max(sum.LongestWait, s.LongestWait)
		if s.Warning != "" {
			sum.Warning = s.Warning
		}
		return err
	})
	return sum, err
}

// generatorCPU is the time that the workers have run.
func (w *world) generatorCPU() (time.Duration, error) {
	var sum time.Duration
	for _, worker := range w.workers {
		d, err := measure.CPU(worker.PID())
		if err != nil {
			return 0, err
		}
		sum += d
	}
	return sum, nil
}

// cost is what hub and workers have run since a begin.
type cost struct{ hub, generator time.Duration }

func (w *world) cost() (c cost, err error) {
	if c.hub, err = w.hub.cpu(); err != nil {
		return c, err
	}
	c.generator, err = w.generatorCPU()
	return c, err
}

func (c cost) since(before cost) cost {
	return cost{c.hub - before.hub, c.generator - before.generator}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func short(d time.Duration) string { return d.Round(10 * time.Millisecond).String() }

// allAtOnce has every cluster get a revision at once: what is measured is what that costs.
var allAtOnce = &yardarmv1.RolloutStrategy{Stages: []*yardarmv1.Stage{{Concurrency: yardarmv1.ShareAll, FailureBudget: yardarmv1.ShareAll}}}
