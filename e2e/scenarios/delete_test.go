package scenarios

import (
	"testing"
)

// A cluster that is away is deleted with its workloads: it is Deleting until its spoke has come back and removed them.
func TestDeleteClusterThatIsOffline(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrol(lisbon, tokyo)
	w.group("all")
	w.ready("web", w.publish("web", "all", namespace, settings("one", "1")))
	w.must(w.spokes[lisbon].Kill())
	w.presence(lisbon, "Stale")

	w.do("delete", "cluster", lisbon, "--remove", "--yes")
	if c, err := w.cluster(lisbon); c.GetStatus().GetPhase() != "Deleting" {
		t.Fatalf("the cluster is %s, want Deleting (%v)", c.GetStatus().GetPhase(), err)
	}
	w.refused(124, []string{"wait", "cluster/" + lisbon, "--for", "deleted", "--timeout", "1s"}, lisbon)
	w.holds("one", "value", "1", lisbon)

	w.must(w.spokes[lisbon].Start(w.ctx, ""))
	w.do("wait", "cluster/"+lisbon, "--for", "deleted", "--timeout", patience.String())
	w.gone(lisbon, configMaps, "one")
	w.gone(lisbon, namespaces, w.id)
	w.refused(1, []string{"get", "cluster", lisbon}, lisbon)
	w.ready("web", 1)
	w.holds("one", "value", "1", tokyo)
}

// Deleted with --keep it is gone at once, wherever its spoke is, and its objects stay as nobody's.
func TestDeleteClusterAndKeep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrol(tokyo)
	w.group("all")
	w.ready("web", w.publish("web", "all", namespace, settings("one", "1")))

	w.do("delete", "cluster", tokyo, "--keep", "--yes")
	w.refused(1, []string{"get", "cluster", tokyo}, tokyo)
	w.released(tokyo, "one")
	w.holds("one", "value", "1", tokyo)
	w.edit(tokyo, "one", "by hand")
	w.must(w.spokes[tokyo].Stop())
	told := w.newLine(spokeLog(w.spokes[tokyo]), "the hub has deleted this cluster")
	w.must(w.spokes[tokyo].Start(w.ctx, ""))
	w.eventually("its spoke waits", told)
	w.holds("one", "value", "by hand", tokyo)
}
