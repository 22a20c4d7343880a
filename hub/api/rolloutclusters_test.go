package api_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/api"
	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/gateway"
	"github.com/yardarm-dev/yardarm/hub/rollout"
	"github.com/yardarm-dev/yardarm/hub/store"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// underWay has a bundle's latest revision be on its way to a cluster, which is there.
func underWay(t *testing.T, h *apitest.Hub, bundle, clusterUID string) {
	t.Helper()
	h.Present(t, clusterUID, yardarmv1.PresenceConnected)
	h.Update(t, func(tx *store.Tx) error {
		b := tx.BundleByName(bundle)
		revision := b.Status.LatestRevision
		if err := tx.PutRollout(&storev1.Rollout{BundleUid: b.Metadata.Uid, Revision: revision, Chunks: 1, Wait: uint32(rollout.WaitClusters), Begun: timestamppb.Now(),
			Strategy: &yardarmv1.RolloutStrategy{Stages: []*yardarmv1.Stage{{Name: "all"}}}, Stages: []*storev1.RolloutStage{{Name: "all", Concurrency: 1}}}); err != nil {
			return err
		}
		return tx.PutRolloutMembers(b.Metadata.Uid, 0, []store.RolloutMember{{UID: clusterUID, State: uint32(rollout.Given), Runs: revision}})
	})
}

// Of clusters that are on their way it is told what they wait for, to whoever may see that.
func TestRolloutsTellWhatClustersWaitFor(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"))
	berlin := h.Enrolled(t, "berlin", map[string]string{"env": "prod"})
	publish(t, h, "web", "1", "prod")
	underWay(t, h, "web", berlin)
	a := assignment(t, h, "berlin", "web").Spec
	h.Report(t, berlin, &yardarmv1.Report{Bundle: "web", BundleUid: a.BundleUid, AssignmentHash: a.Hash, Revision: 1, Phase: yardarmv1.PhaseProgressing,
		Conditions: []*yardarmv1.Condition{{Type: yardarmv1.ConditionApplied, Status: yardarmv1.ConditionTrue}},
		Problems:   []*yardarmv1.ObjectProblem{{Object: "apps/Deployment prod/web", Reason: "Progressing", Message: "1 of 3 replicas"}}})
	shown := func(c hubv1.FleetServiceClient) *yardarmv1.RolloutCluster {
		t.Helper()
		r := must[*yardarmv1.Rollout](t)(c.GetRollout(t.Context(), &hubv1.GetRolloutRequest{Bundle: "web"}))
		if len(r.Status.Clusters) != 1 {
			t.Fatalf("status %v", r.Status)
		}
		return r.Status.Clusters[0]
	}
	if c := shown(h); c.Cluster != "berlin" || c.Reason != yardarmv1.WhyObjectNotReady || c.Message != "apps/Deployment prod/web: Progressing: 1 of 3 replicas" || c.Due == nil {
		t.Errorf("cluster %v", c)
	}
	watch, err := h.WatchRollout(t.Context(), &hubv1.WatchRolloutRequest{Bundle: "web"})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := watch.Recv(); err != nil || r.Status.Clusters[0].Reason != yardarmv1.WhyObjectNotReady {
		t.Errorf("%v: %v", r, err)
	}
	apply(t, h, &hubv1.Resource{Resource: &hubv1.Resource_Role{Role: &yardarmv1.Role{Metadata: &yardarmv1.ObjectMeta{Name: "outline"}, Spec: &yardarmv1.RoleSpec{
		Rules: []*yardarmv1.Rule{{Verbs: []string{yardarmv1.VerbGet}, Resources: []string{yardarmv1.ResourceBundles, yardarmv1.ResourceClusters, yardarmv1.ResourceRollouts}}}}}}})
	outline := h.As(t, h.Issue(t, "outline", time.Time{}))
	bind(t, h, "outline", "outline", nil, nil)
	if c := shown(outline); c.Cluster != "berlin" || c.Reason != "" || c.Message != "" {
		t.Errorf("whoever may see no assignment sees %v", c)
	}
}

// Whoever publishes while a revision is under way is told that theirs takes over.
func TestPublishingTellsOfTakingOver(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"))
	berlin := h.Enrolled(t, "berlin", map[string]string{"env": "prod"})
	publish(t, h, "web", "1", "prod")
	underWay(t, h, "web", berlin)
	send := func(value string, dryRun bool) string {
		t.Helper()
		resp := must[*hubv1.PublishRevisionResponse](t)(h.Publish(t.Context(), &hubv1.Publication{Bundle: "web", DryRun: dryRun}, apitest.ConfigMap("", "web", value)))
		return strings.Join(resp.Warnings, "\n")
	}
	const words = "revision 1 was still under way: revision 2 takes over"
	for i, got := range []string{send("1", false), send("2", true), send("2", false), send("3", false)} {
		if told := strings.Contains(got, words); told != (i == 1 || i == 2) {
			t.Errorf("call %d warns of %q", i, got)
		}
	}
	h.Update(t, func(tx *store.Tx) error {
		row := proto.CloneOf(tx.Rollout(tx.BundleByName("web").Metadata.Uid))
		row.Supersedes = 2
		return tx.PutRollout(row)
	})
	if got := send("3", false); got != "" {
		t.Errorf("a call that publishes nothing warns of %q", got)
	}
}

// A watch of a rollout that rests says the same again, so nobody on its way takes it for dead.
func TestRolloutWatchBeats(t *testing.T) {
	h := apitest.Start(t, func(c *api.Config, _ *gateway.Config) { c.Heartbeat = time.Millisecond })
	apply(t, h, group("prod", "env=prod"))
	publish(t, h, "web", "1", "prod")
	watch := must[grpc.ServerStreamingClient[yardarmv1.Rollout]](t)(h.WatchRollout(t.Context(), &hubv1.WatchRolloutRequest{Bundle: "web"}))
	first := must[*yardarmv1.Rollout](t)(watch.Recv())
	for range 3 {
		if again := must[*yardarmv1.Rollout](t)(watch.Recv()); !proto.Equal(again, first) {
			t.Errorf("got %v after %v", again, first)
		}
	}
}
