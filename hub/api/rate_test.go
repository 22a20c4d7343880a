package api_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yardarm-dev/yardarm/hub/api"
	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/gateway"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

// burst is what comes through at once at one call a second.
const burst = 10

// limited is a hub of one call a second, whose clock is moved by hand.
func limited(t *testing.T) (h *apitest.Hub, wait func(time.Duration)) {
	start := time.Now()
	var passed atomic.Int64
	h = apitest.Start(t, func(c *api.Config, _ *gateway.Config) {
		c.Limits.CallRate, c.Limits.FailureRate, c.Clock = 1, 1, func() time.Time { return start.Add(time.Duration(passed.Load())) }
	})
	return h, func(d time.Duration) { passed.Add(int64(d)) }
}

// retryInfo is when a refused caller may come back.
func retryInfo(t *testing.T, err error) time.Duration {
	t.Helper()
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration()
		}
	}
	t.Errorf("%v does not say when to come back", err)
	return 0
}

func TestEachIdentityHasItsRate(t *testing.T) {
	h, wait := limited(t)
	ask := func(c hubv1.FleetServiceClient) error {
		_, err := c.WhoAmI(t.Context(), &hubv1.WhoAmIRequest{})
		return err
	}
	for range burst {
		if err := ask(h); err != nil {
			t.Fatal(err)
		}
	}
	err := ask(h)
	refused(t, err, codes.ResourceExhausted, "slow down")
	if after := retryInfo(t, err); after <= 0 || after > time.Second {
		t.Errorf("come back after %v", after)
	}
	stream, err := h.Watch(t.Context(), &hubv1.WatchRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	refused(t, err, codes.ResourceExhausted, "slow down")
	if err := ask(h.As(t, h.Issue(t, "other", time.Time{}))); err != nil {
		t.Errorf("another identity: %v", err)
	}
	wait(time.Second)
	if err := ask(h); err != nil {
		t.Errorf("after a second: %v", err)
	}
	refused(t, ask(h), codes.ResourceExhausted)
}

func TestEachAddressHasItsFailures(t *testing.T) {
	h, wait := limited(t)
	fail := func(forwarded string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.URL+"/v1/hub", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer guessed")
		r.Header.Set("X-Forwarded-For", forwarded)
		resp, err := h.HTTP.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp
	}
	stranger := h.As(t, "guessed")
	for range burst / 2 {
		if resp := fail("192.0.2.1"); resp.StatusCode != http.StatusUnauthorized {
			t.Fatal(resp.Status)
		}
		_, err := stranger.GetHub(t.Context(), &hubv1.GetHubRequest{})
		refused(t, err, codes.Unauthenticated)
	}
	// The address is that of the connection, and the same for REST and gRPC.
	if resp := fail("192.0.2.2"); resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") != "1" {
		t.Errorf("%s, Retry-After %q", resp.Status, resp.Header.Get("Retry-After"))
	}
	_, err := stranger.GetHub(t.Context(), &hubv1.GetHubRequest{})
	refused(t, err, codes.ResourceExhausted, "from this address")
	retryInfo(t, err)
	if _, err := h.GetHub(t.Context(), &hubv1.GetHubRequest{}); err != nil {
		t.Errorf("a known caller from that address: %v", err)
	}
	wait(time.Second)
	_, err = stranger.GetHub(t.Context(), &hubv1.GetHubRequest{})
	refused(t, err, codes.Unauthenticated)
}
