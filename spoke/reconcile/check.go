package reconcile

import (
	"context"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/health"
	"github.com/yardarm-dev/yardarm/spoke/inventory"
	"github.com/yardarm-dev/yardarm/spoke/live"
)

const (
	// checkSoon is how often an object that is not ready is looked at in the first minutes after an assignment, and checkLater how
	// often after that: pods' reasons change without a change of the workload, and are to be reported within 10 s.
	checkSoon  = 2 * time.Second
	checkLater = 5 * time.Second
	hurryFor   = 2 * time.Minute
	// checkGap is the least time between two rounds, so that a rollout that changes an object ten times a second is not
	// read as often.
	checkGap = 300 * time.Millisecond
	// checkBatch bounds a round, and with checkGap the load on the API server; checkParallel its requests at a time.
	checkBatch    = 40
	checkParallel = 4
	// checkTimeout bounds one request.
	checkTimeout = 15 * time.Second
)

// verdict is what was last judged of an object.
type verdict struct {
	health.Result
	// since when the state and reason are these, and when it was last looked at.
	since, checked time.Time
	// version of the object that was judged, and whether it has changed since.
	version uint64
	stale   bool
	// failed is set when the last look did not succeed.
	failed bool
}

// checks paces the looks at objects' health.
type checks struct {
	hurryUntil time.Time
	lastRound  time.Time
}

func (c *checks) hurry(now time.Time) { c.hurryUntil = now.Add(hurryFor) }

func (c *checks) interval(now time.Time) time.Duration {
	if now.Before(c.hurryUntil) {
		return checkSoon
	}
	return checkLater
}

// judge notes a verdict.
func (b *bundle) judge(ref manifest.Ref, r health.Result, version uint64) {
	now := time.Now()
	v := verdict{Result: r, since: now, checked: now, version: version}
	if old, ok := b.health[ref]; ok && old.State == r.State && old.Reason == r.Reason {
		v.since = old.since
	}
	b.health[ref] = v
}

// due answers when an object is to be looked at next; ok is false if only a change calls for it.
func (b *bundle) due(ref manifest.Ref, now time.Time) (at time.Time, ok bool) {
	e := b.inv.Entries[ref]
	if e.Content == 0 || e.Condemned || b.passive(ref) || b.spent(ref, e) {
		return time.Time{}, false
	}
	v, judged := b.health[ref]
	switch {
	case v.failed:
		return v.checked.Add(checkSoon), true
	case !judged, v.stale:
		return b.checks.lastRound.Add(checkGap), true
	case v.State != health.Ready:
		return v.checked.Add(b.checks.interval(now)), true
	}
	return time.Time{}, false
}

// nextCheck answers when the next round is due.
func (b *bundle) nextCheck() (next time.Time, ok bool) {
	now := time.Now()
	for ref := range b.inv.Entries {
		if at, due := b.due(ref, now); due && (!ok || at.Before(next)) {
			next, ok = at, true
		}
	}
	if gap := b.checks.lastRound.Add(checkGap); ok && next.Before(gap) {
		next = gap
	}
	return next, ok
}

// checkHealth looks at the objects that are due, the longest waiting first.
func (b *bundle) checkHealth(ctx context.Context) {
	now := time.Now()
	if now.Before(b.checks.lastRound.Add(checkGap)) {
		return
	}
	var refs []manifest.Ref
	for ref := range b.inv.Entries {
		if at, due := b.due(ref, now); due && !now.Before(at) {
			refs = append(refs, ref)
		}
	}
	if len(refs) == 0 {
		return
	}
	b.checks.lastRound = now
	slices.SortFunc(refs, func(x, y manifest.Ref) int {
		if c := b.health[x].checked.Compare(b.health[y].checked); c != 0 {
			return c
		}
		return x.Compare(y)
	})
	refs = refs[:min(len(refs), checkBatch)]

	type judged struct {
		result  health.Result
		version uint64
		ended   inventory.Ended
		err     error
	}
	results := make([]judged, len(refs))
	slots := make(chan struct{}, checkParallel)
	var group sync.WaitGroup
	for i, ref := range refs {
		slots <- struct{}{}
		version := b.inv.Entries[ref].Version
		group.Go(func() {
			defer func() { <-slots }()
			j := &results[i]
			j.result, j.version, j.ended, j.err = b.check(ctx, ref, version)
		})
	}
	group.Wait()
	ends := map[manifest.Ref]inventory.Ended{}
	for i, ref := range refs {
		b.r.metrics.checked(results[i].result.State, results[i].err)
		if results[i].err != nil {
			b.logger.Debug("cannot look at object", "object", ref.String(), "error", results[i].err)
			v := b.health[ref]
			if v.checked.IsZero() {
				v.Result = health.Result{State: health.Waiting, Reason: health.ReasonUnknown, Message: "it could not be read yet"}
				v.since = now
			}
			v.checked, v.failed = time.Now(), true
			b.health[ref] = v
			continue
		}
		b.judge(ref, results[i].result, results[i].version)
		if results[i].ended != "" {
			ends[ref] = results[i].ended
		}
	}
	b.noteEnds(ctx, ends)
}

// check reads and judges one object, and what is around one that is not ready. Of a Job that has ended, it tells how.
func (b *bundle) check(ctx context.Context, ref manifest.Ref, apiVersion string) (health.Result, uint64, inventory.Ended, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	kind, err := b.r.client.Mapper.AnyVersion(ctx, ref.Group, apiVersion, ref.Kind)
	if err != nil {
		return health.Result{}, 0, "", err
	}
	resource := dynamic.ResourceInterface(b.r.client.Dynamic.Resource(kind.GVR()))
	if kind.Namespaced {
		resource = b.r.client.Dynamic.Resource(kind.GVR()).Namespace(ref.Namespace)
	}
	object, err := resource.Get(ctx, ref.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return health.Result{State: health.Waiting, Reason: health.ReasonMissing, Message: "it is not in the cluster"}, 0, "", nil
	}
	if err != nil {
		return health.Result{}, 0, "", err
	}
	result, err := health.Look(ctx, b.r.client.Dynamic, object, b.rules.compiled, time.Now())
	if err != nil {
		b.logger.Debug("cannot look around object", "object", ref.String(), "error", err)
	}
	return result, live.Of(object).Version, endOf(object), nil
}
