package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// stood is a history in short, as in "web 2/1 Ready".
func stood(transitions []*hubv1.Transition) string {
	var parts []string
	for _, t := range transitions {
		if t.Bundle != "" {
			parts = append(parts, fmt.Sprintf("%s %d/%d %s", t.Bundle, t.DesiredRevision, t.ObservedRevision, t.Phase))
		}
	}
	return strings.Join(parts, ", ")
}

// TestGetHistory asks how a cluster stood, as somebody who may see all of it, and as one who may see one bundle.
func TestGetHistory(t *testing.T) {
	h := smallFleet(t)
	other := publish(t, h, "db", "1", "prod")
	uid := h.Store.Read().ClusterByName("berlin").Metadata.Uid
	web := h.Store.Read().BundleByName("web").Metadata.Uid
	h.Report(t, uid, &yardarmv1.Report{Bundle: "web", BundleUid: web, Revision: 2, Phase: yardarmv1.PhaseReady})
	before := time.Now()
	h.Report(t, uid, &yardarmv1.Report{Bundle: "db", BundleUid: other.Revision.Spec.BundleUid, Revision: 1, Phase: yardarmv1.PhaseReady})
	h.Report(t, uid, &yardarmv1.Report{Bundle: "web", BundleUid: web, Revision: 2, Phase: yardarmv1.PhaseDegraded, Reason: "Unhealthy"})

	at := must[*hubv1.History](t)(h.GetHistory(t.Context(), &hubv1.GetHistoryRequest{Cluster: "berlin", At: timestamppb.New(before)}))
	if got := stood(at.Standing); !strings.Contains(got, "web 2/2 Ready") || strings.Contains(got, "db 1/1") {
		t.Errorf("before, it stood %q", got)
	}
	now := must[*hubv1.History](t)(h.GetHistory(t.Context(), &hubv1.GetHistoryRequest{Cluster: "berlin", At: timestamppb.Now()}))
	if got := stood(now.Standing); !strings.Contains(got, "web 2/2 Degraded") || !strings.Contains(got, "db 1/1 Ready") {
		t.Errorf("now, it stands %q", got)
	}
	if c := now.Standing[0]; c.Bundle != "" || c.Presence != yardarmv1.PresenceConnected {
		t.Errorf("the cluster itself stands %v", c)
	}
	changes := must[*hubv1.History](t)(h.GetHistory(t.Context(), &hubv1.GetHistoryRequest{Cluster: "berlin", Bundle: "web", Since: timestamppb.New(before), Limit: 1}))
	if got := stood(changes.Transitions); got != "web 2/2 Degraded" || changes.Transitions[0].Reason != "Unhealthy" || changes.More != 0 {
		t.Errorf("since then: %q, and %d more", got, changes.More)
	}
	if all := must[*hubv1.History](t)(h.GetHistory(t.Context(), &hubv1.GetHistoryRequest{Cluster: "berlin", Limit: 1})); len(all.Transitions) != 1 || all.More < 3 {
		t.Errorf("with a limit: %v", all)
	}
	rollouts := must[*hubv1.History](t)(h.GetHistory(t.Context(), &hubv1.GetHistoryRequest{Bundle: "web"}))
	if len(rollouts.Transitions) == 0 || rollouts.Transitions[0].DesiredRevision != 2 || rollouts.Transitions[0].Phase == "" {
		t.Errorf("the rollouts went %v", rollouts)
	}

	token := h.Issue(t, "web-only", time.Time{})
	bind(t, h, "web-only", "viewer", []string{"web"}, nil)
	seen := must[*hubv1.History](t)(h.As(t, token).GetHistory(t.Context(), &hubv1.GetHistoryRequest{Cluster: "berlin", At: timestamppb.Now()}))
	if got := stood(seen.Standing); got != "web 2/2 Degraded" {
		t.Errorf("who may see one bundle sees %q", got)
	}
	for want, req := range map[codes.Code]*hubv1.GetHistoryRequest{
		codes.InvalidArgument: {},
		codes.NotFound:        {Cluster: "nowhere"},
	} {
		if _, err := h.GetHistory(t.Context(), req); status.Code(err) != want {
			t.Errorf("%v: %v", req, err)
		}
	}
}
