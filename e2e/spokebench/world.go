package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/yardarm-dev/yardarm/e2e/cluster"
	"github.com/yardarm-dev/yardarm/e2e/fleet"
	"github.com/yardarm-dev/yardarm/pkg/client"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// patience is how long anything may take that is waited for; a run as a whole takes less than twice as long.
	patience = 3 * time.Minute
	// publishing is how many publications are under way at a time: less than a hub takes.
	publishing = 2
	// namespace holds what is managed, in both clusters.
	namespace = "bench"
	// groupAll has both clusters, groupApply the one that bundles are applied to beside kubectl.
	groupAll, groupApply = "bench", "apply"
)

// Sizes of what is measured.
type Sizes struct {
	Bundles, PerBundle int           // what is managed
	Others             int           // objects in the cluster that are not
	Revisions          int           // of each bundle, before memory is measured
	Edits              int           // edits and deletions
	Rounds, Applied    int           // applies beside kubectl, and objects in each
	Idle               time.Duration // how long nothing changes
	Resync             time.Duration // how often all is compared in the no-op phase
}

// fullSizes are those of the targets.
var fullSizes = Sizes{
	Bundles: 10, PerBundle: 50, Others: 5000, Revisions: 20, Edits: 200, Rounds: 5, Applied: 100, Idle: 30 * time.Second, Resync: 8 * time.Second,
}

// Config of a run.
type Config struct {
	Sizes
	Dir      string
	Bin      *cluster.Bin
	Programs fleet.Programs
	Progress io.Writer
}

// world is a hub, and two clusters that differ in the objects of others.
type world struct {
	Config
	hub           *fleet.Hub
	client        *client.Client
	clusters      *cluster.Fleet
	with, without *site
}

// site is a cluster and its spoke.
type site struct {
	name    string
	cluster *cluster.Cluster
	dynamic dynamic.Interface
	audit   *audit
	config  fleet.SpokeConfig
	spoke   *fleet.Spoke
}

func (w *world) say(format string, args ...any) {
	fmt.Fprintf(w.Progress, "%s  %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
}

// open starts the hub, the clusters and their spokes. What it has started is for close to end, also after an error.
func open(ctx context.Context, c Config) (*world, error) {
	w := &world{Config: c}
	var err error
	if w.hub, err = fleet.NewHub(fleet.HubConfig{Programs: c.Programs, Dir: filepath.Join(c.Dir, "hub")}); err != nil {
		return w, err
	}
	if err := w.hub.Start(ctx); err != nil {
		return w, err
	}
	if w.client, err = w.hub.Client(); err != nil {
		return w, err
	}
	if w.clusters, err = cluster.Start(ctx, cluster.Config{Bin: c.Bin, Dir: filepath.Join(c.Dir, "clusters"), Progress: c.Progress}); err != nil {
		return w, err
	}
	if _, err := w.client.Apply(ctx, &hubv1.ApplyRequest{Resources: []*hubv1.Resource{group(groupAll), group(groupApply)}}); err != nil {
		return w, fmt.Errorf("make the groups: %w", err)
	}
	if w.with, err = w.newSite(ctx, "with", groupAll+"=yes,"+groupApply+"=yes"); err != nil {
		return w, err
	}
	w.without, err = w.newSite(ctx, "without", groupAll+"=yes")
	return w, err
}

func (w *world) newSite(ctx context.Context, name, labels string) (*site, error) {
	s := &site{name: name}
	dir := filepath.Join(w.Dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	var flags []string
	var err error
	if s.audit, flags, err = newAudit(dir, "yardarm-spoke"); err != nil {
		return nil, err
	}
	if s.cluster, err = w.clusters.Add(ctx, cluster.Spec{Name: name, Controllers: true, APIServerFlags: flags}); err != nil {
		return nil, err
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(s.cluster.Kubeconfig())
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	if s.dynamic, err = dynamic.NewForConfig(config); err != nil {
		return nil, err
	}
	if err := s.makeNamespace(ctx, namespace); err != nil {
		return nil, err
	}
	s.config = fleet.SpokeConfig{Programs: w.Programs, Dir: dir, Kubeconfig: s.cluster.KubeconfigPath(), Hub: w.hub.SpokeAddress()}
	if s.spoke, err = fleet.NewSpoke(s.config); err != nil {
		return nil, err
	}
	return s, s.spoke.Enrol(ctx, w.hub.CLI(), name, labels)
}

// restart starts the spoke anew, with other flags.
func (s *site) restart(ctx context.Context, flags ...string) error {
	if err := s.spoke.Stop(); err != nil {
		return err
	}
	s.config.Flags = flags
	var err error
	if s.spoke, err = fleet.NewSpoke(s.config); err != nil {
		return err
	}
	return s.spoke.Start(ctx, "")
}

// passes answers how many whole passes over bundles the spoke has made, by its own metrics.
func (s *site) passes(ctx context.Context) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.spoke.MetricsURL()+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if n, ok := strings.CutPrefix(lines.Text(), "yardarm_spoke_pass_seconds_count "); ok {
			return strconv.Atoi(n)
		}
	}
	return 0, errors.Join(errors.New("the spoke counts no passes"), lines.Err())
}

func (s *site) makeNamespace(ctx context.Context, name string) error {
	object := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name}}}
	_, err := s.dynamic.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}).Create(ctx, object, metav1.CreateOptions{})
	return err
}

