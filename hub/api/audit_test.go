package api_test

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// TestAuditNamesTheCaller finds who called, from where, how and under which id, over gRPC and over REST alike.
func TestAuditNamesTheCaller(t *testing.T) {
	h := apitest.Start(t)
	h.Enrolled(t, "berlin", nil)
	before := len(h.Audited(t))

	ctx := apitest.WithHeader(t.Context(), "x-request-id", "over-grpc")
	// A caller cannot choose where it came from.
	ctx = apitest.WithHeader(ctx, "x-forwarded-for", "203.0.113.9")
	if _, err := h.BanCluster(ctx, &hubv1.BanClusterRequest{Name: "berlin"}); err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.URL+restRoutes(t)["UnbanCluster"].at("berlin"), strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]string{"Authorization": "Bearer " + h.Token, "X-Request-Id": "over-rest", "X-Forwarded-For": "203.0.113.9"} {
		req.Header.Set(key, value)
	}
	resp, err := h.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d", resp.StatusCode)
	}

	entries := h.Audited(t)[before:]
	if len(entries) != 2 {
		t.Fatalf("%d entries of two changes: %v", len(entries), entries)
	}
	for i, want := range []struct{ id, method string }{
		{"over-grpc", hubv1.FleetService_BanCluster_FullMethodName}, {"over-rest", hubv1.FleetService_UnbanCluster_FullMethodName},
	} {
		e := entries[i]
		if e.Who != "local-admin" || e.RequestId != want.id || e.Method != want.method {
			t.Errorf("entry %d is by %q, request %q, method %s; want %v", i, e.Who, e.RequestId, e.Method, want)
		}
		if from, err := netip.ParseAddr(e.Address); err != nil || !from.IsLoopback() {
			t.Errorf("entry %d is from %q", i, e.Address)
		}
		if len(e.Changes) == 0 || e.Changes[0].Table != "clusters" || e.Changes[0].Name != "berlin" {
			t.Errorf("entry %d names %v", i, e.Changes)
		}
	}
}

// at is the path of one resource.
func (r route) at(name string) string { return strings.ReplaceAll(r.path, "nothing", name) }

// audited counts the entries since one of them by method, and checks who they are by.
func audited(t *testing.T, h *apitest.Hub, since int) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, e := range h.Audited(t)[since:] {
		if e.Method != "" && e.Who != "local-admin" {
			t.Errorf("%s is by %q", e.Method, e.Who)
		}
		out[strings.TrimPrefix(e.Method, "/"+hubv1.FleetService_ServiceDesc.ServiceName+"/")]++
	}
	return out
}

// notTried are the methods that change something only where something has gone wrong, or is under way.
var notTried = map[string]string{
	"Accept":          "something has to be held",
	"PauseRollout":    "TestSteerRollouts",
	"ResumeRollout":   "TestSteerRollouts",
	"ApproveRollout":  "TestSteerRollouts",
	"PromoteRollout":  "TestSteerRollouts",
	"RetryRollout":    "a rollout has to have failed",
	"OverrideGates":   "TestSteerRollouts",
	"RetireAuthority": "all clusters have to have the new one",
}

