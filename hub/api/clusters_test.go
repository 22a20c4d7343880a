package api_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/store"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func getCluster(t *testing.T, h *apitest.Hub, name string) *yardarmv1.Cluster {
	t.Helper()
	return must[*yardarmv1.Cluster](t)(h.GetCluster(t.Context(), &hubv1.GetClusterRequest{Name: name}))
}

func TestEnrollMakesAClusterAndTokens(t *testing.T) {
	h := apitest.Start(t)
	before := time.Now()
	resp := must[*hubv1.EnrollClusterResponse](t)(h.EnrollCluster(t.Context(), &hubv1.EnrollClusterRequest{Name: "berlin", Labels: map[string]string{"env": "prod"}}))
	c := resp.Cluster
	if c.Status.Phase != yardarmv1.ClusterEnrolling || c.Status.Presence != yardarmv1.PresenceNeverConnected || c.Metadata.Labels["env"] != "prod" {
		t.Errorf("cluster %v", c)
	}
	if life := resp.Expires.AsTime().Sub(before); life < 14*time.Minute || life > 16*time.Minute {
		t.Errorf("the token lives %v", life)
	}
	if resp.Token == "" || len(resp.SpokeAddresses) == 0 {
		t.Error("there is no token, or no address to use it at")
	}
	for _, e := range must[[]*hubv1.WatchEventsResponse](t)(events(t, h)) {
		if strings.Contains(e.String(), resp.Token) {
			t.Error("an event holds the token")
		}
	}

	again := must[*hubv1.EnrollClusterResponse](t)(h.EnrollCluster(t.Context(), &hubv1.EnrollClusterRequest{
		Name: "berlin", Labels: map[string]string{"region": "eu"}, Ttl: durationpb.New(time.Hour)}))
	if again.Cluster.Metadata.Uid != c.Metadata.Uid || again.Token == resp.Token {
		t.Error("enrolling again made another cluster, or the same token")
	}
	if want := map[string]string{"env": "prod", "region": "eu"}; !maps.Equal(again.Cluster.Metadata.Labels, want) {
		t.Errorf("labels %v", again.Cluster.Metadata.Labels)
	}
	tokens := 0
	for range h.Store.Read().Tokens() {
		tokens++
	}
	if tokens != 1 {
		t.Errorf("%d tokens count, want the newest only", tokens)
	}
}

func TestEnrollRefusals(t *testing.T) {
	h := apitest.Start(t)
	h.Enrolled(t, "berlin", nil)
	_, err := h.EnrollCluster(t.Context(), &hubv1.EnrollClusterRequest{Name: "berlin"})
	refused(t, err, codes.AlreadyExists, `"berlin"`, "delete it first")

	must[any](t)(h.EnrollCluster(t.Context(), &hubv1.EnrollClusterRequest{Name: "paris"}))
	must[any](t)(h.BanCluster(t.Context(), &hubv1.BanClusterRequest{Name: "paris"}))
	_, err = h.EnrollCluster(t.Context(), &hubv1.EnrollClusterRequest{Name: "paris"})
	refused(t, err, codes.FailedPrecondition, "banned")

	for name, req := range map[string]*hubv1.EnrollClusterRequest{
		"name":           {Name: "Not A Name"},
		"labels[bad key": {Name: "x", Labels: map[string]string{"bad key": ""}},
		"ttl":            {Name: "x", Ttl: durationpb.New(25 * time.Hour)},
		"ttl: ":          {Name: "x", Ttl: durationpb.New(0)},
		"ttl: is":        {Name: "x", Ttl: &durationpb.Duration{Seconds: 1 << 60}},
	} {
		_, err := h.EnrollCluster(t.Context(), req)
		refused(t, err, codes.InvalidArgument, name)
	}
	if c := h.Store.Read().ClusterByName("x"); c != nil {
		t.Error("a refused enrolment made a cluster")
	}
}

