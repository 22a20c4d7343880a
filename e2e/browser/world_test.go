package browser

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"golang.org/x/sync/errgroup"

	"github.com/yardarm-dev/yardarm/e2e/fleet"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/seed"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/spokes"
	"github.com/yardarm-dev/yardarm/e2e/provider"
	"github.com/yardarm-dev/yardarm/pkg/client"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// patience is how long anything may take that usually takes seconds: the machine is shared.
	patience = 2 * time.Minute
	// tokensAtOnce is how many calls for tokens are under way at a time: they share commits.
	tokensAtOnce = 32
	// network is 127.216.0.0/16, where simulated spokes dial from: apart from hubs and from e2e/fleetsim's.
	network = 216
	// chromiumEnv names another browser than the one in PATH.
	chromiumEnv = "CHROMIUM"
)

// regions are those of simulated clusters, which are in groups by env and region.
var regions = []string{"eu-central", "eu-west", "us-east"}

// world is a hub with simulated spokes, and what a spec needs to reach it.
type world struct {
	t      *testing.T
	ctx    context.Context
	dir    string
	hub    *fleet.Hub
	client *client.Client
	// lone are spokes that can be killed, each in a fleet of its own, by the names of their clusters.
	lone map[string]*spokes.Fleet
	// provider is who people sign in by, if there is one.
	provider *provider.Provider
	// controls are what else a spec may ask for, by pattern; each answers a text.
	controls map[string]func(*http.Request) (string, error)
}

// newWorld starts a hub that takes a spoke for stale after a second. Flags are the hub's.
func newWorld(t *testing.T, flags ...string) *world { return newWorldOf(t, seed.Fleet{}, flags...) }

// newWorldOf does, and has a fleet of rows beside what spokes there will be.
func newWorldOf(t *testing.T, rows seed.Fleet, flags ...string) *world {
	t.Helper()
	ctx := t.Context()
	// A spec that hangs ends before the test binary does, which would tell nothing of it.
	if deadline, ok := t.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-time.Minute))
		t.Cleanup(cancel)
	}
	w := &world{t: t, ctx: ctx, dir: t.TempDir(), lone: map[string]*spokes.Fleet{}, controls: map[string]func(*http.Request) (string, error){}}
	hub, err := fleet.NewHub(fleet.HubConfig{
		Programs: programs, Dir: filepath.Join(w.dir, "hub"), Flags: append(flags, "--reconnect-grace", "1s", "--restart-grace", "10s"),
	})
	w.must(err)
	w.hub = hub
	t.Cleanup(func() {
		if err := hub.Stop(); err != nil {
			t.Errorf("stop the hub: %v", err)
		}
	})
	w.must(hub.Start(ctx))
	if rows.Clusters > 0 {
		// The first start made the hub's keys.
		w.must(hub.Stop())
		_, err = seed.Hub(ctx, hub.DataDir(), rows)
		w.must(err)
		w.must(hub.Start(ctx))
	}
	w.client, err = hub.Client()
	w.must(err)
	t.Cleanup(func() { _ = w.client.Close() })
	for _, env := range []string{"prod", "test"} {
		w.do("apply", "-f", w.write(env+".yaml", fmt.Sprintf(`apiVersion: yardarm.dev/v1
kind: ClusterGroup
metadata: {name: %s}
spec: {selector: {matchLabels: {env: %s}}}
`, env, env)))
	}
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// do runs the CLI, which has to succeed.
func (w *world) do(args ...string) string {
	w.t.Helper()
	r := w.hub.CLI().Run(w.ctx, args...)
	w.must(r.Err())
	return r.Stdout
}

// write writes a file of the world.
func (w *world) write(name, text string) string {
	w.t.Helper()
	return writeFile(w.t, filepath.Join(w.dir, name), text)
}

