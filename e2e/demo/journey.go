package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/yardarm-dev/yardarm/e2e/cluster"
	"github.com/yardarm-dev/yardarm/e2e/fleet"
)

// site is one cluster of the demo.
type site struct {
	name   string
	labels string
	region string
}

var sites = []site{
	{"store-lisbon", "env=prod,region=eu", "eu-west-1"},
	{"store-boston", "env=prod,region=us", "us-east-1"},
	{"lab", "env=lab,region=eu", "eu-west-1"},
}

const (
	bundle = "shop"
	groups = "stores,lab"
	// patience is how long the fleet may take to do what takes it a second or two: the machine may be busy.
	patience = "90s"
)

// journey is the fleet of the demo.
type journey struct {
	*steps
	dir      string
	source   string // of the manifests
	bin      *cluster.Bin
	programs fleet.Programs
	clusters *cluster.Fleet
	hub      *fleet.Hub
	cli      *fleet.CLI
	spokes   map[string]*fleet.Spoke
}

func prepare(s *steps) (*journey, error) {
	source, err := fleet.Source("e2e/demo")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "yardarm-demo-")
	if err != nil {
		return nil, err
	}
	return &journey{steps: s, dir: dir, source: source, spokes: map[string]*fleet.Spoke{}}, nil
}

// begin builds what is missing, starts everything and publishes the application.
func (j *journey) begin(ctx context.Context) error {
	if err := j.do("build Kubernetes", func() (err error) {
		j.bin, err = cluster.Binaries(ctx, j)
		return err
	}); err != nil {
		return err
	}
	if err := j.do("build hub, spoke and CLI", func() (err error) {
		j.programs, err = fleet.Build(ctx, filepath.Join(j.dir, "bin"), false, io.Discard)
		return err
	}); err != nil {
		return err
	}
	if err := j.do("start a hub", func() (err error) {
		if j.hub, err = fleet.NewHub(fleet.HubConfig{
			Programs: j.programs, Dir: filepath.Join(j.dir, "hub"), Flags: []string{"--reconnect-grace", "2s"},
		}); err != nil {
			return err
		}
		j.cli = j.hub.CLI()
		return j.hub.Start(ctx)
	}); err != nil {
		return err
	}
	if err := j.do(fmt.Sprintf("start %d Kubernetes %s clusters", len(sites), j.bin.KubernetesVersion), func() (err error) {
		specs := make([]cluster.Spec, len(sites))
		for i, s := range sites {
			specs[i] = cluster.Spec{Name: s.name, Nodes: 2, Region: s.region}
		}
		j.clusters, err = cluster.Start(ctx, cluster.Config{Bin: j.bin, Dir: filepath.Join(j.dir, "clusters"), Clusters: specs})
		return err
	}); err != nil {
		return err
	}
	if err := j.do("enrol them, each with a token that works once", func() error { return j.enrol(ctx) }); err != nil {
		return err
	}
	if err := j.do("make two groups: stores (2 clusters) and lab (1)", func() error {
		return j.cli.Run(ctx, "apply", "-f", filepath.Join(j.source, "groups")).Err()
	}); err != nil {
		return err
	}
	if err := j.do("publish the application "+bundle+" to both", func() error {
		return j.cli.Run(ctx, "publish", filepath.Join(j.source, "app"), "--bundle", bundle, "--to", groups).Err()
	}); err != nil {
		return err
	}
	if err := j.do("see it become ready everywhere", func() error { return j.ready(ctx, 1, "Welcome aboard", sites...) }); err != nil {
		return err
	}
	return j.print(ctx, "status")
}

// enrol starts a spoke for each cluster, the way `yardarm enroll` says.
func (j *journey) enrol(ctx context.Context) error {
	for _, s := range sites {
		spoke, err := fleet.NewSpoke(fleet.SpokeConfig{
			Programs: j.programs, Dir: filepath.Join(j.dir, "spokes", s.name),
			Kubeconfig: j.clusters.Cluster(s.name).KubeconfigPath(), Hub: j.hub.SpokeAddress(),
		})
		if err != nil {
			return err
		}
		j.spokes[s.name] = spoke
		if err := spoke.Enrol(ctx, j.cli, s.name, s.labels); err != nil {
			return err
		}
	}
	for _, s := range sites {
		if err := j.cli.Run(ctx, "wait", "cluster/"+s.name, "--for", "connected", "--timeout", patience).Err(); err != nil {
			return err
		}
	}
	return nil
}

