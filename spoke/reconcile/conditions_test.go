package reconcile

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/e2e/fleetsim/played"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

func TestConditions(t *testing.T) {
	const yes, no, unknown = yardarmv1.ConditionTrue, yardarmv1.ConditionFalse, yardarmv1.ConditionUnknown
	type want struct{ status, reason, message string } // message: a part of it
	line := func(w weight, name, reason string) problem {
		return problem{weight: w, ref: manifest.Ref{Kind: "ConfigMap", Namespace: "prod", Name: name}, reason: reason, text: "why " + name}
	}
	counts := func(total, applied uint32) *yardarmv1.ObjectCounts {
		return &yardarmv1.ObjectCounts{Total: total, Applied: applied, Ready: applied}
	}
	repaired := &yardarmv1.Drift{Object: "ConfigMap prod/m", Path: "data.a", Corrected: timestamppb.Now()}
	for _, c := range []struct {
		name                     string
		outcome                  outcome
		counts                   *yardarmv1.ObjectCounts
		drift                    []*yardarmv1.Drift
		problems                 []problem
		unjudged                 int
		applied, healthy, inSync want
	}{
		{
			name: "all is well", counts: counts(3, 3), drift: []*yardarmv1.Drift{repaired},
			applied: want{yes, "ObjectsApplied", "3 objects"}, healthy: want{yes, "ObjectsReady", "3 objects"}, inSync: want{yes, "NoDrift", ""},
		},
		{
			name: "an empty bundle", counts: counts(0, 0),
			applied: want{yes, "ObjectsApplied", ""}, healthy: want{yes, "ObjectsReady", ""}, inSync: want{yes, "NoDrift", ""},
		},
		{
			name: "no content yet", outcome: outcome{phase: yardarmv1.PhasePending, reason: reasonContentMissing, message: "on its way"}, counts: counts(0, 0),
			applied: want{no, reasonContentMissing, "on its way"}, healthy: want{unknown, "NothingApplied", ""}, inSync: want{unknown, "NothingApplied", ""},
		},
		{
			name: "no content yet, and what is held is kept up", counts: counts(2, 2),
			outcome: outcome{phase: yardarmv1.PhasePending, reason: reasonContentMissing, message: "on its way"},
			applied: want{no, reasonContentMissing, "on its way"}, healthy: want{yes, "ObjectsReady", ""}, inSync: want{yes, "NoDrift", ""},
		},
		{
			name: "a mass deletion asks", counts: counts(9, 9),
			outcome: outcome{phase: yardarmv1.PhaseHeld, reason: yardarmv1.ReasonMassDeletion, message: "would delete"},
			applied: want{no, yardarmv1.ReasonMassDeletion, "would delete"}, healthy: want{yes, "ObjectsReady", ""}, inSync: want{yes, "NoDrift", ""},
		},
		{
			name: "the API server is away", outcome: outcome{phase: yardarmv1.PhaseProgressing, reason: reasonUnavailable, message: "interrupted"}, counts: counts(3, 0),
			applied: want{unknown, reasonUnavailable, "interrupted"}, healthy: want{unknown, "NothingApplied", ""}, inSync: want{unknown, "NothingApplied", ""},
		},
		{
			name: "one is refused, one waits, one is failing", counts: counts(5, 3),
			problems: []problem{line(weighsRefused, "a", "Invalid"), line(weighsWaiting, "b", "UnknownKind"), line(weighsFailing, "c", "ImagePullBackOff")},
			applied:  want{no, "Invalid", "2 of 5 objects are not applied: ConfigMap prod/a: why a"},
			healthy:  want{no, "ImagePullBackOff", "1 of 5 objects are not healthy: ConfigMap prod/c: why c"}, inSync: want{yes, "NoDrift", ""},
		},
		{
			name: "some have not been tried", counts: counts(5, 3), outcome: outcome{transient: true},
			applied: want{no, reasonApplying, "3 of 5"}, healthy: want{yes, "ObjectsReady", ""}, inSync: want{yes, "NoDrift", ""},
		},
		{
			name: "one is on its way", counts: counts(5, 5), problems: []problem{line(weighsProgress, "a", "InProgress")},
			applied: want{yes, "ObjectsApplied", ""}, healthy: want{no, reasonWaiting, "1 of 5 objects are not ready yet: ConfigMap prod/a"}, inSync: want{yes, "NoDrift", ""},
		},
		{
			name: "some were not looked at", counts: counts(5, 5), unjudged: 2,
			applied: want{yes, "ObjectsApplied", ""}, healthy: want{unknown, reasonWaiting, "2 of 5"}, inSync: want{yes, "NoDrift", ""},
		},
		{
			name: "a finalizer holds up a deletion", counts: &yardarmv1.ObjectCounts{Total: 2, Applied: 2, Ready: 2, Pruning: 1},
			problems: []problem{line(weighsPruning, "old", "WaitingForFinalizers")},
			applied:  want{no, "WaitingForFinalizers", "1 objects have still to be removed: ConfigMap prod/old"},
			healthy:  want{yes, "ObjectsReady", ""}, inSync: want{yes, "NoDrift", ""},
		},
		{
			name: "deletions have still to come", counts: counts(2, 2), outcome: outcome{waiting: true},
			applied: want{no, reasonPruning, ""}, healthy: want{yes, "ObjectsReady", ""}, inSync: want{yes, "NoDrift", ""},
		},
		{
			name: "drift stands", counts: counts(2, 2),
			drift:   []*yardarmv1.Drift{repaired, {Object: "ConfigMap prod/m", Path: "data.b", Reason: "ReportOnly", Live: `"s3cret"`, Desired: `"s3cret"`}},
			applied: want{yes, "ObjectsApplied", ""}, healthy: want{yes, "ObjectsReady", ""}, inSync: want{no, "ReportOnly", "ConfigMap prod/m: data.b"},
		},
		{
			name: "an object is gone, and left so", counts: counts(2, 2), drift: []*yardarmv1.Drift{{Object: "ConfigMap prod/m"}},
			applied: want{yes, "ObjectsApplied", ""}, healthy: want{yes, "ObjectsReady", ""}, inSync: want{no, "Drifted", "ConfigMap prod/m is gone"},
		},
		{
			name: "objects differ of which nothing is told", counts: &yardarmv1.ObjectCounts{Total: 2, Applied: 2, Ready: 2, Drifted: 1},
			applied: want{yes, "ObjectsApplied", ""}, healthy: want{yes, "ObjectsReady", ""}, inSync: want{no, "Drifted", "1 objects differ"},
		},
		{
			name: "somebody fights", counts: counts(2, 1), problems: []problem{line(weighsWaiting, "a", reasonContended)},
			applied: want{no, reasonContended, "why a"}, healthy: want{yes, "ObjectsReady", ""}, inSync: want{no, reasonContended, "ConfigMap prod/a: why a"},
		},
		{
			name: "it is being removed", counts: counts(2, 0),
			outcome: outcome{phase: yardarmv1.PhaseRemoving, reason: yardarmv1.ReasonBundleDeleted, message: "being removed"},
			applied: want{no, yardarmv1.ReasonBundleDeleted, "being removed"},
			healthy: want{unknown, yardarmv1.ReasonBundleDeleted, ""}, inSync: want{unknown, yardarmv1.ReasonBundleDeleted, ""},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := conditions(&c.outcome, &yardarmv1.Report{Objects: c.counts, Drift: c.drift}, c.problems, c.unjudged)
			for i, want := range []want{c.applied, c.healthy, c.inSync} {
				kind := []string{yardarmv1.ConditionApplied, yardarmv1.ConditionHealthy, yardarmv1.ConditionInSync}[i]
				if g := got[i]; g.Type != kind || g.Status != want.status || g.Reason != want.reason || g.Message == "" || !strings.Contains(g.Message, want.message) {
					t.Errorf("%s: got %v, want %v", kind, g, want)
				}
				if strings.Contains(got[i].Message, "s3cret") {
					t.Errorf("%s tells a value: %s", kind, got[i].Message)
				}
			}
		})
	}
}

