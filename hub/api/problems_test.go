package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/store"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// failingFleet has 20 clusters that run web and api. In the four whose provider is aws, web's image cannot be pulled; one of these is stale since.
func failingFleet(t *testing.T) *apitest.Hub {
	h := apitest.Start(t)
	apply(t, h, group("all", ""), group("aws", "cloud=aws"))
	uids := make([]string, 20)
	for i := range uids {
		cloud := "gcp"
		if i < 4 {
			cloud = "aws"
		}
		uids[i] = h.Enrolled(t, fmt.Sprintf("c%02d", i), map[string]string{"cloud": cloud, "name": fmt.Sprint(i)})
		h.Present(t, uids[i], yardarmv1.PresenceConnected)
	}
	for _, name := range []string{"web", "api"} {
		bundle := publish(t, h, name, "1", "all").Revision.Spec.BundleUid
		for i, uid := range uids {
			cluster := fmt.Sprintf("c%02d", i)
			r := &yardarmv1.Report{Bundle: name, BundleUid: bundle, Phase: yardarmv1.PhaseReady, Revision: 1, AssignmentHash: assignment(t, h, cluster, name).Spec.Hash}
			if name == "web" && i < 4 {
				r.Phase, r.Reason, r.Message = yardarmv1.PhaseDegraded, "Unhealthy", "1 of 1 objects is not healthy"
				r.Problems = []*yardarmv1.ObjectProblem{{Object: "apps/Deployment prod/web", Reason: "ImagePullBackOff",
					Message: fmt.Sprintf("pod web-7d9f8b6c5-x2k4%d of %s cannot pull", i+2, cluster), Since: timestamppb.New(time.Unix(int64(1000-i), 0))}}
			}
			h.Report(t, uid, r)
		}
	}
	h.Observe(t, func(tx *store.Tx) error {
		return tx.PutPresence(&store.Presence{ClusterUID: uids[3], State: yardarmv1.PresenceStale, LastSeen: time.Unix(2000, 0), Since: time.Unix(2000, 0)})
	})
	return h
}

func TestListProblems(t *testing.T) {
	h := failingFleet(t)
	got := must[*hubv1.ListProblemsResponse](t)(h.ListProblems(t.Context(), &hubv1.ListProblemsRequest{Examples: 2}))
	if got.TotalSize != 1 || got.Clusters != 20 || got.FailingClusters != 3 {
		t.Fatalf("got %v", got)
	}
	p := got.Problems[0]
	if p.Phase != "Degraded" || p.Reason != "ImagePullBackOff" || p.Kind != "apps/Deployment" || p.Message != "pod <name> of <name> cannot pull" ||
		p.Clusters != 3 || p.Since.GetSeconds() != 997 || strings.Join(p.Bundles, " ") != "web" {
		t.Errorf("problem %v", p)
	}
	if p.UnheardClusters != 1 || p.UnheardSince.GetSeconds() != 2000 {
		t.Errorf("a stale cluster counts as %d unheard since %s", p.UnheardClusters, p.UnheardSince)
	}
	if len(p.Examples) != 2 || p.Examples[0].Cluster != "c00" || p.Examples[0].Object != "apps/Deployment prod/web" || p.Examples[0].Message != "pod web-7d9f8b6c5-x2k42 of c00 cannot pull" {
		t.Errorf("examples %v", p.Examples)
	}
	if len(p.Shared) != 1 || p.Shared[0].Key != "cloud" || p.Shared[0].Value != "aws" || p.Shared[0].Failing != 3 || p.Shared[0].FailingTotal != 3 || p.Shared[0].Others != 0 || p.Shared[0].OthersTotal != 16 {
		t.Errorf("shared %v", p.Shared)
	}
	// The stale one is an example as of when it was heard.
	got = must[*hubv1.ListProblemsResponse](t)(h.ListProblems(t.Context(), &hubv1.ListProblemsRequest{Cluster: "c03"}))
	if p := got.Problems[0]; p.Clusters != 0 || p.UnheardClusters != 1 || p.Examples[0].AsOf.GetSeconds() != 2000 || got.FailingClusters != 0 {
		t.Errorf("of c03: %v", got)
	}
	for _, req := range []*hubv1.ListProblemsRequest{{Bundle: "api"}, {Filter: "cloud=gcp"}, {Cluster: "c09"}} {
		if got := must[*hubv1.ListProblemsResponse](t)(h.ListProblems(t.Context(), req)); len(got.Problems) != 0 || got.Clusters == 0 {
			t.Errorf("%v: %v", req, got)
		}
	}
}