func TestLabelCluster(t *testing.T) {
	h := apitest.Start(t)
	h.Enrolled(t, "berlin", map[string]string{"env": "test", "old": "x"})
	label := func(req *hubv1.LabelClusterRequest) (*yardarmv1.Cluster, error) {
		req.Name = "berlin"
		return h.LabelCluster(t.Context(), req)
	}
	_, err := label(&hubv1.LabelClusterRequest{Set: map[string]string{"env": "prod"}})
	if st := refused(t, err, codes.FailedPrecondition, `"env"`, `"test"`, "--overwrite"); reason(st) != "LABEL_HAS_VALUE" {
		t.Errorf("reason %q", reason(st))
	}
	c := must[*yardarmv1.Cluster](t)(label(&hubv1.LabelClusterRequest{Set: map[string]string{"env": "prod"}, Remove: []string{"old", "absent"}, Overwrite: true}))
	if !maps.Equal(c.Metadata.Labels, map[string]string{"env": "prod"}) {
		t.Errorf("labels %v", c.Metadata.Labels)
	}
	same := must[*yardarmv1.Cluster](t)(label(&hubv1.LabelClusterRequest{Set: map[string]string{"env": "prod"}}))
	if same.Metadata.ResourceVersion != c.Metadata.ResourceVersion {
		t.Error("a label that is there already changed the version")
	}
	_, err = label(&hubv1.LabelClusterRequest{Set: map[string]string{"a": "b"}, ResourceVersion: "1"})
	refused(t, err, codes.Aborted, c.Metadata.ResourceVersion)
	_, err = label(&hubv1.LabelClusterRequest{})
	refused(t, err, codes.InvalidArgument, "set")
	_, err = label(&hubv1.LabelClusterRequest{Set: map[string]string{"a": "b"}, Remove: []string{"a"}})
	refused(t, err, codes.InvalidArgument, "remove[0]")
	_, err = label(&hubv1.LabelClusterRequest{Set: map[string]string{"a": "b c"}})
	refused(t, err, codes.InvalidArgument, "set[a]")
	_, err = h.LabelCluster(t.Context(), &hubv1.LabelClusterRequest{Name: "nowhere", Set: map[string]string{"a": "b"}})
	refused(t, err, codes.NotFound, "nowhere")
}

func TestBanAndUnban(t *testing.T) {
	h := apitest.Start(t)
	h.Enrolled(t, "berlin", nil)
	c := must[*yardarmv1.Cluster](t)(h.BanCluster(t.Context(), &hubv1.BanClusterRequest{Name: "berlin", Reason: "lost"}))
	if c.Status.Phase != yardarmv1.ClusterBanned || c.Spec.Ban.Reason != "lost" || c.Spec.Ban.Actor == "" || c.Spec.Ban.Time == nil {
		t.Errorf("cluster %v", c)
	}
	c = must[*yardarmv1.Cluster](t)(h.BanCluster(t.Context(), &hubv1.BanClusterRequest{Name: "berlin", Reason: "other"}))
	if c.Spec.Ban.Reason != "lost" {
		t.Error("a second ban replaced the reason of the first")
	}
	c = must[*yardarmv1.Cluster](t)(h.UnbanCluster(t.Context(), &hubv1.UnbanClusterRequest{Name: "berlin"}))
	if c.Status.Phase != yardarmv1.ClusterActive || c.Spec.Ban != nil {
		t.Errorf("cluster %v", c)
	}
	_, err := h.BanCluster(t.Context(), &hubv1.BanClusterRequest{Name: "berlin", Reason: strings.Repeat("x", 2000)})
	refused(t, err, codes.InvalidArgument, "reason")
	_, err = h.UnbanCluster(t.Context(), &hubv1.UnbanClusterRequest{Name: "nowhere"})
	refused(t, err, codes.NotFound)
}

