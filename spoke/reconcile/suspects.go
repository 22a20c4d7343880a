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
	"github.com/yardarm-dev/yardarm/spoke/inventory"
	"github.com/yardarm-dev/yardarm/spoke/live"
)

// suspect is an object of which metadata say that it is not as it was applied.
type suspect struct {
	item apply.Item
	// object as the watch has it; exists is false if it has none.
	object live.Object
	exists bool
}

// suspicious tells whether a change of a live object calls for a pass.
func (b *bundle) suspicious(ref manifest.Ref, e inventory.Entry, object live.Object, exists bool) bool {
	if intact(e, object, exists) {
		b.drifts.settle(ref)
		return false
	}
	again, judged := b.drifts.judged(ref, e.Content, object, exists, time.Now())
	if judged && !again.IsZero() && again.Before(b.next) {
		b.next = again
	}
	return !judged
}

// examine decides what becomes of suspects, and answers those that are to be applied again. A target that is new to the cluster
// is applied whatever the policy says of drift: it is what somebody wants now.
func (b *bundle) examine(ctx context.Context, w work, suspects []suspect, renewed bool, out *outcome) (again []apply.Item) {
	now := time.Now()
	var doubtful []suspect
	for _, s := range suspects {
		mode := s.item.Delivery.Drift
		at, judged := b.drifts.judged(s.item.Ref, s.item.Content, s.object, s.exists, now)
		switch {
		case renewed, mode == yardarmv1.DriftCorrect && !mayDiffer(s):
			again = b.redo(again, s, out)
		case mode == yardarmv1.DriftIgnore:
			b.drifts.leave(s.item.Ref, judgement{content: s.item.Content, unseen: true}, nil, "", now)
			out.applied++
		case mode == yardarmv1.DriftReport && judged:
			if !at.IsZero() {
				out.postpone(at)
			}
			out.applied++
		default:
			doubtful = append(doubtful, s)
		}
	}
	findings := b.look(ctx, w, doubtful)
	for _, s := range doubtful {
		f, ok := findings[s.item.Ref]
		switch {
		case !ok:
			out.transient = true
		case f.failed != nil:
			out.add(f.failed)
		case f.settled:
			b.accept(s.item.Ref, f.object)
			out.applied++
		case s.item.Delivery.Drift == yardarmv1.DriftCorrect:
			again = b.redo(again, s, out)
		default:
			b.left(s, f, yardarmv1.ReasonReportOnly)
			out.applied++
		}
	}
	return again
}

// mayDiffer tells whether a suspect may be as it should be.
func mayDiffer(s suspect) bool { return len(s.item.Ignore) > 0 || s.item.Scaled }

// redo adds a suspect to those that are applied again, unless it is fought over.
func (b *bundle) redo(items []apply.Item, s suspect, out *outcome) []apply.Item {
	ref := s.item.Ref
	if at, ok := b.repairs.may(ref, time.Now()); !ok {
		manager, news := b.drifts.contend(ref, b.r.now())
		if news {
			b.r.metrics.drift.WithLabelValues(s.item.Delivery.Drift, outcomeContended).Inc()
		}
		out.add(contended(ref, manager))
		out.postpone(at)
		return items
	}
	out.drifted[ref] = drifted{mode: s.item.Delivery.Drift, deleted: !s.exists}
	s.item.Suspect = true
	return append(items, s.item)
}

// finding is what a look at a suspect found out.
type finding struct {
	object live.Object
	gone   bool
	// settled: an apply would change nothing.
	settled bool
	differs []drift.Difference
	// failed is why nothing was found out.
	failed *apply.Problem
}

// look finds out what an apply would change in suspects, at the price of a read and a dry run of each. Those of which nothing is
// found, because the pass is to end, are not in the answer.
func (b *bundle) look(ctx context.Context, w work, suspects []suspect) map[manifest.Ref]finding {
	if len(suspects) == 0 {
		return nil
	}
	items := make([]apply.Item, len(suspects))
	for i := range suspects {
		items[i] = suspects[i].item
		items[i].Suspect = true
	}
	var mu sync.Mutex // guards findings
	findings := map[manifest.Ref]finding{}
	set := b.applier.Preview(ctx, items, apply.Options{Stop: w.stop, Applied: func(item apply.Item, answer *unstructured.Unstructured) {
		f := finding{gone: item.Gone, differs: differences(item, answer)}
		if item.Live != nil {
			f.object, f.settled = live.Of(item.Live), drift.Settled(item.Live, answer)
		}
		mu.Lock()
		defer mu.Unlock()
		findings[item.Ref] = f
	}})
	for _, p := range set.Problems {
		findings[p.Ref] = finding{failed: p}
	}
	return findings
}

// accept takes a live object for what was applied: it is no suspect any more, not even after a restart.
func (b *bundle) accept(ref manifest.Ref, object live.Object) {
	e := b.inv.Entries[ref]
	e.UID, e.Fields = object.UID, object.Fields
	b.inv.Entries[ref] = e
	b.drifts.settle(ref)
}

// left notes drift that is left as it is, and why.
func (b *bundle) left(s suspect, f finding, why string) {
	j := judgement{object: f.object, exists: s.exists, content: s.item.Content, at: time.Now(), differs: len(f.differs) > 0}
	if s.exists && !f.gone {
		b.r.watcher.Observe(s.item.Ref, f.object) // it may be newer than what the watch has seen
	}
	news := b.drifts.leave(s.item.Ref, j, f.differs, why, b.r.now())
	if len(news) > 0 {
		b.r.metrics.drift.WithLabelValues(s.item.Delivery.Drift, outcomeReported).Inc()
		b.tellDrift(s.item.Ref, news)
	}
}

// differences answers what differed in a suspect from what an apply made of it.
func differences(item apply.Item, answer *unstructured.Unstructured) []drift.Difference {
	switch {
	case !item.Suspect:
		return nil
	case item.Gone:
		return drift.Gone()
	case item.Live != nil:
		return drift.Between(item.Live, answer)
	}
	return nil // it could not be read
}
