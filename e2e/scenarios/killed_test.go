package scenarios

import (
	"context"
	"fmt"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

// acknowledged is a revision that the hub has said it has.
type acknowledged struct {
	bundle string
	number uint32
	digest string
}

// publishUntilCut publishes value after value to a bundle until the hub is gone, and tells of each that is acknowledged.
// It answers the value of the last one, and the one that was under way, of which nobody knows.
func (w *world) publishUntilCut(ctx context.Context, bundle string, tell func(acknowledged)) (last int) {
	c, err := w.hub.Client()
	if err != nil {
		w.t.Error(err)
		return 0
	}
	defer c.Close()
	for value := 1; ; value++ {
		text := fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: %s}\ndata: {value: \"%d\"}\n", bundle, w.id, value)
		r, err := c.Publish(ctx, &hubv1.Publication{Bundle: bundle, Groups: []string{"all"}},
			[]manifest.File{{Path: "settings.yaml", Data: []byte(text)}}, nil)
		if err != nil {
			return value - 1
		}
		spec := r.GetRevision().GetSpec()
		tell(acknowledged{bundle, spec.GetNumber(), spec.GetDigest()})
	}
}

// The hub dies in the middle of a stream of publications: what it has acknowledged is there when it is back, and the spokes get
// it without anybody's help.
func TestHubKilledWhilePublishing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrol(lisbon, tokyo)
	w.group("all")
	w.ready("base", w.publish("base", "all", namespace))

	const enough = 12
	acks := make(chan acknowledged, 1000)
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	bundles := []string{"first", "second", "third"}
	last := make([]int, len(bundles))
	var publishers sync.WaitGroup
	for i, bundle := range bundles {
		publishers.Go(func() {
			last[i] = w.publishUntilCut(ctx, bundle, func(a acknowledged) {
				select {
				case acks <- a:
				case <-ctx.Done():
				}
			})
		})
	}
	var known []acknowledged
	for len(known) < enough {
		select {
		case a := <-acks:
			known = append(known, a)
		case <-w.ctx.Done():
			t.Fatal("the hub acknowledges nothing")
		}
	}
	w.must(w.hub.Kill())
	cancel() // a client would try again for a while
	publishers.Wait()
	for len(acks) > 0 {
		known = append(known, <-acks)
	}

	w.must(w.hub.Start(w.ctx))
	c, err := w.hub.Client()
	w.must(err)
	defer c.Close()
	for _, a := range known {
		r, err := c.GetRevision(w.ctx, &hubv1.GetRevisionRequest{Bundle: a.bundle, Number: a.number})
		if err != nil || r.GetSpec().GetDigest() != a.digest {
			t.Errorf("revision %d of %s was acknowledged and is not there (%v)", a.number, a.bundle, err)
		}
	}
	for i, bundle := range bundles {
		b, err := c.GetBundle(w.ctx, &hubv1.GetBundleRequest{Name: bundle})
		w.must(err)
		w.ready(bundle, int(b.GetStatus().GetLatestRevision()))
		for _, in := range []string{lisbon, tokyo} {
			got, err := w.value(in, bundle, "value")
			w.must(err)
			// The one that was under way may have made it.
			if got != fmt.Sprint(last[i]) && got != fmt.Sprint(last[i]+1) {
				t.Errorf("%s in %s has %s, and %d was acknowledged last", bundle, in, got, last[i])
			}
		}
	}
	for name, s := range w.spokes {
		if s.Process().Exited() {
			t.Errorf("the spoke of %s has ended", name)
		}
	}
}

// A spoke that starts while the hub is down goes on as before: what is edited or deleted in its cluster is put right.
func TestSpokeRestartedWhileHubIsDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrol(boston)
	w.group("all")
	w.ready("web", w.publish("web", "all", namespace, settings("edited", "1"), settings("deleted", "1"), settings("later", "1")))

	w.must(w.hub.Kill())
	w.must(w.spokes[boston].Kill())
	w.edit(boston, "edited", "by hand")
	w.must(w.objects(boston, configMaps).Delete(w.ctx, "deleted", metav1.DeleteOptions{}))
	w.must(w.spokes[boston].Start(w.ctx, ""))
	w.eventuallyHolds(boston, "edited", "1")
	w.eventuallyHolds(boston, "deleted", "1")

	// And not only at its start.
	w.edit(boston, "later", "by hand")
	w.eventuallyHolds(boston, "later", "1")

	w.must(w.hub.Start(w.ctx))
	w.ready("web", 1)
}