func TestDeleteClusterKeepsOrWaits(t *testing.T) {
	h := apitest.Start(t)
	remove := func(name string, w yardarmv1.Workloads) (*hubv1.DeleteClusterResponse, error) {
		return h.DeleteCluster(t.Context(), &hubv1.DeleteClusterRequest{Name: name, Workloads: w})
	}
	const keep, clean = yardarmv1.Workloads_WORKLOADS_KEEP, yardarmv1.Workloads_WORKLOADS_REMOVE

	uid := h.Enrolled(t, "berlin", nil)
	_, err := remove("berlin", yardarmv1.Workloads_WORKLOADS_UNSPECIFIED)
	refused(t, err, codes.InvalidArgument, "workloads", "--keep", "--remove")
	_, err = remove("berlin", 7)
	refused(t, err, codes.InvalidArgument, "workloads")

	resp := must[*hubv1.DeleteClusterResponse](t)(remove("berlin", clean))
	if resp.Cluster.GetStatus().GetPhase() != yardarmv1.ClusterDeleting || resp.Cluster.Metadata.DeletionTimestamp == nil || resp.Cluster.Spec.Removal.Actor == "" {
		t.Fatalf("cluster %v", resp.Cluster)
	}
	version := resp.Cluster.Metadata.ResourceVersion
	if again := must[*hubv1.DeleteClusterResponse](t)(remove("berlin", clean)); again.Cluster.GetMetadata().GetResourceVersion() != version {
		t.Error("asking again changed the cluster")
	}
	_, err = h.EnrollCluster(t.Context(), &hubv1.EnrollClusterRequest{Name: "berlin"})
	refused(t, err, codes.AlreadyExists)
	if resp := must[*hubv1.DeleteClusterResponse](t)(remove("berlin", keep)); resp.Cluster != nil {
		t.Errorf("keeping the workloads waits for %v", resp.Cluster)
	}
	tx := h.Store.Read()
	if tx.Cluster(uid) != nil || tx.Identity(uid) != nil || tx.DeletedCluster(uid).GetName() != "berlin" {
		t.Error("the deleted cluster has left something, or is not remembered")
	}
	_, err = remove("berlin", keep)
	refused(t, err, codes.NotFound)

	// The name is free, and the new cluster another one.
	if next := h.Enrolled(t, "berlin", nil); next == uid {
		t.Error("the uid was used twice")
	}
	must[any](t)(h.EnrollCluster(t.Context(), &hubv1.EnrollClusterRequest{Name: "never"}))
	if resp := must[*hubv1.DeleteClusterResponse](t)(remove("never", clean)); resp.Cluster != nil {
		t.Error("a cluster that never enrolled waits for its spoke")
	}
	must[any](t)(h.BanCluster(t.Context(), &hubv1.BanClusterRequest{Name: "berlin"}))
	_, err = remove("berlin", clean)
	refused(t, err, codes.FailedPrecondition, "banned", "--keep")
	_, err = h.DeleteCluster(t.Context(), &hubv1.DeleteClusterRequest{Name: "berlin", Workloads: keep, ResourceVersion: "1"})
	refused(t, err, codes.Aborted)
}

func TestListClustersPagesAndSelects(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"))
	for i := range 7 {
		env := "prod"
		if i%2 == 1 {
			env = "test"
		}
		h.Enrolled(t, "c"+number(i), map[string]string{"env": env})
	}
	list := func(req *hubv1.ListClustersRequest) *hubv1.ListClustersResponse {
		t.Helper()
		return must[*hubv1.ListClustersResponse](t)(h.ListClusters(t.Context(), req))
	}
	first := list(&hubv1.ListClustersRequest{PageSize: 3})
	if names(first.Clusters) != "c00 c01 c02" || first.TotalSize != 7 || first.NextPageToken == "" {
		t.Fatalf("first page %s of %d", names(first.Clusters), first.TotalSize)
	}
	// What comes and goes in between shifts nothing.
	must[any](t)(h.DeleteCluster(t.Context(), &hubv1.DeleteClusterRequest{Name: "c01", Workloads: yardarmv1.Workloads_WORKLOADS_KEEP}))
	h.Enrolled(t, "c02b", nil)
	second := list(&hubv1.ListClustersRequest{PageSize: 3, PageToken: first.NextPageToken})
	if names(second.Clusters) != "c02b c03 c04" {
		t.Errorf("second page %s", names(second.Clusters))
	}
	last := list(&hubv1.ListClustersRequest{PageSize: 3, PageToken: second.NextPageToken})
	if names(last.Clusters) != "c05 c06" || last.NextPageToken != "" {
		t.Errorf("last page %s, token %q", names(last.Clusters), last.NextPageToken)
	}
	if got := list(&hubv1.ListClustersRequest{Selector: "env in (test),env!=prod"}); names(got.Clusters) != "c03 c05" || got.TotalSize != 2 {
		t.Errorf("selected %s", names(got.Clusters))
	}
	if got := list(&hubv1.ListClustersRequest{Group: "prod"}); names(got.Clusters) != "c00 c02 c04 c06" {
		t.Errorf("of the group %s", names(got.Clusters))
	}

	_, err := h.ListClusters(t.Context(), &hubv1.ListClustersRequest{Selector: "env in ("})
	refused(t, err, codes.InvalidArgument, "selector", "column")
	_, err = h.ListClusters(t.Context(), &hubv1.ListClustersRequest{Group: "nowhere"})
	refused(t, err, codes.NotFound, "nowhere")
	_, err = h.ListClusters(t.Context(), &hubv1.ListClustersRequest{PageSize: 1001})
	refused(t, err, codes.InvalidArgument, "page_size", "1000")
	_, err = h.ListClusters(t.Context(), &hubv1.ListClustersRequest{PageToken: "%%%"})
	refused(t, err, codes.InvalidArgument, "page_token")
	_, err = h.ListClusters(t.Context(), &hubv1.ListClustersRequest{PageToken: first.NextPageToken, Selector: "env=prod"})
	refused(t, err, codes.InvalidArgument, "page_token", "something else")
	_, err = h.ListBundles(t.Context(), &hubv1.ListBundlesRequest{PageToken: first.NextPageToken})
	refused(t, err, codes.InvalidArgument, "page_token")
}

