package reconcile

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/pkg/manifest/customize"
	"github.com/yardarm-dev/yardarm/spoke/apply"
	"github.com/yardarm-dev/yardarm/spoke/drift"
	"github.com/yardarm-dev/yardarm/spoke/inventory"
	"github.com/yardarm-dev/yardarm/spoke/policy"
	"github.com/yardarm-dev/yardarm/spoke/state"
)

const (
	// maxTriedObjects and maxTriedBytes bound what is told of a trial's objects: one answer to a person has those of many clusters.
	maxTriedObjects = 100
	maxTriedBytes   = 128 << 10
	// maxTriedMessage bounds why nothing was tried, in bytes: customizations have many problems at once.
	maxTriedMessage = 1024
)

// trial is an assignment that is tried: a bundle's pass up to the first write, which is a dry run instead.
type trial struct {
	// b judges as the bundle would that has the assignment. Its loop never runs, and its inventory is what is stored.
	b *bundle
	a *yardarmv1.AssignmentSpec

	mu   sync.Mutex
	out  *yardarmv1.TrialResult // guarded by mu
	kept map[string]int         // guarded by mu; how many objects of an action are in out
}

// Try answers what would come of an assignment with this content if it were given now. It writes, claims, watches and keeps nothing.
func (r *Reconciler) Try(ctx context.Context, a *yardarmv1.AssignmentSpec, content []byte) *yardarmv1.TrialResult {
	t := &trial{a: a, out: &yardarmv1.TrialResult{}, kept: map[string]int{}}
	inv, err := r.inventory.Reload(ctx, inventory.New(a.GetBundleUid(), a.GetBundle()))
	if err == nil {
		t.b = newBundle(r, state.Entry{Assignment: a}, inv)
		err = t.run(ctx, content)
	}
	if err != nil {
		t.out = untriable(err)
	}
	bound(t.out)
	r.logger.Info("tried an assignment", "bundle", a.GetBundle(), "revision", a.GetRevision(), "reason", t.out.Reason,
		"created", t.out.Created, "changed", t.out.Changed, "pruned", t.out.Pruned, "refused", t.out.Refused, "untried", t.out.Untried)
	return t.out
}

// untriable says why nothing could be tried.
func untriable(err error) *yardarmv1.TrialResult {
	reason, what := reasonUnavailable, "the API server cannot be asked now: "
	if _, ok := errors.AsType[*accountDenied](err); ok {
		reason, what = yardarmv1.ReasonPolicyDenied, "the spoke's policy denies the bundle: "
	} else if _, ok := errors.AsType[*invalidDelivery](err); ok {
		reason, what = reasonInvalidDelivery, "the delivery policy cannot be read: "
	} else if _, ok := errors.AsType[*invalidArtifact](err); ok {
		reason, what = reasonInvalidArtifact, ""
	} else if _, ok := errors.AsType[*uncustomizable](err); ok {
		reason, what = reasonCustomizationFailed, "it does not fit this cluster: "
	}
	text := what + err.Error()
	return &yardarmv1.TrialResult{Reason: reason, Message: strings.ToValidUTF8(text[:min(len(text), maxTriedMessage)], "")}
}

func (t *trial) run(ctx context.Context, content []byte) error {
	t.b.policy = t.b.r.policy.Current()
	if err := t.b.by(t.a.GetBundle(), t.a.GetDelivery()); err != nil {
		return err
	}
	set, err := t.objects(ctx, content)
	if err != nil {
		return err
	}
	rendered, err := apply.Render(ctx, t.b.r.client.Mapper, set, t.b.identity(&t.b.entry, target{namespace: t.a.GetDelivery().GetNamespace()}))
	if err != nil {
		return err
	}
	p := t.b.plan(ctx, rendered)
	t.leave(p, rendered.Has)
	t.hold(ctx, p)
	t.object(rendered.Problems...)
	dry := t.b.applier.DryRun(ctx, rendered, t.items(rendered), apply.Options{Applied: t.taken})
	t.object(dry.Problems...)
	for range dry.Present {
		t.tell(manifest.Ref{}, yardarmv1.TrialUnchanged, nil)
	}
	for _, ref := range dry.Skipped {
		t.tell(ref, yardarmv1.TrialUntried, &yardarmv1.TriedObject{Reason: yardarmv1.TrialNoTime, Message: "no time was left to ask the API server about it"})
	}
	return nil
}

