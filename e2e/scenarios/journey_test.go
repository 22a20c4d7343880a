package scenarios

import (
	"fmt"
	"testing"
)

// The whole way, on three real API servers: published, applied, changed, pruned, taken back, and deleted.
func TestJourney(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := []string{lisbon, boston, tokyo}
	w.enrol(all...)
	w.group("everywhere")

	first := w.publish("web", "everywhere", namespace, settings("one", "1"), settings("two", "1"))
	w.ready("web", first)
	w.holds("one", "value", "1", all...)
	w.holds("two", "value", "1", all...)

	// The same again is no new revision.
	if again := w.publish("web", "everywhere", namespace, settings("two", "1"), settings("one", "1")); again != first {
		t.Errorf("the same content in other files made revision %d", again)
	}

	second := w.publish("web", "everywhere", namespace, settings("one", "2"))
	w.ready("web", second)
	w.holds("one", "value", "2", all...)
	for _, c := range all {
		w.gone(c, configMaps, "two")
	}

	w.do("rollout", "undo", "bundle/web", "--to-revision", fmt.Sprint(first))
	w.ready("web", second+1)
	w.holds("one", "value", "1", all...)
	w.holds("two", "value", "1", all...)

	w.do("delete", "bundle", "web", "--remove", "--yes")
	for _, c := range all {
		w.gone(c, namespaces, w.id)
	}
}

// A cluster that is offline for two revisions gets the newest only.
func TestOfflineForTwoRevisions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrol(lisbon, tokyo)
	w.group("all")
	w.ready("web", w.publish("web", "all", namespace, settings("one", "1")))
	before, err := w.generation(tokyo, "one")
	w.must(err)

	w.must(w.spokes[tokyo].Kill())
	w.presence(tokyo, "Stale")
	for _, value := range []string{"2", "3"} {
		w.publish("web", "all", namespace, settings("one", value), settings("only-"+value, value))
		w.eventually("lisbon has "+value, func() error {
			got, err := w.value(lisbon, "one", "value")
			if err == nil && got != value {
				err = fmt.Errorf("it has %s", got)
			}
			return err
		})
	}
	// A rollout gives nothing to who is away, and waits for nobody.
	if a := w.phase(tokyo, "web", "Stale"); a.Spec.Revision != 1 || a.Status.GetReport().GetRevision() != 1 {
		t.Errorf("assigned revision %d, last report about %d", a.Spec.Revision, a.Status.GetReport().GetRevision())
	}
	w.holds("one", "value", "1", tokyo)

	writes := w.watchConfigMaps(tokyo)
	w.must(w.spokes[tokyo].Start(w.ctx, ""))
	w.ready("web", 3)
	w.holds("one", "value", "3", lisbon, tokyo)
	for _, seen := range writes() {
		if seen == "one=2" || seen == "only-2=2" {
			t.Errorf("the revision in between was applied: %s", seen)
		}
	}
	if after, err := w.generation(tokyo, "one"); err != nil || after == before {
		t.Errorf("the config map was not written (%v)", err)
	}
}
