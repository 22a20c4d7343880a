//go:build linux

package outbound

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yardarm-dev/yardarm/e2e/cluster"
	"github.com/yardarm-dev/yardarm/e2e/fleet"
	"github.com/yardarm-dev/yardarm/e2e/process"
)

const (
	// patience is how long anything may take that usually takes a second: the machine is shared.
	patience = time.Minute
	// certificateLife is the shortest that there is; renewal is due after 30 to 48 s of it.
	certificateLife = time.Minute
	// heartbeat and idleTime stand for the 30 s of a fleet and the 60 s of a balancer, at the same proportion, so that nobody waits for minutes.
	heartbeat = 2 * time.Second
	idleTime  = 4 * time.Second
	// dialTimeout is how long a connection is tried that should not come about.
	dialTimeout = 2 * time.Second

	hubName    = "hub.example"
	spokePort  = 7444
	proxyPort  = 3128
	controller = "cluster-1" // the name that e2e/cluster/cmd/controlplane gives
)

// The clusters, by their way to the hub: straight, by a proxy that speaks CONNECT, and by one that passes TLS through and kills what is idle.
const (
	straight = "straight"
	proxied  = "proxied"
	balanced = "balanced"
)

// world is a hub and clusters, each behind its firewall.
type world struct {
	t    *testing.T
	ctx  context.Context
	dir  string
	bin  cluster.Bin
	hub  *fleet.Hub
	cli  *fleet.CLI
	net  *network
	at   map[string]*place
	idle *gate // of the balanced cluster
	http *gate // of the proxied one
}

// place is a cluster, its spoke, and what was seen at its door.
type place struct {
	site
	plane, spoke *process.Process
	dir          string
	capture      *capture
	token        string // of its enrolment
}

// TestOutbound is the life of three clusters into which nothing gets.
func TestOutbound(t *testing.T) {
	w := newWorld(t)
	names := []string{straight, proxied, balanced}
	for _, name := range names {
		w.enrol(name)
	}
	for _, name := range names {
		w.do("wait", "cluster/"+name, "--for", "connected", "--timeout", patience.String())
	}
	w.apply("{apiVersion: yardarm.dev/v1, kind: ClusterGroup, metadata: {name: all}, spec: {selector: {matchLabels: {test: \"yes\"}}}}")
	w.publish("1", "one")
	for _, name := range names {
		w.holds(name, "one")
		w.kubectl(name, "patch", "configmap", "settings", "--type=merge", "-p", `{"data":{"value":"by hand"}}`)
	}
	for _, name := range names {
		w.holds(name, "one")
	}
	for _, name := range names {
		w.eventually(name+" renews its certificate", func() error { return w.says(name, "renewed the certificate") })
	}
	w.publish("2", "two")
	for _, name := range names {
		w.holds(name, "two")
		if n := strings.Count(w.log(name), "connected to the hub"); n != 1 {
			t.Errorf("%s has connected %d times: its stream was cut", name, n)
		}
	}
	w.killsIdle()
	w.search()
	for _, name := range names {
		w.do("ban", "cluster", name, "--reason", "an exercise")
	}
	for _, name := range names {
		w.eventually(name+" is told that it is banned", func() error { return w.says(name, "banned") })
	}
	w.nothingCameIn()
}

// newWorld starts it all, or skips the test where that cannot be.
func newWorld(t *testing.T) *world {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root may make network namespaces")
	}
	for _, program := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("there is no %s: bash .ci/tools outbound installs it on Debian", program)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	t.Cleanup(cancel)
	w := &world{t: t, ctx: ctx, dir: t.TempDir(), at: map[string]*place{}}
	bin, err := cluster.Binaries(ctx, t.Output())
	w.must(err)
	w.bin = *bin
	programs, err := fleet.Build(ctx, filepath.Join(w.dir, "bin"), false, t.Output())
	w.must(err)
	w.must(command(ctx, "", "go", "build", "-o", filepath.Join(w.dir, "controlplane"), "../cluster/cmd/controlplane"))

	sites := []site{
		{name: straight, number: 1, toIP: hubIP, toPort: spokePort, hubName: hubIP},
		{name: proxied, number: 2, toIP: fmt.Sprintf(doorFormat, 2), toPort: proxyPort},
		{name: balanced, number: 3, toIP: fmt.Sprintf(doorFormat, 3), toPort: spokePort, hubName: fmt.Sprintf(doorFormat, 3)},
	}
	w.net, err = newNetwork(ctx, sites)
	w.must(err)
	t.Cleanup(func() { w.must(w.net.close()) })
	t.Cleanup(w.end)
	w.hub, err = fleet.NewHub(fleet.HubConfig{Programs: programs, Dir: filepath.Join(w.dir, "hub"), Address: hubIP, Netns: hubSpace, Flags: []string{
		"--address", hubName, "--spoke-address", fmt.Sprintf("%s:%d", hubName, spokePort), "--log-level", "debug",
		"--certificate-life", certificateLife.String(), "--heartbeat", heartbeat.String(), "--reconnect-grace", "1s",
	}})
	w.must(err)
	for _, s := range sites {
		w.place(s)
	}
	w.must(w.hub.Start(ctx))
	w.cli = w.hub.CLI()
	hub := fmt.Sprintf("%s:%d", hubIP, spokePort)
	w.http, err = newGate(fmt.Sprintf("%s:%d", sites[1].toIP, proxyPort), hub, true, 0)
	w.must(err)
	t.Cleanup(func() { w.must(w.http.close()) })
	w.idle, err = newGate(fmt.Sprintf("%s:%d", sites[2].toIP, spokePort), hub, false, idleTime)
	w.must(err)
	t.Cleanup(func() { w.must(w.idle.close()) })
	for name := range w.at {
		w.eventually("the control plane of "+name+" is ready", func() error {
			if w.at[name].plane.Exited() {
				return w.at[name].plane.Fail(fmt.Errorf("it has ended"))
			}
			return command(w.ctx, "", "grep", "-q", "ready after", w.at[name].plane.Log())
		})
	}
	return w
}

