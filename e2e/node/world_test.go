package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/yardarm-dev/yardarm/e2e/built"
	"github.com/yardarm-dev/yardarm/e2e/charts"
	"github.com/yardarm-dev/yardarm/e2e/cluster"
	"github.com/yardarm-dev/yardarm/e2e/fleet"
	"github.com/yardarm-dev/yardarm/e2e/process"
)

// patience is how long anything may take that usually takes seconds: images, pods and claims on a shared machine.
const patience = 3 * time.Minute

// needs are the programs of Debian's that a node is made of.
var needs = []string{"containerd", "ctr", "runc", "iptables", "nft", "conntrack", "unshare", "ip", "/usr/lib/cni/bridge"}

// world is two clusters, each with a node, and what people have at hand.
type world struct {
	t        *testing.T
	ctx      context.Context
	root     string
	dir      string
	clusters *cluster.Fleet
	nodes    map[string]*Node
	cli      *fleet.CLI
	helm     string
	// failures are told a second time, at the end.
	failures []string
}

// newWorld starts it all, or skips the test where that cannot be.
func newWorld(t *testing.T) *world {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root may start a node")
	}
	for _, program := range needs {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("there is no %s: bash .ci/tools node installs it on Debian", program)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 25*time.Minute)
	t.Cleanup(cancel)
	w := &world{t: t, ctx: ctx, nodes: map[string]*Node{}}
	var err error
	w.root, err = fleet.Source(".")
	w.must(err)
	// Sockets have short paths.
	w.dir, err = os.MkdirTemp("", "yardarm-node-")
	w.must(err)
	t.Cleanup(func() { w.must(os.RemoveAll(w.dir)) })

	w.helm, err = charts.Helm(ctx, t.Output())
	w.must(err)
	programs, err := built.Programs(ctx, agents, t.Output())
	w.must(err)
	images := filepath.Join(w.dir, "images")
	w.must(makeImages(ctx, images))
	cli, err := fleet.Build(ctx, filepath.Join(w.dir, "bin"), false, t.Output())
	w.must(err)
	w.cli = &fleet.CLI{Programs: cli, Config: filepath.Join(w.dir, "admin.yaml")}

	net, err := newNetwork(ctx)
	w.must(err)
	t.Cleanup(func() { w.must(net.close()) })
	w.clusters, err = cluster.Start(ctx, cluster.Config{Progress: t.Output(), Clusters: []cluster.Spec{{Name: east, Reach: hostIP}, {Name: west, Reach: hostIP}}})
	w.must(err)
	t.Cleanup(func() { w.must(w.clusters.Stop()) })
	for i, name := range []string{east, west} {
		n, err := startNode(ctx, nodeConfig{
			name: name, number: i + 1, dir: filepath.Join(w.dir, name), cluster: w.clusters.Cluster(name), network: net, images: images, agents: programs,
		})
		w.must(err)
		w.nodes[name] = n
		t.Cleanup(func() { w.must(n.stop()) })
	}
	t.Cleanup(w.logs)
	for name := range w.nodes {
		w.eventually("node "+name+" is ready", func() error {
			_, err := w.try(name, "kubectl wait --for=condition=Ready --timeout=1s node/"+name)
			return err
		})
	}
	return w
}

// logs shows the ends of what the nodes and Yardarm's pods have said, if the test has failed, and then once more what has failed: it is long, and
// of a long log people see the end.
func (w *world) logs() {
	if !w.t.Failed() {
		return
	}
	w.ctx = context.WithoutCancel(w.ctx)
	for name, n := range w.nodes {
		out, _ := w.try(name, "kubectl get pods,events -A -o wide | tail -80")
		w.t.Logf("%s:\n%s", name, out)
		err := filepath.WalkDir(n.dir, func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.Name() == "root" {
				return fs.SkipDir
			}
			if err == nil && strings.HasSuffix(path, ".log") && e.Type().IsRegular() {
				var tail string
				tail, err = process.Tail(path)
				w.t.Logf("%s:\n%s", path, tail)
			}
			return err
		})
		if err != nil {
			w.t.Log(err)
		}
	}
	for _, f := range w.failures {
		w.t.Log("FAILED: " + f)
	}
}

// errorf tells a failure, and fatalf one that ends the test.
func (w *world) errorf(format string, args ...any) {
	w.t.Helper()
	text := fmt.Sprintf(format, args...)
	w.failures = append(w.failures, text)
	w.t.Error(text)
}

func (w *world) fatalf(format string, args ...any) {
	w.t.Helper()
	w.errorf(format, args...)
	w.t.FailNow()
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.fatalf("%v", err)
	}
}

