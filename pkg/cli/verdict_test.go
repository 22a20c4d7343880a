package cli

import (
	"slices"
	"testing"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestJudge(t *testing.T) {
	at := func(revision uint32, phases ...string) []*yardarmv1.Assignment {
		var list []*yardarmv1.Assignment
		for i, phase := range phases {
			list = append(list, newAssignment(string(rune('a'+i)), "web", revision, phase))
		}
		return list
	}
	leaving := func(revision uint32, phase string) *yardarmv1.Assignment {
		x := newAssignment("z", "web", revision, phase)
		x.Spec.Size = 0
		return x
	}
	const (
		ready, progressing, pending = yardarmv1.PhaseReady, yardarmv1.PhaseProgressing, yardarmv1.PhasePending
		failed, degraded, held      = yardarmv1.PhaseFailed, yardarmv1.PhaseDegraded, yardarmv1.PhaseHeld
		stale, never                = yardarmv1.PhaseStale, yardarmv1.PhaseNeverConnected
	)
	fast := question{bundle: "web", revision: 3, failFast: true}
	patient := question{bundle: "web", revision: 3}
	ignoring := question{bundle: "web", revision: 3, failFast: true, ignoreAbsent: true}
	none := question{bundle: "web", revision: 3, failFast: true, allowNone: true}
	for _, tc := range []struct {
		name        string
		question    question
		newest      uint32 // of the bundle; 0 when it is deleted
		assignments []*yardarmv1.Assignment
		want        answer
		ready       int
		total       int
		blocking    []string // clusters, in order
	}{
		{"all ready", fast, 3, at(3, ready, ready), answerReady, 2, 2, nil},
		{"one is not", fast, 3, at(3, ready, progressing), answerWait, 1, 2, []string{"b"}},
		{"to be given", fast, 3, []*yardarmv1.Assignment{leaving(0, pending)}, answerWait, 0, 1, []string{"z"}},
		{"to be given while it is stale", fast, 3, []*yardarmv1.Assignment{leaving(0, stale)}, answerWait, 0, 1, []string{"z"}},
		{"to be given another variant than it holds", fast, 3, []*yardarmv1.Assignment{leaving(2, pending)}, answerWait, 0, 1, []string{"z"}},
		{"pending", fast, 3, at(3, pending), answerWait, 0, 1, []string{"a"}},
		{"degraded may heal", fast, 3, at(3, ready, degraded), answerWait, 1, 2, []string{"b"}},
		{"failed", fast, 3, at(3, ready, failed), answerFailed, 1, 2, []string{"b"}},
		{"held", fast, 3, at(3, held), answerFailed, 0, 1, []string{"a"}},
		{"failed, patiently", patient, 3, at(3, failed, held), answerWait, 0, 2, []string{"a", "b"}},
		{"the worst first", patient, 3, at(3, pending, stale, degraded, failed), answerWait, 0, 4, []string{"d", "c", "b", "a"}},
		{"a stale one never counts as ready", fast, 3, at(3, ready, stale), answerWait, 1, 2, []string{"b"}},
		{"nor does one that never connected", fast, 3, at(3, ready, never), answerWait, 1, 2, []string{"b"}},
		{"absent ones left out", ignoring, 3, at(3, ready, stale, never), answerReady, 1, 1, nil},
		{"all of them absent", ignoring, 3, at(3, stale, never), answerNone, 0, 0, nil},
		{"ready at an earlier revision is not ready", fast, 3, at(2, ready), answerWait, 0, 1, []string{"a"}},
		{"failed at an earlier revision may come right with this one", fast, 3, at(2, failed), answerWait, 0, 1, []string{"a"}},
		{"superseded by the bundle", fast, 4, at(3, ready, ready), answerSuperseded, 2, 2, nil},
		{"superseded by an assignment that is ahead of the bundle's watch", fast, 3, append(at(3, ready), newAssignment("b", "web", 4, pending)), answerSuperseded, 1, 2, []string{"b"}},
		{"superseded and failed: the former is what matters", fast, 4, at(4, failed), answerSuperseded, 0, 1, []string{"a"}},
		{"not there yet", fast, 2, at(2, ready), answerWait, 0, 1, []string{"a"}},
		{"not published yet", fast, 2, at(2, failed), answerWait, 0, 1, []string{"a"}},
		{"not published yet, and no cluster", none, 2, nil, answerWait, 0, 0, nil},
		{"no cluster", fast, 3, nil, answerNone, 0, 0, nil},
		{"no cluster, and that is fine", none, 3, nil, answerReady, 0, 0, nil},
		{"deleted", fast, 0, at(3, ready), answerGone, 0, 0, nil},
		{"a cluster that still removes it", fast, 3, append(at(3, ready), leaving(3, yardarmv1.PhaseRemoving)), answerReady, 1, 1, nil},
		{"a cluster that failed to remove it", fast, 3, append(at(3, ready), leaving(3, failed)), answerReady, 1, 1, nil},
		{"a cluster that removes a later one, from before a restore", fast, 3, append(at(3, ready), leaving(9, held)), answerReady, 1, 1, nil},
		{"a phase that is newer than this program", fast, 3, at(3, "Pondering"), answerWait, 0, 1, []string{"a"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var bundle *yardarmv1.Bundle
			if tc.newest > 0 {
				bundle = newBundle("web", tc.newest, nil, "prod")
			}
			got := judge(tc.question, bundle, tc.assignments)
			var blocking []string
			for _, x := range got.blocking {
				blocking = append(blocking, x.GetSpec().GetCluster())
			}
			if got.answer != tc.want || got.ready != tc.ready || got.total != tc.total || !slices.Equal(blocking, tc.blocking) {
				t.Errorf("got %s, %d of %d, blocking %q; want %s, %d of %d, blocking %q", got.answer, got.ready, got.total, blocking, tc.want, tc.ready, tc.total, tc.blocking)
			}
			slices.Reverse(tc.assignments)
			if again := judge(tc.question, bundle, tc.assignments); again.answer != got.answer {
				t.Errorf("in another order, the answer is %s", again.answer)
			}
		})
	}
}

// A watch of assignments that is behind that of the bundle is neither "none" nor "ready".
func TestJudgeWaitsForAssignmentsThatAreBehind(t *testing.T) {
	bundle := newBundle("web", 3, &yardarmv1.PhaseCounts{Total: 2, Ready: 1}, "prod")
	ready := []*yardarmv1.Assignment{newAssignment("a", "web", 3, yardarmv1.PhaseReady), newAssignment("b", "web", 3, yardarmv1.PhaseReady)}
	for n, want := range []answer{answerWait, answerWait, answerReady} {
		if got := judge(question{bundle: "web", revision: 3, allowNone: true}, bundle, ready[:n]); got.answer != want {
			t.Errorf("%d of 2: %s", n, got.answer)
		}
	}
	failed := []*yardarmv1.Assignment{newAssignment("a", "web", 3, yardarmv1.PhaseFailed)}
	if got := judge(question{bundle: "web", revision: 3, failFast: true}, bundle, failed); got.answer != answerFailed {
		t.Errorf("one has failed: %s", got.answer)
	}
}

// What a rollout says goes before what its clusters say: a failure is its to judge as long as it goes on.
func TestJudgeRollout(t *testing.T) {
	for name, tc := range map[string]struct {
		rollout *yardarmv1.RolloutSummary
		phases  []string
		want    answer
	}{
		"all that it has reached are ready": {&yardarmv1.RolloutSummary{Phase: "Progressing", WaitsFor: "Clusters"}, []string{"Ready"}, answerWait},
		"about to begin":                    {&yardarmv1.RolloutSummary{Phase: "Pending"}, []string{"Ready"}, answerWait},
		"complete":                          {&yardarmv1.RolloutSummary{Phase: "Completed"}, []string{"Ready"}, answerReady},
		"complete, with one that failed":    {&yardarmv1.RolloutSummary{Phase: "Completed"}, []string{"Ready", "Failed"}, answerFailed},
		"one failed, and it goes on":        {&yardarmv1.RolloutSummary{Phase: "Progressing", WaitsFor: "Clusters"}, []string{"Failed"}, answerWait},
		"one failed, and nobody is left":    {&yardarmv1.RolloutSummary{Phase: "Progressing", WaitsFor: "Presence"}, []string{"Failed"}, answerFailed},
		"one holds":                         {&yardarmv1.RolloutSummary{Phase: "Progressing", WaitsFor: "Clusters"}, []string{"Held"}, answerFailed},
		"awaits an approval":                {&yardarmv1.RolloutSummary{Phase: "Progressing", WaitsFor: "Approval"}, []string{"Ready"}, answerApproval},
		"awaits a confirmation":             {&yardarmv1.RolloutSummary{Phase: "Progressing", WaitsFor: "Confirmation"}, []string{"Ready"}, answerApproval},
		"paused":                            {&yardarmv1.RolloutSummary{Phase: "Paused", WaitsFor: "Operator"}, []string{"Ready"}, answerWait},
		"failed":                            {&yardarmv1.RolloutSummary{Phase: "Paused", WaitsFor: "Operator", Failure: "x"}, []string{"Failed"}, answerStopped},
		"going back":                        {&yardarmv1.RolloutSummary{Phase: "RollingBack", Failure: "x"}, []string{"Failed"}, answerRolledBack},
		"went back":                         {&yardarmv1.RolloutSummary{Phase: "RolledBack", Failure: "x"}, []string{"Ready"}, answerRolledBack},
	} {
		bundle := newBundle("web", 3, nil, "prod")
		bundle.Status.Rollout = tc.rollout
		var list []*yardarmv1.Assignment
		for i, phase := range tc.phases {
			list = append(list, newAssignment(string(rune('a'+i)), "web", 3, phase))
		}
		if got := judge(question{bundle: "web", revision: 3, failFast: true}, bundle, list); got.answer != tc.want {
			t.Errorf("%s: %s, want %s", name, got.answer, tc.want)
		}
	}
}

func TestProgress(t *testing.T) {
	v := judge(question{bundle: "web", revision: 3, ignoreAbsent: true}, newBundle("web", 3, nil), []*yardarmv1.Assignment{
		newAssignment("a", "web", 3, yardarmv1.PhaseReady), newAssignment("b", "web", 3, yardarmv1.PhaseProgressing),
		newAssignment("c", "web", 3, ""), newAssignment("d", "web", 3, yardarmv1.PhaseFailed), newAssignment("e", "web", 3, yardarmv1.PhaseStale),
	})
	if got, want := v.progress(), "1 of 4 clusters ready (1 Failed, 1 Progressing, 1 Pending), 1 not there and left out"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