// ready waits for a revision, and then looks into the clusters: what they hold counts, not what anybody says of it.
func (j *journey) ready(ctx context.Context, revision int, greeting string, where ...site) error {
	if err := j.cli.Run(ctx, "wait", "bundle/"+bundle, "--revision", fmt.Sprint(revision), "--timeout", patience).Err(); err != nil {
		return err
	}
	for _, s := range where {
		if err := j.holds(ctx, s.name, greeting); err != nil {
			return err
		}
	}
	return nil
}

// holds tells whether a cluster runs the application with a greeting.
func (j *journey) holds(ctx context.Context, name, greeting string) error {
	got, err := j.kubectl(ctx, name, "-n", "shop", "get", "configmap/web", "-o", "jsonpath={.data.GREETING}")
	if err != nil {
		return err
	}
	if got != greeting {
		return fmt.Errorf("cluster %s: the greeting is %q, want %q", name, got, greeting)
	}
	got, err = j.kubectl(ctx, name, "-n", "shop", "get", "deployment/web", "-o", "jsonpath={.status.availableReplicas}")
	if err != nil {
		return err
	}
	if got != "3" {
		return fmt.Errorf("cluster %s: %q replicas are available, want 3", name, got)
	}
	return nil
}

func (j *journey) kubectl(ctx context.Context, name string, args ...string) (string, error) {
	r := fleet.Exec(ctx, j.bin.Path("kubectl"), append([]string{"--kubeconfig", j.clusters.Cluster(name).KubeconfigPath()}, args...)...)
	return r.Stdout, r.Err()
}

// print runs a command of the CLI and shows its answer.
func (j *journey) print(ctx context.Context, args ...string) error {
	r := j.cli.Run(ctx, args...)
	j.show("yardarm "+strings.Join(args, " "), r.Stdout)
	return r.Err()
}

// stop ends every program, and removes the folder unless it is to be kept.
func (j *journey) stop(keep bool) error {
	var group errgroup.Group
	for _, s := range j.spokes {
		group.Go(s.Stop)
	}
	err := group.Wait()
	if j.hub != nil {
		err = errors.Join(err, j.hub.Stop())
	}
	if j.clusters != nil {
		err = errors.Join(err, j.clusters.Stop())
	}
	if keep {
		fmt.Fprintln(j, "all logs are in", j.dir)
		return err
	}
	return errors.Join(err, os.RemoveAll(j.dir))
}

// tryNext says what a person may do with the fleet. All of it works when pasted.
func (j *journey) tryNext() error {
	ca, header, err := j.hub.WriteCurl(j.dir)
	if err != nil {
		return err
	}
	app := filepath.Join(j.dir, "app")
	if err := os.CopyFS(app, os.DirFS(filepath.Join(j.source, "app"))); err != nil {
		return err
	}
	fmt.Fprintf(j.out, `The fleet is up. In another terminal:

  export PATH=%s:%s:$PATH YARDARM_CONFIG=%s

  yardarm get clusters -o wide
  yardarm describe bundle %s
  yardarm events -w

  # Change something, publish it, see it arrive; then go back.
  sed -i 's/Welcome aboard/Ahoy/' %s/config.yaml
  yardarm publish %s --bundle %s --wait
  yardarm rollout undo bundle/%s

  # Edit an object behind its back: it is repaired, and "Drift" tells which field, what it was, and who did it.
  export KUBECONFIG=%s
  kubectl -n shop scale deployment web --replicas=9; sleep 1; kubectl -n shop get deployment web
  yardarm describe cluster %s

  # Let one group differ, with the same artifact.
  echo '{apiVersion: yardarm.dev/v1, kind: Bundle, metadata: {name: %s}, spec: {targets: [{group: %s},
    {group: %s, customization: {patches: [{target: {kind: Deployment}, patch: "spec: {replicas: 1}"}]}}]}}' | yardarm apply -f -
  yardarm preview bundle/%s --cluster %s

  # A bundle that cannot become ready says why, and disturbs no other.
  sed -i 's/web:1.4.2/web:broken/' %s/web.yaml
  yardarm publish %s --bundle %s; yardarm wait bundle/%s --timeout 10s; yardarm status

  # The same over REST.
  curl --cacert %s -H @%s %s/v1/assignments

Ctrl-C ends it and leaves nothing behind.
`, j.programs.Dir, j.bin.Dir, j.hub.AdminConfig(), bundle, app, app, bundle, bundle,
		j.clusters.Cluster(sites[0].name).KubeconfigPath(), sites[0].name, bundle, "stores", "lab", bundle, "lab",
		app, app, bundle, bundle, ca, header, j.hub.URL())
	return nil
}

// poll calls fn until it returns nil, and answers its last error after the time given.
func poll(ctx context.Context, limit time.Duration, fn func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := fn()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %w", limit, err)
		case <-ticker.C:
		}
	}
}
