package reconcile

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/apply"
	"github.com/yardarm-dev/yardarm/spoke/drift"
	"github.com/yardarm-dev/yardarm/spoke/health"
	"github.com/yardarm-dev/yardarm/spoke/inventory"
	"github.com/yardarm-dev/yardarm/spoke/live"
	"github.com/yardarm-dev/yardarm/spoke/state"
)

// converge applies a target, and then deletes what a plan lets go.
func (b *bundle) converge(ctx context.Context, w work, t target, rendered *apply.Rendered, p plan) outcome {
	out := outcome{total: rendered.Total(), drifted: map[manifest.Ref]drifted{}}
	out.add(rendered.Problems...)
	rendered = b.permitted(rendered, &out)
	todo, fresh := b.todo(ctx, w, t, rendered, &out)
	todo = b.spare(ctx, w, todo, &out)
	if t.atomic && len(todo) > 0 && !b.agreed(ctx, w, rendered, todo, &out) {
		b.r.claims.give(b.uid, fresh...)
		return out
	}
	if err := b.prepare(ctx, t, rendered, todo, p); err != nil {
		// What the inventory names by now stays claimed.
		b.r.claims.give(b.uid, slices.DeleteFunc(fresh, func(ref manifest.Ref) bool { _, named := b.inv.Entries[ref]; return named })...)
		return interrupted(err)
	}
	if w.assigned && len(todo) > 0 && !t.kept {
		b.reportApplying(&w.entry, out, len(todo))
	}
	complete := b.apply(ctx, w, todo, &out)
	if p.postponed {
		out.waiting = true
		out.postpone(time.Now().Add(handoverRetry))
	}
	if complete && !out.hindered() {
		b.prune(ctx, w, &out)
	}
	if err := b.r.inventory.Save(ctx, b.inv); err != nil {
		b.lost(ctx, err)
		out.transient = true
	}
	return out
}

// todo answers the items that are not as they should be, and of those the ones that are new to the bundle. What another
// bundle has, and what is fought over, becomes a problem.
func (b *bundle) todo(ctx context.Context, w work, t target, rendered *apply.Rendered, out *outcome) (todo []apply.Item, fresh []manifest.Ref) {
	var suspects []suspect
	renewed := b.renewed(t)
	for _, item := range rendered.Items {
		e, have := b.inv.Entries[item.Ref]
		item.Fresh = e.UID == ""
		if !have {
			if other := b.r.claims.take(item.Ref, b.uid); other != "" {
				out.add(claimed(item.Ref, other))
				continue
			}
			fresh = append(fresh, item.Ref)
			todo = append(todo, item)
			continue
		}
		object, exists, known := b.r.watcher.Get(item.Ref)
		item.Fresh = item.Fresh || known && !exists // what is there now, if anything, is not what was applied
		item.Scaled, item.Unseen = object.Scaled, !known
		applied := e.Content == item.Content && !e.Condemned
		switch {
		case b.nothingToDo(item, e, object, exists, known):
			b.drifts.settle(item.Ref)
			out.applied++
		case applied && (known || item.Delivery.Drift != yardarmv1.DriftCorrect):
			suspects = append(suspects, suspect{item, object, exists})
		default:
			todo = append(todo, item)
		}
	}
	return append(todo, b.examine(ctx, w, suspects, renewed, out)...), fresh
}

// nothingToDo tells whether an object that the inventory has can stay as it is, as far as metadata tell: it is as it was applied; or was made where it was not present, and is never touched after that; or was a Job, which has served.
func (b *bundle) nothingToDo(item apply.Item, e inventory.Entry, object live.Object, exists, known bool) bool {
	switch {
	case e.Condemned, e.Content == 0:
		return false
	case item.Delivery.IfNotPresent && exists && object.UID == e.UID:
		return true
	case !known || e.Content != item.Content:
		return false
	case !exists:
		return b.served(item, e)
	}
	return intact(e, object, exists)
}

// agreed asks the API server about all objects of an atomic bundle before the first is written. What is fought over could be applied, and refuses
// nothing.
func (b *bundle) agreed(ctx context.Context, w work, rendered *apply.Rendered, todo []apply.Item, out *outcome) bool {
	dry := b.applier.DryRun(ctx, rendered, todo, apply.Options{Stop: w.stop})
	out.add(dry.Problems...)
	if len(dry.Skipped) > 0 {
		out.transient = true
		return false
	}
	out.refused = slices.ContainsFunc(out.problems, func(p *apply.Problem) bool { return p.Reason != reasonContended })
	return !out.refused
}

