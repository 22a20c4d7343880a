package reconcile

import (
	"context"
	"errors"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/apply"
	"github.com/yardarm-dev/yardarm/spoke/inventory"
	"github.com/yardarm-dev/yardarm/spoke/kube"
	"github.com/yardarm-dev/yardarm/spoke/state"
)

// syncTimeout is how long a pass waits for the first list of a kind. Without it, the pass writes what may not have changed,
// which costs requests and does no harm.
const syncTimeout = 10 * time.Second

// Reasons of phases.
const (
	reasonContentMissing  = "ContentMissing"
	reasonInvalidArtifact = "InvalidArtifact"
	reasonUnavailable     = "Unavailable"
	reasonContended       = "Contended"
	reasonInvalidDelivery = "InvalidDelivery"
)

// outcome is what came of a whole pass.
type outcome struct {
	// phase, if it does not follow from the objects, with its reason and message.
	phase, reason, message string
	// total objects, and how many are as they should be.
	total, applied int
	// problems with objects that could not be applied, and with those that could not be deleted.
	problems, pruning []*apply.Problem
	// drifted are the objects that were found changed or deleted.
	drifted map[manifest.Ref]drifted
	// unfit are the objects that could not be customized. What the cluster holds of them is kept up all the same.
	unfit []*apply.Problem
	// refused: nothing was written, because the bundle is atomic.
	refused bool
	// pruned: deletions were tried.
	pruned bool
	// Whether, and how soon, trying again may help.
	transient, waiting, terminal bool
	// blocked: another bundle has to come first, which tells when it does.
	blocked bool
	// interrupted: an error ended the pass before it could tell much.
	interrupted bool
	// again is when something is due that was put off; zero if nothing was.
	again time.Time
}

// drifted is how an object was found.
type drifted struct {
	mode    string
	deleted bool
	// found is what differed, as far as it could be told.
	found []difference
}

// force makes an outcome's phase another one than follows from its objects.
func (o outcome) force(phase, reason, message string) outcome {
	o.phase, o.reason, o.message = phase, reason, message
	return o
}

// interrupted is the outcome of a pass that an error of the API server or of the state ended.
func interrupted(err error) outcome {
	return outcome{
		phase: yardarmv1.PhaseProgressing, reason: reasonUnavailable, message: "interrupted, and tried again soon: " + err.Error(),
		transient: true, interrupted: true,
	}
}

func (o *outcome) add(problems ...*apply.Problem) {
	o.problems = append(o.problems, problems...)
	for _, p := range problems {
		o.transient = o.transient || p.Retry == apply.Transient
		o.waiting = o.waiting || p.Retry == apply.Waiting
		o.terminal = o.terminal || p.Retry == apply.Terminal
	}
}

func (o *outcome) postpone(until time.Time) {
	if o.again.IsZero() || until.Before(o.again) {
		o.again = until
	}
}

// target is what a pass brings the cluster to.
type target struct {
	made
	namespace string
	revision  uint32
	atomic    bool
	// kept: it is what the cluster holds already, and is kept up until the assignment can be carried out.
	kept bool
}

// deliver brings the cluster to what is assigned. While that cannot be, it keeps up what the cluster holds.
func (b *bundle) deliver(ctx context.Context, w work) outcome {
	a := w.entry.Assignment
	if err := b.recover(ctx, &w.entry); err != nil {
		return interrupted(err)
	}
	objects, err := b.customized(ctx, a)
	var invalid *invalidArtifact
	var unfit *uncustomizable
	switch {
	case errors.Is(err, state.ErrNoContent):
		return b.maintain(ctx, w).force(yardarmv1.PhasePending, reasonContentMissing, "the artifact is on its way from the hub")
	case errors.As(err, &invalid):
		o := b.maintain(ctx, w).force(yardarmv1.PhaseFailed, reasonInvalidArtifact,
			"the artifact cannot be read, and nothing of it was applied: "+invalid.err.Error()+"; publish it again")
		return o
	case errors.As(err, &unfit):
		return b.maintain(ctx, w).uncustomized(a.Revision, unfit)
	case err != nil:
		return interrupted(err)
	}
	t := target{made: objects, namespace: a.Delivery.GetNamespace(), revision: a.Revision, atomic: a.Delivery.GetAtomic()}
	// What has begun goes on, whatever becomes of other bundles.
	if b.renewed(t) {
		if phase, reason, message := b.unmet(a); phase != "" {
			return b.await(ctx, w, t).force(phase, reason, message)
		}
	}
	rendered, err := b.render(ctx, &w.entry, t)
	if err != nil {
		return interrupted(err)
	}
	p := b.plan(ctx, rendered)
	if b.readOnly() {
		return b.compare(ctx, w, rendered, p)
	}
	if held := b.guard(ctx, a, p, a.Digest); held != "" {
		return b.maintain(ctx, w).force(yardarmv1.PhaseHeld, yardarmv1.ReasonMassDeletion, held)
	}
	b.timing.begin(time.Now())
	o := b.converge(ctx, w, t, rendered, p)
	if o.refused && b.inv.Digest != t.digest {
		kept := b.maintain(ctx, w)
		o.transient = o.transient || kept.transient
	}
	return o
}

