package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"weak"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/holdings"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/pkg/manifest/customize"
	"github.com/yardarm-dev/yardarm/spoke/apply"
)

// reasonCustomizationFailed is why a bundle has failed that cannot be customized for this cluster.
const reasonCustomizationFailed = "CustomizationFailed"

// source is what the objects of a bundle are made from in this cluster: an artifact, and how it is customized; nil: not at
// all.
type source struct {
	digest    string
	rendering *spokev1.Rendering
}

// key identifies it among the sources of one process.
func (s source) key() string {
	if s.rendering == nil {
		return s.digest
	}
	return s.digest + string(holdings.MessageHash(s.rendering))
}

// made is a set with its digest, which is the artifact's own where nothing is customized.
type made struct {
	source source
	digest string
	set    *manifest.Set
}

// cache holds what was made last for as long as memory is not needed otherwise: several passes in short order are common,
// and between them an idle spoke should not pay for what it parsed.
type cache struct {
	key, digest string
	set         weak.Pointer[manifest.Set]
}

// customized answers the objects of an assignment, customized with the values that this cluster has now.
func (b *bundle) customized(ctx context.Context, a *yardarmv1.AssignmentSpec) (made, error) {
	s := source{digest: a.Digest}
	if c := a.Customization; c != nil {
		facts, err := b.factsFor(ctx, a)
		if err != nil {
			return made{}, err
		}
		s.rendering = &spokev1.Rendering{Customization: c, Name: a.Cluster, Labels: a.Labels, Facts: facts}
	}
	return b.make(ctx, s)
}

// held answers what the cluster holds, as it was applied: by what the state has kept, if that is what the inventory names. The rest of the pass goes
// by the policy that it was delivered by: the assignment's has not begun to count.
func (b *bundle) held(ctx context.Context, a *yardarmv1.AssignmentSpec) (made, error) {
	if b.applied.Digest != "" {
		m, err := b.make(ctx, source{digest: b.applied.Digest, rendering: b.applied.Rendering})
		if err != nil {
			return made{}, err
		}
		if m.digest == b.inv.Digest {
			return m, b.by(a.GetBundle(), b.deliveredBy(a))
		}
	}
	// The state is made anew, or a restart came between inventory and state.
	m, err := b.make(ctx, source{digest: b.inv.Digest})
	if err != nil {
		return made{}, err
	}
	return m, b.by(a.GetBundle(), b.deliveredBy(a))
}

// deliveredBy answers the policy of what the cluster holds; where that is not known, the assignment's is the best guess.
func (b *bundle) deliveredBy(a *yardarmv1.AssignmentSpec) *yardarmv1.DeliveryPolicy {
	return cmp.Or(b.applied.Delivery, a.GetDelivery())
}

// make answers the objects of a source.
func (b *bundle) make(ctx context.Context, s source) (made, error) {
	key := s.key()
	if set := b.cache.set.Value(); set != nil && b.cache.key == key {
		return made{source: s, digest: b.cache.digest, set: set}, nil
	}
	m := made{source: s, digest: s.digest}
	var err error
	if m.set, err = b.r.content(ctx, s.digest); err != nil {
		return made{}, err
	}
	if r := s.rendering; r != nil {
		m.set, err = customize.Apply(m.set, r.Customization, customize.Values{Name: r.Name, Labels: r.Labels, Facts: r.Facts})
		if err != nil {
			return made{}, &uncustomizable{err}
		}
		m.digest = m.set.Digest().String()
	}
	b.cache = cache{key: key, digest: m.digest, set: weak.Make(m.set)}
	return m, nil
}

// uncustomizable is an artifact that its customization does not fit, or this cluster's values do not.
type uncustomizable struct{ err error }

func (e *uncustomizable) Error() string { return fmt.Sprintf("customize: %v", e.err) }
func (e *uncustomizable) Unwrap() error { return e.err }

// uncustomized makes the outcome of what is kept up that of an assignment that cannot be customized.
func (o outcome) uncustomized(revision uint32, failed *uncustomizable) outcome {
	first, more := failed.err.Error(), ""
	if problems, ok := errors.AsType[*customize.Problems](failed.err); ok {
		first = problems.Entries[0].Error()
		if n := len(problems.Entries) - 1 + problems.More; n > 0 {
			more = fmt.Sprintf("; and %d more", n)
		}
		for _, p := range problems.Entries {
			if p.Object == (manifest.Ref{}) {
				continue
			}
			ref := p.Object
			p.Object = manifest.Ref{} // a report's line names it already
			o.unfit = append(o.unfit, &apply.Problem{Ref: ref, Reason: reasonCustomizationFailed, Message: p.Error()})
		}
	}
	return o.force(yardarmv1.PhaseFailed, reasonCustomizationFailed,
		fmt.Sprintf("revision %d cannot be customized for this cluster, and nothing of it was applied: %s%s", revision, first, more))
}
