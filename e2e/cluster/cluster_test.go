package cluster

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// helperVariable makes the test program start a fleet and wait to be killed; see TestKilledParent.
const helperVariable = "YARDARM_CLUSTER_TEST_HELPER"

func TestMain(m *testing.M) {
	if os.Getenv(helperVariable) != "" {
		fmt.Fprintln(os.Stderr, helper())
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// TestFleet runs one fleet through its life: the parts need each other's clusters, and their order.
func TestFleet(t *testing.T) {
	if testing.Short() {
		t.Skip("starts real control planes")
	}
	fleet, err := Start(t.Context(), Config{
		Clusters: []Spec{{Name: "full", Nodes: 2, Region: "eu-west-1", Provider: "aws"}, {}},
		Progress: t.Output(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer fleet.Stop()
	full, bare := fleet.Cluster("full"), fleet.Cluster("cluster-2")
	if full == nil || bare == nil || len(fleet.Clusters()) != 2 {
		t.Fatalf("clusters: got %v", fleet.Clusters())
	}

	t.Run("version", func(t *testing.T) {
		var version struct{ GitVersion, Minor string }
		if err := bare.admin.get(t.Context(), "/version", &version); err != nil {
			t.Fatal(err)
		}
		if version.GitVersion != fleet.Bin().KubernetesVersion || version.Minor != "36" {
			t.Errorf("got %+v", version)
		}
	})
	t.Run("kubeconfig", func(t *testing.T) {
		out, err := exec.Command(fleet.Bin().Path("kubectl"), "--kubeconfig", bare.KubeconfigPath(),
			"auth", "can-i", "*", "*").CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != "yes" {
			t.Errorf("kubectl: %v: %s", err, out)
		}
		content, err := os.ReadFile(bare.KubeconfigPath())
		if err != nil || !bytes.Equal(content, bare.Kubeconfig()) {
			t.Errorf("the file differs from Kubeconfig: %v", err)
		}
	})
	t.Run("key spaces", func(t *testing.T) {
		createDeployment(t, bare, "only-here", "fine")
		err := full.admin.get(t.Context(), deployments+"/only-here", nil)
		if !isNotFound(err) {
			t.Errorf("an object of one cluster in the other: got %v", err)
		}
	})
	t.Run("nodes", func(t *testing.T) {
		var node struct {
			Metadata struct{ Labels map[string]string }
			Spec     struct{ ProviderID string }
		}
		if err := full.admin.get(t.Context(), "/api/v1/nodes/node-2", &node); err != nil {
			t.Fatal(err)
		}
		if node.Metadata.Labels["topology.kubernetes.io/zone"] != "eu-west-1b" || !strings.HasPrefix(node.Spec.ProviderID, "aws:///") {
			t.Errorf("got %+v", node)
		}
	})
	t.Run("workloads", func(t *testing.T) { testWorkloads(t, full) })
	t.Run("outage", func(t *testing.T) { testOutage(t, full, bare) })
	t.Run("add", func(t *testing.T) { testAdd(t, fleet) })
	t.Run("stop", func(t *testing.T) { testStop(t, fleet) })
}

func testWorkloads(t *testing.T, c *Cluster) {
	createDeployment(t, c, "good", "nginx:1.27")
	createDeployment(t, c, "broken", "registry.example/broken:1")
	createDeployment(t, c, "untagged", "nginx:does-not-exist")
	createDeployment(t, c, "crash", "crash:1")
	createJob(t, c, "job", "batch:1")
	createClaim(t, c, "claim")

	eventually(t, c, func(ctx context.Context) error { return available(ctx, c, "good") })
	for _, name := range []string{"broken", "untagged"} {
		eventually(t, c, func(ctx context.Context) error {
			pod, err := podOf(ctx, c, name)
			if err != nil {
				return err
			}
			status := pod.Status
			if len(status.ContainerStatuses) != 1 || status.ContainerStatuses[0].State.Waiting.Reason != "ImagePullBackOff" ||
				!strings.HasPrefix(status.ContainerStatuses[0].State.Waiting.Message, "Back-off pulling image") ||
				status.Phase != "Pending" || pod.condition("Ready") != "False" || pod.condition("PodScheduled") != "True" {
				return fmt.Errorf("got %+v", pod)
			}
			return nil
		})
	}
	eventually(t, c, func(ctx context.Context) error {
		pod, err := podOf(ctx, c, "crash")
		if err != nil {
			return err
		}
		status := pod.Status
		if len(status.ContainerStatuses) != 1 || status.ContainerStatuses[0].State.Waiting.Reason != "CrashLoopBackOff" ||
			status.ContainerStatuses[0].LastState.Terminated.ExitCode != 1 || status.ContainerStatuses[0].RestartCount < 1 ||
			status.Phase != "Running" || pod.condition("Ready") != "False" {
			return fmt.Errorf("got %+v", pod)
		}
		return nil
	})
	if err := available(t.Context(), c, "broken"); err == nil {
		t.Error("a Deployment of a broken image is available")
	}
	eventually(t, c, func(ctx context.Context) error {
		var job struct{ Status struct{ Succeeded int } }
		if err := c.admin.get(ctx, "/apis/batch/v1/namespaces/default/jobs/job", &job); err != nil {
			return err
		}
		if job.Status.Succeeded != 1 {
			return errors.New("the job is not complete")
		}
		return nil
	})
	eventually(t, c, func(ctx context.Context) error {
		var claim struct{ Status struct{ Phase string } }
		if err := c.admin.get(ctx, "/api/v1/namespaces/default/persistentvolumeclaims/claim", &claim); err != nil {
			return err
		}
		if claim.Status.Phase != "Bound" {
			return fmt.Errorf("the claim is %s", claim.Status.Phase)
		}
		return nil
	})

	// A deleted Deployment takes its pods with it, the failing ones too.
	for _, name := range []string{"good", "broken", "untagged", "crash"} {
		if err := c.admin.do(t.Context(), http.MethodDelete, deployments+"/"+name, nil, nil); err != nil {
			t.Fatal(err)
		}
		eventually(t, c, func(ctx context.Context) error {
			if pod, err := podOf(ctx, c, name); err == nil {
				return fmt.Errorf("there is still a pod of %s: %+v", name, pod)
			}
			return nil
		})
	}
}

func testOutage(t *testing.T, full, bare *Cluster) {
	url, before := full.URL(), full.PIDs()
	if err := full.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	if err := full.StopAPIServer(); err != nil {
		t.Errorf("stop a stopped API server: %v", err)
	}
	if alive(before["kube-apiserver"]) {
		t.Error("the API server still runs")
	}
	if err := full.admin.get(t.Context(), "/readyz", nil); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("request to a stopped API server: got %v, want connection refused", err)
	}
	if err := bare.admin.get(t.Context(), "/readyz", nil); err != nil {
		t.Errorf("the other cluster: %v", err)
	}
	if err := full.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := full.PIDs()
	delete(before, "kube-apiserver")
	delete(after, "kube-apiserver")
	if !maps.Equal(before, after) {
		t.Errorf("the other programs are not the same ones: %v, then %v", before, after)
	}
	if full.URL() != url {
		t.Errorf("the address changed from %s to %s", url, full.URL())
	}
	createDeployment(t, full, "after-outage", "nginx:1.27")
	eventually(t, full, func(ctx context.Context) error { return available(ctx, full, "after-outage") })
}

func testAdd(t *testing.T, fleet *Fleet) {
	c, err := fleet.Add(t.Context(), Spec{Name: "late", Controllers: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(c.PIDs())); !slices.Equal(got, []string{"kube-apiserver", "kube-controller-manager"}) {
		t.Errorf("programs: got %v", got)
	}
	if _, err := fleet.Add(t.Context(), Spec{Name: "late"}); err == nil {
		t.Error("two clusters of one name")
	}
	_, err = fleet.Add(t.Context(), Spec{Name: "bad", APIServerFlags: []string{"--no-such-flag"}})
	if err == nil || !strings.Contains(err.Error(), "unknown flag: --no-such-flag") {
		t.Errorf("a cluster that does not start: got %v, want the end of its log", err)
	}
	if fleet.Cluster("bad") != nil {
		t.Error("a cluster that did not start is there")
	}
}

func testStop(t *testing.T, fleet *Fleet) {
	pids := []int{fleet.etcd.process.PID()}
	for _, c := range fleet.Clusters() {
		pids = slices.AppendSeq(pids, maps.Values(c.PIDs()))
	}
	if len(pids) != 1+4+1+2 {
		t.Errorf("got %d processes", len(pids))
	}
	for range 2 {
		if err := fleet.Stop(); err != nil {
			t.Error(err)
		}
	}
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("process %d still runs", pid)
		}
	}
	if _, err := os.Stat(fleet.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the temporary folder is still there: %v", err)
	}
	if _, err := fleet.Add(t.Context(), Spec{}); err == nil {
		t.Error("a cluster was added to a stopped fleet")
	}
	if err := fleet.Clusters()[0].StartAPIServer(t.Context()); err == nil {
		t.Error("an API server of a stopped fleet was started")
	}
}

// TestKilledParent kills a process that runs a fleet in the way that leaves it no time to clean up.
func TestKilledParent(t *testing.T) {
	if testing.Short() {
		t.Skip("starts real control planes")
	}
	if _, err := Binaries(t.Context(), t.Output()); err != nil {
		t.Fatal(err)
	}
	parent := exec.CommandContext(t.Context(), os.Args[0])
	parent.Env = append(os.Environ(), helperVariable+"="+t.TempDir())
	parent.Stderr = t.Output()
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var pids []int
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "ready" {
		pid, err := strconv.Atoi(lines.Text())
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	if len(pids) != 2 {
		t.Errorf("got %d processes, want etcd and an API server", len(pids))
	}
	for _, pid := range pids {
		if !alive(pid) {
			t.Errorf("process %d does not run", pid)
		}
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // it was killed
	t.Cleanup(func() {
		if t.Failed() {
			for _, pid := range pids {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	})
	eventually(t, nil, func(context.Context) error {
		for _, pid := range pids {
			if alive(pid) {
				return fmt.Errorf("process %d outlived its parent", pid)
			}
		}
		return nil
	})
}

// helper starts a fleet with an API server, prints its processes' ids and waits to be killed.
func helper() error {
	fleet, err := Start(context.Background(), Config{Clusters: []Spec{{}}, Dir: os.Getenv(helperVariable)})
	if err != nil {
		return err
	}
	fmt.Println(fleet.etcd.process.PID())
	for _, pid := range fleet.Clusters()[0].PIDs() {
		fmt.Println(pid)
	}
	fmt.Println("ready")
	<-fleet.etcd.process.Done()
	return errors.New("etcd ended")
}

// alive says whether a process runs. One that has ended and was not awaited by whom it was left to does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}

// eventually polls check until it succeeds, and fails the test with its last error if it does not in time,
// and with the end of the cluster's logs.
func eventually(t *testing.T, c *Cluster, check func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ticker := time.NewTicker(readyPoll)
	defer ticker.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
			continue
		case <-ctx.Done():
		}
		t.Errorf("in vain: %v", err)
		if c != nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			for _, p := range c.processes() {
				t.Log(p.Fail(errors.New("its log")))
			}
		}
		t.FailNow()
	}
}