func writeFile(t *testing.T, path, text string) string {
	t.Helper()
	if !filepath.IsAbs(path) {
		path = filepath.Join(t.TempDir(), path)
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
	return path
}

// workload is what the bundle web has beside its settings: what fails and drifts in simulated clusters.
const workload = `---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "registry.example.com/shop/web:3.18.0"}]}
`

// publish publishes a bundle of one object whose content is a text. It goes everywhere at once, whatever fails: what a page shows of a fleet does not
// depend on which cluster a rollout begins with.
func (w *world) publish(bundle, group, text string) {
	w.t.Helper()
	w.publishBy(bundle, group, text, "{name: all, concurrency: 100%, failureBudget: 100%}")
}

// publishBy publishes it by stages.
func (w *world) publishBy(bundle, group, text, stages string) {
	w.t.Helper()
	w.do("apply", "-f", w.write(bundle+".yaml", fmt.Sprintf(`apiVersion: yardarm.dev/v1
kind: Bundle
metadata: {name: %s}
spec:
  targets: [{group: %s}]
  rollout: {stages: [%s]}
`, bundle, group, stages)))
	manifests := fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: default}\ndata: {text: %q}\n", bundle, text)
	if bundle == "web" {
		manifests += workload
	}
	file := w.write(bundle+"/settings.yaml", manifests)
	w.do("publish", filepath.Dir(file), "--bundle", bundle, "--to", group, "-m", "says "+text)
}

// publishInStages publishes the bundle pay, and then another revision of it, which waits after its first stage.
func (w *world) publishInStages() {
	w.t.Helper()
	w.publish("pay", "test", "one")
	w.awaitRollout("pay", func(s *yardarmv1.RolloutStatus) bool { return s.Phase == yardarmv1.RolloutCompleted })
	w.publishBy("pay", "test", "two", "{name: canary, clusters: 1, approval: after}, {name: rest, concurrency: 100%, failureBudget: 100%}")
	w.awaitRollout("pay", func(s *yardarmv1.RolloutStatus) bool { return s.WaitsFor == "Approval" })
}

// awaitRollout waits until a bundle's rollout is as it is to be.
func (w *world) awaitRollout(bundle string, as func(*yardarmv1.RolloutStatus) bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	stream, err := w.client.WatchRollout(ctx, &hubv1.WatchRolloutRequest{Bundle: bundle})
	w.must(err)
	for {
		r, err := stream.Recv()
		w.must(err)
		if as(r.GetStatus()) {
			return
		}
	}
}

// enrol makes clusters, and simulated spokes for them that play their part.
func (w *world) enrol(names []string) *spokes.Fleet {
	w.t.Helper()
	clusters := make([]spokes.Cluster, len(names))
	group, ctx := errgroup.WithContext(w.ctx)
	group.SetLimit(tokensAtOnce)
	for i, name := range names {
		group.Go(func() error {
			region := regions[i%len(regions)]
			labels := map[string]string{"env": []string{"prod", "prod", "test"}[i%3], "region": region, "team": []string{"shop", "pay"}[i%2]}
			answer, err := w.client.EnrollCluster(ctx, &hubv1.EnrollClusterRequest{Name: name, Labels: labels})
			if err != nil {
				return fmt.Errorf("enrol %s: %w", name, err)
			}
			clusters[i] = spokes.Cluster{Name: name, Token: answer.Token, Region: region}
			return nil
		})
	}
	w.must(group.Wait())
	f, err := spokes.Enrol(w.ctx, w.hub.SpokeAddress(), network, clusters)
	w.must(err)
	f.Play(play)
	w.t.Cleanup(f.Stop)
	return f
}

// connect enrols clusters, and awaits that they are connected.
func (w *world) connect(names []string) {
	w.t.Helper()
	f := w.enrol(names)
	f.Start(0, len(names), time.Second)
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	_, err := f.AwaitConnected(ctx, len(names))
	w.must(err)
}

// connectLone connects one cluster whose spoke can be killed.
func (w *world) connectLone(name string) {
	w.t.Helper()
	f := w.enrol([]string{name})
	f.Start(0, 1, 0)
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	_, err := f.AwaitConnected(ctx, 1)
	w.must(err)
	w.lone[name] = f
}

// awaitAway waits until the hub knows that a cluster's spoke is not connected.
func (w *world) awaitAway(name string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	for {
		c, err := w.client.GetCluster(ctx, &hubv1.GetClusterRequest{Name: name})
		w.must(err)
		if c.GetStatus().GetPresence() == yardarmv1.PresenceStale {
			return
		}
		time.Sleep(poll)
	}
}