// prepare writes the inventory as it must be before the first object is touched: old ∪ new, what is about to change marked
// as not known to be applied, what is to be deleted condemned, and without what other bundles take over.
func (b *bundle) prepare(ctx context.Context, t target, rendered *apply.Rendered, todo []apply.Item, p plan) error {
	if b.prepared(t, rendered, todo, p) {
		return b.hold(ctx, t)
	}
	next := *b.inv
	next.Entries = maps.Clone(b.inv.Entries)
	next.Digest, next.Namespace, next.Revision = t.digest, t.namespace, t.revision
	for _, item := range rendered.Items {
		if e, ok := next.Entries[item.Ref]; ok && e.Condemned {
			e.Condemned, e.Content, e.Fields = false, 0, 0
			next.Entries[item.Ref] = e
		}
	}
	for _, item := range todo {
		// A suspect that a new target applies is applied even if that takes more than one pass, whatever the policy says of drift.
		if e := next.Entries[item.Ref]; e.Content != item.Content || b.renewed(t) {
			next.Entries[item.Ref] = inventory.Entry{Version: item.Kind.Version, UID: e.UID}
		}
	}
	for _, ref := range p.condemn {
		e := next.Entries[ref]
		e.Condemned = true
		next.Entries[ref] = e
	}
	for _, ref := range p.release {
		delete(next.Entries, ref)
	}
	if err := b.r.inventory.Save(ctx, &next); err != nil {
		b.lost(ctx, err)
		return err
	}
	b.inv = &next
	if len(p.release) > 0 {
		b.r.claims.give(b.uid, p.release...)
		b.logger.Info("objects are handed over to other bundles", "objects", len(p.release))
		b.r.nudge(b.uid)
	}
	return b.hold(ctx, t)
}

// prepared tells whether the inventory is as it must be already, as it is while nothing but drift is to be repaired.
func (b *bundle) prepared(t target, rendered *apply.Rendered, todo []apply.Item, p plan) bool {
	if b.renewed(t) || len(p.condemn)+len(p.release) > 0 {
		return false
	}
	for _, item := range todo {
		if e, ok := b.inv.Entries[item.Ref]; !ok || e.Content != 0 && e.Content != item.Content {
			return false
		}
	}
	return b.inv.Condemned() == 0 || !slices.ContainsFunc(rendered.Items, func(i apply.Item) bool { return b.inv.Entries[i.Ref].Condemned })
}

// hold has the state keep what the cluster holds from now on is made from, and delivered by.
func (b *bundle) hold(ctx context.Context, t target) error {
	held := state.Applied{Digest: t.source.digest, Rendering: t.source.rendering, Delivery: b.delivery}
	if held.Equal(b.applied) {
		return nil
	}
	beginning := cmp.Or(b.timing.beginning(), b.beginning)
	if err := b.r.state.Applied(ctx, b.uid, held, beginning); err != nil {
		return err
	}
	b.applied, b.beginning = held, beginning
	return nil
}

// lost reads an inventory again that somebody else has written.
func (b *bundle) lost(ctx context.Context, cause error) {
	if !errors.Is(cause, inventory.ErrSecondWriter) {
		return
	}
	b.logger.Error("inventory was written by somebody else; reading it again", "error", cause)
	found, err := b.r.inventory.Reload(ctx, b.inv)
	if err != nil {
		b.logger.Error("cannot read the inventory", "error", err)
		return
	}
	b.inv = found
}