// await keeps up what the cluster holds until a target may begin, but for what the target gives to other bundles: the one that
// is waited for may need it to become ready.
func (b *bundle) await(ctx context.Context, w work, t target) outcome {
	if !b.readOnly() {
		rendered, err := apply.Render(ctx, b.r.client.Mapper, t.set, b.identity(&w.entry, t))
		if err != nil {
			return interrupted(err)
		}
		if p := b.plan(ctx, rendered); len(p.release) > 0 {
			if err := b.letGo(ctx, plan{release: p.release}); err != nil {
				return interrupted(err)
			}
		}
	}
	o := b.maintain(ctx, w)
	o.blocked = true
	return o
}

// maintain keeps up what the cluster holds, as far as that is still known and no other bundle wants it.
func (b *bundle) maintain(ctx context.Context, w work) outcome {
	if b.inv.Digest == "" {
		return outcome{}
	}
	if b.readOnly() {
		return b.leaveAlone(ctx)
	}
	objects, err := b.held(ctx, w.entry.Assignment)
	if err != nil {
		b.logger.Warn("cannot keep up what the cluster holds", "digest", b.inv.Digest, "error", err)
		return outcome{total: len(b.inv.Entries)}
	}
	t := target{made: objects, namespace: b.inv.Namespace, revision: b.inv.Revision, kept: true}
	rendered, err := b.render(ctx, &w.entry, t)
	if err != nil {
		return interrupted(err)
	}
	b.withoutHandedOver(ctx, rendered)
	return b.converge(ctx, w, t, rendered, plan{})
}

// withoutHandedOver takes out what the bundle has let go to others.
func (b *bundle) withoutHandedOver(ctx context.Context, rendered *apply.Rendered) {
	var absent []manifest.Ref
	for _, item := range rendered.Items {
		if _, have := b.inv.Entries[item.Ref]; !have {
			absent = append(absent, item.Ref)
		}
	}
	if len(absent) == 0 {
		return
	}
	wanted, _ := b.r.wantedByOthers(ctx, b.uid, absent)
	rendered.Items = slices.DeleteFunc(rendered.Items, func(i apply.Item) bool { return wanted[i.Ref] })
}

// recover fills an inventory that was lost from what the state says was applied. Whatever is deleted by it is looked at
// first, so it can be too long without harm.
func (b *bundle) recover(ctx context.Context, e *state.Entry) error {
	if b.inv.Digest != "" || b.applied.Digest == "" {
		return nil
	}
	objects, err := b.make(ctx, source{digest: b.applied.Digest, rendering: b.applied.Rendering})
	if err != nil {
		b.logger.Warn("the inventory is gone, and so is what it was made from; objects that left the bundle since are left in the cluster", "error", err)
		return nil
	}
	t := target{made: objects, namespace: b.deliveredBy(e.Assignment).GetNamespace()}
	rendered, err := apply.Render(ctx, b.r.client.Mapper, t.set, b.identity(e, t))
	if err != nil {
		return err
	}
	b.logger.Warn("the inventory is gone; making it again from what was applied last", "digest", t.digest)
	b.inv.Digest, b.inv.Namespace, b.inv.Revision = t.digest, t.namespace, e.Assignment.Revision
	for _, item := range rendered.Items {
		if b.r.claims.take(item.Ref, b.uid) == "" {
			b.inv.Entries[item.Ref] = inventory.Entry{Version: item.Kind.Version}
		}
	}
	return nil
}

func (b *bundle) identity(e *state.Entry, t target) apply.Bundle {
	return apply.Bundle{Name: e.Assignment.GetBundle(), UID: b.uid, Namespace: t.namespace, Delivery: b.delivery, Ignore: b.ignore}
}

// render says which objects a target has, and makes sure that they are watched, as well as those that the inventory has.
func (b *bundle) render(ctx context.Context, e *state.Entry, t target) (*apply.Rendered, error) {
	rendered, err := apply.Render(ctx, b.r.client.Mapper, t.set, b.identity(e, t))
	if err != nil {
		return nil, err
	}
	b.follow(ctx, rendered.Kinds())
	return rendered, nil
}

// follow watches kinds, and those of the inventory.
func (b *bundle) follow(ctx context.Context, kinds []kube.Kind) {
	seen := map[schema.GroupKind]bool{}
	for _, k := range kinds {
		seen[schema.GroupKind{Group: k.Group, Kind: k.Kind}] = true
	}
	for ref, e := range b.inv.Entries {
		gk := schema.GroupKind{Group: ref.Group, Kind: ref.Kind}
		if seen[gk] {
			continue
		}
		seen[gk] = true
		if kind, err := b.r.client.Mapper.AnyVersion(ctx, ref.Group, e.Version, ref.Kind); err == nil {
			kinds = append(kinds, kind)
		}
	}
	b.r.watcher.Use(b.uid, kinds)
	ctx, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	if b.afresh {
		if err := b.r.watcher.Refresh(ctx, kinds); err != nil {
			b.logger.Debug("some kinds are not listed", "error", err)
		}
		b.afresh = false
	}
	if err := b.r.watcher.Sync(ctx, kinds); err != nil {
		b.logger.Debug("some kinds are not watched", "error", err)
	}
}
