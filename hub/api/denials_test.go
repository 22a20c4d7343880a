package api_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yardarm-dev/yardarm/hub/api"
	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/gateway"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// until waits for the state that is wanted.
func until(t *testing.T, what string, reached func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !reached(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// TestDeniedCallsAreCounted makes a thousand calls that are denied, of one who is known and of one whom nobody knows, over gRPC and REST, with limits of their
// rates and without, and finds all of them in a few entries.
func TestDeniedCallsAreCounted(t *testing.T) {
	const each = 500
	for name, limits := range map[string]api.Limits{"unlimited": {CallRate: -1, FailureRate: -1}, "limited": {CallRate: 100, FailureRate: 5}} {
		t.Run(name, func(t *testing.T) {
			h := apitest.Start(t, func(c *api.Config, _ *gateway.Config) {
				c.DenialsSoonest, c.Limits = 20*time.Millisecond, limits
			})
			viewer := h.As(t, must[*hubv1.CreateTokenResponse](t)(h.CreateToken(t.Context(), &hubv1.CreateTokenRequest{Name: "eyes", Role: "viewer"})).Secret)
			nobody := h.As(t, "yt1.nobody")
			before := len(h.Audited(t))
			began := time.Now()
			var all sync.WaitGroup
			for range 10 {
				all.Go(func() {
					for range each / 10 {
						_, err := viewer.DeleteBundle(t.Context(), &hubv1.DeleteBundleRequest{Name: "web", Workloads: yardarmv1.Workloads_WORKLOADS_KEEP})
						if code := status.Code(err); code != codes.PermissionDenied && code != codes.ResourceExhausted {
							t.Errorf("the viewer is answered %v", err)
						}
						_, err = nobody.ListClusters(t.Context(), &hubv1.ListClustersRequest{})
						if code := status.Code(err); code != codes.Unauthenticated && code != codes.ResourceExhausted {
							t.Errorf("nobody is answered %v", err)
						}
					}
				})
			}
			all.Wait()
			resp := must[*http.Response](t)(h.HTTP.Get(h.URL + "/v1/bundles"))
			resp.Body.Close()

			counted := map[string]uint64{}
			var entries []*storev1.AuditEntry
			until(t, "all of them are counted", func() bool {
				clear(counted)
				entries = h.Audited(t)[before:]
				for _, e := range entries {
					for _, d := range e.Denials {
						counted[d.Who] += d.Calls
						if d.First.AsTime().After(d.Last.AsTime()) || d.RequestId == "" || d.Address != "127.0.0.1" {
							t.Fatalf("a row says %v", d)
						}
					}
				}
				return counted["token/eyes"] == each && counted[""] == each+1
			})
			// The first is due after 20 ms, and none sooner than that after another.
			if most := int(time.Since(began)/(20*time.Millisecond)) + 1; len(entries) > min(most, 100) {
				t.Errorf("%d entries in %s", len(entries), time.Since(began))
			}
		})
	}
}

// TestDenialsAreShown finds denied calls in the log by who was denied what, also a stream's and a call's whose change was refused.
func TestDenialsAreShown(t *testing.T) {
	h := apitest.Start(t, func(c *api.Config, _ *gateway.Config) { c.DenialsSoonest = time.Millisecond })
	viewer := h.As(t, must[*hubv1.CreateTokenResponse](t)(h.CreateToken(t.Context(), &hubv1.CreateTokenRequest{Name: "eyes", Role: "viewer"})).Secret)
	ctx := apitest.WithHeader(t.Context(), "x-request-id", "of-eyes")
	for code, call := range map[codes.Code]func() error{
		codes.PermissionDenied: func() error { _, err := viewer.BanCluster(ctx, &hubv1.BanClusterRequest{Name: "oslo"}); return err },
		codes.Unauthenticated: func() error {
			stream, err := h.As(t, "nobody").Watch(t.Context(), &hubv1.WatchRequest{Kind: yardarmv1.KindCluster})
			if err == nil {
				_, err = stream.Recv()
			}
			return err
		},
	} {
		if err := call(); status.Code(err) != code {
			t.Fatalf("%v, want %v", err, code)
		}
	}
	for filter, want := range map[string]*hubv1.AuditDenial{
		"actor=token/eyes,kind=Denial": {Actor: "token/eyes", Address: "127.0.0.1", Action: "BanCluster", Reason: "PERMISSION_DENIED", Calls: 1, RequestId: "of-eyes"},
		"request=of-eyes":              {Actor: "token/eyes", Address: "127.0.0.1", Action: "BanCluster", Reason: "PERMISSION_DENIED", Calls: 1, RequestId: "of-eyes"},
		"action=Watch,actor!=hub":      {Address: "127.0.0.1", Action: "Watch", Reason: "UNAUTHENTICATED", Calls: 1},
	} {
		shown := func() bool {
			entries, _ := listAudit(t, h, &hubv1.ListAuditRequest{Filter: filter})
			for _, e := range entries {
				for _, d := range e.Denials {
					if d.Actor == want.Actor && d.Address == want.Address && d.Action == want.Action && d.Reason == want.Reason && d.Calls == want.Calls &&
						(want.RequestId == "" || d.RequestId == want.RequestId) && d.First != nil && e.Actor == "hub" && len(e.Changes) == 0 {
						return true
					}
				}
			}
			return false
		}
		until(t, filter+" finds it", shown)
	}
}

// TestDenialsOutlastTheHub finds what was counted just before a hub stopped.
func TestDenialsOutlastTheHub(t *testing.T) {
	h := apitest.Start(t)
	run := h.API.Run
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	_, err := h.As(t, "nobody").GetHub(t.Context(), &hubv1.GetHubRequest{})
	if status.Code(err) != codes.Unauthenticated {
		t.Fatal(err)
	}
	stop()
	go func() { done <- run(ctx) }()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	entries := h.Audited(t)
	if last := entries[len(entries)-1]; len(last.Denials) != 1 || last.Denials[0].Calls != 1 {
		t.Errorf("the last entry is %v", last)
	}
}