// objects are those of the content, customized with what this cluster has now.
func (t *trial) objects(ctx context.Context, content []byte) (*manifest.Set, error) {
	set, err := manifest.Decode(content, manifest.Limits{Bytes: max(len(content), 1)})
	if err != nil {
		return nil, &invalidArtifact{err}
	}
	c := t.a.GetCustomization()
	if c == nil {
		return set, nil
	}
	values := customize.Values{Name: t.a.GetCluster(), Labels: t.a.GetLabels()}
	if names := slices.Concat(customize.Facts(c), customize.FactsIn(content)); c.GetSubstitute() && len(names) > 0 {
		found, err := t.b.r.facts.get(ctx)
		if err != nil {
			return nil, err
		}
		values.Facts = only(found, names)
	}
	if set, err = customize.Apply(set, c, values); err != nil {
		return nil, &uncustomizable{err}
	}
	return set, nil
}

// items are those that the API server has to be asked about: the others stay as they are, or are denied before.
func (t *trial) items(rendered *apply.Rendered) (items []apply.Item) {
	for _, item := range rendered.Items {
		if v := t.b.policy.Evaluate(item.Ref); v.Denied {
			t.object(policyDenied(item.Ref, v))
			continue
		}
		if other := t.b.r.claims.look(item.Ref, t.b.uid); other != "" {
			t.object(claimed(item.Ref, other))
			continue
		}
		e := t.b.inv.Entries[item.Ref]
		object, exists, known := t.b.r.watcher.Get(item.Ref)
		if t.b.nothingToDo(item, e, object, exists, known) {
			t.tell(item.Ref, yardarmv1.TrialUnchanged, nil)
			continue
		}
		item.Fresh = e.UID == "" || known && !exists
		item.Scaled, item.Unseen, item.Suspect = object.Scaled, !known, true
		items = append(items, item)
	}
	return items
}

// taken is told what the API server makes of an item; nil where it will take it only when its turn comes.
func (t *trial) taken(item apply.Item, answer *unstructured.Unstructured) {
	switch {
	case answer == nil && item.Live != nil:
		t.tell(item.Ref, yardarmv1.TrialRecreated, nil)
	case answer == nil && item.OwnKind:
		t.tell(item.Ref, yardarmv1.TrialUntried, &yardarmv1.TriedObject{Reason: yardarmv1.TrialKindToCome,
			Message: "its kind comes with the revision, and cannot be asked about before it is there"})
	case answer == nil:
		t.tell(item.Ref, yardarmv1.TrialUntried, &yardarmv1.TriedObject{Reason: yardarmv1.TrialNamespaceToCome,
			Message: "its namespace comes with the revision, and cannot be asked about before it is there"})
	case item.Gone:
		t.tell(item.Ref, yardarmv1.TrialCreated, nil)
	case item.Live == nil:
		t.tell(item.Ref, yardarmv1.TrialChanged, &yardarmv1.TriedObject{Message: "what is there may not be read, so that nobody can tell what changes"})
	default:
		t.change(item, answer)
	}
}

// change tells what differs between the live object and what an apply would make of it.
func (t *trial) change(item apply.Item, answer *unstructured.Unstructured) {
	found := drift.Changes(item.Live, answer)
	if len(found) == 0 {
		t.tell(item.Ref, yardarmv1.TrialUnchanged, nil)
		return
	}
	o := &yardarmv1.TriedObject{}
	for _, d := range found {
		o.Fields = append(o.Fields, &yardarmv1.TriedField{Path: d.Path, Before: d.Live, After: d.Desired})
	}
	t.tell(item.Ref, yardarmv1.TrialChanged, o)
}

