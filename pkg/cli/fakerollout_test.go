package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// rolloutOf is that of web, which has failed at its canary, of db, which is complete, of api, which is held by gates, of shop, which is under way, and of no
// other.
func rolloutOf(name string) (*yardarmv1.Rollout, error) {
	r := &yardarmv1.Rollout{ApiVersion: yardarmv1.APIVersion, Kind: yardarmv1.KindRollout, Metadata: &yardarmv1.ObjectMeta{Name: name},
		Spec: &yardarmv1.RolloutSpec{Bundle: name, Revision: 3, Strategy: &yardarmv1.RolloutStrategy{Stages: []*yardarmv1.Stage{
			{Name: "canary", Clusters: 1, FailureBudget: "0"}, {Name: "rest", FailureBudget: yardarmv1.ShareAll, Approval: yardarmv1.ApprovalBefore}}}}}
	switch name {
	case "db":
		r.Status = &yardarmv1.RolloutStatus{Phase: yardarmv1.RolloutCompleted, Stage: "rest", SettledRevision: 3, Since: ago(time.Hour), Stages: []*yardarmv1.StageStatus{
			{Name: "canary", Clusters: 1, Done: 1, Concurrency: 1}, {Name: "rest", Clusters: 4, Done: 3, Waiting: 1, Away: 1, Concurrency: 1, Approval: "before", Approved: true}},
			Pace:   &yardarmv1.RolloutPace{Clusters: 3, Median: durationpb.New(40 * time.Second), Slowest: durationpb.New(130 * time.Second), SlowestCluster: "eu-1"},
			Away:   &yardarmv1.RolloutNames{Clusters: 1, Names: []string{"us-1"}},
			Late:   &yardarmv1.RolloutNames{Clusters: 9, Names: []string{"eu-2", "eu-3", "eu-4", "eu-5", "eu-6", "eu-7"}},
			Joined: &yardarmv1.RolloutNames{Clusters: 2}, // which the caller may not see
			Clusters: []*yardarmv1.RolloutCluster{
				{Cluster: "us-1", Stage: "rest", State: yardarmv1.MemberWaiting, Revision: 2, FromRevision: 2, GoodRevision: 2, Away: true, Since: ago(3 * time.Hour)}}}
		r.Status.Actions = []*yardarmv1.RolloutAction{{Action: "approve", Actor: "ann", Time: ago(2 * time.Hour), Stage: "rest", Message: "looks good"}}
	case "web":
		r.Status = &yardarmv1.RolloutStatus{Phase: yardarmv1.RolloutRolledBack, Stage: "canary", SettledRevision: 2, Since: ago(time.Minute), Origins: []*yardarmv1.RolloutOrigin{{Revision: 2, Clusters: 5}},
			Failure: "stage canary: eu-1 failed, and at most 0 may", Stages: []*yardarmv1.StageStatus{
				{Name: "canary", Clusters: 1, Returned: 1, Concurrency: 1}, {Name: "rest", Clusters: 4, Waiting: 4, Away: 1, Concurrency: 1, Approval: "before"}},
			Clusters: []*yardarmv1.RolloutCluster{
				{Cluster: "us-1", Stage: "rest", State: yardarmv1.MemberWaiting, Revision: 2, FromRevision: 2, GoodRevision: 2, Away: true, Since: ago(5 * time.Minute)},
				{Cluster: "eu-1", Stage: "canary", State: yardarmv1.MemberReturned, Revision: 2, FromRevision: 2, GoodRevision: 2, Since: ago(time.Minute)}}}
	case "shop":
		r.Status = &yardarmv1.RolloutStatus{Phase: yardarmv1.RolloutProgressing, WaitsFor: yardarmv1.RolloutWaitClusters, Stage: "rest", SettledRevision: 1, Since: ago(time.Hour),
			Supersedes: 2, Origins: []*yardarmv1.RolloutOrigin{{Revision: 2, Clusters: 4}, {Revision: 1, Clusters: 26}, {Clusters: 1}},
			Stages: []*yardarmv1.StageStatus{{Name: "canary", Clusters: 1, Done: 1, Concurrency: 1}, {Name: "rest", Clusters: 30, Done: 2, Given: 23, Failed: 2, FailedBefore: 1, Waiting: 3, Concurrency: 25}},
			Pace:   &yardarmv1.RolloutPace{Clusters: 1, Median: durationpb.New(40 * time.Second), Slowest: durationpb.New(40 * time.Second), SlowestCluster: "eu-1"},
			Clusters: []*yardarmv1.RolloutCluster{
				{Cluster: "eu-2", Stage: "rest", State: yardarmv1.MemberFailed, Revision: 3, FromRevision: 2, GoodRevision: 2, FailedBefore: true, Since: ago(time.Hour),
					Reason: yardarmv1.WhyObjectUnhealthy, Message: "apps/Deployment shop/web: ImagePullBackOff: no such image: " + strings.Repeat("registry.example.com/", 8)}}}
		for i := range 23 {
			r.Status.Clusters = append(r.Status.Clusters, &yardarmv1.RolloutCluster{Cluster: fmt.Sprintf("us-%d", i), Stage: "rest", State: yardarmv1.MemberGiven, Revision: 3,
				FromRevision: 2, GoodRevision: 2, Since: ago(time.Duration(10-i%10) * time.Minute), Due: ago(-time.Duration(5+i%10) * time.Minute),
				Reason: yardarmv1.WhyObjectNotReady, Message: "apps/Deployment shop/web: Progressing: 1 of 3 replicas are ready"})
		}
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
	f.mu.Lock()
	cut := f.cut
	f.mu.Unlock()
	f.stream(1)
	defer f.stream(-1)
	before, _ := rolloutOf(req.GetBundle())
	before.Status.Phase, before.Status.WaitsFor, before.Status.Failure = yardarmv1.RolloutProgressing, yardarmv1.RolloutWaitClusters, ""
	before.Status.Stages[0].Done, before.Status.Stages[0].Returned, before.Status.Stages[0].Given = 0, 0, 1
	for _, r := range []*yardarmv1.Rollout{before, before, r} {
		if err := stream.Send(r); err != nil {
			return err
		}
	}
	select {
	case <-stream.Context().Done():
		return nil
	case <-cut:
		return status.Error(codes.Unavailable, "the hub is stopping")
	}
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