// close ends all that runs.
func (w *world) close() error {
	var failures []error
	for _, s := range []*site{w.with, w.without} {
		if s != nil && s.spoke != nil {
			failures = append(failures, s.spoke.Stop())
		}
	}
	if w.client != nil {
		failures = append(failures, w.client.Close())
	}
	failures = append(failures, w.hub.Stop())
	if w.clusters != nil {
		failures = append(failures, w.clusters.Stop())
	}
	return errors.Join(failures...)
}

func group(name string) *hubv1.Resource {
	return &hubv1.Resource{Resource: &hubv1.Resource_ClusterGroup{ClusterGroup: &yardarmv1.ClusterGroup{
		ApiVersion: yardarmv1.APIVersion, Kind: yardarmv1.KindClusterGroup, Metadata: &yardarmv1.ObjectMeta{Name: name},
		Spec: &yardarmv1.ClusterGroupSpec{Selector: &yardarmv1.LabelSelector{MatchLabels: map[string]string{name: "yes"}}},
	}}}
}

// makeBundle makes a bundle without a revision.
func (w *world) makeBundle(ctx context.Context, name, group, namespace string) error {
	_, err := w.client.Apply(ctx, &hubv1.ApplyRequest{Resources: []*hubv1.Resource{{Resource: &hubv1.Resource_Bundle{Bundle: &yardarmv1.Bundle{
		ApiVersion: yardarmv1.APIVersion, Kind: yardarmv1.KindBundle, Metadata: &yardarmv1.ObjectMeta{Name: name},
		Spec: &yardarmv1.BundleSpec{Targets: []*yardarmv1.Target{{Group: group}}, Delivery: &yardarmv1.DeliveryPolicy{Namespace: namespace}},
	}}}}})
	if err != nil {
		return fmt.Errorf("make bundle %s: %w", name, err)
	}
	return nil
}

func (w *world) publish(ctx context.Context, bundle string, files []manifest.File) error {
	if _, err := w.client.Publish(ctx, &hubv1.Publication{Bundle: bundle}, files, nil); err != nil {
		return fmt.Errorf("publish %s: %w", bundle, err)
	}
	return nil
}

func bundleName(i int) string { return fmt.Sprintf("bench-%02d", i) }

// publishAll publishes a revision of all that is managed, and waits until it is ready in both clusters.
func (w *world) publishAll(ctx context.Context, revision int) error {
	calls, callCtx := errgroup.WithContext(ctx)
	calls.SetLimit(publishing)
	for i := range w.Bundles {
		calls.Go(func() error {
			return w.publish(callCtx, bundleName(i), manifests(bundleName(i), w.PerBundle, revision))
		})
	}
	if err := calls.Wait(); err != nil {
		return err
	}
	return w.awaitReady(ctx, 2*w.Bundles)
}

// awaitReady waits until so many assignments are ready, and no other is there.
func (w *world) awaitReady(ctx context.Context, n int) error {
	last := ""
	return poll(ctx, func() (bool, error) {
		ready, all := 0, 0
		for a, err := range w.client.Assignments(ctx, &hubv1.ListAssignmentsRequest{}) {
			if err != nil {
				return false, err
			}
			all++
			if a.GetStatus().GetPhase() == yardarmv1.PhaseReady {
				ready++
			} else {
				last = fmt.Sprintf("%s is %s: %s", a.GetMetadata().GetName(), a.GetStatus().GetPhase(), a.GetStatus().GetMessage())
			}
		}
		return ready == n && all == n, nil
	}, func() string { return "not all is ready: " + last })
}

// poll asks until the answer is yes.
func poll(ctx context.Context, ask func() (bool, error), what func() string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		yes, err := ask()
		if err != nil || yes {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what(), context.Cause(ctx))
		case <-ticker.C:
		}
	}
}
