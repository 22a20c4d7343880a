package scenarios

import (
	"fmt"
	"testing"
)

// A revision that drops a namespace, or much of the bundle, is held in each cluster until somebody accepts just that step.
func TestMassDeletionAsks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrol(lisbon, tokyo)
	w.group("all")
	many := func(n int) (texts []string) {
		for i := range n {
			texts = append(texts, settings(fmt.Sprint("s", i), "1"))
		}
		return texts
	}
	all := append([]string{namespace}, many(12)...)
	w.ready("web", w.publishAtOnce("web", "all", all...))

	w.publish("web", "all", many(12)...)
	for _, in := range []string{lisbon, tokyo} {
		w.held(in, "web", "MassDeletion", w.id)
		if err := w.absent(in, namespaces, w.id); err == nil {
			t.Fatalf("the namespace is gone from %s", in)
		}
	}
	w.refused(1, []string{"wait", "bundle/web", "--timeout", "20s"}, "MassDeletion")
	w.do("rollout", "undo", "bundle/web")
	w.ready("web", 3)

	// A few do not ask: not more than five.
	w.ready("web", w.publish("web", "all", all[:9]...))
	w.gone(lisbon, configMaps, "s11")

	// Six of nine do.
	w.publish("web", "all", all[:3]...)
	for _, in := range []string{lisbon, tokyo} {
		w.held(in, "web", "MassDeletion", "6")
		w.holds("s7", "value", "1", in)
	}
	w.do("accept", "cluster/"+lisbon, "bundle/web", "--yes")
	w.gone(lisbon, configMaps, "s7")
	w.phase(lisbon, "web", "Ready")
	w.held(tokyo, "web", "MassDeletion", "6")
	w.holds("s7", "value", "1", tokyo)

	// Accepted is one step, not the next.
	w.publish("web", "all", append(many(1), namespace)...)
	w.held(tokyo, "web", "MassDeletion", "7")
	w.holds("s7", "value", "1", tokyo)
	w.do("accept", "bundle/web", "--yes")
	w.ready("web", 6)
	w.gone(tokyo, configMaps, "s7")
	w.holds("s0", "value", "1", lisbon, tokyo)
}
