package api_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
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

// TestAuditOfDryRuns finds nothing of what changes nothing.
func TestAuditOfDryRuns(t *testing.T) {
	h := smallFleet(t)
	before := len(h.Audited(t))
	for name, call := range changesOf(h, true, "") {
		if _, err := call(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if entries := h.Audited(t)[before:]; len(entries) > 0 {
		t.Errorf("dry runs have left %v", entries)
	}
}
