package api_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// TestGetExplanation is of what no session is needed for; e2e/stream and e2e/scenarios have every reason as it arises.
func TestGetExplanation(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"), group("hidden", "env=hidden"))
	h.Enrolled(t, "edge", map[string]string{"env": "prod"})
	h.Enrolled(t, "lab", map[string]string{"env": "lab"})
	publish(t, h, "web", "1", "prod", "hidden")
	why := func(c hubv1.FleetServiceClient, cluster string) *yardarmv1.Explanation {
		t.Helper()
		return must[*yardarmv1.Explanation](t)(c.GetExplanation(t.Context(), &hubv1.GetExplanationRequest{Cluster: cluster, Bundle: "web"}))
	}
	if x := why(h, "edge"); x.Reason != yardarmv1.WhyNeverConnected || x.Revision != 1 || x.Steps[2].Time == nil || x.Steps[0].Message != `group "prod" has the cluster, by env=prod` {
		t.Errorf("edge: %v", x)
	}
	x := why(h, "lab")
	if x.Reason != yardarmv1.WhyNotSelected || !strings.Contains(x.Answer, `group "prod" asks for env=prod, and the cluster has env=lab`) || !strings.Contains(x.Answer, `"hidden"`) {
		t.Errorf("lab: %v", x)
	}
	for name, req := range map[string]*hubv1.GetExplanationRequest{"nope": {Cluster: "nope", Bundle: "web"}, "none": {Cluster: "edge", Bundle: "none"}} {
		_, err := h.GetExplanation(t.Context(), req)
		refused(t, err, codes.NotFound, name)
	}
	// Groups that the caller may not see are not named, and clusters are not there.
	token := h.Issue(t, "team", time.Time{})
	apply(t, h, group("labs", "env=lab"), &hubv1.Resource{Resource: &hubv1.Resource_RoleBinding{RoleBinding: &yardarmv1.RoleBinding{Metadata: &yardarmv1.ObjectMeta{Name: "team"},
		Spec: &yardarmv1.RoleBindingSpec{Role: "viewer", Subjects: []*yardarmv1.Subject{{Kind: yardarmv1.SubjectToken, Name: "team"}}, ClusterGroups: &yardarmv1.Scope{Names: []string{"labs"}}}}}})
	team := h.As(t, token)
	if x := why(team, "lab"); x.Reason != yardarmv1.WhyNotSelected || strings.Contains(x.Answer, "prod") || !strings.Contains(x.Answer, "2 groups that you may not see") {
		t.Errorf("lab, for its team: %v", x)
	}
	_, err := team.GetExplanation(t.Context(), &hubv1.GetExplanationRequest{Cluster: "edge", Bundle: "web"})
	refused(t, err, codes.NotFound, "edge")
}
