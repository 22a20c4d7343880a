package api_test

import (
	"slices"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func assignment(t *testing.T, h *apitest.Hub, cluster, bundle string) *yardarmv1.Assignment {
	t.Helper()
	return must[*yardarmv1.Assignment](t)(h.GetAssignment(t.Context(), &hubv1.GetAssignmentRequest{Cluster: cluster, Bundle: bundle}))
}

func assignments(t *testing.T, h *apitest.Hub, req *hubv1.ListAssignmentsRequest) *hubv1.ListAssignmentsResponse {
	t.Helper()
	return must[*hubv1.ListAssignmentsResponse](t)(h.ListAssignments(t.Context(), req))
}

func TestAssignmentsAreDerivedAndPaged(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"), group("eu", "region=eu"), bundle("none", "prod"))
	h.Enrolled(t, "berlin", map[string]string{"env": "prod", "region": "eu"})
	h.Enrolled(t, "berlin-2", map[string]string{"env": "prod"})
	web := publish(t, h, "web", "1", "prod", "eu")
	publish(t, h, "api", "1", "prod")
	all := assignments(t, h, &hubv1.ListAssignmentsRequest{})
	if got, want := names(all.Assignments), "berlin.api berlin.web berlin-2.api berlin-2.web"; got != want || all.TotalSize != 4 {
		t.Fatalf("assignments %q, want %q", got, want)
	}
	a := all.Assignments[1]
	if a.Spec.Cluster != "berlin" || a.Spec.Revision != 1 || a.Spec.Digest != web.Revision.Spec.Digest || len(a.Spec.Hash) == 0 ||
		a.Status.Phase != yardarmv1.PhaseNeverConnected || a.ApiVersion == "" || a.Kind != yardarmv1.KindAssignment || a.Metadata.Uid == "" {
		t.Errorf("assignment %v", a)
	}
	if got := all.Assignments[3].Spec.Cluster; got != "berlin-2" {
		t.Errorf("an assignment names cluster %q, want its own", got)
	}
	var paged []*yardarmv1.Assignment
	for token := ""; ; {
		p := assignments(t, h, &hubv1.ListAssignmentsRequest{PageSize: 3, PageToken: token})
		paged = append(paged, p.Assignments...)
		if token = p.NextPageToken; token == "" {
			break
		}
	}
	if names(paged) != names(all.Assignments) {
		t.Errorf("paged %q", names(paged))
	}
	if got := names(assignments(t, h, &hubv1.ListAssignmentsRequest{Bundle: "web"}).Assignments); got != "berlin.web berlin-2.web" {
		t.Errorf("of a bundle %q", got)
	}
	if got := names(assignments(t, h, &hubv1.ListAssignmentsRequest{Cluster: "berlin-2"}).Assignments); got != "berlin-2.api berlin-2.web" {
		t.Errorf("of a cluster %q", got)
	}
	if got := assignments(t, h, &hubv1.ListAssignmentsRequest{Bundle: "none"}); got.TotalSize != 0 {
		t.Errorf("a bundle without revision has %d assignments", got.TotalSize)
	}
	_, err := h.ListAssignments(t.Context(), &hubv1.ListAssignmentsRequest{Cluster: "nowhere"})
	refused(t, err, codes.NotFound, `cluster "nowhere"`)
	_, err = h.ListAssignments(t.Context(), &hubv1.ListAssignmentsRequest{Bundle: "nothing"})
	refused(t, err, codes.NotFound, `bundle "nothing"`)

	for _, tc := range []struct{ cluster, bundle, word string }{
		{"nowhere", "web", "nowhere"}, {"berlin", "nothing", "nothing"}, {"berlin", "none", "no revision"},
	} {
		_, err := h.GetAssignment(t.Context(), &hubv1.GetAssignmentRequest{Cluster: tc.cluster, Bundle: tc.bundle})
		refused(t, err, codes.NotFound, tc.word)
	}
	h.Enrolled(t, "rome", nil)
	_, err = h.GetAssignment(t.Context(), &hubv1.GetAssignmentRequest{Cluster: "rome", Bundle: "web"})
	refused(t, err, codes.NotFound, "no group")
}

func TestWhatIsStillThereIsShown(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"))
	uid := h.Enrolled(t, "berlin", map[string]string{"env": "prod"})
	h.Present(t, uid, yardarmv1.PresenceConnected)
	web := publish(t, h, "web", "1", "prod")
	ready := func() {
		t.Helper()
		h.Report(t, uid, &yardarmv1.Report{Bundle: "web", BundleUid: web.Revision.Spec.BundleUid, Phase: yardarmv1.PhaseReady, Revision: 1,
			Digest: web.Revision.Spec.Digest, AssignmentHash: assignment(t, h, "berlin", "web").Spec.Hash})
	}
	ready()
	if a := assignment(t, h, "berlin", "web"); a.Status.Phase != yardarmv1.PhaseReady {
		t.Fatalf("assignment %v", a)
	}
	apply(t, h, bundle("web"))
	a := assignment(t, h, "berlin", "web")
	if a.Status.Phase != yardarmv1.PhaseRemoving || a.Status.Reason != yardarmv1.ReasonNoLongerTargeted || a.Spec.Revision != 1 {
		t.Errorf("no longer targeted: %v", a)
	}
	b := must[*yardarmv1.Bundle](t)(h.GetBundle(t.Context(), &hubv1.GetBundleRequest{Name: "web"}))
	if b.Status.Clusters.Total != 1 || b.Status.Clusters.Ready != 0 {
		t.Errorf("counts %v", b.Status.Clusters)
	}
	must[any](t)(h.DeleteBundle(t.Context(), &hubv1.DeleteBundleRequest{Name: "web", Workloads: yardarmv1.Workloads_WORKLOADS_REMOVE}))
	if a = assignment(t, h, "berlin", "web"); a.Status.Reason != yardarmv1.ReasonBundleDeleted {
		t.Errorf("deleted: %v", a)
	}
	// Something of which the hub knows nothing is no removal.
	h.Report(t, uid, &yardarmv1.Report{Bundle: "ghost", BundleUid: "lost", Phase: yardarmv1.PhaseReady, Revision: 4})
	if a = assignment(t, h, "berlin", "ghost"); a.Status.Phase != yardarmv1.PhaseHeld || a.Status.Reason != yardarmv1.ReasonUnknownToHub {
		t.Errorf("unknown to the hub: %v", a)
	}
	if got := names(assignments(t, h, &hubv1.ListAssignmentsRequest{}).Assignments); got != "berlin.ghost berlin.web" {
		t.Errorf("assignments %q", got)
	}
	// A bundle made again takes the name; what the old one left is told beside it.
	publish(t, h, "web", "2", "prod")
	if a = assignment(t, h, "berlin", "web"); a.Spec.Revision != 1 || a.Status.Phase != yardarmv1.PhasePending || a.Status.Message == "" {
		t.Errorf("made again: %v", a)
	}
	if c := getCluster(t, h, "berlin"); c.Status.Bundles.Total != 2 || c.Status.Bundles.Held != 1 {
		t.Errorf("counts %v", c.Status.Bundles)
	}
	must[any](t)(h.DeleteCluster(t.Context(), &hubv1.DeleteClusterRequest{Name: "berlin", Workloads: yardarmv1.Workloads_WORKLOADS_REMOVE}))
	if a = assignment(t, h, "berlin", "ghost"); a.Status.Reason != yardarmv1.ReasonClusterDeleted {
		t.Errorf("in a cluster that is being deleted: %v", a)
	}
}

func TestAcceptIsBoundToWhatIsHeld(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"))
	h.Enrolled(t, "aachen", map[string]string{"env": "prod"})
	berlin := h.Enrolled(t, "berlin", map[string]string{"env": "prod"})
	paris := h.Enrolled(t, "paris", map[string]string{"env": "prod"})
	one := publish(t, h, "web", "1", "prod")
	two := publish(t, h, "web", "2", "prod")
	uid := one.Revision.Spec.BundleUid
	accept := func(cluster, bundle string) (*hubv1.AcceptResponse, error) {
		return h.Accept(t.Context(), &hubv1.AcceptRequest{Cluster: cluster, Bundle: bundle})
	}
	_, err := accept("", "")
	refused(t, err, codes.InvalidArgument, "cluster", "bundle")
	_, err = accept("nowhere", "")
	refused(t, err, codes.NotFound, "nowhere")
	h.Report(t, berlin, &yardarmv1.Report{Bundle: "web", BundleUid: uid, Phase: yardarmv1.PhaseReady, Digest: one.Revision.Spec.Digest, AssignmentHash: []byte("old")})
	_, err = accept("berlin", "web")
	if st := refused(t, err, codes.NotFound, "nothing is held", "berlin", "web"); reason(st) != "NOTHING_HELD" {
		t.Errorf("reason %q", reason(st))
	}

	// What a cluster's own policy holds is not the hub's to let go.
	for _, reason := range []string{yardarmv1.ReasonFrozen, yardarmv1.ReasonReadOnly} {
		h.Report(t, berlin, &yardarmv1.Report{Bundle: "web", BundleUid: uid, Phase: yardarmv1.PhaseHeld, Reason: reason, AssignmentHash: []byte("new")})
		_, err = accept("berlin", "web")
		refused(t, err, codes.NotFound, "nothing is held", "own policy")
	}

	h.Report(t, berlin, &yardarmv1.Report{Bundle: "web", BundleUid: uid, Phase: yardarmv1.PhaseHeld, Reason: yardarmv1.ReasonMassDeletion,
		RenderedDigest: one.Revision.Spec.Digest, Digest: two.Revision.Spec.Digest, AssignmentHash: []byte("new")})
	h.Report(t, berlin, &yardarmv1.Report{Bundle: "ghost", BundleUid: "lost", Phase: yardarmv1.PhaseHeld, Reason: yardarmv1.ReasonUnknownToHub, AssignmentHash: []byte("ghost")})
	h.Report(t, paris, &yardarmv1.Report{Bundle: "web", BundleUid: uid, Phase: yardarmv1.PhaseHeld, Reason: yardarmv1.ReasonNewerThanHub, AssignmentHash: []byte("newer")})
	resp := must[*hubv1.AcceptResponse](t)(accept("", "web"))
	if !slices.Equal(resp.Accepted, []string{"berlin.web", "paris.web"}) {
		t.Errorf("accepted %q", resp.Accepted)
	}
	only := func(cluster, bundle string) *storev1.Acceptance {
		t.Helper()
		rows := slices.Collect(h.Store.Read().Acceptances(cluster, bundle))
		if len(rows) != 1 {
			t.Fatalf("%d acceptances, want 1", len(rows))
		}
		return rows[0]
	}
	if a := only(berlin, uid); a.Deletion.GetFromDigest() != one.Revision.Spec.Digest || a.Deletion.GetToDigest() != two.Revision.Spec.Digest || a.Actor == "" || a.Time == nil {
		t.Errorf("acceptance %v", a)
	}
	if got := assignment(t, h, "berlin", "web").Spec.AcceptedDeletions; len(got) != 1 {
		t.Errorf("the assignment carries %v", got)
	}
	if a := only(paris, uid); string(a.HoldingHash) != "newer" || a.Deletion != nil {
		t.Errorf("acceptance %v", a)
	}
	must[any](t)(accept("berlin", "web")) // again: the same rows
	only(berlin, uid)
	if resp := must[*hubv1.AcceptResponse](t)(accept("berlin", "")); !slices.Equal(resp.Accepted, []string{"berlin.ghost", "berlin.web"}) {
		t.Errorf("accepted %q", resp.Accepted)
	}
	only(berlin, "lost")

	// The acceptance is part of the assignment that the spoke then reports on, and of no other cluster's.
	h.Present(t, berlin, yardarmv1.PresenceConnected)
	h.Report(t, berlin, &yardarmv1.Report{Bundle: "web", BundleUid: uid, Phase: yardarmv1.PhaseReady, AssignmentHash: assignment(t, h, "berlin", "web").Spec.Hash})
	if b := must[*yardarmv1.Bundle](t)(h.GetBundle(t.Context(), &hubv1.GetBundleRequest{Name: "web"})); b.Status.Clusters.Total != 3 || b.Status.Clusters.Ready != 1 {
		t.Errorf("counts %v", b.Status.Clusters)
	}
	h.Report(t, berlin, &yardarmv1.Report{Bundle: "web", BundleUid: uid, Phase: yardarmv1.PhaseHeld, Reason: yardarmv1.ReasonMassDeletion,
		Digest: one.Revision.Spec.Digest, AssignmentHash: []byte("old")})

	// Removed altogether, the deletion leads to nothing.
	apply(t, h, bundle("web"))
	must[any](t)(accept("berlin", "web"))
	removal := slices.ContainsFunc(slices.Collect(h.Store.Read().Acceptances(berlin, uid)), func(a *storev1.Acceptance) bool {
		return a.Deletion != nil && a.Deletion.ToDigest == ""
	})
	if !removal {
		t.Error("the bundle's removal was not accepted")
	}
	// Once the hub has returned to what the cluster holds, there is nothing to accept.
	apply(t, h, bundle("web", "prod"))
	must[any](t)(h.UndoRollout(t.Context(), &hubv1.UndoRolloutRequest{Bundle: "web", ToRevision: 1}))
	_, err = accept("berlin", "web")
	refused(t, err, codes.NotFound, "nothing is held")
}
