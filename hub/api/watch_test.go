package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/api"
	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/gateway"
	"github.com/yardarm-dev/yardarm/hub/store"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// seen is a watch that a test reads message by message.
type seen struct {
	t      *testing.T
	stream hubv1.FleetService_WatchClient
}

func watch(t *testing.T, h *apitest.Hub, req *hubv1.WatchRequest) seen {
	t.Helper()
	return seen{t, must[hubv1.FleetService_WatchClient](t)(h.Watch(t.Context(), req))}
}

// next answers the next message but heartbeats, as in "ADDED web", and the message.
func (s seen) next() (string, *hubv1.WatchResponse) {
	s.t.Helper()
	for {
		m, err := s.stream.Recv()
		if err != nil {
			s.t.Fatal(err)
		}
		if m.Type == "HEARTBEAT" {
			continue
		}
		var name string
		switch r := m.Resource.(type) {
		case *hubv1.WatchResponse_Cluster:
			name = r.Cluster.GetMetadata().GetName()
		case *hubv1.WatchResponse_ClusterGroup:
			name = r.ClusterGroup.GetMetadata().GetName()
		case *hubv1.WatchResponse_Bundle:
			name = r.Bundle.GetMetadata().GetName()
		case *hubv1.WatchResponse_Assignment:
			name = r.Assignment.GetMetadata().GetName()
		default:
			return m.Type, m
		}
		return m.Type + " " + name, m
	}
}

func (s seen) expect(want ...string) *hubv1.WatchResponse {
	s.t.Helper()
	var m *hubv1.WatchResponse
	for _, w := range want {
		var got string
		if got, m = s.next(); got != w {
			s.t.Fatalf("got %q, want %q: %v", got, w, m)
		}
	}
	return m
}

// until reads on until a message satisfies ok: intermediate states may or may not be seen.
func (s seen) until(ok func(string, *hubv1.WatchResponse) bool) *hubv1.WatchResponse {
	s.t.Helper()
	for {
		if what, m := s.next(); ok(what, m) {
			return m
		}
	}
}

func TestWatchClusters(t *testing.T) {
	h := apitest.Start(t)
	uid := h.Enrolled(t, "berlin", nil)
	h.Enrolled(t, "paris", nil)
	w := watch(t, h, &hubv1.WatchRequest{Kind: "Cluster"})
	one := watch(t, h, &hubv1.WatchRequest{Kind: "Cluster", Name: "paris"})
	w.expect("ADDED berlin", "ADDED paris", "BOOKMARK")
	one.expect("ADDED paris", "BOOKMARK")

	h.Present(t, uid, yardarmv1.PresenceConnected)
	m := w.expect("MODIFIED berlin")
	if m.GetCluster().Status.Presence != yardarmv1.PresenceConnected {
		t.Errorf("cluster %v", m.GetCluster().Status)
	}
	apply(t, h, group("all", ""))
	w.until(func(_ string, m *hubv1.WatchResponse) bool { return len(m.GetCluster().GetStatus().GetGroups()) == 1 })
	w.until(func(_ string, m *hubv1.WatchResponse) bool { return len(m.GetCluster().GetStatus().GetGroups()) == 1 })
	one.expect("MODIFIED paris")

	// A bundle that targets them shows in their counts, and so does its leaving, though they never held it.
	publish(t, h, "web", "1", "all")
	for range 2 {
		w.until(func(_ string, m *hubv1.WatchResponse) bool {
			return m.GetCluster().GetStatus().GetBundles().GetTotal() == 1
		})
	}
	apply(t, h, bundle("web"))
	for range 2 {
		w.until(func(_ string, m *hubv1.WatchResponse) bool {
			return m.GetCluster().GetStatus().GetBundles().GetTotal() == 0
		})
	}
	must[any](t)(h.DeleteCluster(t.Context(), &hubv1.DeleteClusterRequest{Name: "berlin", Workloads: yardarmv1.Workloads_WORKLOADS_KEEP}))
	gone := w.until(func(what string, _ *hubv1.WatchResponse) bool { return what == "DELETED berlin" })
	if gone.GetCluster().Metadata.Uid != uid {
		t.Errorf("deleted %v", gone)
	}
}

