package api_test

import (
	"bytes"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestReconcile(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"), group("none", "env=none"))
	berlin := h.Enrolled(t, "berlin", map[string]string{"env": "prod"})
	h.Enrolled(t, "paris", map[string]string{"env": "prod"})
	h.Enrolled(t, "rome", nil)
	web := publish(t, h, "web", "1", "prod")
	publish(t, h, "api", "1", "prod")
	publish(t, h, "idle", "1", "none")
	apply(t, h, bundle("draft", "prod"))
	h.Present(t, berlin, yardarmv1.PresenceConnected)
	h.Report(t, berlin, &yardarmv1.Report{Bundle: "web", BundleUid: web.Revision.Spec.BundleUid, Phase: yardarmv1.PhaseReady, AssignmentHash: assignment(t, h, "berlin", "web").Spec.Hash})

	reconcile := func(cluster, bundle string) (*hubv1.ReconcileResponse, error) {
		return h.Reconcile(t.Context(), &hubv1.ReconcileRequest{Cluster: cluster, Bundle: bundle})
	}
	all := func() map[string][]byte {
		hashes := map[string][]byte{}
		for _, a := range assignments(t, h, &hubv1.ListAssignmentsRequest{}).Assignments {
			hashes[a.Metadata.Name] = a.Spec.Hash
		}
		return hashes
	}
	for _, tc := range []struct {
		cluster, bundle string
		want            []string
	}{
		{"", "web", []string{"berlin.web", "paris.web"}},
		{"berlin", "web", []string{"berlin.web"}},
		{"paris", "", []string{"paris.api", "paris.web"}}, // a bundle without a revision is nothing to reconcile
		{"", "web", []string{"berlin.web", "paris.web"}},
	} {
		before := all()
		resp := must[*hubv1.ReconcileResponse](t)(reconcile(tc.cluster, tc.bundle))
		if !slices.Equal(resp.Assignments, tc.want) {
			t.Errorf("cluster %q, bundle %q: %q, want %q", tc.cluster, tc.bundle, resp.Assignments, tc.want)
		}
		for name, hash := range all() {
			if asked := slices.Contains(tc.want, name); bytes.Equal(before[name], hash) == asked {
				t.Errorf("cluster %q, bundle %q: %s is another assignment: %v", tc.cluster, tc.bundle, name, !asked)
			}
		}
	}
	if n := assignment(t, h, "berlin", "web").Spec.Reconcile; n != 3 {
		t.Errorf("berlin.web was asked for %d times, want 3", n)
	}
	// What the spoke said before is not about the request.
	if a := assignment(t, h, "berlin", "web"); a.Status.Phase != yardarmv1.PhasePending || a.Spec.Revision != 1 {
		t.Errorf("assignment %v", a.Status)
	}
	story := must[[]*hubv1.WatchEventsResponse](t)(events(t, h))
	if last := story[len(story)-1].Event; last.Reason != "ReconcileRequested" || last.Bundle != "web" || last.Cluster != "" || last.Actor == "" {
		t.Errorf("event %v", last)
	}

	for _, tc := range []struct {
		name, cluster, bundle string
		code                  codes.Code
		words                 []string
	}{
		{"nothing", "", "", codes.InvalidArgument, []string{"cluster", "bundle"}},
		{"no such cluster", "nowhere", "", codes.NotFound, []string{"nowhere"}},
		{"no such bundle", "", "nothing", codes.NotFound, []string{"nothing"}},
		{"no such cluster for the bundle", "nowhere", "web", codes.NotFound, []string{"nowhere"}},
		{"no such bundle in the cluster", "berlin", "nothing", codes.NotFound, []string{"nothing"}},
		{"not to run it", "rome", "web", codes.NotFound, []string{"rome.web", "not to run"}},
		{"no revision yet", "berlin", "draft", codes.NotFound, []string{"berlin.draft"}},
		{"runs nothing", "rome", "", codes.FailedPrecondition, []string{"no bundle"}},
		{"runs nowhere", "", "idle", codes.FailedPrecondition, []string{"no cluster"}},
		{"runs nowhere yet", "", "draft", codes.FailedPrecondition, []string{"no cluster"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := reconcile(tc.cluster, tc.bundle)
			refused(t, err, tc.code, tc.words...)
		})
	}
	must[any](t)(h.DeleteCluster(t.Context(), &hubv1.DeleteClusterRequest{Name: "berlin", Workloads: yardarmv1.Workloads_WORKLOADS_REMOVE}))
	_, err := reconcile("berlin", "web")
	refused(t, err, codes.NotFound, "berlin.web")
}

func TestWatchTellsOfReconciling(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"))
	uid := h.Enrolled(t, "berlin", map[string]string{"env": "prod"})
	h.Present(t, uid, yardarmv1.PresenceConnected)
	web := publish(t, h, "web", "1", "prod")
	h.Report(t, uid, &yardarmv1.Report{Bundle: "web", BundleUid: web.Revision.Spec.BundleUid, Phase: yardarmv1.PhaseReady, AssignmentHash: assignment(t, h, "berlin", "web").Spec.Hash})
	assignments := watch(t, h, &hubv1.WatchRequest{Kind: "Assignment", Bundle: "web"})
	assignments.expect("ADDED berlin.web", "BOOKMARK")
	bundles := watch(t, h, &hubv1.WatchRequest{Kind: "Bundle", Name: "web"})
	bundles.expect("ADDED web", "BOOKMARK")
	must[any](t)(h.Reconcile(t.Context(), &hubv1.ReconcileRequest{Bundle: "web"}))
	if m := assignments.expect("MODIFIED berlin.web"); m.GetAssignment().Spec.Reconcile != 1 {
		t.Errorf("assignment %v", m)
	}
	if m := bundles.expect("MODIFIED web"); m.GetBundle().Status.Clusters.Pending != 1 {
		t.Errorf("bundle %v", m)
	}
	must[any](t)(h.Reconcile(t.Context(), &hubv1.ReconcileRequest{Cluster: "berlin"}))
	if m := assignments.expect("MODIFIED berlin.web"); m.GetAssignment().Spec.Reconcile != 2 {
		t.Errorf("assignment %v", m)
	}
}
