package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/apply"
	"github.com/yardarm-dev/yardarm/spoke/state"
)

const (
	// A deletion asks first if it is of more than massCount objects and more than 1/massShare of the bundle's: less is
	// everyday work, and more is what an emptied directory looks like. A revision that has no object at all asks for any.
	massCount = 5
	massShare = 5
	// massNamed is how many objects the question names.
	massNamed = 5
	// handoverWait is how long deletions wait for the content of a bundle that was assigned, because an object may be on its
	// way there. Content comes within seconds of its assignment, or is not to be had.
	handoverWait = 2 * time.Minute
	// handoverRetry is how often that is looked at, besides when something changes.
	handoverRetry = 5 * time.Second
)

// plan is what becomes of the objects that the inventory has and the target has not.
type plan struct {
	// condemn are to be deleted.
	condemn []manifest.Ref
	// release are to be left to other bundles that want them.
	release []manifest.Ref
	// postponed: some stay for now, because it is not known whether another bundle wants them.
	postponed bool
	// empty: the target has no object at all.
	empty bool
}

// plan sorts the objects that a target has not; a nil one has none.
func (b *bundle) plan(ctx context.Context, target *apply.Rendered) plan {
	p := plan{empty: target == nil || target.Total() == 0}
	var leaving []manifest.Ref
	for _, ref := range b.inv.Refs() {
		if p.empty || !target.Has(ref) {
			leaving = append(leaving, ref)
		}
	}
	if len(leaving) == 0 {
		return p
	}
	wanted, pending := b.r.wantedByOthers(ctx, b.uid, leaving)
	for _, ref := range leaving {
		switch {
		case wanted[ref]:
			p.release = append(p.release, ref)
		case b.inv.Entries[ref].Condemned: // decided before
		case pending:
			p.postponed = true
		default:
			p.condemn = append(p.condemn, ref)
		}
	}
	return p
}

// wantedByOthers tells which objects other bundles' assignments have. pending says that some of those are not known yet.
func (r *Reconciler) wantedByOthers(ctx context.Context, uid string, refs []manifest.Ref) (wanted map[manifest.Ref]bool, pending bool) {
	r.mu.Lock()
	var others []*bundle
	for _, other := range r.bundles {
		if other.uid != uid {
			others = append(others, other)
		}
	}
	r.mu.Unlock()
	wanted = map[manifest.Ref]bool{}
	for _, other := range others {
		w, known, err := other.wanted(ctx)
		if err != nil {
			r.logger.Warn("cannot tell whether a bundle takes objects over", "bundle", other.uid, "error", err)
		}
		if !known {
			pending = true
			continue
		}
		for _, ref := range refs {
			if w.has(ref) {
				wanted[ref] = true
			}
		}
	}
	return wanted, pending
}

// wanted answers which objects the bundle's assignment has. Other bundles' loops call it. known is false as long as the
// content may be on its way.
func (b *bundle) wanted(ctx context.Context) (w wants, known bool, err error) {
	b.mu.Lock()
	e, since, w := b.entry, b.since, b.wants
	b.mu.Unlock()
	digest, namespace := e.Assignment.Digest, e.Assignment.Delivery.GetNamespace()
	if e.Removal != nil {
		return wants{}, true, nil
	}
	if w.digest == digest && w.of == namespace {
		return w, true, nil
	}
	set, err := b.r.content(ctx, digest)
	if err != nil {
		var invalid *invalidArtifact
		if errors.As(err, &invalid) {
			return wants{}, true, nil
		}
		if errors.Is(err, state.ErrNoContent) {
			err = nil
		}
		return wants{}, time.Since(since) > handoverWait, err
	}
	w = wantsOf(digest, namespace, set)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wants = w
	return w, true, nil
}

// guard answers why deletions must be asked about first; empty if they need not be, or were accepted. The acceptance is for
// just this step: from what the cluster holds, to the digest (empty: to nothing).
func (b *bundle) guard(ctx context.Context, a *yardarmv1.AssignmentSpec, p plan, to string) string {
	var deleted, grave []manifest.Ref
	for _, ref := range p.condemn {
		object, exists, known := b.r.watcher.Get(ref)
		if known && !exists {
			// The watch goes by our label, which somebody may have taken off; prune goes by the owner, and would find it.
			object, exists = b.applier.Look(ctx, b.uid, targetOf(ref, b.inv.Entries[ref], a))
		}
		if known && (!exists || object.Keep.Or(a.Delivery.GetKeep())) {
			continue
		}
		deleted = append(deleted, ref)
		if apply.Grave(ref) {
			grave = append(grave, ref)
		}
	}
	total := len(b.inv.Entries) - b.inv.Condemned()
	emptied := to != "" && p.empty && len(deleted) > 0
	if len(grave) == 0 && !emptied && (len(deleted) <= massCount || len(deleted)*massShare <= total) {
		return ""
	}
	for _, d := range a.AcceptedDeletions {
		if d.FromDigest == b.inv.Digest && d.ToDigest == to {
			return ""
		}
	}
	what := fmt.Sprintf("revision %d would delete", a.Revision)
	if to == "" {
		what = "its removal would delete"
	}
	return fmt.Sprintf("%s %d of %d objects%s: %s; nothing was changed; to go on: yardarm accept cluster/%s bundle/%s",
		what, len(deleted), total, counted(grave), named(grave, deleted), a.Cluster, a.Bundle)
}

// counted says how many grave deletions there are, by kind.
func counted(grave []manifest.Ref) string {
	counts := map[string]int{}
	var kinds []string
	for _, ref := range grave {
		if counts[ref.Kind]++; counts[ref.Kind] == 1 {
			kinds = append(kinds, ref.Kind)
		}
	}
	if len(kinds) == 0 {
		return ""
	}
	slices.Sort(kinds)
	for i, kind := range kinds {
		kinds[i] = fmt.Sprintf("%d %s", counts[kind], kind)
	}
	return ", among them " + strings.Join(kinds, ", ")
}

// named lists the first objects, the grave ones before the others.
func named(grave, all []manifest.Ref) string {
	var names []string
	for _, ref := range slices.Concat(grave, all) {
		name := ref.String()
		if slices.Contains(names, name) {
			continue
		}
		if len(names) == massNamed {
			return strings.Join(names, ", ") + ", …"
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

func claimed(ref manifest.Ref, other string) *apply.Problem {
	return &apply.Problem{Ref: ref, Reason: apply.ReasonClaimedByBundle, Retry: apply.Waiting,
		Message: fmt.Sprintf("bundle %s has this object; take it out of one of the two", other)}
}