func TestWatchTellsAnotherClusterOfTheSameName(t *testing.T) {
	h := apitest.Start(t)
	uid := h.Enrolled(t, "berlin", nil)
	w := watch(t, h, &hubv1.WatchRequest{Kind: "Cluster"})
	w.expect("ADDED berlin", "BOOKMARK")
	// Often, since the order of both could be right by chance.
	for i := range 10 {
		next := fmt.Sprintf("uid-%d", i)
		// One transaction, so that no state in between can be seen.
		h.Update(t, func(tx *store.Tx) error {
			if err := tx.DeleteCluster(uid); err != nil {
				return err
			}
			return tx.PutCluster(&yardarmv1.Cluster{Metadata: &yardarmv1.ObjectMeta{Name: "berlin", Uid: next}})
		})
		if m := w.expect("DELETED berlin"); m.GetCluster().Metadata.Uid != uid {
			t.Errorf("deleted %v", m)
		}
		if m := w.expect("ADDED berlin"); m.GetCluster().Metadata.Uid != next {
			t.Errorf("added %v", m)
		}
		uid = next
	}
}

func TestWatchAssignments(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"))
	uid := h.Enrolled(t, "berlin", map[string]string{"env": "prod"})
	h.Present(t, uid, yardarmv1.PresenceConnected)
	w := watch(t, h, &hubv1.WatchRequest{Kind: "Assignment", Bundle: "web"})
	w.expect("BOOKMARK")
	named := watch(t, h, &hubv1.WatchRequest{Kind: "Assignment", Name: "berlin.api"})
	named.expect("BOOKMARK")
	web := publish(t, h, "web", "1", "prod")
	publish(t, h, "api", "1", "prod")
	m := w.expect("ADDED berlin.web")
	named.expect("ADDED berlin.api")
	h.Report(t, uid, &yardarmv1.Report{Bundle: "web", BundleUid: web.Revision.Spec.BundleUid, Phase: yardarmv1.PhaseReady, AssignmentHash: m.GetAssignment().Spec.Hash})
	if m = w.expect("MODIFIED berlin.web"); m.GetAssignment().Status.Phase != yardarmv1.PhaseReady {
		t.Errorf("assignment %v", m)
	}
	publish(t, h, "web", "2", "prod")
	// Its rollout begins in a commit of its own, so that the cluster may be told to be behind first.
	w.until(func(_ string, m *hubv1.WatchResponse) bool {
		return m.GetAssignment().GetSpec().GetRevision() == 2 && m.GetAssignment().GetStatus().GetPhase() == yardarmv1.PhasePending
	})
	apply(t, h, bundle("web"))
	if m = w.expect("MODIFIED berlin.web"); m.GetAssignment().Status.Phase != yardarmv1.PhaseRemoving {
		t.Errorf("assignment %v", m)
	}
	h.Observe(t, func(tx *store.Tx) error { return tx.DeleteObservedBundle(uid, web.Revision.Spec.BundleUid) })
	if m = w.expect("DELETED berlin.web"); m.GetAssignment().Spec.Cluster != "berlin" || m.GetAssignment().Spec.Bundle != "web" {
		t.Errorf("deleted %v", m)
	}
}

func TestWatchIsSilentWhenOnlyTimePasses(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"))
	uid := h.Enrolled(t, "berlin", map[string]string{"env": "prod"})
	h.Present(t, uid, yardarmv1.PresenceConnected)
	web := publish(t, h, "web", "1", "prod")
	report := &yardarmv1.Report{Bundle: "web", BundleUid: web.Revision.Spec.BundleUid, Phase: yardarmv1.PhaseReady,
		AssignmentHash: assignment(t, h, "berlin", "web").Spec.Hash}
	h.Report(t, uid, report)
	clusters := watch(t, h, &hubv1.WatchRequest{Kind: "Cluster"})
	clusters.expect("ADDED berlin", "BOOKMARK")
	assignments := watch(t, h, &hubv1.WatchRequest{Kind: "Assignment"})
	assignments.expect("ADDED berlin.web", "BOOKMARK")
	for range 20 {
		h.Report(t, uid, report) // as before; only the time until when it is known to hold moves on
	}
	must[any](t)(h.DeleteCluster(t.Context(), &hubv1.DeleteClusterRequest{Name: "berlin", Workloads: yardarmv1.Workloads_WORKLOADS_KEEP}))
	clusters.expect("DELETED berlin")
	assignments.expect("DELETED berlin.web")
}