// play has the clusters whose names say so fail, go on, or drift, with the bundle web.
func play(cluster string, r *yardarmv1.Report) {
	if r.Bundle != "web" {
		return
	}
	now := timestamppb.Now()
	switch {
	case strings.HasSuffix(cluster, "failing"):
		r.Phase, r.Reason, r.Message = yardarmv1.PhaseDegraded, "ImagePullBackOff", "1 of 45 objects is failing"
		r.Objects.Ready, r.Objects.Failed = r.Objects.Total-1, 1
		r.Conditions = []*yardarmv1.Condition{{Type: yardarmv1.ConditionApplied, Status: yardarmv1.ConditionTrue, LastTransitionTime: now},
			{Type: yardarmv1.ConditionHealthy, Status: yardarmv1.ConditionFalse, Reason: r.Reason, Message: r.Message, LastTransitionTime: now}}
		r.Problems = []*yardarmv1.ObjectProblem{{Object: "apps/Deployment shop/web", Reason: "ImagePullBackOff", Since: now,
			Message: "failed to pull registry.example.com/shop/web:3.18.0: 401 Unauthorized"}}
	case strings.HasSuffix(cluster, "moving"):
		r.Phase, r.Reason, r.Message = yardarmv1.PhaseProgressing, "Waiting", "waits for apps/Deployment shop/web: 1 of 3 replicas is available"
		r.Objects.Ready = r.Objects.Total - 1
	case strings.HasSuffix(cluster, "drifted"):
		r.Objects.Drifted = 1
		r.Drift = []*yardarmv1.Drift{{Object: "apps/Deployment shop/web", Path: "spec.replicas", Desired: "3", Live: "5", Manager: "kubectl-edit", Since: now, Reason: "ReportOnly"}}
	}
}

// fleetOf are names of n clusters, some of which play another part than being ready.
func fleetOf(n int) []string {
	names := make([]string, n)
	for i := range names {
		part := map[int]string{3: "-failing", 7: "-moving", 9: "-drifted"}[i%20]
		names[i] = fmt.Sprintf("shop-%04d%s", i, part)
	}
	return names
}

// run drives the browser by a spec, which has to pass.
func (w *world) run(spec string) {
	w.t.Helper()
	control := w.control()
	chromium := os.Getenv(chromiumEnv)
	if chromium == "" {
		var err error
		if chromium, err = exec.LookPath("chromium"); err != nil {
			w.t.Fatal("there is no chromium in PATH: bash .ci/tools browser installs it, or CHROMIUM names another")
		}
	}
	_, token, err := w.hub.HTTP()
	w.must(err)
	command := exec.CommandContext(w.ctx, "node", "--test", "--test-reporter=spec", filepath.Join("specs", spec))
	command.Env = append(os.Environ(), "HUB="+w.hub.URL(), "TOKEN="+token, "CONTROL="+control, chromiumEnv+"="+chromium)
	// As it runs, so that one sees how far a test came that does not end.
	command.Stdout, command.Stderr = w.t.Output(), w.t.Output()
	if err := command.Run(); err != nil {
		w.t.Errorf("%s: %v", spec, err)
	}
}

// control serves what a spec may ask for, and answers where.
func (w *world) control() string {
	mux := http.NewServeMux()
	answer := func(pattern string, fn func(*http.Request) (string, error)) {
		mux.HandleFunc(pattern, func(rw http.ResponseWriter, r *http.Request) {
			text, err := fn(r)
			if err != nil {
				http.Error(rw, err.Error(), http.StatusInternalServerError)
			}
			_, _ = io.WriteString(rw, text)
		})
	}
	handle := func(pattern string, fn func(*http.Request) error) {
		answer(pattern, func(r *http.Request) (string, error) { return "", fn(r) })
	}
	for pattern, fn := range w.controls {
		answer(pattern, fn)
	}
	answer("POST /shell", func(r *http.Request) (string, error) {
		command := exec.CommandContext(w.ctx, "sh", "-c", r.FormValue("command"))
		command.Env = []string{"PATH=" + programs.Dir + ":/usr/bin:/bin", "YARDARM_CONFIG=" + w.hub.AdminConfig()}
		output, err := command.CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("%s: %w\n%s", r.FormValue("command"), err, output)
		}
		return string(output), nil
	})
	handle("POST /hub/stop", func(*http.Request) error { return w.hub.Stop() })
	handle("POST /hub/start", func(*http.Request) error { return w.hub.Start(w.ctx) })
	handle("POST /spokes/{name}/kill", func(r *http.Request) error {
		f := w.lone[r.PathValue("name")]
		if f == nil {
			return errors.New("there is no spoke of that name that can be killed")
		}
		f.Stop()
		return nil
	})
	handle("POST /provider/{command}", func(r *http.Request) error {
		w.provider.Do(r.PathValue("command"))
		return nil
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	w.must(err)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: patience}
	go func() { _ = server.Serve(listener) }()
	w.t.Cleanup(func() { _ = server.Close() })
	return "http://" + listener.Addr().String()
}
