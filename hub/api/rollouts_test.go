package api_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/store"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// What people do to a rollout is in its row, with who did it, and what does not go is said.
func TestSteerRollouts(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"))
	berlin := h.Enrolled(t, "berlin", map[string]string{"env": "prod"})
	publish(t, h, "web", "1", "prod")
	uid := h.Store.Read().BundleByName("web").Metadata.Uid
	h.Update(t, func(tx *store.Tx) error {
		row := &storev1.Rollout{BundleUid: uid, Revision: 1, Chunks: 1, Wait: 2,
			Strategy: &yardarmv1.RolloutStrategy{Stages: []*yardarmv1.Stage{{Name: "first", Approval: "before"}, {Name: "rest"}}},
			Stages:   []*storev1.RolloutStage{{Name: "first", Concurrency: 1}, {Name: "rest", Concurrency: 1}}}
		if err := tx.PutRollout(row); err != nil {
			return err
		}
		return tx.PutRolloutMembers(uid, 0, []store.RolloutMember{{UID: berlin}})
	})
	before := len(h.Audited(t))
	web := func() *hubv1.SteerRolloutRequest { return &hubv1.SteerRolloutRequest{Bundle: "web"} }
	type call = func(context.Context, *hubv1.SteerRolloutRequest, ...grpc.CallOption) (*yardarmv1.Rollout, error)
	for _, step := range []struct {
		name   string
		call   call
		change func(*hubv1.SteerRolloutRequest)
		code   codes.Code
		words  string
		phase  string
	}{
		{"another revision", h.PauseRollout, func(r *hubv1.SteerRolloutRequest) { r.Revision = 7 }, codes.FailedPrecondition, "revision 7 was meant", ""},
		{"no such bundle", h.PauseRollout, func(r *hubv1.SteerRolloutRequest) { r.Bundle = "nothing" }, codes.NotFound, "nothing", ""},
		{"a stage that waits for an approval", h.PromoteRollout, nil, codes.FailedPrecondition, "waits for an approval", ""},
		{"nothing has failed", h.RetryRollout, nil, codes.FailedPrecondition, "has not failed", ""},
		{"a dry run", h.PauseRollout, func(r *hubv1.SteerRolloutRequest) { r.DryRun = true }, codes.OK, "", yardarmv1.RolloutPaused},
		{"pause", h.PauseRollout, func(r *hubv1.SteerRolloutRequest) { r.Revision, r.Message = 1, "lunch" }, codes.OK, "", yardarmv1.RolloutPaused},
		{"pause again", h.PauseRollout, nil, codes.FailedPrecondition, "paused already", ""},
		{"resume", h.ResumeRollout, nil, codes.OK, "", yardarmv1.RolloutProgressing},
		{"approve", h.ApproveRollout, nil, codes.OK, "", yardarmv1.RolloutProgressing},
		{"approve again", h.ApproveRollout, nil, codes.FailedPrecondition, "approved already", ""},
		{"promote", h.PromoteRollout, nil, codes.OK, "", yardarmv1.RolloutProgressing},
		{"promote the last", h.PromoteRollout, nil, codes.FailedPrecondition, "the last one", ""},
		{"override for no reason", h.OverrideGates, nil, codes.InvalidArgument, "say why", ""},
		{"override", h.OverrideGates, func(r *hubv1.SteerRolloutRequest) { r.Message = "the shop is down" }, codes.OK, "", yardarmv1.RolloutProgressing},
		{"override again", h.OverrideGates, func(r *hubv1.SteerRolloutRequest) { r.Message = "again" }, codes.FailedPrecondition, "overridden", ""},
	} {
		req := web()
		if step.change != nil {
			step.change(req)
		}
		r, err := step.call(t.Context(), req)
		if step.code != codes.OK {
			refused(t, err, step.code, step.words)
			continue
		}
		if err != nil || r.Status.Phase != step.phase {
			t.Fatalf("%s: %v, %v", step.name, r.GetStatus(), err)
		}
	}
	if got := audited(t, h, before); got["PauseRollout"] != 1 || got["ResumeRollout"] != 1 || got["ApproveRollout"] != 1 || got["PromoteRollout"] != 1 || got["OverrideGates"] != 1 {
		t.Errorf("audited were %v", got)
	}
	r := must[*yardarmv1.Rollout](t)(h.GetRollout(t.Context(), &hubv1.GetRolloutRequest{Bundle: "web"}))
	st := r.Status
	if last := st.Actions[len(st.Actions)-1]; !st.GatesOverridden || last.Action != "override" || last.Message != "the shop is down" {
		t.Errorf("status %v", st)
	}
	if len(st.Actions) != 5 || st.Actions[0].Action != "pause" || st.Actions[0].Actor == "" || st.Actions[0].Message != "lunch" || st.Actions[0].Stage != "first" ||
		st.Stage != "rest" || !st.Stages[0].Approved || st.Stages[0].Clusters != 1 || st.Stages[0].Away != 1 {
		t.Errorf("status %v", st)
	}
	if b := must[*yardarmv1.Bundle](t)(h.GetBundle(t.Context(), &hubv1.GetBundleRequest{Name: "web"})); b.Status.Rollout.GetStage() != "rest" || b.Status.Revision != 0 {
		t.Errorf("bundle %v", b.Status)
	}
}

// A strategy that makes no sense is refused by field and reason.
func TestStrategiesAreChecked(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"))
	b := bundle("web", "prod")
	b.GetBundle().Spec.Rollout = &yardarmv1.RolloutStrategy{OnFailure: "panic", Stages: []*yardarmv1.Stage{{Name: "a", Percent: 10, FailureBudget: "many"}, {Group: "nowhere"}}}
	_, err := h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{b}})
	st := refused(t, err, codes.InvalidArgument, "end with a stage", "panic", "many")
	if got := fields(st); len(got) != 3 || got[0] != "resources[0].spec.rollout.stages[0].failureBudget" {
		t.Errorf("fields %v", got)
	}
	b.GetBundle().Spec.Rollout = &yardarmv1.RolloutStrategy{Stages: []*yardarmv1.Stage{{Group: "nowhere"}, {}}}
	_, err = h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{b}})
	refused(t, err, codes.InvalidArgument, "spec.rollout.stages[0].group", "nowhere")
	_, err = h.Publish(t.Context(), &hubv1.Publication{Bundle: "web", Groups: []string{"prod"}, Rollout: &yardarmv1.RolloutStrategy{Stages: []*yardarmv1.Stage{{Percent: 50}}}},
		apitest.ConfigMap("", "web", "1"))
	refused(t, err, codes.InvalidArgument, "publication.rollout.stages", "prod")
}
