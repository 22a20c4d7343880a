package why

import (
	"bytes"
	"cmp"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/index"
	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// steps are all, in order.
var steps = []string{
	yardarmv1.StepMatched, yardarmv1.StepAllowed, yardarmv1.StepAssigned, yardarmv1.StepSent, yardarmv1.StepPersisted, yardarmv1.StepApplied, yardarmv1.StepReady,
}

// Input is what an explanation is made from.
type Input struct {
	Tx      *store.ReadTx
	Cluster *yardarmv1.Cluster
	// Bundle is the name. There is a bundle of that name, or the cluster still holds something of one.
	Bundle string
	// Delivery is what the cluster's session says; nil where there is no session, or it does not answer.
	Delivery *Delivery
	// Sees tells which groups may be named.
	Sees func(group string) bool
	Now  time.Time
}

// explainer walks along the steps.
type explainer struct {
	tx       *store.ReadTx
	cluster  *yardarmv1.Cluster
	uid      string
	delivery *Delivery
	sees     func(string) bool
	now      time.Time

	item   index.Item
	spec   *yardarmv1.AssignmentSpec
	status *yardarmv1.AssignmentStatus
	out    *yardarmv1.Explanation
}

// Of explains.
func Of(in Input) *yardarmv1.Explanation {
	e := &explainer{
		tx: in.Tx, cluster: in.Cluster, uid: in.Cluster.GetMetadata().GetUid(), delivery: in.Delivery, sees: in.Sees, now: in.Now,
		out: &yardarmv1.Explanation{Cluster: in.Cluster.GetMetadata().GetName(), Bundle: in.Bundle},
	}
	e.explain(in.Bundle)
	for _, name := range steps[len(e.out.Steps):] {
		e.out.Steps = append(e.out.Steps, &yardarmv1.ExplanationStep{Name: name})
	}
	return e.out
}

func (e *explainer) explain(bundle string) {
	there := false
	for _, it := range index.ItemsOf(e.tx, e.cluster) {
		if it.Bundle == bundle {
			e.item, there = it, true
		}
	}
	if there {
		e.spec = index.Spec(e.tx, e.cluster, e.item)
		e.status = index.Judge(e.tx, e.cluster, e.item, e.spec, e.now)
		e.out.AsOf = e.status.GetAsOf()
	}
	if e.spec == nil {
		e.notAssigned(e.tx.BundleByName(bundle), there && e.item.Target == nil)
		return
	}
	e.out.Revision = e.spec.GetRevision()
	e.done(e.matched(e.item.Target), nil)
	p := e.partIn(e.item.Target)
	if !e.allowed(p) {
		return
	}
	made := e.tx.Revision(e.item.BundleUID, e.spec.GetRevision()).GetSpec().GetProvenance().GetTime()
	e.done(fmt.Sprintf("revision %d, assignment %.8x", e.spec.GetRevision(), e.spec.GetHash()), made)
	if e.deliver() && e.apply() {
		e.done("every object is ready", e.status.GetReport().GetSince())
		e.out.Reason, e.out.Answer = yardarmv1.WhyReady, fmt.Sprintf("it is at revision %d and ready%s", e.spec.GetRevision(), p.soaks())
	}
}

// done notes that the next step is.
func (e *explainer) done(message string, at *timestamppb.Timestamp) {
	e.out.Steps = append(e.out.Steps, &yardarmv1.ExplanationStep{Name: steps[len(e.out.Steps)], Done: true, Message: message, Time: at})
}

// stop notes why the next step is not. It answers false, for callers that answer whether to go on.
func (e *explainer) stop(reason, answer, remedy string, since *timestamppb.Timestamp) bool {
	answer = cmp.Or(answer, e.status.GetReason(), reason) // a spoke need not say more
	e.out.Steps = append(e.out.Steps, &yardarmv1.ExplanationStep{Name: steps[len(e.out.Steps)], Reason: reason, Message: answer, Time: since})
	e.out.Reason, e.out.Answer, e.out.Remedy = reason, answer, remedy
	return false
}

// accept is the command that lets go of what is held.
func (e *explainer) accept() string {
	return fmt.Sprintf("decide, and if it may go: yardarm accept cluster/%s bundle/%s", e.out.Cluster, e.out.Bundle)
}

// notAssigned explains why the cluster is to run nothing of the bundle, of which it may still hold something.
func (e *explainer) notAssigned(b *yardarmv1.Bundle, holds bool) {
	if e.cluster.GetSpec().GetRemoval() != nil {
		e.stop(yardarmv1.WhyClusterDeleting, "the cluster is being deleted, and is to run nothing", "", e.cluster.GetSpec().GetRemoval().GetTime())
		return
	}
	if holds {
		e.leaving(b)
		return
	}
	name := b.GetMetadata().GetName()
	if len(b.GetSpec().GetTargets()) == 0 {
		e.stop(yardarmv1.WhyNoTargets, "the bundle targets no cluster group", fmt.Sprintf("publish it to a group: yardarm publish DIR --bundle %s --to GROUP", name), nil)
		return
	}
	by := e.matched(b)
	if by == "" {
		e.unselected(b)
		return
	}
	if p := e.partIn(b); p.runs != p.latest {
		e.done(by, nil)
		e.keptBack(p)
		return
	} else if p.latest != 0 {
		e.done(by, nil)
		e.stop(yardarmv1.WhyNoVariant, fmt.Sprintf("revision %d has nothing for %s; the cluster keeps what it has", p.latest, e.variant(b)),
			"see what the bundle's source has come to: yardarm describe bundle "+name, nil)
		return
	}
	e.stop(yardarmv1.WhyNoRevision, "the bundle has no revision", fmt.Sprintf("publish one: yardarm publish DIR --bundle %s", name), nil)
}

func (e *explainer) unselected(b *yardarmv1.Bundle) {
	text, byFacts := e.unmatched(b)
	if byFacts {
		e.stop(yardarmv1.WhyOutsideByFacts, "its facts keep the cluster out: "+text, "see what its spoke reports: yardarm describe cluster "+e.out.Cluster, nil)
		return
	}
	e.stop(yardarmv1.WhyNotSelected, "no group that the bundle targets has the cluster: "+text,
		fmt.Sprintf("if it is to have the bundle, label it: yardarm label cluster %s KEY=VALUE", e.out.Cluster), nil)
}

// leaving explains what a cluster still holds though nothing assigns it.
func (e *explainer) leaving(b *yardarmv1.Bundle) {
	r := e.status.GetReport()
	switch st := e.status; {
	case st.GetPhase() == yardarmv1.PhaseHeld && st.GetReason() == yardarmv1.ReasonLeftByFact:
		e.stop(yardarmv1.WhyOutsideByFacts, st.GetMessage(), e.accept(), r.GetSince())
	case st.GetPhase() == yardarmv1.PhaseHeld && st.GetReason() == yardarmv1.ReasonMassDeletion:
		e.stop(yardarmv1.WhyDeletionAsks, st.GetMessage(), e.accept(), r.GetSince())
	case st.GetPhase() == yardarmv1.PhaseHeld:
		e.stop(yardarmv1.WhyHeldSinceRestore, st.GetMessage(), e.accept(), r.GetSince())
	default:
		e.stop(yardarmv1.WhyLeaving, "it is not to run the bundle any more, and still holds some of it: "+st.GetMessage(), "", r.GetSince())
	}
}

// reported tells whether the newest report is about this very assignment.
func (e *explainer) reported() bool {
	r := e.status.GetReport()
	return r != nil && bytes.Equal(r.GetAssignmentHash(), e.spec.GetHash())
}
