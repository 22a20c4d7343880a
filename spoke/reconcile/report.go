package reconcile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/apply"
	"github.com/yardarm-dev/yardarm/spoke/health"
	"github.com/yardarm-dev/yardarm/spoke/state"
)

const (
	// maxProblems is how many objects a report names.
	maxProblems = 10
	// transientGrace is how long a problem that passes by itself is not yet a failure.
	transientGrace = 30 * time.Second
)

// Reasons of phases that follow from the objects.
const (
	reasonReady    = "ObjectsReady"
	reasonWaiting  = "ObjectsNotReady"
	reasonPruning  = "Pruning"
	reasonApplying = "Applying"
)

// weight orders problems, the worst first.
type weight int

const (
	weighsRefused weight = iota
	weighsWaiting
	weighsKept // the policy denies its deletion
	weighsTransient
	weighsFailing
	weighsLate // nothing is wrong but that it takes too long
	weighsPruning
	weighsProgress
)

// problem is one line of a report.
type problem struct {
	weight weight
	ref    manifest.Ref
	reason string
	text   string
	since  time.Time
}

func (p *problem) String() string { return fmt.Sprintf("%s: %s", p.ref, p.text) }

// reporter remembers since when things are as they are. The loop's alone.
type reporter struct {
	phase string
	since time.Time
	// seen are the current problems, by object and reason.
	seen map[seenKey]time.Time
	// told are those of them of which an event has told, and toldPhase is the phase that an event told of last.
	told      map[seenKey]bool
	toldPhase string
	// conditions as they were last told, by type.
	conditions map[string]*yardarmv1.Condition
}

type seenKey struct {
	ref    manifest.Ref
	reason string
}

// report tells the book what is now. The book drops what is no news.
func (b *bundle) report(e *state.Entry) {
	now := b.r.now()
	problems := b.problems(now)
	o := &b.last
	r := b.draft(e)
	r.Objects = b.counts(problems)
	if o.phase == "" {
		phase, reason, message := b.phase(problems)
		r.Phase, r.Reason, r.Message = b.timing.judge(time.Now(), o.applied < o.total, phase, reason, message)
	} else {
		r.Phase, r.Reason, r.Message = o.phase, o.reason, o.message
		if o.phase == yardarmv1.PhaseRemoving && len(problems) > 0 {
			r.Message = fmt.Sprintf("%s; %s: %s", o.message, problems[0].ref, problems[0].text)
		}
	}
	if e.Hold != nil && e.Removal == nil {
		message := e.Hold.Message
		if r.Phase != yardarmv1.PhaseReady {
			message += "; " + r.Message
		}
		r.Phase, r.Reason, r.Message = yardarmv1.PhaseHeld, e.Hold.Reason, message
	}
	for _, p := range problems[:min(len(problems), maxProblems)] {
		r.Problems = append(r.Problems, &yardarmv1.ObjectProblem{
			Object: p.ref.String(), Reason: p.reason, Message: p.text, Since: timestamppb.New(p.since),
		})
	}
	r.Conditions = conditions(o, r, problems, b.unjudged())
	b.tellProblems(problems, now)
	b.publish(r, now)
}

// reportApplying says that a new assignment is being carried out, before the first object is written.
func (b *bundle) reportApplying(e *state.Entry, o outcome, todo int) {
	r := b.draft(e)
	r.Phase, r.Reason = yardarmv1.PhaseProgressing, reasonApplying
	r.Message = fmt.Sprintf("applying %d of %d objects", todo, o.total)
	r.Conditions = b.status.conditionsWhileApplying(r.Message)
	b.status.toldPhase = yardarmv1.PhaseProgressing
	if e.Hold != nil {
		r.Phase, r.Reason, r.Message = yardarmv1.PhaseHeld, e.Hold.Reason, e.Hold.Message
	}
	r.Objects = &yardarmv1.ObjectCounts{Total: count(o.total), Applied: count(o.applied), Pruning: count(b.inv.Condemned()), Drifted: count(b.drifts.count())}
	b.publish(r, b.r.now())
}

func (b *bundle) draft(e *state.Entry) *yardarmv1.Report {
	a := e.Assignment
	return &yardarmv1.Report{
		Bundle: a.Bundle, BundleUid: a.BundleUid, AssignmentHash: a.Hash, Revision: a.Revision, Digest: a.Digest,
		RenderedDigest: b.inv.Digest, Drift: b.drifts.told(b.r.now()),
	}
}

func (b *bundle) publish(r *yardarmv1.Report, now time.Time) {
	if b.status.phase != r.Phase {
		b.r.metrics.phase(b.status.phase, r.Phase)
		b.status.phase, b.status.since = r.Phase, now
		b.logger.Info("phase", "phase", r.Phase, "reason", r.Reason, "message", r.Message, "revision", r.Revision)
	}
	b.tellPhase(r)
	r.Conditions = append(r.Conditions, policyCurrent(b.r.policy.Broken())...)
	b.status.stamp(r.Conditions, now)
	r.Since, r.ObservedTime = timestamppb.New(b.status.since), timestamppb.New(now)
	b.stand(r)
	b.r.book.Set(r)
}

