package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/pkg/manifest/ignore"
	"github.com/yardarm-dev/yardarm/spoke/apply"
	"github.com/yardarm-dev/yardarm/spoke/policy"
)

// Policy is what those who run the cluster let bundles do; *policy.Source is one.
type Policy interface {
	Current() *policy.Policy
	// Broken answers why that is not what is written in its file now; nil if it is.
	Broken() *policy.Broken
	// Changed tells that one of the two is another one.
	Changed() <-chan struct{}
}

// fixed is a policy that stays as it is.
type fixed struct{ policy *policy.Policy }

func (f fixed) Current() *policy.Policy  { return f.policy }
func (f fixed) Broken() *policy.Broken   { return nil }
func (f fixed) Changed() <-chan struct{} { return nil }

// review has all bundles looked at again, by another policy.
func (r *Reconciler) review() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.bundles {
		b.review()
	}
}

// review asks for a whole pass. The one under way goes by the old policy, and ends between two objects.
func (b *bundle) review() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.again = true
	close(b.stop)
	b.stop = make(chan struct{})
	b.rouse()
}

// act carries an entry out as far as the policy lets it, and as whom the policy says.
func (b *bundle) act(ctx context.Context, w work) outcome {
	b.policy = b.r.policy.Current()
	if mode := b.policy.Mode(); mode != b.mode {
		b.mode = mode
		b.drifts.doubt()
	}
	a := w.entry.Assignment
	err := b.by(a.GetBundle(), a.GetDelivery())
	denied, isDenied := errors.AsType[*accountDenied](err)
	_, isInvalid := errors.AsType[*invalidDelivery](err)
	switch {
	case isDenied:
		return b.leaveAlone(ctx).force(yardarmv1.PhaseFailed, yardarmv1.ReasonPolicyDenied,
			fmt.Sprintf("the spoke's policy denies the bundle: %v; nothing was changed", denied.err))
	case err != nil && !isInvalid:
		return interrupted(err)
	case b.policy.Mode() == policy.ModeFrozen:
		return b.frozen(ctx, w)
	case w.entry.Removal != nil:
		return b.remove(ctx, w)
	case isInvalid:
		// Without its ignore rules, what they mean would be reset.
		o := b.maintain(ctx, w)
		o.terminal = true
		return o.force(yardarmv1.PhaseFailed, reasonInvalidDelivery,
			"the delivery policy cannot be read, and nothing of it was applied: "+err.Error()+"; correct the bundle")
	}
	return b.deliver(ctx, w)
}

// by has the pass go by a delivery policy from here on: as whom it writes, and what it leaves to others.
func (b *bundle) by(bundle string, delivery *yardarmv1.DeliveryPolicy) error {
	b.delivery = cmp.Or(delivery, &yardarmv1.DeliveryPolicy{})
	account, err := b.policy.Account(bundle, delivery.GetServiceAccount())
	if err != nil {
		return &accountDenied{err}
	}
	if b.applier, err = b.r.writers.as(account); err != nil {
		return err
	}
	if b.ignore, err = ignore.Compile(delivery.GetIgnore()); err != nil {
		return &invalidDelivery{err}
	}
	return nil
}

// accountDenied is a bundle that may not write as the service account that it asks for.
type accountDenied struct{ err error }

func (e *accountDenied) Error() string { return fmt.Sprintf("service account: %v", e.err) }
func (e *accountDenied) Unwrap() error { return e.err }

// invalidDelivery is a delivery policy whose ignore rules cannot be read.
type invalidDelivery struct{ err error }

func (e *invalidDelivery) Error() string { return e.err.Error() }
func (e *invalidDelivery) Unwrap() error { return e.err }

// leaveAlone writes nothing, and counts what is as it was applied.
func (b *bundle) leaveAlone(ctx context.Context) outcome {
	b.follow(ctx, nil)
	var o outcome
	for ref, e := range b.inv.Entries {
		if e.Condemned {
			continue
		}
		o.total++
		if object, exists, known := b.r.watcher.Get(ref); known && intact(e, object, exists) {
			o.applied++
		}
	}
	return o
}

// permitted answers what is rendered without the objects that the policy denies, each of which becomes a problem. The denied
// ones are the bundle's all the same: what it has of them stays in its inventory.
func (b *bundle) permitted(rendered *apply.Rendered, out *outcome) *apply.Rendered {
	less := *rendered
	less.Items = make([]apply.Item, 0, len(rendered.Items))
	for _, item := range rendered.Items {
		if v := b.policy.Evaluate(item.Ref); v.Denied {
			out.add(policyDenied(item.Ref, v))
			continue
		}
		less.Items = append(less.Items, item)
	}
	return &less
}

// removable answers the targets that the policy lets go. The others stay in the inventory, and are told as still to be removed.
func (b *bundle) removable(targets []apply.Target, out *outcome) []apply.Target {
	return slices.DeleteFunc(targets, func(t apply.Target) bool {
		v := b.policy.Evaluate(t.Ref)
		if v.Denied {
			out.pruning = append(out.pruning, policyDenied(t.Ref, v))
		}
		return v.Denied
	})
}

func policyDenied(ref manifest.Ref, v policy.Verdict) *apply.Problem {
	return &apply.Problem{Ref: ref, Reason: yardarmv1.ReasonPolicyDenied, Retry: apply.Never,
		Message: fmt.Sprintf("the spoke's policy denies it: %s; it was left as it is", v.Rule())}
}

// hindered tells whether there are problems that keep the bundle from deleting. Those that the policy makes are meant to keep it from single objects
// and not from the rest; and an object that is fought over was applied, again and again.
func (o *outcome) hindered() bool {
	return slices.ContainsFunc(o.problems, func(p *apply.Problem) bool {
		return p.Reason != yardarmv1.ReasonPolicyDenied && p.Reason != reasonContended
	})
}