// try runs a line in a shell in the repository's folder, as people do, with kubectl and Helm set to a cluster.
func (w *world) try(cluster, line string) (string, error) {
	command := exec.CommandContext(w.ctx, "sh", "-c", line)
	command.Dir = w.root
	command.Env = []string{
		"PATH=" + strings.Join([]string{filepath.Dir(w.helm), w.clusters.Bin().Dir, w.cli.Programs.Dir, "/usr/bin", "/bin"}, ":"),
		"HOME=" + w.dir, "KUBECONFIG=" + w.clusters.Cluster(cluster).KubeconfigPath(), "YARDARM_CONFIG=" + w.cli.Config,
	}
	out, err := command.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %s: %w\n%s", cluster, line, err, out)
	}
	return string(out), err
}

// sh is try for what has to work.
func (w *world) sh(cluster, line string) string {
	w.t.Helper()
	out, err := w.try(cluster, line)
	w.must(err)
	return out
}

// yardarm runs the CLI, which has to succeed.
func (w *world) yardarm(args ...string) string {
	w.t.Helper()
	r := w.cli.Run(w.ctx, args...)
	w.must(r.Err())
	return r.Stdout
}

func (w *world) eventually(what string, fn func() error) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		err := fn()
		if err == nil {
			return
		}
		if time.Now().After(deadline) || w.ctx.Err() != nil {
			w.fatalf("%s: not within %s: %v", what, patience, err)
		}
	}
}

// step says how long a part took.
func (w *world) step(name string, fn func()) {
	began := time.Now()
	fn()
	w.t.Logf("%s: %.1f s", name, time.Since(began).Seconds())
}

// volumes makes folders of a node volumes under the cluster's default class, each for one claim of the hub's: of the same size and class, either claim
// could otherwise get either.
func (w *world) volumes(cluster string, claims map[string]string) {
	objects := "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: local, annotations: {storageclass.kubernetes.io/is-default-class: \"true\"}}, " +
		"provisioner: kubernetes.io/no-provisioner, volumeBindingMode: WaitForFirstConsumer}\n"
	for name, claim := range claims {
		path := filepath.Join(w.nodes[cluster].dir, "volumes", name)
		w.must(os.MkdirAll(path, 0o755))
		objects += fmt.Sprintf(`---
apiVersion: v1
kind: PersistentVolume
metadata: {name: %s}
spec:
  capacity: {storage: 10Gi}
  accessModes: [ReadWriteOnce]
  storageClassName: local
  claimRef: {namespace: yardarm, name: %s}
  local: {path: %s}
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [%s]}]}]}}
`, name, claim, path, cluster)
	}
	w.sh(cluster, "kubectl apply -f - <<'END'\n"+objects+"END")
}

// publish publishes manifests to the group and answers the revision.
func (w *world) publish(bundle, manifests string, flags ...string) string {
	w.t.Helper()
	dir := w.t.TempDir()
	w.must(os.WriteFile(filepath.Join(dir, "objects.yaml"), []byte(manifests), 0o644))
	var answer struct {
		Revision struct{ Spec struct{ Number int } }
	}
	out := w.yardarm(append([]string{"publish", dir, "--bundle", bundle, "--to", "all", "-o", "json"}, flags...)...)
	w.must(json.Unmarshal([]byte(out), &answer))
	return fmt.Sprint(answer.Revision.Spec.Number)
}

// ready publishes manifests, and waits until they are ready in all clusters.
func (w *world) ready(bundle, manifests string) {
	w.t.Helper()
	revision := w.publish(bundle, manifests)
	w.yardarm("wait", "bundle/"+bundle, "--revision", revision, "--timeout", patience.String())
}

// status is what the hub says of a bundle in a cluster.
type status struct {
	Phase, Reason, Message string
	Report                 struct {
		Problems []struct{ Object, Reason, Message string }
	}
}

func (w *world) status(cluster, bundle string) (s status, err error) {
	r := w.cli.Run(w.ctx, "get", "assignments", "--cluster", cluster, "--bundle", bundle, "-o", "json")
	if err := r.Err(); err != nil {
		return s, err
	}
	var list struct{ Items []struct{ Status status } }
	if err := json.Unmarshal([]byte(r.Stdout), &list); err != nil {
		return s, err
	}
	if len(list.Items) != 1 {
		return s, errors.New("there is no assignment")
	}
	return list.Items[0].Status, nil
}

// uid is a cluster's at the hub.
func (w *world) uid(name string) string {
	w.t.Helper()
	var c struct{ Metadata struct{ UID string } }
	w.must(json.Unmarshal([]byte(w.yardarm("get", "cluster", name, "-o", "json")), &c))
	return c.Metadata.UID
}
