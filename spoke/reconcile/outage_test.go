package reconcile

import (
	"testing"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/e2e/cluster"
)

// The API server goes away and comes back: what was ready stays so, and drift is repaired afterwards. A spoke that
// starts while it is away begins when it is back.
func TestApiServerOutage(t *testing.T) {
	e := newEnv(t)
	c, err := fleet.Add(t.Context(), cluster.Spec{Name: "outage-" + e.ns})
	if err != nil {
		t.Fatal(err)
	}
	if e.config, err = clientcmd.RESTConfigFromKubeConfig(c.Kubeconfig()); err != nil {
		t.Fatal(err)
	}
	if e.dynamic, err = dynamic.NewForConfig(e.config); err != nil {
		t.Fatal(err)
	}
	e.create(namespace(e.ns))
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: several(2, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	if err := c.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	// A new revision cannot be applied, and does not get lost.
	e.assign(assignment{bundle: "web", revision: 2, objects: several(2, "two")})
	s.await("web", "the outage is told", func(r *yardarmv1.Report) bool { return r.Phase == yardarmv1.PhaseProgressing })
	if err := c.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.awaitPhase("web", yardarmv1.PhaseReady)
	if got := value(e.get("m0")); got != "two" {
		t.Errorf("m0 is %s", got)
	}
	e.delete("m1")
	e.until("m1 is there again", func() bool { return e.get("m1") != nil })
	s.stop()

	if err := c.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	s = e.start()
	if err := c.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.awaitPhase("web", yardarmv1.PhaseReady)
}
