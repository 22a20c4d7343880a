package api_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/store"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// smallFleet has four clusters with facts, of which two run web: berlin is ready, paris has failed, rome is stale, oslo has never connected.
func smallFleet(t *testing.T, options ...apitest.Option) *apitest.Hub {
	h := apitest.Start(t, options...)
	apply(t, h, group("prod", "env=prod"), group("all", ""))
	versions := map[string]string{"berlin": "v1.31.2", "paris": "v1.30.7+k3s1", "rome": "v1.29.0"}
	uids := map[string]string{}
	for name, env := range map[string]string{"berlin": "prod", "paris": "prod", "rome": "test", "oslo": "test"} {
		uids[name] = h.Enrolled(t, name, map[string]string{"env": env, "phase": "blue"})
		if versions[name] == "" {
			continue
		}
		state := yardarmv1.PresenceConnected
		if name == "rome" {
			state = yardarmv1.PresenceStale
		}
		h.Present(t, uids[name], state)
		h.Observe(t, func(tx *store.Tx) error {
			return tx.PutObserved(&storev1.Observed{ClusterUid: uids[name], Facts: &yardarmv1.Facts{KubernetesVersion: versions[name], Region: "eu", Nodes: uint32(len(name))}})
		})
	}
	web := publish(t, h, "web", "1", "prod")
	publish(t, h, "web", "2", "prod")
	for name, phase := range map[string]string{"berlin": yardarmv1.PhaseReady, "paris": yardarmv1.PhaseFailed} {
		h.Report(t, uids[name], &yardarmv1.Report{Bundle: "web", BundleUid: web.Revision.Spec.BundleUid, Phase: phase, Reason: phase + "Reason",
			AssignmentHash: assignment(t, h, name, "web").Spec.Hash})
	}
	return h
}

func TestListsFilterAndOrder(t *testing.T) {
	h := smallFleet(t)
	for _, tc := range []struct{ filter, order, want string }{
		{"", "", "berlin oslo paris rome"},
		{"", "name desc", "rome paris oslo berlin"},
		{"presence=stale", "", "rome"},
		{"presence in (stale,neverconnected)", "", "oslo rome"},
		{"env=prod,phase=failed", "", "paris"},
		{"phase=active", "", "berlin oslo paris rome"},
		{"labels.phase=blue,group=prod", "", "berlin paris"},
		{"bundle=web", "version", "paris berlin"},
		{"version<1.31,region=eu", "nodes desc", "paris rome"},
		{"version=1.30", "", "paris"},
		{"!version", "", "oslo"},
		{"bundles.failed>0", "", "paris"},
		{"name=*r*", "env desc,name", "rome berlin paris"},
		{"label=env", "bundles.ready desc", "berlin oslo paris rome"},
	} {
		r := must[*hubv1.ListClustersResponse](t)(h.ListClusters(t.Context(), &hubv1.ListClustersRequest{Filter: tc.filter, OrderBy: tc.order}))
		if got := names(r.Clusters); got != tc.want || int(r.TotalSize) != len(r.Clusters) {
			t.Errorf("clusters %q by %q: %s of %d, want %s", tc.filter, tc.order, got, r.TotalSize, tc.want)
		}
	}
	for _, tc := range []struct{ filter, order, want string }{
		{"", "", "berlin.web paris.web"},
		{"phase=failed", "", "paris.web"},
		{"reason=failedreason,revision=2", "", "paris.web"},
		{"env=prod", "cluster desc", "paris.web berlin.web"},
		{"version>=1.31", "", "berlin.web"},
		{"presence=stale", "", ""},
		{"", "reason desc", "berlin.web paris.web"},
	} {
		r := must[*hubv1.ListAssignmentsResponse](t)(h.ListAssignments(t.Context(), &hubv1.ListAssignmentsRequest{Filter: tc.filter, OrderBy: tc.order}))
		if got := names(r.Assignments); got != tc.want {
			t.Errorf("assignments %q by %q: %s, want %s", tc.filter, tc.order, got, tc.want)
		}
	}
	bundles := must[*hubv1.ListBundlesResponse](t)(h.ListBundles(t.Context(), &hubv1.ListBundlesRequest{Filter: "group=prod,clusters.failed=1,revision>1"}))
	if got := names(bundles.Bundles); got != "web" || bundles.Bundles[0].Status.Clusters.Total != 2 {
		t.Errorf("bundles %v", bundles)
	}
	groups := must[*hubv1.ListClusterGroupsResponse](t)(h.ListClusterGroups(t.Context(), &hubv1.ListClusterGroupsRequest{OrderBy: "clusters desc", Filter: "clusters>0"}))
	if got := names(groups.ClusterGroups); got != "all prod" || groups.ClusterGroups[1].Status.Clusters != 2 || fmt.Sprint(groups.ClusterGroups[1].Status.Bundles) != "[web]" {
		t.Errorf("groups %v", groups)
	}
	revisions := must[*hubv1.ListRevisionsResponse](t)(h.ListRevisions(t.Context(), &hubv1.ListRevisionsRequest{Bundle: "web", OrderBy: "number", Filter: "actor=local-*"}))
	if got := names(revisions.Revisions); got != "web-1 web-2" {
		t.Errorf("revisions %s", got)
	}
	stream := must[hubv1.FleetService_WatchEventsClient](t)(h.WatchEvents(t.Context(), &hubv1.WatchEventsRequest{Filter: "reason=RevisionPublished,revision=2"}))
	if events := must[[]*hubv1.WatchEventsResponse](t)(drain(stream)); len(events) != 1 || events[0].Event.Revision != 2 {
		t.Errorf("events %v", events)
	}
}

