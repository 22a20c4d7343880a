package reconcile

import (
	"context"
	"fmt"
	"maps"
	"time"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/spoke/state"
)

// remove carries a tombstone out: it deletes the bundle's objects, or lets them go, and then tells the state that nothing is left to do.
func (b *bundle) remove(ctx context.Context, w work) outcome {
	if err := b.recover(ctx, &w.entry); err != nil {
		return interrupted(err).removing(w)
	}
	if b.readOnly() {
		return b.wouldRemove(ctx, w)
	}
	b.follow(ctx, nil)
	out := outcome{total: len(b.inv.Entries)}.removing(w)
	// What was not said is not done: anything but REMOVE keeps.
	remove := w.entry.Removal.Workloads == yardarmv1.Workloads_WORKLOADS_REMOVE
	if other := b.dependents(w.entry.Assignment.GetBundle()); remove && other != "" {
		out.blocked = true
		out.message = fmt.Sprintf("bundle %s depends on it, and is removed first", other)
		return out
	}
	if remove {
		p := b.plan(ctx, nil)
		if held := b.guardRemoval(ctx, w, p); held != "" {
			return b.maintain(ctx, w).force(yardarmv1.PhaseHeld, yardarmv1.ReasonMassDeletion, held)
		}
		if err := b.letGo(ctx, p); err != nil {
			return interrupted(err).removing(w)
		}
		if p.postponed {
			out.waiting = true
			out.postpone(time.Now().Add(handoverRetry))
		}
		b.prune(ctx, w, &out)
	} else {
		targets := b.removable(b.targets(w, true), &out)
		b.gone(ctx, resultReleased, b.applier.Release(ctx, b.uid, targets, w.stop), &out)
	}
	out.add(out.pruning...)
	out.pruning, out.problems = out.problems, nil
	if len(b.inv.Entries) > 0 {
		return out
	}
	// The inventory goes first: an entry without one is finished again after a crash in between.
	if err := b.r.inventory.Delete(ctx, b.inv); err != nil {
		return interrupted(err).removing(w)
	}
	b.inv.Digest = ""
	if err := b.r.state.Finished(ctx, b.uid); err != nil {
		return interrupted(err).removing(w)
	}
	b.applied, b.beginning, b.finished = state.Applied{}, nil, true
	b.logger.Info("removed", "reason", w.entry.Removal.Reason, "workloads", w.entry.Removal.Workloads.String())
	return out
}

// removing makes an outcome that of a removal.
func (o outcome) removing(w work) outcome {
	if o.message == "" {
		o.message = "its objects are being removed"
		if w.entry.Removal.Workloads != yardarmv1.Workloads_WORKLOADS_REMOVE {
			o.message = "its objects are being let go; they stay in the cluster"
		}
	}
	return o.force(yardarmv1.PhaseRemoving, w.entry.Removal.Reason, o.message)
}

func (b *bundle) guardRemoval(ctx context.Context, w work, p plan) string {
	if w.entry.Removal.Accepted {
		return ""
	}
	return b.guard(ctx, w.entry.Assignment, p, "")
}

// letGo writes down what is going to be deleted, and gives up what other bundles want.
func (b *bundle) letGo(ctx context.Context, p plan) error {
	next := *b.inv
	next.Entries = maps.Clone(b.inv.Entries)
	for _, ref := range p.condemn {
		e := next.Entries[ref]
		e.Condemned = true
		next.Entries[ref] = e
	}
	for _, ref := range p.release {
		delete(next.Entries, ref)
	}
	if len(next.Entries) > 0 || len(p.release) > 0 {
		if err := b.r.inventory.Save(ctx, &next); err != nil {
			b.lost(ctx, err)
			return err
		}
	}
	b.inv = &next
	if len(p.release) > 0 {
		b.r.claims.give(b.uid, p.release...)
		b.r.nudge(b.uid)
	}
	return nil
}
