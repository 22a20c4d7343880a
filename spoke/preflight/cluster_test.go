package preflight

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/yardarm-dev/yardarm/e2e/cluster"
	"github.com/yardarm-dev/yardarm/e2e/cluster/clustertest"
	"github.com/yardarm-dev/yardarm/spoke/kube"
)

// TestCluster asks a real API server, as an administrator and as an account that may do nothing.
func TestCluster(t *testing.T) {
	fleet := clustertest.Start(t, cluster.Spec{Name: "a"})
	admin, err := kube.New(kube.Config{Kubeconfig: fleet.Cluster("a").KubeconfigPath()})
	if err != nil {
		t.Fatal(err)
	}
	nobody, err := admin.As("default", "nobody")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		cluster *kube.Client
		later   time.Duration
		grave   int // beside the one about no address
		want    []string
	}{
		{"an administrator", admin, 0, 0, []string{"ok      API server: it answers", "clock: it agrees", "may do what it needs", "everything that the policy lets them"}},
		{"nobody", nobody, 0, 1, []string{"may not get namespaces kube-system", "update secrets", "patch events.events.k8s.io", "install it with its chart", "rbac.readCluster"}},
		{"another clock", admin, time.Hour, 1, []string{"FAILED  clock: it differs by 1h0m", "NTP"}},
	} {
		var said bytes.Buffer
		grave := Write(&said, Run(t.Context(), Config{Cluster: c.cluster, Clock: func() time.Time { return time.Now().Add(c.later) }}))
		if grave != c.grave+1 {
			t.Errorf("%s: %d grave, want %d", c.name, grave, c.grave+1)
		}
		for _, want := range c.want {
			if !strings.Contains(said.String(), want) {
				t.Errorf("%s: %q is not in:\n%s", c.name, want, said.String())
			}
		}
	}
	if err := fleet.Cluster("a").StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	found := Run(t.Context(), Config{Cluster: admin})
	if last := found[len(found)-1]; !last.Grave || !strings.Contains(last.Found, "connection refused") || !strings.Contains(last.Advice, "NO_PROXY") {
		t.Errorf("without an API server: %+v", last)
	}
}
