package reconcile

import (
	"context"
	"fmt"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/spoke/apply"
	"github.com/yardarm-dev/yardarm/spoke/policy"
)

// readOnly tells whether the policy lets the pass under way compare only.
func (b *bundle) readOnly() bool { return b.policy.Mode() == policy.ModeReadOnly }

// compare finds out what a pass would change, and changes nothing.
func (b *bundle) compare(ctx context.Context, w work, rendered *apply.Rendered, p plan) outcome {
	out := outcome{total: rendered.Total()}
	out.add(rendered.Problems...)
	rendered = b.permitted(rendered, &out)
	differs := 0
	for _, item := range rendered.Items {
		object, exists, known := b.r.watcher.Get(item.Ref)
		if e, ok := b.inv.Entries[item.Ref]; ok && e.Content == item.Content && known && intact(e, object, exists) {
			out.applied++
			continue
		}
		differs++
	}
	if differs+len(p.condemn) == 0 {
		return out
	}
	return out.force(yardarmv1.PhaseHeld, yardarmv1.ReasonReadOnly, fmt.Sprintf("%d objects differ, and %d would be removed", differs, len(p.condemn)))
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