// leave tells what becomes of the objects that leave the bundle, and of those that were leaving before.
func (t *trial) leave(p plan, has func(manifest.Ref) bool) {
	for _, ref := range slices.Concat(p.condemn, slices.DeleteFunc(t.b.condemned(), has)) {
		action := yardarmv1.TrialPruned
		if object, exists, known := t.b.r.watcher.Get(ref); known && exists && object.Keep.Or(t.a.GetDelivery().GetKeep()) {
			action = yardarmv1.TrialReleased
		}
		t.tell(ref, action, nil)
	}
	for _, ref := range p.release {
		t.tell(ref, yardarmv1.TrialReleased, nil)
	}
}

// hold tells what would keep the bundle from beginning.
func (t *trial) hold(ctx context.Context, p plan) {
	switch t.b.policy.Mode() {
	case policy.ModeFrozen:
		t.out.Hold, t.out.HoldMessage = yardarmv1.ReasonFrozen, "the cluster is frozen: "+t.b.policy.Freeze
		return
	case policy.ModeReadOnly:
		t.out.Hold, t.out.HoldMessage = yardarmv1.ReasonReadOnly, "the cluster is read-only: its spoke only compares"
		return
	}
	if phase, reason, message := t.b.unmet(t.a); phase != "" {
		t.out.Hold, t.out.HoldMessage = reason, message
	} else if held := t.b.guard(ctx, t.a, p, t.a.GetDigest()); held != "" {
		t.out.Hold, t.out.HoldMessage = yardarmv1.ReasonMassDeletion, held
	}
}

// object tells objections. That the API server cannot be asked now is none; nor is, where the spoke only compares, that it lacks the right to try.
func (t *trial) object(problems ...*apply.Problem) {
	for _, p := range problems {
		action := yardarmv1.TrialRefused
		if p.Reason == apply.ReasonUnavailable || p.Reason == apply.ReasonForbidden && t.b.readOnly() {
			action = yardarmv1.TrialUntried
		}
		t.tell(p.Ref, action, &yardarmv1.TriedObject{Reason: p.Reason, Message: p.Message})
	}
}

// tell counts an object, and notes what is known of it; of one that stays as it is, nothing is.
func (t *trial) tell(ref manifest.Ref, action string, o *yardarmv1.TriedObject) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*countOf(t.out, action)++
	if action == yardarmv1.TrialUnchanged {
		return
	}
	if t.kept[action]++; t.kept[action] > maxTriedObjects {
		t.out.MoreObjects++
		return
	}
	if o == nil {
		o = &yardarmv1.TriedObject{}
	}
	o.Object, o.Action = ref.String(), action
	t.out.Objects = append(t.out.Objects, o)
}

func countOf(r *yardarmv1.TrialResult, action string) *uint32 {
	switch action {
	case yardarmv1.TrialCreated:
		return &r.Created
	case yardarmv1.TrialChanged:
		return &r.Changed
	case yardarmv1.TrialRecreated:
		return &r.Recreated
	case yardarmv1.TrialPruned:
		return &r.Pruned
	case yardarmv1.TrialReleased:
		return &r.Released
	case yardarmv1.TrialRefused:
		return &r.Refused
	case yardarmv1.TrialUntried:
		return &r.Untried
	}
	return &r.Unchanged
}

// bound orders what is told, what matters most first, and leaves out what is too much.
func bound(r *yardarmv1.TrialResult) {
	ranks := map[string]int{yardarmv1.TrialRefused: -2, yardarmv1.TrialUntried: -1}
	slices.SortFunc(r.Objects, func(a, b *yardarmv1.TriedObject) int {
		return cmp.Or(cmp.Compare(ranks[a.Action], ranks[b.Action]), strings.Compare(a.Object, b.Object))
	})
	for i, size := 0, 0; i < len(r.Objects); i++ {
		if size += proto.Size(r.Objects[i]); size > maxTriedBytes || i == maxTriedObjects {
			r.MoreObjects += uint32(len(r.Objects) - i)
			r.Objects = r.Objects[:i]
			return
		}
	}
}