// TestListProblemsShowsWhatMayBeSeen: counts, examples and what is shared are of clusters and bundles that the caller may see.
func TestListProblemsShowsWhatMayBeSeen(t *testing.T) {
	h := failingFleet(t)
	// c00 fails with the others, and is none of the group's.
	must[any](t)(h.LabelCluster(t.Context(), &hubv1.LabelClusterRequest{Name: "c00", Set: map[string]string{"cloud": "gcp"}, Overwrite: true}))
	as := func(name string, spec *yardarmv1.RoleBindingSpec) hubv1.FleetServiceClient {
		token := h.Issue(t, name, time.Time{})
		spec.Role, spec.Subjects = "viewer", []*yardarmv1.Subject{{Kind: yardarmv1.SubjectToken, Name: name}}
		apply(t, h, &hubv1.Resource{Resource: &hubv1.Resource_RoleBinding{RoleBinding: &yardarmv1.RoleBinding{Metadata: &yardarmv1.ObjectMeta{Name: name}, Spec: spec}}})
		return h.As(t, token)
	}
	aws := as("aws", &yardarmv1.RoleBindingSpec{ClusterGroups: &yardarmv1.Scope{Names: []string{"aws"}}})
	got := must[*hubv1.ListProblemsResponse](t)(aws.ListProblems(t.Context(), &hubv1.ListProblemsRequest{}))
	if got.Clusters != 3 || got.FailingClusters != 2 || len(got.Problems) != 1 || got.Problems[0].Examples[0].Cluster != "c01" || got.Problems[0].Shared != nil {
		t.Errorf("in group aws: %v", got)
	}
	api := as("api", &yardarmv1.RoleBindingSpec{Bundles: &yardarmv1.Scope{Names: []string{"api"}}})
	if got := must[*hubv1.ListProblemsResponse](t)(api.ListProblems(t.Context(), &hubv1.ListProblemsRequest{})); len(got.Problems) != 0 {
		t.Errorf("of bundle api: %v", got)
	}
	_, err := api.ListProblems(t.Context(), &hubv1.ListProblemsRequest{Bundle: "web"})
	refused(t, err, codes.NotFound, "web")
}

func TestListProblemsRefusals(t *testing.T) {
	h := apitest.Start(t)
	for field, req := range map[string]*hubv1.ListProblemsRequest{
		"filter": {Filter: "(a"}, "limit": {Limit: 1001}, "examples": {Examples: 101},
	} {
		_, err := h.ListProblems(t.Context(), req)
		refused(t, err, codes.InvalidArgument, field)
	}
	for name, req := range map[string]*hubv1.ListProblemsRequest{"nope": {Cluster: "nope"}, "none": {Bundle: "none"}} {
		_, err := h.ListProblems(t.Context(), req)
		refused(t, err, codes.NotFound, name)
	}
}

// BenchmarkListProblems asks a hub of 10,000 clusters with ten bundles each, of which 1,000 fail.
func BenchmarkListProblems(b *testing.B) {
	const clusters, bundles = 10_000, 10
	h := apitest.Start(b)
	h.Update(b, func(tx *store.Tx) error {
		for i := range clusters {
			uid := fmt.Sprintf("c%05d", i)
			c := &yardarmv1.Cluster{Metadata: &yardarmv1.ObjectMeta{Name: uid, Uid: uid, Labels: map[string]string{"env": "prod", "n": fmt.Sprint(i % 10), "name": uid}}}
			if err := tx.PutCluster(c); err != nil {
				return err
			}
			if err := tx.PutPresence(&store.Presence{ClusterUID: uid, State: yardarmv1.PresenceConnected, Confirmed: true}); err != nil {
				return err
			}
		}
		return nil
	})
	if _, err := h.Apply(b.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{group("prod", "env=prod")}}); err != nil {
		b.Fatal(err)
	}
	for j := range bundles {
		name := fmt.Sprintf("b%02d", j)
		if _, err := h.Publish(b.Context(), &hubv1.Publication{Bundle: name, Groups: []string{"prod"}}, apitest.ConfigMap("", name, "1")); err != nil {
			b.Fatal(err)
		}
		a, err := h.GetAssignment(b.Context(), &hubv1.GetAssignmentRequest{Cluster: "c00000", Bundle: name})
		if err != nil {
			b.Fatal(err)
		}
		h.Observe(b, func(tx *store.Tx) error {
			for i := range clusters {
				r := &yardarmv1.Report{Bundle: name, BundleUid: a.Spec.BundleUid, Phase: yardarmv1.PhaseReady, AssignmentHash: a.Spec.Hash}
				if i%10 == 3 && i/10%bundles == j {
					r.Phase = yardarmv1.PhaseFailed
					r.Problems = []*yardarmv1.ObjectProblem{{Object: "apps/Deployment prod/web", Reason: fmt.Sprint("Reason", i/10%20),
						Message: fmt.Sprintf("Back-off restarting failed container web in pod web-7d9f8b6c5-x2k4q(%08x-0a4d-4c6b-9e1f-5a7d8e9f0a1b)", i)}}
				}
				if err := tx.PutObservedBundle(&storev1.ObservedBundle{ClusterUid: fmt.Sprintf("c%05d", i), Received: timestamppb.Now(), Report: r}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	ask := func() *hubv1.ListProblemsResponse {
		got, err := h.ListProblems(b.Context(), &hubv1.ListProblemsRequest{})
		if err != nil {
			b.Fatal(err)
		}
		return got
	}
	if got := ask(); got.FailingClusters != 1000 || got.TotalSize != 20 || len(got.Problems[0].Shared) == 0 {
		b.Fatal(got)
	}
	for b.Loop() {
		ask()
	}
}
