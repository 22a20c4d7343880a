package reconcile

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/spoke/policy"
)

// Reasons of conditions, besides those of phases and of problems.
const (
	reasonApplied        = "ObjectsApplied"
	reasonNothingApplied = "NothingApplied"
	reasonNoDrift        = "NoDrift"
	reasonDrifted        = "Drifted"
	reasonPolicyBroken   = "PolicyFileBroken"
)

// conditions say one by one what a report's phase sums up. They follow from the outcome of the last whole pass, from the
// report's counts and drift, and from all problems, of which the report names only the worst. unjudged objects have still to be
// looked at. Since when they hold is for the reporter to say.
func conditions(o *outcome, r *yardarmv1.Report, problems []problem, unjudged int) []*yardarmv1.Condition {
	all := []*yardarmv1.Condition{{Type: yardarmv1.ConditionApplied}, {Type: yardarmv1.ConditionHealthy}, {Type: yardarmv1.ConditionInSync}}
	all[0].Status, all[0].Reason, all[0].Message = applied(o, r.Objects, problems)
	all[1].Status, all[1].Reason, all[1].Message = healthy(o, r.Objects, problems, unjudged)
	all[2].Status, all[2].Reason, all[2].Message = inSync(o, r, problems)
	return all
}

func applied(o *outcome, n *yardarmv1.ObjectCounts, problems []problem) (status, reason, message string) {
	failed, worst := among(problems, weighsRefused, weighsWaiting, weighsTransient)
	_, blocked := among(problems, weighsKept, weighsPruning)
	switch {
	case o.phase != "" && o.reason == reasonUnavailable:
		return yardarmv1.ConditionUnknown, o.reason, o.message
	case o.phase != "":
		return yardarmv1.ConditionFalse, o.reason, o.message
	case failed > 0:
		return yardarmv1.ConditionFalse, worst.reason, fmt.Sprintf("%d of %d objects are not applied: %s", failed, n.Total, worst)
	case n.Applied < n.Total:
		return yardarmv1.ConditionFalse, reasonApplying, fmt.Sprintf("%d of %d objects are applied", n.Applied, n.Total)
	case blocked != nil:
		return yardarmv1.ConditionFalse, blocked.reason, fmt.Sprintf("%d objects have still to be removed: %s", n.Pruning, blocked)
	case n.Pruning > 0, o.waiting:
		return yardarmv1.ConditionFalse, reasonPruning, "objects that left the bundle have still to be removed, or handed over to another one"
	}
	return yardarmv1.ConditionTrue, reasonApplied, fmt.Sprintf("%d objects are applied", n.Total)
}

func healthy(o *outcome, n *yardarmv1.ObjectCounts, problems []problem, unjudged int) (status, reason, message string) {
	failing, worst := among(problems, weighsFailing)
	late, latest := among(problems, weighsLate)
	unready, first := among(problems, weighsProgress)
	switch {
	case o.phase == yardarmv1.PhaseRemoving:
		return yardarmv1.ConditionUnknown, o.reason, o.message
	case failing > 0:
		return yardarmv1.ConditionFalse, worst.reason, fmt.Sprintf("%d of %d objects are not healthy: %s", failing, n.Total, worst)
	case late > 0:
		return yardarmv1.ConditionFalse, reasonTimeout, fmt.Sprintf("%d of %d objects have not become ready in time: %s", late, n.Total, latest)
	case unready > 0:
		return yardarmv1.ConditionFalse, reasonWaiting, fmt.Sprintf("%d of %d objects are not ready yet: %s", unready, n.Total, first)
	case nothingApplied(o, n):
		return yardarmv1.ConditionUnknown, reasonNothingApplied, nothingYet
	case unjudged > 0:
		return yardarmv1.ConditionUnknown, reasonWaiting, fmt.Sprintf("%d of %d objects have still to be looked at", unjudged, n.Total)
	}
	return yardarmv1.ConditionTrue, reasonReady, fmt.Sprintf("%d objects are ready", n.Ready)
}

