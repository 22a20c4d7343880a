package scenarios

import (
	"testing"

	"github.com/yardarm-dev/yardarm/e2e/fleet"
)

// Who runs a cluster takes it out of the fleet without asking anybody at the hub: its workloads are removed, and it is gone. It takes
// the spoke to run.
func TestLeave(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrol(lisbon, tokyo)
	w.group("all")
	w.ready("web", w.publish("web", "all", namespace, settings("one", "1")))
	leave := func(cluster, timeout string) fleet.Result {
		return fleet.Exec(w.ctx, programs.Path("yardarm-spoke"), "leave", "--kubeconfig", clusters.Cluster(cluster).KubeconfigPath(),
			"--state-dir", w.spokes[cluster].StateDir(), "--hub", w.hub.SpokeAddress(), "--timeout", timeout)
	}
	w.said(leave(lisbon, patience.String()), 0, "the workloads are removed")
	w.gone(lisbon, namespaces, w.id)
	w.do("wait", "cluster/"+lisbon, "--for", "deleted", "--timeout", patience.String())
	w.holds("one", "value", "1", tokyo)
	w.said(leave(lisbon, patience.String()), 0, "the workloads are removed") // it has been

	// With nobody there to remove anything.
	w.must(w.spokes[tokyo].Stop())
	w.said(leave(tokyo, "3s"), 1, "its time is up", "not removed yet")
	w.holds("one", "value", "1", tokyo)
	w.must(w.spokes[tokyo].Start(w.ctx, ""))
	w.said(leave(tokyo, patience.String()), 0, "the workloads are removed")
	w.gone(tokyo, namespaces, w.id)
}
