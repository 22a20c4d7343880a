package reconcile

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/apply"
	"github.com/yardarm-dev/yardarm/spoke/drift"
	"github.com/yardarm-dev/yardarm/spoke/live"
)

// frozen writes nothing, and tells the drift of what the cluster holds.
func (b *bundle) frozen(ctx context.Context, w work) outcome {
	out := b.leaveAlone(ctx)
	if out.applied < out.total {
		out.applied += b.tellStanding(ctx, w)
	}
	return out.force(yardarmv1.PhaseHeld, yardarmv1.ReasonFrozen, "the cluster is frozen, and nothing is changed: "+b.policy.Freeze)
}

// tellStanding finds out what differs in objects that are not as they were applied, as far as that is not known. It asks by reads and dry
// runs; what cannot be found out now is found out at the end of the freeze. It answers how many of them are as they are to be all the same.
func (b *bundle) tellStanding(ctx context.Context, w work) (fine int) {
	objects, err := b.held(ctx, w.entry.Assignment)
	if err != nil {
		return 0
	}
	rendered, err := b.render(ctx, &w.entry, target{made: objects, namespace: b.inv.Namespace, revision: b.inv.Revision})
	if err != nil {
		return 0
	}
	var suspects []apply.Item
	seen := map[manifest.Ref]live.Object{}
	for _, item := range rendered.Items {
		object, exists, known := b.r.watcher.Get(item.Ref)
		e := b.inv.Entries[item.Ref]
		switch {
		case b.nothingToDo(item, e, object, exists, known):
			b.drifts.settle(item.Ref)
			if !intact(e, object, exists) {
				fine++
			}
			continue
		case e.Content != item.Content || e.Condemned || !known:
			continue
		case item.Delivery.Drift == yardarmv1.DriftIgnore:
			fine++
			continue
		}
		if _, judged := b.drifts.judged(item.Ref, item.Content, object, exists, time.Now()); !judged {
			item.Suspect, item.Scaled = true, object.Scaled
			suspects = append(suspects, item)
			seen[item.Ref] = object
		}
	}
	var mu sync.Mutex // guards drifts
	b.applier.Preview(ctx, suspects, apply.Options{Stop: w.stop, Applied: func(item apply.Item, answer *unstructured.Unstructured) {
		mu.Lock()
		defer mu.Unlock()
		found := drift.Gone()
		if !item.Gone {
			found = drift.Between(item.Live, answer)
		}
		j := judgement{object: seen[item.Ref], exists: !item.Gone, content: item.Content, at: time.Now(), differs: len(found) > 0}
		b.drifts.leave(item.Ref, j, found, yardarmv1.ReasonFrozen, b.r.now())
	}})
	return fine
}
