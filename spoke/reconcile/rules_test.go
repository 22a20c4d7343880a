package reconcile

import (
	"strings"
	"testing"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestHealthRuleJudges(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	group := e.ns + ".example"
	widget := "apiVersion: " + group + "/v1\nkind: Widget\nmetadata: {name: a}\nspec: {size: "
	a := assignment{bundle: "web", revision: 1, objects: []string{crd(group, "Namespaced"), widget + "1}"}, delivery: &yardarmv1.DeliveryPolicy{
		Health: []*yardarmv1.HealthRule{{Group: group, Kind: "Widget", Ready: "object.spec.size == 2", Failing: "object.spec.size > 2", Message: `"its size is " + string(object.spec.size)`}},
	}}
	e.assign(a)
	r := s.await("web", "the widget is waited for", func(r *yardarmv1.Report) bool {
		return problemOf(r, "/a") != nil && r.Objects.Ready == 1 // the definition
	})
	if p := problemOf(r, "/a"); r.Phase != yardarmv1.PhaseProgressing || p.Reason != "NotReady" || p.Message != "its size is 1" {
		t.Errorf("report: %v", r)
	}
	a.revision, a.objects = 2, []string{crd(group, "Namespaced"), widget + "3}"}
	e.assign(a)
	s.awaitPhase("web", yardarmv1.PhaseDegraded)
	a.revision, a.objects = 3, []string{crd(group, "Namespaced"), widget + "2}"}
	e.assign(a)
	s.awaitPhase("web", yardarmv1.PhaseReady)

	// A rule that changes is a new judgement of what is there, of which nothing is written.
	e.until("the rest is written", func() bool { return len(s.writes.take()) == 0 })
	a.revision, a.delivery = 4, &yardarmv1.DeliveryPolicy{Health: []*yardarmv1.HealthRule{{Group: group, Kind: "Widget", Ready: "object.status.done"}}}
	e.assign(a)
	r = s.await("web", "the rule fails to evaluate", func(r *yardarmv1.Report) bool { return problemOf(r, "/a") != nil })
	if p := problemOf(r, "/a"); r.Phase != yardarmv1.PhaseProgressing || !strings.Contains(p.Message, `"ready" cannot be evaluated: no such key: status`) {
		t.Errorf("report: %v", r)
	}
	if paths := s.writes.take(); contains(paths, "/a") {
		t.Errorf("written: %v", paths)
	}
	a.revision, a.delivery = 5, nil
	e.assign(a)
	s.awaitPhase("web", yardarmv1.PhaseReady)
}

// A kind that needs no look is looked at once there is a rule for it, and what the rule says is said again when the object changes.
func TestHealthRuleForAPassiveKind(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	policy := &yardarmv1.DeliveryPolicy{
		Health: []*yardarmv1.HealthRule{{Kind: "ConfigMap", Ready: `object.metadata.annotations["example.com/filled"] == "true"`}},
	}
	e.assign(assignment{bundle: "web", revision: 1, objects: several(2, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	e.assign(assignment{bundle: "web", revision: 2, objects: several(2, "one"), delivery: policy})
	r := s.awaitPhase("web", yardarmv1.PhaseProgressing)
	if r.Objects.Ready != 0 {
		t.Errorf("counts: %v", r.Objects)
	}
	for _, name := range []string{"m0", "m1"} {
		e.edit(name, `{"metadata":{"annotations":{"example.com/filled":"true"}}}`)
	}
	if r := s.awaitPhase("web", yardarmv1.PhaseReady); r.Objects.Ready != 2 {
		t.Errorf("counts: %v", r.Objects)
	}
	e.edit("m1", `{"metadata":{"annotations":{"example.com/filled":"false"}}}`)
	s.awaitPhase("web", yardarmv1.PhaseProgressing)
}

// A hub may be older than its rules are strict, or hostile: what cannot be used is said of the objects concerned, and of no others.
func TestHealthRuleThatCannotBeUsed(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	secret := "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: hunter2}"
	e.assign(assignment{bundle: "web", revision: 1, objects: append(several(1, "one"), secret), delivery: &yardarmv1.DeliveryPolicy{
		Health: []*yardarmv1.HealthRule{
			{Kind: "ConfigMap", Ready: "object ="},
			{Kind: "Secret", Ready: "false", Message: "object.data.password"},
		},
	}})
	r := s.awaitPhase("web", yardarmv1.PhaseDegraded)
	if p := problemOf(r, "/m0"); len(r.Problems) != 1 || p == nil || p.Reason != "InvalidHealthRule" || r.Objects.Ready != 1 {
		t.Errorf("report: %v", r)
	}
}