func TestWatchBundlesAndGroups(t *testing.T) {
	h := apitest.Start(t)
	groups := watch(t, h, &hubv1.WatchRequest{Kind: "ClusterGroup"})
	bundles := watch(t, h, &hubv1.WatchRequest{Kind: "Bundle"})
	groups.expect("BOOKMARK")
	bundles.expect("BOOKMARK")
	apply(t, h, group("prod", "env=prod"))
	groups.expect("ADDED prod")
	other := watch(t, h, &hubv1.WatchRequest{Kind: "Bundle", Name: "other"})
	other.expect("BOOKMARK")
	uid := h.Enrolled(t, "berlin", map[string]string{"env": "prod"})
	if m := groups.expect("MODIFIED prod"); m.GetClusterGroup().Status.Clusters != 1 {
		t.Errorf("group %v", m)
	}
	web := publish(t, h, "web", "1", "prod")
	groups.expect("MODIFIED prod")
	// counts waits for a bundle that is so: its rollout, which begins by itself, is news of it as well.
	counts := func(first string, of func(*yardarmv1.PhaseCounts) uint32) {
		t.Helper()
		bundles.until(func(what string, m *hubv1.WatchResponse) bool {
			if first != "" && what != first {
				t.Errorf("%s, want %s", what, first)
			}
			first = ""
			return of(m.GetBundle().GetStatus().GetClusters()) == 1
		})
	}
	counts("ADDED web", (*yardarmv1.PhaseCounts).GetNeverConnected)
	h.Present(t, uid, yardarmv1.PresenceConnected)
	counts("MODIFIED web", (*yardarmv1.PhaseCounts).GetPending)
	h.Report(t, uid, &yardarmv1.Report{Bundle: "web", BundleUid: web.Revision.Spec.BundleUid, Phase: yardarmv1.PhaseReady,
		AssignmentHash: assignment(t, h, "berlin", "web").Spec.Hash})
	counts("MODIFIED web", (*yardarmv1.PhaseCounts).GetReady)
	must[any](t)(h.DeleteBundle(t.Context(), &hubv1.DeleteBundleRequest{Name: "web", Workloads: yardarmv1.Workloads_WORKLOADS_KEEP}))
	bundles.until(func(what string, _ *hubv1.WatchResponse) bool { return what == "DELETED web" })
	groups.expect("MODIFIED prod")
	must[any](t)(h.DeleteClusterGroup(t.Context(), &hubv1.DeleteClusterGroupRequest{Name: "prod"}))
	groups.expect("DELETED prod")
	apply(t, h, bundle("third"), bundle("other"))
	other.expect("ADDED other")
}

func TestWatchCoalescesABurst(t *testing.T) {
	h := apitest.Start(t, func(c *api.Config, _ *gateway.Config) { c.Coalesce = 300 * time.Millisecond })
	h.Enrolled(t, "berlin", nil)
	w := watch(t, h, &hubv1.WatchRequest{Kind: "Cluster"})
	w.expect("ADDED berlin", "BOOKMARK")
	const changes = 50
	for i := range changes {
		must[any](t)(h.LabelCluster(t.Context(), &hubv1.LabelClusterRequest{Name: "berlin", Set: map[string]string{"n": fmt.Sprint(i)}, Overwrite: true}))
	}
	messages := 0
	w.until(func(_ string, m *hubv1.WatchResponse) bool {
		messages++
		return m.GetCluster().GetMetadata().GetLabels()["n"] == fmt.Sprint(changes-1)
	})
	if messages > changes/2 {
		t.Errorf("%d changes came as %d messages", changes, messages)
	}
}

func TestWatchBeats(t *testing.T) {
	h := apitest.Start(t, func(c *api.Config, _ *gateway.Config) { c.Heartbeat = time.Millisecond })
	w := watch(t, h, &hubv1.WatchRequest{Kind: "Bundle"})
	w.expect("BOOKMARK")
	for range 3 {
		m := must[*hubv1.WatchResponse](t)(w.stream.Recv())
		if m.Type != "HEARTBEAT" {
			t.Errorf("got %v", m)
		}
	}
}