// place starts a cluster's control plane, inside; its capture sees all from then on.
func (w *world) place(s site) {
	w.t.Helper()
	p := &place{site: s, dir: filepath.Join(w.dir, s.name)}
	w.at[s.name] = p
	w.must(os.MkdirAll(p.dir, 0o755))
	var err error
	p.capture, err = startCapture(s)
	w.must(err)
	p.plane, err = process.Start(process.Program{
		Path: filepath.Join(w.dir, "controlplane"), Dir: p.dir, Netns: s.space(), Grace: 10 * time.Second,
		Args: []string{"-nodes", "0", "-dir", filepath.Join(p.dir, "plane")}, Env: []string{"HOME=" + os.Getenv("HOME")},
	})
	w.must(err)
}

// end stops what runs, and shows what a test that has failed was about.
func (w *world) end() {
	for name, p := range w.at {
		if p.spoke != nil {
			if w.t.Failed() {
				tail, _ := process.Tail(p.spoke.Log())
				w.t.Logf("the spoke of %s:\n%s", name, tail)
			}
			w.must(p.spoke.Stop())
		}
		if p.plane != nil {
			w.must(p.plane.Stop())
		}
		if p.capture != nil {
			w.must(p.capture.close())
		}
	}
	if w.hub != nil {
		w.must(w.hub.Stop())
	}
}

// enrol starts a cluster's spoke with a token, as a service account of the cluster.
func (w *world) enrol(name string) {
	w.t.Helper()
	p := w.at[name]
	w.kubectl(name, "create", "serviceaccount", "yardarm")
	w.kubectl(name, "create", "clusterrolebinding", "yardarm", "--clusterrole=cluster-admin", "--serviceaccount=default:yardarm")
	p.kubeconfig(w)
	var err error
	p.token, err = fleet.Token(w.ctx, w.cli, name, "test=yes")
	w.must(err)
	env := []string{"YARDARM_TOKEN=" + p.token}
	if name == proxied {
		env = append(env, fmt.Sprintf("HTTPS_PROXY=http://%s:%d", p.toIP, p.toPort))
	}
	p.spoke, err = process.Start(process.Program{
		Path: w.cli.Programs.Path("yardarm-spoke"), Dir: p.dir, Netns: p.space(), Env: env, Grace: 5 * time.Second,
		Args: []string{"run", "--hub", fmt.Sprintf("%s:%d", hubName, spokePort), "--kubeconfig", filepath.Join(p.dir, "kubeconfig"), "--state-dir", filepath.Join(p.dir, "state")},
	})
	w.must(err)
}

// kubeconfig writes that of the service account.
func (p *place) kubeconfig(w *world) {
	w.t.Helper()
	text, err := os.ReadFile(p.admin())
	w.must(err)
	var config map[string]any
	w.must(json.Unmarshal(text, &config))
	token := strings.TrimSpace(w.kubectl(p.name, "create", "token", "yardarm"))
	config["users"] = []any{map[string]any{"name": "admin", "user": map[string]any{"token": token}}}
	text, err = json.Marshal(config)
	w.must(err)
	w.must(os.WriteFile(filepath.Join(p.dir, "kubeconfig"), text, 0o600))
}

func (p *place) admin() string { return filepath.Join(p.dir, "plane", controller, "admin.kubeconfig") }

