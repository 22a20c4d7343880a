package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/apply"
	"github.com/yardarm-dev/yardarm/spoke/drift"
	"github.com/yardarm-dev/yardarm/spoke/live"
	"github.com/yardarm-dev/yardarm/spoke/policy"
)

// readOnly tells whether the policy lets the pass under way compare only.
func (b *bundle) readOnly() bool { return b.policy.Mode() == policy.ModeReadOnly }

// comparison is what a pass would do.
type comparison struct {
	made, changed, removed []manifest.Ref
	// untried are those of which the API server does not let the bundle's account try an apply, as it does where that may only read.
	untried []manifest.Ref
}

// compare finds out what a pass would do, and does nothing. Of what watches do not tell to be as it was applied, each object
// costs a read and two dry runs.
func (b *bundle) compare(ctx context.Context, w work, rendered *apply.Rendered, p plan) outcome {
	out := outcome{total: rendered.Total()}
	out.add(rendered.Problems...)
	rendered = b.permitted(rendered, &out)
	var doubtful []apply.Item
	here := map[manifest.Ref]bool{}
	for _, item := range rendered.Items {
		here[item.Ref] = true
		object, exists, known := b.r.watcher.Get(item.Ref)
		e := b.inv.Entries[item.Ref]
		item.Fresh, item.Scaled, item.Unseen, item.Suspect = e.UID == "", object.Scaled, !known, true
		if b.nothingToDo(item, e, object, exists, known) || e.Content == item.Content && known && item.Delivery.Drift == yardarmv1.DriftIgnore {
			b.drifts.settle(item.Ref)
			out.applied++
			continue
		}
		doubtful = append(doubtful, item)
	}
	b.drifts.forget(func(ref manifest.Ref) bool { return here[ref] })
	c := b.preview(ctx, w, rendered, doubtful, &out)
	c.removed = append(p.condemn, b.condemned()...)
	if len(c.made)+len(c.changed)+len(c.removed)+len(c.untried) == 0 {
		return out
	}
	out.terminal = true // no watch sees what was never applied
	return out.force(yardarmv1.PhaseHeld, yardarmv1.ReasonReadOnly, c.told(&out))
}

// preview asks the API server about objects, first as an apply would, and of what it would take, what it would change.
func (b *bundle) preview(ctx context.Context, w work, rendered *apply.Rendered, items []apply.Item, out *outcome) (c comparison) {
	dry := b.applier.DryRun(ctx, rendered, items, apply.Options{Stop: w.stop})
	for _, p := range dry.Problems {
		if p.Reason == apply.ReasonForbidden {
			c.untried = append(c.untried, p.Ref)
		} else {
			out.add(p)
		}
	}
	out.applied += len(dry.Present)
	items = slices.DeleteFunc(items, func(i apply.Item) bool { return !slices.Contains(dry.Applied, i.Ref) })
	var mu sync.Mutex // guards what follows
	now := b.r.now()
	set := b.applier.Preview(ctx, items, apply.Options{Stop: w.stop, Applied: func(item apply.Item, answer *unstructured.Unstructured) {
		found := drift.Gone()
		if !item.Gone {
			found = drift.Changes(item.Live, answer)
		}
		mu.Lock()
		defer mu.Unlock()
		switch {
		case item.Gone:
			c.made = append(c.made, item.Ref)
		case len(found) > 0:
			c.changed = append(c.changed, item.Ref)
		default:
			b.drifts.settle(item.Ref)
			out.applied++
			return
		}
		j := judgement{exists: !item.Gone, content: item.Content, at: time.Now(), differs: true}
		if item.Live != nil {
			j.object = live.Of(item.Live)
		}
		b.drifts.leave(item.Ref, j, found, yardarmv1.ReasonReadOnly, now)
	}})
	out.add(set.Problems...)
	out.transient = out.transient || len(dry.Skipped)+len(set.Skipped) > 0
	for _, refs := range [][]manifest.Ref{c.made, c.changed, c.untried} {
		slices.SortFunc(refs, manifest.Ref.Compare)
	}
	return c
}

// told is as in: this cluster is read-only: of 3 objects 1 would be made, 2 would be changed: ConfigMap prod/a, …
func (c *comparison) told(out *outcome) string {
	var parts []string
	for _, part := range []struct {
		what string
		n    int
	}{{"would be made", len(c.made)}, {"would be changed", len(c.changed)}, {"would be removed", len(c.removed)},
		{"could not be applied", len(out.problems)}, {"cannot be compared without the right to try (a dry run)", len(c.untried)}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	return fmt.Sprintf("this cluster is read-only: of %d objects %s: %s", out.total, strings.Join(parts, ", "),
		named(nil, slices.Concat(c.changed, c.made, c.removed, c.untried)))
}

// condemned are the objects that were to be deleted before.
func (b *bundle) condemned() (refs []manifest.Ref) {
	for _, ref := range b.inv.Refs() {
		if b.inv.Entries[ref].Condemned {
			refs = append(refs, ref)
		}
	}
	return refs
}

// wouldRemove tells of a removal that is not carried out.
func (b *bundle) wouldRemove(ctx context.Context, w work) outcome {
	what := "let go; they would stay in the cluster"
	if w.entry.Removal.Workloads == yardarmv1.Workloads_WORKLOADS_REMOVE {
		what = "removed"
	}
	return b.leaveAlone(ctx).force(yardarmv1.PhaseHeld, yardarmv1.ReasonReadOnly,
		fmt.Sprintf("this cluster is read-only: %d objects would be %s", len(b.inv.Entries), what))
}
