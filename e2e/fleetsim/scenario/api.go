package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yardarm-dev/yardarm/e2e/fleet"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/measure"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/report"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/seed"
	"github.com/yardarm-dev/yardarm/hub/authz"
	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/client"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// apiBundles is how many bundles each cluster runs in api, and apiCalls how many calls of each kind are timed.
	apiBundles = 20
	apiCalls   = 300
	// maxWatchers and maxRate are how many watches are open, and how many changes are made a second; fewer in a small fleet.
	maxWatchers = 1000
	maxRate     = 1000
	// watchesPerConnection is below what the hub takes on one.
	watchesPerConnection = 100
	// decisions is how many are made to time one, and apiBindings among how many bindings they look.
	decisions   = 20_000
	apiBindings = 1000
	// settleEvery is how often the hub is asked whether it is at rest.
	settleEvery = 100 * time.Millisecond
	// changers is how many changes are under way at a time: they share commits.
	changers = 64
	// changedLabel is the label of a cluster that says when it was changed last, in nanoseconds.
	changedLabel = "at"
)

// api lists, counts and watches a large fleet of rows, and times what its callers see.
func api(ctx context.Context, c Config) (_ any, err error) {
	if c.Given != nil {
		return nil, errGiven
	}
	c.ClusterBundles = apiBundles
	own, err := fleet.NewHub(fleet.HubConfig{Programs: c.Programs, Dir: filepath.Join(c.Dir, "hub"), Flags: append(slices.Clone(oneCaller), "--restart-grace", "1s")})
	if err != nil {
		return nil, err
	}
	h := &hub{own: own}
	if err := h.start(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	if err := own.Stop(); err != nil {
		return nil, err
	}
	if _, err := seed.Hub(ctx, own.DataDir(), seed.Fleet{Clusters: c.Clusters, Bundles: c.ClusterBundles}); err != nil {
		return nil, fmt.Errorf("write the database: %w", err)
	}
	if err := h.start(ctx); err != nil {
		return nil, err
	}
	out := &report.API{Clusters: c.Clusters, Bundles: apiBundles, Watchers: min(maxWatchers, c.Clusters), ChangesPerSecond: min(maxRate, c.Clusters)}
	if err := settle(ctx, c, h.client); err != nil {
		return nil, err
	}
	if err := timeCalls(ctx, c, h.client, out); err != nil {
		return nil, err
	}
	if err := timeWatches(ctx, c, h, out); err != nil {
		return nil, err
	}
	memory, err := h.memory()
	if err != nil {
		return nil, err
	}
	out.RSS = memory.Resident
	out.Authz, err = timeDecisions(ctx, filepath.Join(c.Dir, "authz"))
	return out, err
}

// timeCalls times lists and facets, each after a change, so that nothing is answered from before; and calls that read no fleet, as the floor.
func timeCalls(ctx context.Context, c Config, hub *client.Client, out *report.API) error {
	for _, kind := range []struct {
		p50, p99 *float64
		call     func(i int) error
	}{
		{&out.FloorP50, &out.FloorP99, func(int) error { _, err := hub.WhoAmI(ctx, &hubv1.WhoAmIRequest{}); return err }},
		{&out.ListP50, &out.ListP99, func(i int) error {
			_, err := hub.ListClusters(ctx, &hubv1.ListClustersRequest{PageSize: 50, OrderBy: "bundles.stale desc,name desc",
				Filter: fmt.Sprintf("share in (%d,%d,%d),bundles.total>0", i%seed.Shares, (i+1)%seed.Shares, (i+2)%seed.Shares)})
			return err
		}},
		{&out.FacetsP50, &out.FacetsP99, func(int) error {
			_, err := hub.GetFacets(ctx, &hubv1.GetFacetsRequest{Kind: yardarmv1.KindCluster})
			return err
		}},
	} {
		var samples []time.Duration
		for i := range apiCalls + 1 {
			if err := touch(ctx, hub, i%c.Clusters); err != nil {
				return err
			}
			began := time.Now()
			if err := kind.call(i); err != nil {
				return err
			}
			if i > 0 { // the first one finds the index empty
				samples = append(samples, time.Since(began))
			}
		}
		*kind.p50, *kind.p99 = measure.Milliseconds(measure.Percentile(samples, 0.5)), measure.Milliseconds(measure.Percentile(samples, 0.99))
	}
	c.say("p50 and p99 of calls: list %.1f and %.1f ms, facets %.1f and %.1f ms, floor %.1f and %.1f ms",
		out.ListP50, out.ListP99, out.FacetsP50, out.FacetsP99, out.FloorP50, out.FloorP99)
	return nil
}

// touch changes a label of a cluster to the time.
func touch(ctx context.Context, hub *client.Client, n int) error {
	_, err := hub.LabelCluster(ctx, &hubv1.LabelClusterRequest{Name: seed.ClusterName(n), Overwrite: true,
		Set: map[string]string{changedLabel: strconv.FormatInt(time.Now().UnixNano(), 10)}})
	return err
}

// timeWatches opens watches, each of one share of the fleet, changes clusters one after the other, and times from before a change until its message.
func timeWatches(ctx context.Context, c Config, h *hub, out *report.API) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		mu      sync.Mutex // guards samples
		samples []time.Duration
		synced  sync.WaitGroup
		timing  atomic.Bool
	)
	watches, watching := errgroup.WithContext(ctx)
	codec := newTellingCodec()
	var hubs []*client.Client
	defer func() {
		for _, hub := range hubs {
			err = errors.Join(err, hub.Close())
		}
	}()
	for i := range out.Watchers {
		if i%watchesPerConnection == 0 {
			hub, err := h.own.Client()
			if err != nil {
				return err
			}
			hubs = append(hubs, hub)
		}
		hub := hubs[len(hubs)-1]
		synced.Add(1)
		watches.Go(func() error {
			stream, err := hub.FleetServiceClient.Watch(watching, &hubv1.WatchRequest{Kind: yardarmv1.KindCluster, Filter: fmt.Sprintf("share=%d", i%seed.Shares)},
				grpc.ForceCodecV2(codec))
			begun := sync.OnceFunc(synced.Done)
			defer begun()
			for err == nil {
				var m told
				if err = stream.RecvMsg(&m); err != nil {
					break
				}
				if m.kind == "BOOKMARK" {
					begun()
				}
				if m.kind == "MODIFIED" && timing.Load() {
					mu.Lock()
					samples = append(samples, time.Since(time.Unix(0, m.at)))
					mu.Unlock()
				}
			}
			if ctx.Err() != nil {
				return nil // all is measured
			}
			return err
		})
	}
	synced.Wait()
	c.say("%d watches are open", out.Watchers)
	timing.Store(true)
	before, err := costOf(h)
	if err != nil {
		return err
	}
	began, made := time.Now(), 0
	changes, changing := errgroup.WithContext(watching)
	changes.SetLimit(changers)
	every := time.Second / time.Duration(out.ChangesPerSecond)
	for ; time.Since(began) < c.Writing && changing.Err() == nil; made++ {
		// Each has a time of its own: a ticker would leave out those that are due while this does not run.
		time.Sleep(time.Until(began.Add(time.Duration(made) * every)))
		cluster := made % c.Clusters
		changes.Go(func() error { return touch(changing, h.client, cluster) })
	}
	if err := changes.Wait(); err != nil {
		return err
	}
	out.MadePerSecond = float64(made) / time.Since(began).Seconds()
	time.Sleep(time.Second) // the last round of each watcher is due within half of it
	out.WatchSeconds = time.Since(began).Seconds()
	after, err := costOf(h)
	if err != nil {
		return err
	}
	spent := after.since(before)
	out.HubCPU, out.GeneratorCPU = spent.hub.Seconds(), spent.generator.Seconds()
	cancel()
	if err := watches.Wait(); err != nil {
		return err
	}
	out.WatchP50, out.WatchP99 = measure.Milliseconds(measure.Percentile(samples, 0.5)), measure.Milliseconds(measure.Percentile(samples, 0.99))
	out.Messages = len(samples)
	c.say("%d watches of %.0f changes a second: %d messages, p50 %.0f ms, p99 %.0f ms; CPU: hub %.1f s, generator %.1f s", out.Watchers, out.MadePerSecond,
		out.Messages, out.WatchP50, out.WatchP99, out.HubCPU, out.GeneratorCPU)
	return nil
}

