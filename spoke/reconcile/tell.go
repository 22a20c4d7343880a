package reconcile

import (
	"cmp"
	"fmt"
	"time"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/event"
)

// Reasons of Kubernetes Events, besides those of problems, and what the spoke did or tried.
const (
	reasonDriftCorrected = "DriftCorrected"
	reasonDriftFound     = "DriftFound"
	reasonBundleFailed   = "BundleFailed"
	reasonBundleDegraded = "BundleDegraded"
	reasonBundleHeld     = "BundleHeld"
	reasonBundleReady    = "BundleReady"

	actionApply     = "Apply"
	actionCheck     = "CheckHealth"
	actionPrune     = "Prune"
	actionReconcile = "Reconcile"
)

// tellProblems records an event of each problem when it begins. What passes by itself is none yet.
func (b *bundle) tellProblems(problems []problem, now time.Time) {
	if b.policy.ReadOnly {
		return // they are told when the spoke may write
	}
	told := map[seenKey]bool{}
	for i := range problems {
		p := &problems[i]
		action, tells := p.tells(now)
		if !tells {
			continue
		}
		key := seenKey{p.ref, p.reason}
		if told[key] = true; b.status.told[key] {
			continue
		}
		b.r.metrics.problem(p.reason)
		b.record(event.Event{
			Bundle: b.uid, Regarding: b.regarding(p.ref), Type: yardarmv1.EventWarning, Reason: p.reason, Action: action, Note: p.text,
		})
	}
	b.status.told = told
}

// tells says whether a problem is worth an event by now, and at what it arose.
func (p *problem) tells(now time.Time) (action string, ok bool) {
	switch p.weight {
	case weighsRefused, weighsWaiting:
		return actionApply, true
	case weighsFailing, weighsLate:
		return actionCheck, true
	case weighsKept:
		return actionPrune, true
	case weighsPruning: // namespaces take seconds to go, and finalizers their time
		return actionPrune, now.Sub(p.since) > transientGrace
	}
	return "", false
}

// tellRepaired records that drift was found, and is no more.
func (b *bundle) tellRepaired(ref manifest.Ref, d drifted) {
	what := "somebody changed what the bundle sets"
	switch {
	case len(d.found) > 0:
		what = changed(d.found)
	case d.deleted:
		what = "somebody deleted it"
	}
	b.logger.Info("drift repaired", "object", ref.String(), "what", what)
	b.recordDrift(ref, yardarmv1.EventNormal, reasonDriftCorrected, what+"; it was applied again")
}

// tellDrift records drift that is left as it is.
func (b *bundle) tellDrift(ref manifest.Ref, found []difference) {
	what := changed(found)
	b.logger.Info("drift", "object", ref.String(), "what", what)
	b.recordDrift(ref, yardarmv1.EventWarning, reasonDriftFound, what+"; it is left so, since drift is only reported")
}

// changed says what differs in an object, and who made it so. Values are not said.
func changed(found []difference) string {
	first := found[0]
	if first.Path == "" {
		return "somebody deleted it"
	}
	who, what := cmp.Or(first.Manager, "somebody"), first.Path
	if more := len(found) - 1; more > 0 {
		what = fmt.Sprintf("%s and %d more", what, more)
	}
	return who + " changed " + what
}

func (b *bundle) recordDrift(ref manifest.Ref, kind, reason, note string) {
	b.record(event.Event{Bundle: b.uid, Regarding: b.regarding(ref), Type: kind, Reason: reason, Action: actionApply, Note: note})
}

// tellPhase records that the bundle asks for somebody, and that it does no more. A spoke that starts and finds all well has
// nothing to tell.
func (b *bundle) tellPhase(r *yardarmv1.Report) {
	kind, reason := yardarmv1.EventWarning, ""
	switch r.Phase {
	case yardarmv1.PhaseFailed:
		reason = reasonBundleFailed
	case yardarmv1.PhaseDegraded:
		reason = reasonBundleDegraded
	case yardarmv1.PhaseHeld:
		reason = reasonBundleHeld
	case yardarmv1.PhaseReady:
		kind, reason = yardarmv1.EventNormal, reasonBundleReady
	default:
		return
	}
	before := b.status.toldPhase
	b.status.toldPhase = r.Phase
	if before == r.Phase || before == "" && r.Phase == yardarmv1.PhaseReady {
		return
	}
	b.record(event.Event{
		Bundle: b.uid, Type: kind, Reason: reason, Action: actionReconcile, Note: fmt.Sprintf("revision %d: %s", r.Revision, r.Message),
		// It is no object of the cluster; its events are found in the spoke's own namespace.
		Regarding: event.Object{
			Ref:     manifest.Ref{Group: "yardarm.dev", Kind: yardarmv1.KindBundle, Namespace: b.r.client.Namespace(), Name: r.Bundle},
			Version: "v1", UID: b.uid,
		},
	})
}

// record has an event written, unless nothing may be. A read-only cluster that is frozen as well is still read-only.
func (b *bundle) record(e event.Event) {
	if !b.policy.ReadOnly {
		b.r.events.Record(e)
	}
}

// regarding answers an object as events name it.
func (b *bundle) regarding(ref manifest.Ref) event.Object {
	e := b.inv.Entries[ref]
	o := event.Object{Ref: ref, Version: e.Version, UID: e.UID}
	if object, exists, _ := b.r.watcher.Get(ref); exists {
		o.UID = object.UID
	}
	return o
}
