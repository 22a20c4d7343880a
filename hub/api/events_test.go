package api_test

import (
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

// events are all there have been.
func events(t *testing.T, h *apitest.Hub) ([]*hubv1.WatchEventsResponse, error) {
	t.Helper()
	stream, err := h.WatchEvents(t.Context(), &hubv1.WatchEventsRequest{})
	if err != nil {
		return nil, err
	}
	return drain(stream)
}

func TestEventsArePastAndThenFollow(t *testing.T) {
	h := apitest.Start(t)
	h.Enrolled(t, "berlin", nil)
	h.Enrolled(t, "paris", nil)
	past := must[[]*hubv1.WatchEventsResponse](t)(events(t, h))
	if len(past) != 2 || past[0].Event.Cluster != "berlin" || past[0].Event.Reason != "TokenIssued" || past[0].Event.Actor == "" {
		t.Fatalf("events %v", past)
	}
	stream := must[hubv1.FleetService_WatchEventsClient](t)(h.WatchEvents(t.Context(), &hubv1.WatchEventsRequest{Follow: true, Tail: 1, Cluster: "paris"}))
	if e := must[*hubv1.WatchEventsResponse](t)(stream.Recv()); e.Event.Cluster != "paris" {
		t.Errorf("tail %v", e)
	}
	for _, name := range []string{"berlin", "paris"} {
		must[any](t)(h.BanCluster(t.Context(), &hubv1.BanClusterRequest{Name: name, Reason: "lost"}))
	}
	e := must[*hubv1.WatchEventsResponse](t)(stream.Recv()).Event
	if e.Cluster != "paris" || e.Reason != "ClusterBanned" || e.Type != "Warning" {
		t.Errorf("followed event %v", e)
	}
	tail := must[hubv1.FleetService_WatchEventsClient](t)(h.WatchEvents(t.Context(), &hubv1.WatchEventsRequest{Tail: 1, Cluster: "paris"}))
	if last := must[[]*hubv1.WatchEventsResponse](t)(drain(tail)); len(last) != 1 || last[0].Event.Reason != "ClusterBanned" {
		t.Errorf("the last one is %v", last)
	}
	after := must[hubv1.FleetService_WatchEventsClient](t)(h.WatchEvents(t.Context(), &hubv1.WatchEventsRequest{After: past[1].Event.Sequence}))
	if rest := must[[]*hubv1.WatchEventsResponse](t)(drain(after)); len(rest) != 2 {
		t.Errorf("%d events after the second, want 2", len(rest))
	}
	if err := h.Stop(); err != nil {
		t.Fatal(err)
	}
	_, err := stream.Recv()
	refused(t, err, codes.Unavailable)
}