// apply writes what is to be done, and notes what came of it. It answers false if it was stopped before the end.
func (b *bundle) apply(ctx context.Context, w work, todo []apply.Item, out *outcome) (complete bool) {
	type answer struct {
		object live.Object
		health health.Result
		drift  []drift.Difference
		ended  inventory.Ended
	}
	var mu sync.Mutex // guards answers
	answers := map[manifest.Ref]answer{}
	started := time.Now()
	set := b.applier.Apply(ctx, todo, apply.Options{Stop: w.stop, Applied: func(item apply.Item, object *unstructured.Unstructured) {
		a := answer{object: live.Of(object), health: health.Of(object, b.rules.compiled), drift: differences(item, object), ended: endOf(object)}
		b.r.watcher.Observe(item.Ref, a.object)
		mu.Lock()
		defer mu.Unlock()
		answers[item.Ref] = a
	}})
	defines := false
	for _, item := range todo {
		a, ok := answers[item.Ref]
		if !ok {
			continue
		}
		entry := inventory.Entry{Version: item.Kind.Version, UID: a.object.UID, Content: item.Content, Fields: a.object.Fields}
		if a.ended != "" {
			entry.Ended, entry.Round = a.ended, b.asked
		}
		b.inv.Entries[item.Ref] = entry
		if !b.passive(item.Ref) {
			b.judge(item.Ref, a.health, a.object.Version)
		}
		if d, ok := out.drifted[item.Ref]; ok {
			d.found = b.drifts.repair(item.Ref, a.drift, b.r.now())
			out.drifted[item.Ref] = d
		} else {
			b.drifts.settle(item.Ref)
		}
		stage := item.Ref.StageName()
		defines = defines || stage == "definitions"
	}
	out.applied += len(set.Applied)
	out.add(set.Problems...)
	b.leave(set.Present, out)
	b.repaired(out.drifted, &set)
	if len(todo) > 0 {
		b.r.metrics.applied(&set)
		b.logger.Info("applied", "revision", b.inv.Revision, "objects", len(set.Applied), "failed", len(set.Problems),
			"skipped", len(set.Skipped), "took", time.Since(started).Round(time.Millisecond))
	}
	if slices.ContainsFunc(todo, func(i apply.Item) bool { return i.Unserved }) {
		b.follow(ctx, nil) // the inventory has all kinds, and some are served only now
	}
	if defines {
		b.r.nudge(b.uid)
	}
	return len(set.Skipped) == 0
}

// repaired counts and tells what came of the drift that was found.
func (b *bundle) repaired(found map[manifest.Ref]drifted, set *apply.ChangeSet) {
	for _, ref := range set.Applied {
		if d, ok := found[ref]; ok {
			b.repairs.count(ref, time.Now())
			b.r.metrics.drift.WithLabelValues(d.mode, outcomeCorrected).Inc()
			b.tellRepaired(ref, d)
		}
	}
	for _, p := range set.Problems {
		if d, ok := found[p.Ref]; ok {
			b.r.metrics.drift.WithLabelValues(d.mode, outcomeFailed).Inc()
		}
	}
}

// prune deletes what is condemned, and drops from the inventory what is gone.
func (b *bundle) prune(ctx context.Context, w work, out *outcome) {
	targets := b.removable(b.targets(w, false), out)
	if len(targets) == 0 {
		return
	}
	b.gone(ctx, resultPruned, b.applier.Prune(ctx, b.uid, targets, w.stop), out)
}

// targets answers those objects of the inventory that are condemned, or all.
func (b *bundle) targets(w work, all bool) []apply.Target {
	var targets []apply.Target
	for ref, e := range b.inv.Entries {
		if all || e.Condemned {
			targets = append(targets, targetOf(ref, e, w.entry.Assignment))
		}
	}
	return targets
}

func targetOf(ref manifest.Ref, e inventory.Entry, a *yardarmv1.AssignmentSpec) apply.Target {
	return apply.Target{Ref: ref, Version: e.Version, UID: e.UID, Keep: a.Delivery.GetKeep()}
}

// gone takes the result of a removal in: of objects that were pruned, or released.
func (b *bundle) gone(ctx context.Context, how string, removed apply.Removed, out *outcome) {
	out.pruned, out.pruning = true, append(out.pruning, removed.Problems...)
	if len(removed.Gone) == 0 {
		return
	}
	next := *b.inv
	next.Entries = maps.Clone(b.inv.Entries)
	for _, ref := range removed.Gone {
		delete(next.Entries, ref)
	}
	if err := b.r.inventory.Save(ctx, &next); err != nil {
		b.lost(ctx, err)
		out.transient = true
		return
	}
	b.inv = &next
	b.r.claims.give(b.uid, removed.Gone...)
	b.r.metrics.prunes.WithLabelValues(how).Add(float64(len(removed.Gone)))
	b.logger.Info(how, "objects", len(removed.Gone), "left", len(removed.Left))
	b.r.nudge(b.uid)
}