// costOf is what the hub has run, and this process, which makes the changes and reads the messages.
func costOf(h *hub) (c cost, err error) {
	if c.hub, err = h.cpu(); err != nil {
		return c, err
	}
	c.generator, err = measure.CPU(os.Getpid())
	return c, err
}

// settle waits until the hub, which waits for spokes after its start and then gives them up all at once, has done so: what is measured is a fleet at rest.
func settle(ctx context.Context, c Config, hub *client.Client) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		stale, err := hub.ListClusters(ctx, &hubv1.ListClustersRequest{PageSize: 1, Filter: "presence=stale"})
		if err != nil && status.Code(err) != codes.DeadlineExceeded {
			return fmt.Errorf("wait until all spokes are given up: %w", err)
		}
		if int(stale.GetTotalSize()) == c.Clusters {
			return nil
		}
		// On a busy machine the first list, which waits until the hub has derived all, may take longer than a call may.
		if late := pause(ctx, settleEvery); late != nil {
			return fmt.Errorf("wait until all spokes are given up: %w", errors.Join(late, err))
		}
	}
}

// timeDecisions answers how many microseconds it takes to tell what a token may, and whether that is enough.
func timeDecisions(ctx context.Context, dir string) (float64, error) {
	db, err := store.Open(store.Config{Dir: dir})
	if err != nil {
		return 0, err
	}
	if _, err := db.Update(ctx, func(tx *store.Tx) error {
		for i := range apiBindings {
			name := fmt.Sprintf("ci-%d", i)
			if err := tx.PutRoleBinding(&yardarmv1.RoleBinding{Metadata: seed.Meta(name, nil), Spec: &yardarmv1.RoleBindingSpec{Role: "operator",
				Subjects:      []*yardarmv1.Subject{{Kind: yardarmv1.SubjectToken, Name: name}},
				ClusterGroups: &yardarmv1.Scope{Names: []string{seed.GroupAll}}}}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return 0, errors.Join(err, db.Close())
	}
	who, now := authz.Identity{Kind: yardarmv1.SubjectToken, Name: "ci-7"}, time.Now()
	tx := db.Read()
	began := time.Now()
	for range decisions {
		access, err := authz.AccessOf(tx, who, now)
		if err == nil && !access.Cluster(yardarmv1.VerbLabel, yardarmv1.ResourceClusters, []string{seed.GroupAll}) {
			err = errors.New("the token may not do what its role says")
		}
		if err != nil {
			return 0, errors.Join(err, db.Close())
		}
	}
	each := time.Since(began) / decisions
	return float64(each) / float64(time.Microsecond), db.Close()
}