func TestWatchesAreBoundedAndEndWithTheHub(t *testing.T) {
	h := apitest.Start(t, func(c *api.Config, _ *gateway.Config) { c.Limits.Watches = 1 })
	w := watch(t, h, &hubv1.WatchRequest{Kind: "Bundle"})
	w.expect("BOOKMARK")
	second := watch(t, h, &hubv1.WatchRequest{Kind: "Bundle"})
	_, err := second.stream.Recv()
	refused(t, err, codes.ResourceExhausted, "1 watches")
	if err := h.Stop(); err != nil {
		t.Fatal(err)
	}
	_, err = w.stream.Recv()
	refused(t, err, codes.Unavailable, "stopping")
}

func TestWatchRefusals(t *testing.T) {
	h := apitest.Start(t)
	for field, req := range map[string]*hubv1.WatchRequest{
		"kind":    {Kind: "Pod"},
		"kind: ":  {},
		"cluster": {Kind: "Bundle", Cluster: "berlin"},
		"bundle":  {Kind: "Cluster", Bundle: "web"},
		"name":    {Kind: "Assignment", Name: "berlin"},
		"name: ":  {Kind: "Assignment", Name: "berlin.web", Bundle: "web"},
	} {
		_, err := watch(t, h, req).stream.Recv()
		refused(t, err, codes.InvalidArgument, field)
	}
}

func TestWatchFilters(t *testing.T) {
	h := smallFleet(t)
	w := watch(t, h, &hubv1.WatchRequest{Kind: "Cluster", Filter: "env=prod,presence=connected"})
	w.expect("ADDED berlin", "ADDED paris", "BOOKMARK")
	failed := watch(t, h, &hubv1.WatchRequest{Kind: "Assignment", Filter: "phase=failed"})
	failed.expect("ADDED paris.web", "BOOKMARK")
	relabel := func(name, env string) {
		t.Helper()
		must[any](t)(h.LabelCluster(t.Context(), &hubv1.LabelClusterRequest{Name: name, Set: map[string]string{"env": env}, Overwrite: true}))
	}
	relabel("berlin", "test")
	if m := w.expect("DELETED berlin"); m.GetCluster().Metadata.Labels != nil || m.GetCluster().Metadata.Uid == "" {
		t.Errorf("deleted %v", m)
	}
	relabel("rome", "prod") // stale, so it does not show
	relabel("berlin", "prod")
	w.expect("ADDED berlin")
	uid := must[*yardarmv1.Cluster](t)(h.GetCluster(t.Context(), &hubv1.GetClusterRequest{Name: "paris"})).Metadata.Uid
	h.Present(t, uid, yardarmv1.PresenceStale)
	w.until(func(what string, _ *hubv1.WatchResponse) bool { return what == "DELETED paris" }) // berlin may be told of again, once its turn with web has come
	failed.expect("DELETED paris.web")
}

func TestWatchGoesOnFromABookmark(t *testing.T) {
	h := apitest.Start(t)
	h.Enrolled(t, "berlin", nil)
	h.Enrolled(t, "paris", nil)
	req := &hubv1.WatchRequest{Kind: "Cluster"}
	first := watch(t, h, req)
	start := first.expect("ADDED berlin", "ADDED paris", "BOOKMARK").Bookmark
	label := func(name, value string) {
		t.Helper()
		must[any](t)(h.LabelCluster(t.Context(), &hubv1.LabelClusterRequest{Name: name, Set: map[string]string{"n": value}, Overwrite: true}))
	}
	label("berlin", "1")
	next := first.expect("MODIFIED berlin").Bookmark
	label("paris", "1")
	must[any](t)(h.DeleteCluster(t.Context(), &hubv1.DeleteClusterRequest{Name: "berlin", Workloads: yardarmv1.Workloads_WORKLOADS_KEEP}))
	for bookmark, want := range map[string][]string{
		start: {"BOOKMARK", "DELETED berlin", "MODIFIED paris"},
		next:  {"BOOKMARK", "DELETED berlin", "MODIFIED paris"},
	} {
		again := watch(t, h, &hubv1.WatchRequest{Kind: "Cluster", Bookmark: bookmark})
		again.expect(want...)
	}
	for name, tc := range map[string]struct {
		req  *hubv1.WatchRequest
		code codes.Code
	}{
		"another filter": {&hubv1.WatchRequest{Kind: "Cluster", Bookmark: next, Filter: "n=1"}, codes.InvalidArgument},
		"nonsense":       {&hubv1.WatchRequest{Kind: "Cluster", Bookmark: "x"}, codes.InvalidArgument},
		"another run":    {&hubv1.WatchRequest{Kind: "Cluster", Bookmark: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}, codes.Aborted},
	} {
		_, err := watch(t, h, tc.req).stream.Recv()
		if st := refused(t, err, tc.code, "bookmark"); tc.code == codes.Aborted && reason(st) != "WATCH_TOO_OLD" {
			t.Errorf("%s: reason %q", name, reason(st))
		}
	}
}

