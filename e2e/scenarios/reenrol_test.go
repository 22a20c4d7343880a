package scenarios

import (
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A cluster is deleted, and its name given to another one: that inherits nothing, and the former spoke is nobody.
func TestReenrolledNameInheritsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	former := w.spoke(lisbon)
	w.must(former.Enrol(w.ctx, w.cli, "shop", "test=yes,tier=gold"))
	w.do("wait", "cluster/shop", "--for", "connected", "--timeout", patience.String())
	w.group("all")
	w.ready("web", w.publish("web", "all", namespace, settings("one", "1")))
	before, err := w.cluster("shop")
	w.must(err)

	w.must(former.Kill())
	w.do("delete", "cluster", "shop", "--keep", "--yes")
	next := w.spoke(tokyo)
	w.must(next.Enrol(w.ctx, w.cli, "shop", ""))
	w.do("wait", "cluster/shop", "--for", "connected", "--timeout", patience.String())
	after, err := w.cluster("shop")
	w.must(err)
	if after.Metadata.Uid == before.Metadata.Uid || len(after.Metadata.Labels) != 0 || len(after.Status.Groups) != 0 {
		t.Errorf("it has inherited: before %v, after %v", before, after)
	}
	if out := w.do("get", "assignments", "--cluster", "shop", "-o", "name"); out != "" {
		t.Errorf("it has assignments: %s", out)
	}

	// The former one comes back. It is told that it was deleted, and lets go of its objects, which stay.
	w.must(former.Start(w.ctx, ""))
	w.eventually("the former spoke learns that it is deleted", func() error {
		if w.logged(former, "the hub has deleted this cluster") == 0 {
			return fmt.Errorf("it has not")
		}
		return nil
	})
	w.released(lisbon, "one")
	w.edit(lisbon, "one", "by hand")
	if again, err := w.cluster("shop"); again.GetMetadata().GetUid() != after.Metadata.Uid || again.GetStatus().GetPresence() != "Connected" {
		t.Errorf("the new cluster is disturbed: %v (%v)", again, err)
	}

	// Labelled, the new one gets the bundle; the former one is not touched.
	w.do("label", "cluster", "shop", "test=yes")
	w.ready("web", w.publish("web", "all", namespace, settings("one", "2")))
	w.holds("one", "value", "2", tokyo)
	w.holds("one", "value", "by hand", lisbon)
}

// released waits until nothing of a config map says that somebody manages it.
func (w *world) released(cluster, name string) {
	w.t.Helper()
	w.eventually(name+" in "+cluster+" is released", func() error {
		o, err := w.objects(cluster, configMaps).Get(w.ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if o.GetLabels()["yardarm.dev/bundle"] != "" || o.GetAnnotations()["yardarm.dev/owner"] != "" {
			return fmt.Errorf("it has labels %v and annotations %v", o.GetLabels(), o.GetAnnotations())
		}
		return nil
	})
}