func TestClusterStatus(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("all", ""), group("prod", "env=prod"))
	uid := h.Enrolled(t, "berlin", map[string]string{"env": "prod"})
	pub := publish(t, h, "web", "1", "prod")
	c := getCluster(t, h, "berlin")
	if c.Status.Bundles.NeverConnected != 1 || c.Status.Bundles.Total != 1 || strings.Join(c.Status.Groups, " ") != "all prod" {
		t.Errorf("before it connects: %v", c.Status)
	}
	h.Present(t, uid, yardarmv1.PresenceConnected)
	h.Report(t, uid, &yardarmv1.Report{Bundle: "web", BundleUid: pub.Revision.Spec.BundleUid, Phase: yardarmv1.PhaseReady, Revision: 1,
		Digest: pub.Revision.Spec.Digest, AssignmentHash: assignment(t, h, "berlin", "web").Spec.Hash})
	c = getCluster(t, h, "berlin")
	if s := c.Status; s.Presence != yardarmv1.PresenceConnected || s.Bundles.Ready != 1 || s.Facts.GetNodes() != 3 || s.SpokeVersion != "1.0" ||
		!s.Confirmed || s.LastSeen == nil || s.CertificateExpiry == nil || s.Phase != yardarmv1.ClusterActive {
		t.Errorf("connected: %v", s)
	}
	b := must[*yardarmv1.Bundle](t)(h.GetBundle(t.Context(), &hubv1.GetBundleRequest{Name: "web"}))
	if b.Status.Clusters.Ready != 1 || b.Status.Clusters.Total != 1 {
		t.Errorf("bundle %v", b.Status)
	}
	h.Present(t, uid, yardarmv1.PresenceStale)
	if c = getCluster(t, h, "berlin"); c.Status.Bundles.Stale != 1 || c.Status.Bundles.Ready != 0 {
		t.Errorf("stale: %v", c.Status.Bundles)
	}
	h.Observe(t, func(tx *store.Tx) error { return tx.DeleteObservedBundle(uid, pub.Revision.Spec.BundleUid) })
}

func TestGroupsSayWhereTheirExpressionFails(t *testing.T) {
	h := apitest.Start(t)
	h.Enrolled(t, "berlin", map[string]string{"env": "prod"})
	h.Enrolled(t, "paris", nil)
	g := group("odd", "")
	g.GetClusterGroup().Spec = &yardarmv1.ClusterGroupSpec{Expression: `labels.env == "prod"`}
	st := apply(t, h, g).Results[0].GetResource().GetClusterGroup().GetStatus()
	if st.Clusters != 1 || len(st.Conditions) != 1 || st.Conditions[0].Status != "False" || !strings.Contains(st.Conditions[0].Message, "paris: ") ||
		strings.Contains(st.Conditions[0].Message, "berlin") {
		t.Errorf("status %v", st)
	}
}

func TestDeleteClusterGroup(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"), bundle("web", "prod"), bundle("api", "prod"))
	_, err := h.DeleteClusterGroup(t.Context(), &hubv1.DeleteClusterGroupRequest{Name: "prod"})
	if st := refused(t, err, codes.FailedPrecondition, "api, web"); reason(st) != "IN_USE" {
		t.Errorf("reason %q", reason(st))
	}
	apply(t, h, bundle("web"), bundle("api"))
	_, err = h.DeleteClusterGroup(t.Context(), &hubv1.DeleteClusterGroupRequest{Name: "prod", ResourceVersion: "1"})
	refused(t, err, codes.Aborted)
	must[any](t)(h.DeleteClusterGroup(t.Context(), &hubv1.DeleteClusterGroupRequest{Name: "prod"}))
	_, err = h.DeleteClusterGroup(t.Context(), &hubv1.DeleteClusterGroupRequest{Name: "prod"})
	refused(t, err, codes.NotFound, `cluster group "prod"`)
	apply(t, h, group("a", "x=y"), group("b", "x=y"))
	list := must[*hubv1.ListClusterGroupsResponse](t)(h.ListClusterGroups(t.Context(), &hubv1.ListClusterGroupsRequest{PageSize: 1}))
	next := must[*hubv1.ListClusterGroupsResponse](t)(h.ListClusterGroups(t.Context(), &hubv1.ListClusterGroupsRequest{PageSize: 1, PageToken: list.NextPageToken}))
	if names(list.ClusterGroups)+names(next.ClusterGroups) != "ab" || next.NextPageToken != "" || next.TotalSize != 2 {
		t.Errorf("pages %v %v", list, next)
	}
}