func inSync(o *outcome, r *yardarmv1.Report, problems []problem) (status, reason, message string) {
	standing := slices.IndexFunc(r.Drift, func(d *yardarmv1.Drift) bool { return d.Corrected == nil })
	fought := slices.IndexFunc(problems, func(p problem) bool { return p.reason == reasonContended })
	switch {
	case o.phase == yardarmv1.PhaseRemoving:
		return yardarmv1.ConditionUnknown, o.reason, o.message
	case standing >= 0:
		d := r.Drift[standing]
		what := d.Object + " is gone"
		if d.Path != "" {
			what = d.Object + ": " + d.Path
		}
		return yardarmv1.ConditionFalse, cmp.Or(d.Reason, reasonDrifted), "live objects differ from what was applied: " + what
	case fought >= 0:
		return yardarmv1.ConditionFalse, reasonContended, problems[fought].String()
	case r.Objects.GetDrifted() > 0:
		return yardarmv1.ConditionFalse, reasonDrifted, fmt.Sprintf("%d objects differ from what was applied", r.Objects.Drifted)
	case nothingApplied(o, r.Objects):
		return yardarmv1.ConditionUnknown, reasonNothingApplied, nothingYet
	}
	return yardarmv1.ConditionTrue, reasonNoDrift, "no live object differs from what was applied"
}

const nothingYet = "nothing is applied yet"

// nothingApplied tells whether there is nothing that health and drift could be told of. An empty bundle that was applied is not meant.
func nothingApplied(o *outcome, n *yardarmv1.ObjectCounts) bool {
	return n.Applied == 0 && (n.Total > 0 || o.phase != "")
}

// policyCurrent tells each bundle that the cluster's policy is not the one that somebody has written last: what they meant may be to stop it.
func policyCurrent(broken *policy.Broken) []*yardarmv1.Condition {
	if broken == nil {
		return nil
	}
	return []*yardarmv1.Condition{{
		Type: yardarmv1.ConditionPolicyCurrent, Status: yardarmv1.ConditionFalse, Reason: reasonPolicyBroken, Message: broken.String(),
		LastTransitionTime: timestamppb.New(broken.Since),
	}}
}

// among counts the problems that weigh so, and answers the first of them; nil if there is none.
func among(problems []problem, weights ...weight) (n int, first *problem) {
	for i := range problems {
		if !slices.Contains(weights, problems[i].weight) {
			continue
		}
		if n++; n == 1 {
			first = &problems[i]
		}
	}
	return n, first
}

// conditionsWhileApplying are those that were, but for what is under way: of the rest nothing new is known yet.
func (r *reporter) conditionsWhileApplying(message string) []*yardarmv1.Condition {
	all := []*yardarmv1.Condition{{
		Type: yardarmv1.ConditionApplied, Status: yardarmv1.ConditionFalse, Reason: reasonApplying, Message: message,
	}}
	for _, kind := range []string{yardarmv1.ConditionHealthy, yardarmv1.ConditionInSync} {
		c := r.conditions[kind]
		if c == nil {
			c = &yardarmv1.Condition{Type: kind, Status: yardarmv1.ConditionUnknown, Reason: reasonNothingApplied, Message: nothingYet}
		}
		all = append(all, proto.CloneOf(c))
	}
	return all
}

// stamp gives conditions the time of their last change of status, and remembers them. A change of reason or message alone is
// none, as in Kubernetes. One that comes with its time keeps it.
func (r *reporter) stamp(conditions []*yardarmv1.Condition, now time.Time) {
	for _, c := range conditions {
		if c.LastTransitionTime != nil {
			continue
		}
		c.LastTransitionTime = timestamppb.New(now)
		if last := r.conditions[c.Type]; last != nil && last.Status == c.Status {
			c.LastTransitionTime = last.LastTransitionTime
		}
		if r.conditions == nil {
			r.conditions = map[string]*yardarmv1.Condition{}
		}
		r.conditions[c.Type] = c
	}
}
