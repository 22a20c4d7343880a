package why

import (
	"cmp"
	"fmt"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/status"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// apply explains what the spoke does in its cluster, by the report about this assignment. It tells whether all is ready.
func (e *explainer) apply() bool {
	r := e.status.GetReport()
	done, since := applied(r)
	if done {
		e.done(fmt.Sprintf("%d objects", r.GetObjects().GetTotal()), since)
	}
	switch {
	case e.status.GetReason() == status.ReasonUnconfirmed:
		return e.stop(yardarmv1.WhyUnconfirmed, "the spoke is connected again, and has not confirmed yet what it reported before: "+r.GetPhase(), "", nil)
	case !e.connected():
		return false
	case !done:
		return e.notApplied(r)
	}
	object, at := worst(r)
	switch r.GetPhase() {
	case yardarmv1.PhaseReady:
		return true
	case yardarmv1.PhaseHeld:
		return e.held(r)
	case yardarmv1.PhaseDegraded, yardarmv1.PhaseFailed:
		return e.stop(yardarmv1.WhyObjectUnhealthy, cmp.Or(object, r.GetMessage()), "see the object in its cluster, or go back: yardarm rollout undo bundle/"+e.out.Bundle, at)
	}
	return e.stop(yardarmv1.WhyObjectNotReady, cmp.Or(object, r.GetMessage()), "", at)
}

// applied tells whether a report says that all is applied, and since when it is or is not.
func applied(r *yardarmv1.Report) (bool, *timestamppb.Timestamp) {
	for _, c := range r.GetConditions() {
		if c.GetType() == yardarmv1.ConditionApplied {
			return c.GetStatus() == yardarmv1.ConditionTrue, c.GetLastTransitionTime()
		}
	}
	return r.GetPhase() == yardarmv1.PhaseReady || r.GetPhase() == yardarmv1.PhaseDegraded, r.GetSince()
}

// notApplied explains why not every object is.
func (e *explainer) notApplied(r *yardarmv1.Report) bool {
	object, at := worst(r)
	message := cmp.Or(r.GetMessage(), r.GetReason())
	switch reason := r.GetReason(); {
	case r.GetPhase() == yardarmv1.PhaseHeld:
		return e.held(r)
	case strings.HasPrefix(reason, "Dependency"):
		return e.stop(yardarmv1.WhyDependency, message, fmt.Sprintf("see what it waits for: yardarm status cluster/%s", e.out.Cluster), r.GetSince())
	case reason == yardarmv1.ReasonFrozen, reason == yardarmv1.ReasonReadOnly, reason == yardarmv1.ReasonPolicyDenied, deniedByPolicy(r):
		return e.stop(yardarmv1.WhyPolicyDenies, cmp.Or(object, message), "the policy beside the spoke decides; whoever runs the cluster may change it", cmp.Or(at, r.GetSince()))
	case reason == yardarmv1.WhyCustomizationFailed:
		return e.stop(yardarmv1.WhyCustomizationFailed, cmp.Or(object, message),
			fmt.Sprintf("see what it lacks: yardarm preview bundle/%s --cluster %s", e.out.Bundle, e.out.Cluster), r.GetSince())
	case r.GetPhase() == yardarmv1.PhaseFailed:
		return e.stop(yardarmv1.WhyApplyFailed, cmp.Or(object, message), "put it right and publish again, or go back: yardarm rollout undo bundle/"+e.out.Bundle, at)
	}
	return e.stop(yardarmv1.WhyApplying, cmp.Or(object, message), "", cmp.Or(at, r.GetSince()))
}

func deniedByPolicy(r *yardarmv1.Report) bool {
	return len(r.GetProblems()) > 0 && r.Problems[0].GetReason() == yardarmv1.ReasonPolicyDenied
}

// held explains what waits for an operator.
func (e *explainer) held(r *yardarmv1.Report) bool {
	if r.GetReason() == yardarmv1.ReasonMassDeletion {
		return e.stop(yardarmv1.WhyDeletionAsks, r.GetMessage(), e.accept(), r.GetSince())
	}
	return e.stop(yardarmv1.WhyPolicyDenies, cmp.Or(r.GetMessage(), r.GetReason()), "the policy beside the spoke decides; whoever runs the cluster may change it", r.GetSince())
}

// worst is the first object that has a problem, as in "apps/Deployment prod/web: ImagePullBackOff: no such image"; empty if there is none.
func worst(r *yardarmv1.Report) (string, *timestamppb.Timestamp) {
	if len(r.GetProblems()) == 0 {
		return "", r.GetSince()
	}
	p := r.Problems[0]
	return fmt.Sprintf("%s: %s: %s", p.GetObject(), p.GetReason(), p.GetMessage()), cmp.Or(p.GetSince(), r.GetSince())
}