// kubectl is the cluster's administrator's, who sits in it.
func (w *world) kubectl(name string, args ...string) string {
	w.t.Helper()
	out, err := w.tryKubectl(name, args...)
	w.must(err)
	return out
}

func (w *world) tryKubectl(name string, args ...string) (string, error) {
	p := w.at[name]
	c := exec.CommandContext(w.ctx, "ip", append([]string{"netns", "exec", p.space(), w.bin.Path("kubectl"), "--kubeconfig", p.admin()}, args...)...)
	out, err := c.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("kubectl %s in %s: %w: %s", strings.Join(args, " "), name, err, out)
	}
	return string(out), err
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// do runs the CLI on this machine, which has to succeed.
func (w *world) do(args ...string) string {
	w.t.Helper()
	r := w.cli.Run(w.ctx, args...)
	w.must(r.Err())
	return r.Stdout
}

func (w *world) apply(text string) {
	w.t.Helper()
	w.must(w.cli.RunWith(w.ctx, text, "apply", "-f", "-").Err())
}

// publish publishes a revision with a value, and waits until all clusters are ready.
func (w *world) publish(revision, value string) {
	w.t.Helper()
	dir := w.t.TempDir()
	w.must(os.WriteFile(filepath.Join(dir, "settings.yaml"), fmt.Appendf(nil, "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, namespace: default}, data: {value: %s}}\n", value), 0o644))
	w.do("publish", dir, "--bundle", "web", "--to", "all")
	w.do("wait", "bundle/web", "--revision", revision, "--timeout", patience.String())
}

// holds waits until the value is in a cluster.
func (w *world) holds(name, value string) {
	w.t.Helper()
	w.eventually(name+" has "+value, func() error {
		out, err := w.tryKubectl(name, "get", "configmap", "settings", "-o", "jsonpath={.data.value}")
		if err == nil && out != value {
			err = fmt.Errorf("it has %q", out)
		}
		return err
	})
}

func (w *world) log(name string) string {
	text, err := os.ReadFile(w.at[name].spoke.Log())
	w.must(err)
	return string(text)
}

func (w *world) says(name, words string) error {
	if !strings.Contains(w.log(name), words) {
		return fmt.Errorf("it does not say %q", words)
	}
	return nil
}

func (w *world) eventually(what string, fn func() error) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		err := fn()
		if err == nil {
			return
		}
		if time.Now().After(deadline) || w.ctx.Err() != nil {
			w.t.Fatalf("%s: not within %s: %v", what, patience, err)
		}
	}
}

// killsIdle makes sure that the balanced cluster's way is what it says to be: it has carried a stream for many idle times, and kills a connection that
// is silent.
func (w *world) killsIdle() {
	w.t.Helper()
	if n := w.idle.killed.Load(); n > 0 {
		w.t.Errorf("connections of the spoke were idle %d times", n)
	}
	c, err := dial(w.at[balanced].space(), fmt.Sprintf("%s:%d", w.at[balanced].toIP, spokePort))
	w.must(err)
	defer c.Close()
	w.eventually("a silent connection is killed", func() error {
		if w.idle.killed.Load() == 0 {
			return fmt.Errorf("it lives")
		}
		return nil
	})
	for _, target := range w.http.seen() {
		if target != fmt.Sprintf("%s:%d", hubName, spokePort) {
			w.t.Errorf("the proxy was asked for %s", target)
		}
	}
}

// nothingCameIn compares what was seen at each cluster's door with what may be, and then has the hub's machine knock, which is to be seen and in vain.
func (w *world) nothingCameIn() {
	w.t.Helper()
	for name, p := range w.at {
		seen, err := p.capture.traffic()
		w.must(err)
		way := fmt.Sprintf("%s:%d", p.toIP, p.toPort)
		if len(seen.in) > 0 || len(seen.out) == 0 || slices.ContainsFunc(seen.out, func(to string) bool { return to != way }) {
			w.t.Errorf("%s: towards it were opened %q; from it %q, want none and only %s", name, seen.in, seen.out, way)
		}
		w.t.Logf("%s: %d packets; from it %d connections were opened, towards it %d", name, seen.packets, len(seen.out), len(seen.in))
		door := fmt.Sprintf("%s:%d", p.far(), spokePort)
		if c, err := dial(hubSpace, door); err == nil {
			c.Close()
			w.t.Errorf("%s: the firewall lets in", name)
		} else if failure, ok := err.(net.Error); !ok || !failure.Timeout() {
			w.t.Errorf("%s: a connection to it: %v, want no answer", name, err)
		}
		if seen, err := p.capture.traffic(); err != nil || !slices.Contains(seen.in, door) {
			w.t.Errorf("%s: a connection to it was not captured: %q, %v", name, seen.in, err)
		}
	}
}