// TestEveryChangeIsAudited reads the service's descriptor, so that a new method cannot be forgotten, and finds one entry of each call.
func TestEveryChangeIsAudited(t *testing.T) {
	h := smallFleet(t)
	ctx, keep := t.Context(), yardarmv1.Workloads_WORKLOADS_KEEP
	before, tried := len(h.Audited(t)), map[string]bool{}
	for _, step := range []struct {
		method string
		call   func() error
	}{
		{"Apply", func() error {
			_, err := h.Apply(ctx, &hubv1.ApplyRequest{Resources: []*hubv1.Resource{ownRole(), ownBinding(), freezing("own", ""), careful(), notification("ops", &yardarmv1.NotificationSpec{Url: "https://ops.example.com"}),
				sourceCredentials("own", &yardarmv1.SourceCredentialsSpec{Urls: []string{"https://git.example.com/"}, BearerToken: "t"})}})
			return err
		}},
		{"EnrollCluster", func() error { _, err := h.EnrollCluster(ctx, &hubv1.EnrollClusterRequest{Name: "madrid"}); return err }},
		{"LabelCluster", func() error {
			_, err := h.LabelCluster(ctx, &hubv1.LabelClusterRequest{Name: "oslo", Set: map[string]string{"a": "b"}})
			return err
		}},
		{"BanCluster", func() error { _, err := h.BanCluster(ctx, &hubv1.BanClusterRequest{Name: "oslo"}); return err }},
		{"UnbanCluster", func() error { _, err := h.UnbanCluster(ctx, &hubv1.UnbanClusterRequest{Name: "oslo"}); return err }},
		{"CreateToken", func() error {
			_, err := h.CreateToken(ctx, &hubv1.CreateTokenRequest{Name: "ci", Role: "viewer"})
			return err
		}},
		{"RevokeToken", func() error { _, err := h.RevokeToken(ctx, &hubv1.RevokeTokenRequest{Name: "ci"}); return err }},
		{"AcceptDrift", func() error {
			h.Report(t, h.Store.Read().ClusterByName("berlin").Metadata.Uid, &yardarmv1.Report{Bundle: "web", BundleUid: h.Store.Read().BundleByName("web").Metadata.Uid, Phase: yardarmv1.PhaseReady,
				AssignmentHash: assignment(t, h, "berlin", "web").Spec.Hash, Drift: []*yardarmv1.Drift{differing("data.key", `"2"`, `"3"`)}})
			_, err := h.AcceptDrift(ctx, &hubv1.AcceptDriftRequest{Bundle: "web", Clusters: []string{"berlin"}})
			return err
		}},
		{"PublishRevision", func() error {
			_, err := h.Publish(ctx, &hubv1.Publication{Bundle: "web"}, apitest.ConfigMap("", "web", "3"))
			return err
		}},
		{"UndoRollout", func() error { _, err := h.UndoRollout(ctx, &hubv1.UndoRolloutRequest{Bundle: "web"}); return err }},
		{"Reconcile", func() error { _, err := h.Reconcile(ctx, &hubv1.ReconcileRequest{Bundle: "web"}); return err }},
		{"DeleteRoleBinding", func() error {
			_, err := h.DeleteRoleBinding(ctx, &hubv1.DeleteRoleBindingRequest{Name: "own"})
			return err
		}},
		{"DeleteStrategy", func() error {
			_, err := h.DeleteStrategy(ctx, &hubv1.DeleteStrategyRequest{Name: "careful"})
			return err
		}},
		{"DeleteNotification", func() error {
			_, err := h.DeleteNotification(ctx, &hubv1.DeleteNotificationRequest{Name: "ops"})
			return err
		}},
		{"DeleteSourceCredentials", func() error {
			_, err := h.DeleteSourceCredentials(ctx, &hubv1.DeleteSourceCredentialsRequest{Name: "own"})
			return err
		}},
		{"DeleteRole", func() error { _, err := h.DeleteRole(ctx, &hubv1.DeleteRoleRequest{Name: "own"}); return err }},
		{"DeleteGate", func() error { _, err := h.DeleteGate(ctx, &hubv1.DeleteGateRequest{Name: "own"}); return err }},
		{"DeleteBundle", func() error {
			_, err := h.DeleteBundle(ctx, &hubv1.DeleteBundleRequest{Name: "web", Workloads: keep})
			return err
		}},
		{"DeleteClusterGroup", func() error {
			_, err := h.DeleteClusterGroup(ctx, &hubv1.DeleteClusterGroupRequest{Name: "all"})
			return err
		}},
		{"DeleteCluster", func() error {
			_, err := h.DeleteCluster(ctx, &hubv1.DeleteClusterRequest{Name: "oslo", Workloads: keep})
			return err
		}},
		{"RotateAuthority", func() error { _, err := h.RotateAuthority(ctx, &hubv1.RotateAuthorityRequest{}); return err }},
	} {
		tried[step.method] = true
		if err := step.call(); err != nil {
			t.Errorf("%s: %v", step.method, err)
		}
	}
	entries := audited(t, h, before)
	for i := range fleetMethods().Len() {
		name := string(fleetMethods().Get(i).Name())
		switch changes := slices.Contains(changing(), name); {
		case changes && !tried[name] && notTried[name] == "":
			t.Errorf("%s: nobody looks whether it is audited", name)
		case tried[name] && entries[name] != 1:
			t.Errorf("%s has left %d entries", name, entries[name])
		case !changes && entries[name] > 0:
			t.Errorf("%s changes nothing, and has left %d entries", name, entries[name])
		}
	}
}
