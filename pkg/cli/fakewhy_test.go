package cli

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// GetExplanation explains what the clusters of the example are, with steps as a hub has them.
func (f *fleet) GetExplanation(_ context.Context, req *hubv1.GetExplanationRequest) (*yardarmv1.Explanation, error) {
	step := func(name, message string, at *timestamppb.Timestamp) *yardarmv1.ExplanationStep {
		return &yardarmv1.ExplanationStep{Name: name, Done: true, Message: message, Time: at}
	}
	x := &yardarmv1.Explanation{Cluster: req.GetCluster(), Bundle: req.GetBundle(), Revision: 3, Reason: yardarmv1.WhyReady, Answer: "it is at revision 3 and ready",
		Steps: []*yardarmv1.ExplanationStep{
			step(yardarmv1.StepMatched, `group "prod" has the cluster, by env=prod`, nil), step(yardarmv1.StepAllowed, "nothing holds the revision back", nil),
			step(yardarmv1.StepAssigned, "revision 3, assignment 1a2b3c4d", ago(time.Hour)), step(yardarmv1.StepSent, "to the spoke", ago(time.Hour)),
			step(yardarmv1.StepPersisted, "by the spoke", ago(59*time.Minute)), step(yardarmv1.StepApplied, "7 objects", ago(58*time.Minute)),
			step(yardarmv1.StepReady, "every object is ready", ago(57*time.Minute)),
		}}
	stop := func(at int, reason, answer, remedy string, since *timestamppb.Timestamp) {
		for i := at; i < len(x.Steps); i++ {
			x.Steps[i] = &yardarmv1.ExplanationStep{Name: x.Steps[i].Name}
		}
		x.Steps[at].Reason, x.Steps[at].Message, x.Steps[at].Time = reason, answer, since
		x.Reason, x.Answer, x.Remedy = reason, answer, remedy
	}
	switch req.GetCluster() {
	case "eu-1":
	case "eu-2":
		stop(5, yardarmv1.WhyApplyFailed, "apps/Deployment prod/web: Invalid: \x1b[31mno such field", "put it right and publish again, or go back: yardarm rollout undo bundle/web", ago(2*time.Minute))
	case "lab-1":
		x.Revision = 0
		stop(0, yardarmv1.WhyNotSelected, `no group that the bundle targets has the cluster: group "prod" asks for env=prod, and the cluster has env=lab`,
			"if it is to have the bundle, label it: yardarm label cluster lab-1 KEY=VALUE", nil)
	default:
		return nil, status.Errorf(codes.NotFound, "there is no cluster %q", req.GetCluster())
	}
	return x, nil
}