// TestSlowWatchersHoldNobodyUp: a watcher that reads nothing is left behind, others are not, and it is told so once it reads on.
func TestSlowWatchersHoldNobodyUp(t *testing.T) {
	h := apitest.Start(t, func(c *api.Config, g *gateway.Config) { c.Limits.Remember, g.WriteStall = 200, 5*time.Minute })
	const clusters, rounds = 100, 10 // more changes than are remembered
	put := func(n string, annotation string) {
		t.Helper()
		h.Update(t, func(tx *store.Tx) error {
			for i := range clusters {
				meta := &yardarmv1.ObjectMeta{Name: fmt.Sprintf("c%03d", i), Uid: fmt.Sprint(i), Labels: map[string]string{"n": n}, Annotations: map[string]string{"a": annotation}}
				if err := tx.PutCluster(&yardarmv1.Cluster{Metadata: meta}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	put("0", strings.Repeat("x", 50_000))
	slow := watch(t, h, &hubv1.WatchRequest{Kind: "Cluster"}) // whose snapshot alone is more than it is sent unread
	one := watch(t, h, &hubv1.WatchRequest{Kind: "Cluster", Name: "c000"})
	one.expect("ADDED c000", "BOOKMARK")
	for i := 1; i <= rounds; i++ {
		n := fmt.Sprint(i)
		put(n, "")
		one.until(func(_ string, m *hubv1.WatchResponse) bool { return m.GetCluster().GetMetadata().GetLabels()["n"] == n })
	}
	for {
		if _, err := slow.stream.Recv(); err != nil {
			if st := refused(t, err, codes.Aborted, "without a bookmark"); reason(st) != "WATCH_TOO_OLD" {
				t.Errorf("reason %q", reason(st))
			}
			return
		}
	}
}

// Who watches the same is sent the same bytes; who wants other fields, or sees less, is not.
func TestWatchesShareWhatTheyAreTold(t *testing.T) {
	h := apitest.Start(t)
	h.Enrolled(t, "berlin", map[string]string{"env": "prod"})
	apply(t, h, group("all", ""))
	few := must[hubv1.FleetService_WatchClient](t)(h.Watch(apitest.WithHeader(t.Context(), "x-yardarm-fields", "type,cluster.metadata.name"), &hubv1.WatchRequest{Kind: "Cluster"}))
	watches := []seen{watch(t, h, &hubv1.WatchRequest{Kind: "Cluster"}), watch(t, h, &hubv1.WatchRequest{Kind: "Cluster", Filter: "env=prod"}), {t, few}}
	for _, w := range watches {
		w.expect("ADDED berlin", "BOOKMARK")
	}
	for i := range 3 {
		changed := must[*yardarmv1.Cluster](t)(h.LabelCluster(t.Context(), &hubv1.LabelClusterRequest{Name: "berlin", Set: map[string]string{"n": fmt.Sprint(i)}, Overwrite: true}))
		for j, w := range watches {
			m := w.expect("MODIFIED berlin")
			want := changed
			if j == 2 {
				want = &yardarmv1.Cluster{Metadata: &yardarmv1.ObjectMeta{Name: "berlin"}}
			}
			if !proto.Equal(m.GetCluster(), want) {
				t.Errorf("watch %d is told %v, want %v", j, m.GetCluster(), want)
			}
			if bookmarked := m.GetBookmark() != ""; bookmarked != (j < 2) {
				t.Errorf("watch %d has the bookmark %q", j, m.GetBookmark())
			}
		}
	}
}
