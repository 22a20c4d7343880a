package reconcile

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest/customize"
)

const (
	// defaultFactsEvery is how often facts are observed anew that customizations refer to: as often as the session does.
	defaultFactsEvery = 2 * time.Minute
	// factsTimeout bounds one observation; a pass waits for the first one.
	factsTimeout = 10 * time.Second
)

// facts are the cluster's, for customizations that refer to them. They are observed when the first one does, and then again and again: a
// spoke without such a customization asks for nothing.
type facts struct {
	observe func(context.Context) (*yardarmv1.Facts, error)

	mu    sync.Mutex
	known *yardarmv1.Facts // guarded by mu; nil as long as nobody has asked
}

// get answers the facts, observed if they never were.
func (f *facts) get(ctx context.Context) (*yardarmv1.Facts, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known != nil || f.observe == nil {
		return f.known, nil
	}
	return f.look(ctx)
}

// refresh observes the facts anew if anybody has ever asked for them; otherwise it answers nil.
func (f *facts) refresh(ctx context.Context) (*yardarmv1.Facts, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known == nil {
		return nil, nil
	}
	return f.look(ctx)
}

// look observes. The caller holds mu.
func (f *facts) look(ctx context.Context) (*yardarmv1.Facts, error) {
	ctx, cancel := context.WithTimeout(ctx, factsTimeout)
	defer cancel()
	found, err := f.observe(ctx)
	if err != nil {
		return nil, fmt.Errorf("observe the cluster's facts: %w", err)
	}
	f.known = found
	return found, nil
}

// watchFacts has the bundles passed again whose facts have changed. It compares what each was made with, so that nothing is lost
// between a pass and an observation.
func (r *Reconciler) watchFacts(ctx context.Context) {
	ticker := time.NewTicker(r.factsEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		found, err := r.facts.refresh(ctx)
		if err != nil && ctx.Err() == nil {
			r.logger.Warn("cannot tell whether facts have changed", "error", err)
		}
		if found == nil {
			continue
		}
		r.mu.Lock()
		for _, b := range r.bundles {
			b.observed(found)
		}
		r.mu.Unlock()
	}
}

// reads is which facts an assignment refers to, and what they were in its last pass.
type reads struct {
	digest        string
	customization *yardarmv1.Customization
	names         []string
	facts         *yardarmv1.Facts // nil if names is empty
}

// factsFor answers the facts that an assignment refers to; nil if there are none.
func (b *bundle) factsFor(ctx context.Context, a *yardarmv1.AssignmentSpec) (*yardarmv1.Facts, error) {
	b.mu.Lock()
	last := b.reads
	b.mu.Unlock()
	next := reads{digest: a.Digest, customization: a.Customization, names: last.names}
	if last.digest != next.digest || last.customization != next.customization {
		next.names = nil
		if a.Customization.Substitute {
			content, err := b.r.state.Content(ctx, a.Digest)
			if err != nil {
				return nil, err
			}
			next.names = slices.Concat(customize.Facts(a.Customization), customize.FactsIn(content))
		}
	}
	if len(next.names) > 0 {
		found, err := b.r.facts.get(ctx)
		if err != nil {
			return nil, err
		}
		next.facts = only(found, next.names)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reads = next
	return next.facts, nil
}

// observed asks for a whole pass if the facts that the bundle was made with are others now.
func (b *bundle) observed(found *yardarmv1.Facts) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.reads.names) > 0 && !proto.Equal(b.reads.facts, only(found, b.reads.names)) {
		b.again = true
		b.rouse()
	}
}

// only answers a copy with the facts of the given names, so that a change of others changes nothing.
func only(found *yardarmv1.Facts, names []string) *yardarmv1.Facts {
	if found == nil {
		return nil
	}
	out := &yardarmv1.Facts{}
	fields := found.ProtoReflect().Descriptor().Fields()
	for _, name := range names {
		if field := fields.ByJSONName(name); field != nil {
			out.ProtoReflect().Set(field, found.ProtoReflect().Get(field))
		}
	}
	return out
}