func TestConditionsKeepTheirTimeWithTheirStatus(t *testing.T) {
	var r reporter
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	told := func(status, reason string, after time.Duration) time.Duration {
		c := &yardarmv1.Condition{Type: yardarmv1.ConditionApplied, Status: status, Reason: reason}
		r.stamp([]*yardarmv1.Condition{c}, start.Add(after))
		return c.LastTransitionTime.AsTime().Sub(start)
	}
	for _, c := range []struct {
		status, reason string
		after, since   time.Duration
	}{
		{yardarmv1.ConditionFalse, "Invalid", time.Second, time.Second},
		{yardarmv1.ConditionFalse, "UnknownKind", 2 * time.Second, time.Second},
		{yardarmv1.ConditionTrue, "ObjectsApplied", 3 * time.Second, 3 * time.Second},
		{yardarmv1.ConditionTrue, "ObjectsApplied", 4 * time.Second, 3 * time.Second},
		{yardarmv1.ConditionFalse, "Invalid", 5 * time.Second, 5 * time.Second},
	} {
		if since := told(c.status, c.reason, c.after); since != c.since {
			t.Errorf("%s %s at %v: since %v, want %v", c.status, c.reason, c.after, since, c.since)
		}
	}
}

func TestWhileApplyingTheRestStaysAsItWas(t *testing.T) {
	var r reporter
	now := time.Now()
	all := r.conditionsWhileApplying("applying")
	if all[1].Status != yardarmv1.ConditionUnknown || all[2].Status != yardarmv1.ConditionUnknown {
		t.Errorf("before anything is known: %v", all)
	}
	r.stamp([]*yardarmv1.Condition{{Type: yardarmv1.ConditionHealthy, Status: yardarmv1.ConditionFalse, Reason: "ImagePullBackOff"}}, now)
	all = r.conditionsWhileApplying("applying")
	r.stamp(all, now.Add(time.Minute))
	if c := all[0]; c.Type != yardarmv1.ConditionApplied || c.Status != yardarmv1.ConditionFalse || c.Reason != reasonApplying {
		t.Errorf("applied: %v", c)
	}
	if c := all[1]; c.Reason != "ImagePullBackOff" || !c.LastTransitionTime.AsTime().Equal(now) {
		t.Errorf("healthy: %v", c)
	}
}

// TestPlayedReportsAreLikeThese: what the simulated spokes of e2e/fleetsim report, by which a hub is measured, is what a real one does.
func TestPlayedReportsAreLikeThese(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: several(3, "one")})
	want := s.awaitPhase("web", yardarmv1.PhaseReady)
	told := proto.CloneOf(want)
	told.Phase, told.Reason, told.Message, told.Since, told.Objects, told.Conditions = "", "", "", nil, nil, nil
	at := func(condition string) *timestamppb.Timestamp {
		for _, c := range want.Conditions {
			if c.Type == condition {
				return c.LastTransitionTime
			}
		}
		return nil
	}
	got := played.Ready(told, 3, want.Since, at(yardarmv1.ConditionInSync))
	for _, c := range got.Conditions {
		if at(c.Type) == nil {
			t.Errorf("no spoke says since when it is %s", c.Type)
		}
		c.LastTransitionTime = at(c.Type)
	}
	if !proto.Equal(got, want) {
		t.Errorf("a spoke reports\n%v\nand is played as\n%v", want, got)
	}
}