// TestListsShowWhatWasChangedBefore: an answer to a change is followed by lists that show it, also where another's change was committed with it.
func TestListsShowWhatWasChangedBefore(t *testing.T) {
	h := apitest.Start(t)
	var callers sync.WaitGroup
	for n := range 16 {
		callers.Go(func() {
			for i := range 30 {
				label := fmt.Sprintf("v%d-%d", n, i)
				_, err := h.EnrollCluster(t.Context(), &hubv1.EnrollClusterRequest{Name: fmt.Sprintf("c%d", n), Labels: map[string]string{"n": label}})
				if err != nil {
					t.Error(err)
					return
				}
				if r, err := h.ListClusters(t.Context(), &hubv1.ListClustersRequest{Filter: "n=" + label}); err != nil || len(r.Clusters) != 1 {
					t.Errorf("after its change to %s: %v, %v", label, r, err)
					return
				}
			}
		})
	}
	callers.Wait()
}

func TestListRefusalsPointIntoTheText(t *testing.T) {
	h := apitest.Start(t)
	lists := map[string]func(filter, order, token string) error{
		"clusters": func(filter, order, token string) error {
			_, err := h.ListClusters(t.Context(), &hubv1.ListClustersRequest{Filter: filter, OrderBy: order, PageToken: token})
			return err
		},
		"clustergroups": func(filter, order, token string) error {
			_, err := h.ListClusterGroups(t.Context(), &hubv1.ListClusterGroupsRequest{Filter: filter, OrderBy: order, PageToken: token})
			return err
		},
		"bundles": func(filter, order, token string) error {
			_, err := h.ListBundles(t.Context(), &hubv1.ListBundlesRequest{Filter: filter, OrderBy: order, PageToken: token})
			return err
		},
		"assignments": func(filter, order, token string) error {
			_, err := h.ListAssignments(t.Context(), &hubv1.ListAssignmentsRequest{Filter: filter, OrderBy: order, PageToken: token})
			return err
		},
	}
	for kind, list := range lists {
		refused(t, list("env=prod,a b", "", ""), codes.InvalidArgument, "filter", "column 12")
		refused(t, list("", "name upwards", ""), codes.InvalidArgument, "order_by", "column 1", "name upwards")
		refused(t, list("", "", "nonsense"), codes.InvalidArgument, "page_token")
		refused(t, list("", "", strings.Repeat("A", 100_000)), codes.InvalidArgument, "page_token")
		t.Log(kind)
	}
	_, err := h.ListClusters(t.Context(), &hubv1.ListClustersRequest{Filter: "presence=gone"})
	refused(t, err, codes.InvalidArgument, "column 10", "Connected, Stale")
}

// TestPagesOfAnOrder: a page's token goes on in the same order, whatever comes and goes meanwhile, and in no other.
func TestPagesOfAnOrder(t *testing.T) {
	h := apitest.Start(t)
	for i := range 6 {
		h.Enrolled(t, fmt.Sprintf("c%d", i), map[string]string{"rank": fmt.Sprint(i % 2)})
	}
	req := &hubv1.ListClustersRequest{PageSize: 2, OrderBy: "rank desc", Filter: "rank"}
	first := must[*hubv1.ListClustersResponse](t)(h.ListClusters(t.Context(), req))
	must[any](t)(h.DeleteCluster(t.Context(), &hubv1.DeleteClusterRequest{Name: "c3", Workloads: yardarmv1.Workloads_WORKLOADS_KEEP}))
	req.PageToken = first.NextPageToken
	second := must[*hubv1.ListClustersResponse](t)(h.ListClusters(t.Context(), req))
	if names(first.Clusters)+" | "+names(second.Clusters) != "c1 c3 | c5 c0" || second.TotalSize != 5 {
		t.Errorf("pages %s | %s of %d", names(first.Clusters), names(second.Clusters), second.TotalSize)
	}
	req.OrderBy = "rank"
	_, err := h.ListClusters(t.Context(), req)
	refused(t, err, codes.InvalidArgument, "page_token", "same filters and order")
}
