// Package played has the words of a cluster that is only played: those that a spoke has (spoke/reconcile) for what a real one is doing.
package played

import (
	"fmt"

	"google.golang.org/protobuf/types/known/timestamppb"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Ready has a report say that all objects of a bundle are applied and ready since a time, and that none has differed from what was applied since another.
func Ready(r *yardarmv1.Report, objects uint32, since, inSync *timestamppb.Timestamp) *yardarmv1.Report {
	r.Phase, r.Reason, r.Message, r.Since = yardarmv1.PhaseReady, "ObjectsReady", fmt.Sprintf("%d objects are applied and ready", objects), since
	r.Objects = &yardarmv1.ObjectCounts{Total: objects, Applied: objects, Ready: objects}
	holds := func(of, reason, message string, since *timestamppb.Timestamp) *yardarmv1.Condition {
		return &yardarmv1.Condition{Type: of, Status: yardarmv1.ConditionTrue, Reason: reason, Message: message, LastTransitionTime: since}
	}
	r.Conditions = []*yardarmv1.Condition{
		holds(yardarmv1.ConditionApplied, "ObjectsApplied", fmt.Sprintf("%d objects are applied", objects), since),
		holds(yardarmv1.ConditionHealthy, "ObjectsReady", fmt.Sprintf("%d objects are ready", objects), since),
		holds(yardarmv1.ConditionInSync, "NoDrift", "no live object differs from what was applied", inSync),
	}
	return r
}
