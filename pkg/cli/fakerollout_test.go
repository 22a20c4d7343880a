package cli

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// rolloutOf is that of web, which has failed at its canary, of db, which is complete, of api, which is held by gates, and of no other.
func rolloutOf(name string) (*yardarmv1.Rollout, error) {
	r := &yardarmv1.Rollout{ApiVersion: yardarmv1.APIVersion, Kind: yardarmv1.KindRollout, Metadata: &yardarmv1.ObjectMeta{Name: name},
		Spec: &yardarmv1.RolloutSpec{Bundle: name, Revision: 3, Strategy: &yardarmv1.RolloutStrategy{Stages: []*yardarmv1.Stage{
			{Name: "canary", Clusters: 1, FailureBudget: "0"}, {Name: "rest", FailureBudget: yardarmv1.ShareAll, Approval: yardarmv1.ApprovalBefore}}}}}
	switch name {
	case "db":
		r.Status = &yardarmv1.RolloutStatus{Phase: yardarmv1.RolloutCompleted, Stage: "rest", SettledRevision: 3, Since: ago(time.Hour), Stages: []*yardarmv1.StageStatus{
			{Name: "canary", Clusters: 1, Done: 1, Concurrency: 1}, {Name: "rest", Clusters: 4, Done: 3, Waiting: 1, Away: 1, Concurrency: 1, Approval: "before", Approved: true}}}
		r.Status.Actions = []*yardarmv1.RolloutAction{{Action: "approve", Actor: "ann", Time: ago(2 * time.Hour), Stage: "rest", Message: "looks good"}}
	case "web":
		r.Status = &yardarmv1.RolloutStatus{Phase: yardarmv1.RolloutRolledBack, Stage: "canary", SettledRevision: 2, Since: ago(time.Minute),
			Failure: "stage canary: eu-1 failed, and at most 0 may", Stages: []*yardarmv1.StageStatus{
				{Name: "canary", Clusters: 1, Returned: 1, Concurrency: 1}, {Name: "rest", Clusters: 4, Waiting: 4, Away: 1, Concurrency: 1, Approval: "before"}},
			Clusters: []*yardarmv1.RolloutCluster{
				{Cluster: "eu-1", Stage: "canary", State: yardarmv1.MemberReturned, Revision: 2, FromRevision: 2, GoodRevision: 2},
				{Cluster: "us-1", Stage: "rest", State: yardarmv1.MemberWaiting, Revision: 2, FromRevision: 2, GoodRevision: 2, Away: true}}}
	case "api":
		r.Status = &yardarmv1.RolloutStatus{Phase: yardarmv1.RolloutProgressing, WaitsFor: yardarmv1.RolloutWaitGate, Stage: "canary", SettledRevision: 2, Since: ago(time.Minute),
			Stages: []*yardarmv1.StageStatus{{Name: "canary", Clusters: 1, Waiting: 1, Concurrency: 1}, {Name: "rest", Clusters: 4, Waiting: 4, Concurrency: 1}},
			Gates: []*yardarmv1.RolloutGate{{Gate: "nightly", Type: "window", Clusters: 1, Actor: "ann", Opens: ago(-2 * time.Hour)},
				{Gate: "friday", Type: "freeze", Clusters: 1, Actor: "bob", Reason: "nobody is here"}}, GatesOverridden: true}
	default:
		return nil, status.Errorf(codes.NotFound, "there is no rollout %q", name)
	}
	return r, nil
}

func (f *fleet) GetRollout(_ context.Context, req *hubv1.GetRolloutRequest) (*yardarmv1.Rollout, error) {
	return rolloutOf(req.GetBundle())
}

// WatchRollout tells first that it is under way, and then how it has ended.
func (f *fleet) WatchRollout(req *hubv1.WatchRolloutRequest, stream grpc.ServerStreamingServer[yardarmv1.Rollout]) error {
	r, err := rolloutOf(req.GetBundle())
	if err != nil {
		return err
	}
	before, _ := rolloutOf(req.GetBundle())
	before.Status.Phase, before.Status.WaitsFor, before.Status.Failure = yardarmv1.RolloutProgressing, yardarmv1.RolloutWaitClusters, ""
	before.Status.Stages[0].Done, before.Status.Stages[0].Returned, before.Status.Stages[0].Given = 0, 0, 1
	for _, r := range []*yardarmv1.Rollout{before, before, r} {
		if err := stream.Send(r); err != nil {
			return err
		}
	}
	<-stream.Context().Done()
	return nil
}

func (f *fleet) steered(req *hubv1.SteerRolloutRequest) (*yardarmv1.Rollout, error) {
	f.note(req)
	return rolloutOf(req.GetBundle())
}

func (f *fleet) PauseRollout(_ context.Context, req *hubv1.SteerRolloutRequest) (*yardarmv1.Rollout, error) {
	return f.steered(req)
}

func (f *fleet) ResumeRollout(_ context.Context, req *hubv1.SteerRolloutRequest) (*yardarmv1.Rollout, error) {
	return f.steered(req)
}

func (f *fleet) ApproveRollout(_ context.Context, req *hubv1.SteerRolloutRequest) (*yardarmv1.Rollout, error) {
	return f.steered(req)
}

func (f *fleet) PromoteRollout(_ context.Context, req *hubv1.SteerRolloutRequest) (*yardarmv1.Rollout, error) {
	return f.steered(req)
}

func (f *fleet) RetryRollout(_ context.Context, req *hubv1.SteerRolloutRequest) (*yardarmv1.Rollout, error) {
	return f.steered(req)
}
