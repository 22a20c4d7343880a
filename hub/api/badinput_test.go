package api_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/store"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// What makes no sense of a rollout is refused with its field, or warned of where it may make sense later.
func TestRolloutsAreChecked(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"), group("test", "env=test"))
	for _, name := range []string{"berlin", "oslo"} {
		h.Enrolled(t, name, map[string]string{"env": "prod"})
	}
	staged := func(stages ...*yardarmv1.Stage) *hubv1.Resource {
		b := bundle("web", "prod", "test")
		b.GetBundle().Spec.Rollout = &yardarmv1.RolloutStrategy{Stages: stages}
		return b
	}
	zone := windowed("zone", "deny", "0 22 * * *", time.Hour)
	zone.GetGate().Spec.Window.TimeZone = "Europe/Nowhere"
	for name, test := range map[string]struct {
		resource *hubv1.Resource
		field    string
		words    string
	}{
		"a group in two stages":           {staged(&yardarmv1.Stage{Group: "prod"}, &yardarmv1.Stage{Group: "prod"}, &yardarmv1.Stage{}), "spec.rollout.stages[1].group", "go with a stage before"},
		"a stage after all that are left": {staged(&yardarmv1.Stage{}, &yardarmv1.Stage{Group: "prod"}), "spec.rollout.stages[0]", "the stages after it get none"},
		"clusters without a stage":        {staged(&yardarmv1.Stage{Group: "prod"}), "spec.rollout.stages", "take not all clusters (those of test)"},
		"less than 100 percent":           {staged(&yardarmv1.Stage{Percent: 10}, &yardarmv1.Stage{Percent: 50}), "spec.rollout.stages", "take not all clusters"},
		"percentages that shrink":         {staged(&yardarmv1.Stage{Percent: 50}, &yardarmv1.Stage{Percent: 10}, &yardarmv1.Stage{}), "spec.rollout.stages[1].percent", "have to grow"},
		"more than 100 percent":           {staged(&yardarmv1.Stage{Percent: 101}), "spec.rollout.stages[0].percent", "more than all"},
		"a budget of more than all":       {staged(&yardarmv1.Stage{FailureBudget: "200%"}), "spec.rollout.stages[0].failureBudget", "more than all"},
		"an unknown group":                {staged(&yardarmv1.Stage{Group: "nowhere"}, &yardarmv1.Stage{}), "spec.rollout.stages[0].group", "nowhere"},
		"a gate for an unknown group":     {freezing("friday", "", "nowhere"), "spec.groups[0]", "nowhere"},
		"an unknown time zone":            {zone, "spec.window.timeZone", "Europe/Nowhere"},
		"a window that never opens":       {windowed("never", "allow", "0 0 30 2 *", time.Hour), "spec.window.schedule", "0 0 30 2 *"},
	} {
		_, err := h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{test.resource}})
		if got := fields(refused(t, err, codes.InvalidArgument, test.words)); len(got) != 1 || got[0] != "resources[0]."+test.field {
			t.Errorf("%s: fields %v", name, got)
		}
	}

	for name, test := range map[string]struct {
		stages []*yardarmv1.Stage
		want   string
	}{
		"a budget larger than the stage": {[]*yardarmv1.Stage{{FailureBudget: "500"}}, "stage stage-1 never fails: 500 of its clusters may, and it has 2"},
		"a stage that overlaps":          {[]*yardarmv1.Stage{{Group: "prod"}, {Selector: &yardarmv1.LabelSelector{MatchLabels: map[string]string{"env": "prod"}}}, {}}, "stage stage-2 gets no cluster"},
	} {
		p := &hubv1.Publication{Bundle: "web", Groups: []string{"prod"}, Rollout: &yardarmv1.RolloutStrategy{Stages: test.stages}, DryRun: true}
		resp := must[*hubv1.PublishRevisionResponse](t)(h.Publish(t.Context(), p, apitest.ConfigMap("", "web", "1")))
		if !strings.Contains(strings.Join(resp.Warnings, "\n"), test.want) {
			t.Errorf("%s: publishing warns of %q", name, resp.Warnings)
		}
		if got := apply(t, h, staged(test.stages...)).Results[0].Warnings; !strings.Contains(strings.Join(got, "\n"), test.want) {
			t.Errorf("%s: applying warns of %q", name, got)
		}
	}
}

// An approval by somebody who may not, and a return to a revision that was collected.
func TestRolloutsThatAreNotSteered(t *testing.T) {
	h, c := scoped(t, "publisher")
	_, err := c.ApproveRollout(t.Context(), &hubv1.SteerRolloutRequest{Bundle: "web"})
	refused(t, err, codes.PermissionDenied, "approve")
	publish(t, h, "web", "2", "prod")
	h.Update(t, func(tx *store.Tx) error { return tx.DeleteRevision(tx.BundleByName("web").Metadata.Uid, 1) })
	_, err = c.UndoRollout(t.Context(), &hubv1.UndoRolloutRequest{Bundle: "web", ToRevision: 1})
	refused(t, err, codes.NotFound, `"web" has no revision 1`, "was collected", "there are: 2")
}

// A dry run of what would make a revision answers the stages that it would take; nothing else does.
func TestDryRunsPlan(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"), strategy("careful", &yardarmv1.Stage{Name: "first", Clusters: 1, Approval: yardarmv1.ApprovalAfter}, &yardarmv1.Stage{Name: "rest", FailureBudget: "100%"}), by("careful", "web", "prod"))
	for _, name := range []string{"berlin", "oslo", "rome"} {
		h.Enrolled(t, name, map[string]string{"env": "prod"})
	}
	check := func(p *yardarmv1.RolloutPlan) {
		t.Helper()
		if len(p.GetStages()) != 2 || p.Strategy != "careful" || p.Stages[0].Clusters != 1 || p.Stages[0].Approval != "after" || p.Stages[1].Clusters != 2 || !p.Stages[1].Tolerant || p.Stages[1].Away != 2 {
			t.Errorf("plan %v", p)
		}
	}
	send := func(value string, dryRun bool) *hubv1.PublishRevisionResponse {
		t.Helper()
		return must[*hubv1.PublishRevisionResponse](t)(h.Publish(t.Context(), &hubv1.Publication{Bundle: "web", DryRun: dryRun}, apitest.ConfigMap("", "web", value)))
	}
	check(send("1", true).Plan)
	for _, resp := range []*hubv1.PublishRevisionResponse{send("1", false), send("1", true), send("2", false)} {
		if resp.Plan != nil {
			t.Errorf("%s, and its plan is %v", resp.Outcome, resp.Plan)
		}
	}
	check(must[*hubv1.PublishRevisionResponse](t)(h.UndoRollout(t.Context(), &hubv1.UndoRolloutRequest{Bundle: "web", DryRun: true})).Plan)
}