// problems answers all that is to be said of single objects, the worst first.
func (b *bundle) problems(now time.Time) []problem {
	var all []problem
	for _, p := range b.last.problems {
		w := weighsRefused
		switch p.Retry {
		case apply.Waiting:
			w = weighsWaiting
		case apply.Transient:
			w = weighsTransient
		}
		all = append(all, problem{weight: w, ref: p.Ref, reason: p.Reason, text: p.Message})
	}
	for _, p := range b.last.unfit {
		all = append(all, problem{weight: weighsRefused, ref: p.Ref, reason: p.Reason, text: p.Message})
	}
	for _, p := range b.last.pruning {
		w := weighsPruning
		if p.Retry == apply.Never {
			w = weighsKept
		}
		all = append(all, problem{weight: w, ref: p.Ref, reason: p.Reason, text: p.Message})
	}
	for ref, v := range b.health {
		switch v.State {
		case health.Failing:
			all = append(all, problem{weight: weighsFailing, ref: ref, reason: v.Reason, text: v.Message})
		case health.Waiting:
			w := weighsProgress
			if b.timing.late(time.Now(), v.since) {
				w = weighsLate
			}
			all = append(all, problem{weight: w, ref: ref, reason: v.Reason, text: v.Message})
		}
	}
	seen := map[seenKey]time.Time{}
	for i := range all {
		key := seenKey{all[i].ref, all[i].reason}
		since, ok := b.status.seen[key]
		if !ok {
			since = now
		}
		seen[key], all[i].since = since, since
		if all[i].weight == weighsTransient && now.Sub(since) > transientGrace {
			all[i].weight = weighsWaiting
		}
	}
	b.status.seen = seen
	slices.SortFunc(all, func(x, y problem) int { return cmp.Or(cmp.Compare(x.weight, y.weight), x.ref.Compare(y.ref)) })
	return all
}

func (b *bundle) counts(problems []problem) *yardarmv1.ObjectCounts {
	failed := map[manifest.Ref]bool{}
	unready := map[manifest.Ref]bool{}
	for _, p := range problems {
		switch p.weight {
		case weighsRefused, weighsWaiting, weighsTransient:
			failed[p.ref] = true
		case weighsFailing, weighsLate, weighsProgress:
			unready[p.ref] = true
		}
	}
	unready = without(unready, failed)
	applied := b.last.applied
	// Passive objects are ready once applied; the others once they were judged to be.
	ready := applied - len(unready) - b.unjudged()
	return &yardarmv1.ObjectCounts{
		Total: count(b.last.total), Applied: count(applied), Ready: count(ready), Failed: count(len(failed)), Pruning: count(b.inv.Condemned()),
		Drifted: count(b.drifts.count()),
	}
}

// unjudged counts the objects whose health has still to be looked at.
func (b *bundle) unjudged() int {
	n := 0
	for ref, e := range b.inv.Entries {
		if _, judged := b.health[ref]; !judged && e.Content != 0 && !e.Condemned && !b.passive(ref) {
			n++
		}
	}
	return n
}

func without(a, b map[manifest.Ref]bool) map[manifest.Ref]bool {
	maps.DeleteFunc(a, func(ref manifest.Ref, _ bool) bool { return b[ref] })
	return a
}

func count(n int) uint32 { return uint32(max(n, 0)) }

// phase is what follows from the objects.
func (b *bundle) phase(problems []problem) (phase, reason, message string) {
	o := &b.last
	by := map[weight]int{}
	for _, p := range problems {
		by[p.weight]++
	}
	worst := func(format string, args ...any) string {
		return fmt.Sprintf(format, args...) + ": " + problems[0].String()
	}
	refused := by[weighsRefused] + by[weighsWaiting]
	unjudged := b.unjudged()
	switch {
	case refused > 0 && o.refused:
		return yardarmv1.PhaseFailed, problems[0].reason, worst("nothing was applied, because the bundle is atomic and %d of %d objects would fail", refused, o.total)
	case refused > 0:
		return yardarmv1.PhaseFailed, problems[0].reason, worst("%d of %d objects could not be applied", refused, o.total)
	case by[weighsKept] > 0:
		return yardarmv1.PhaseFailed, problems[0].reason, worst("%d objects that left the bundle may not be removed", by[weighsKept])
	case by[weighsTransient] > 0:
		return yardarmv1.PhaseProgressing, problems[0].reason, worst("%d of %d objects could not be applied yet", by[weighsTransient], o.total)
	case by[weighsFailing] > 0:
		return yardarmv1.PhaseDegraded, problems[0].reason, worst("%d of %d objects are not healthy", by[weighsFailing], o.total)
	case by[weighsLate] > 0:
		return yardarmv1.PhaseDegraded, reasonTimeout, worst("%s: %d of %d objects", b.timing.text(), by[weighsLate], o.total)
	case o.transient, o.applied < o.total:
		return yardarmv1.PhaseProgressing, reasonApplying, fmt.Sprintf("%d of %d objects are applied", o.applied, o.total)
	case by[weighsProgress] > 0:
		for _, p := range problems {
			if p.weight == weighsProgress {
				return yardarmv1.PhaseProgressing, reasonWaiting, fmt.Sprintf("%d of %d objects are not ready yet: %s: %s", by[weighsProgress], o.total, p.ref, p.text)
			}
		}
	case unjudged > 0:
		return yardarmv1.PhaseProgressing, reasonWaiting, fmt.Sprintf("%d of %d objects have still to be looked at", unjudged, o.total)
	case b.inv.Condemned() > 0 && by[weighsPruning] > 0:
		return yardarmv1.PhaseProgressing, problems[0].reason, worst("%d objects have still to be removed", b.inv.Condemned())
	case b.inv.Condemned() > 0:
		return yardarmv1.PhaseProgressing, reasonPruning, fmt.Sprintf("%d objects have still to be removed", b.inv.Condemned())
	case o.waiting:
		return yardarmv1.PhaseProgressing, reasonPruning, "objects have left the bundle; it is not known yet whether another bundle takes them over"
	}
	return yardarmv1.PhaseReady, reasonReady, fmt.Sprintf("%d objects are applied and ready", o.total)
}
