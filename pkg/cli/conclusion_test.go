package cli

import (
	"encoding/json"
	"encoding/xml"
	"slices"
	"strings"
	"testing"

	"github.com/yardarm-dev/yardarm/pkg/client"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// TestConclusion publishes and waits for programs, with each end that there is: whatever comes of it, one document says it.
func TestConclusion(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.yaml", configMap)
	failing := newAssignment("eu-1", "web", 4, yardarmv1.PhaseFailed)
	failing.Status.Report.Problems = []*yardarmv1.ObjectProblem{{Object: "Service prod/web", Reason: "Invalid", Message: "no <such> port", File: "a.yaml"}}
	returned := newAssignment("eu-1", "web", 3, yardarmv1.PhasePending)
	returned.Status.Report = failing.Status.Report
	behind := newAssignment("eu-2", "web", 3, yardarmv1.PhaseReady)
	ready := newAssignment("eu-2", "web", 4, yardarmv1.PhaseReady)
	rollout := func(phase, waits, failure string) *yardarmv1.RolloutSummary {
		return &yardarmv1.RolloutSummary{Revision: 4, Phase: phase, WaitsFor: waits, Stage: "canary", Failure: failure}
	}
	for _, tc := range []struct {
		result  string
		code    int
		rollout *yardarmv1.RolloutSummary
		objects []client.Object
		late    bool // time is up
		message string
		cases   string // name and outcome of each test case
		failed  string // clusters
	}{
		{"converged", ExitYes, nil, []client.Object{ready}, false, "is ready in 1 cluster", "rollout passed, cluster/eu-2 passed", ""},
		{"failed", ExitNo, nil, []client.Object{failing, ready}, false, "has failed", "rollout failed, cluster/eu-1 failed Invalid, cluster/eu-2 passed", "eu-1"},
		{"rolled-back", ExitRolledBack, rollout("RollingBack", "Clusters", "eu-1 failed"), []client.Object{returned, behind}, false, "eu-1 failed",
			"rollout failed rolled-back, cluster/eu-1 failed Invalid, cluster/eu-2 skipped it is to run revision 3", "eu-1"},
		{"awaiting-approval", ExitApproval, rollout("Progressing", "Approval", ""), []client.Object{ready}, false, "awaits an approval",
			"rollout skipped, cluster/eu-2 passed", ""},
		{"timed-out", ExitTimeout, rollout("Progressing", "Clusters", ""), []client.Object{ready, newAssignment("us-1", "web", 4, yardarmv1.PhaseStale),
			newAssignment("us-2", "web", 4, yardarmv1.PhaseProgressing)}, true, "is not ready after",
			"rollout failed timed-out, cluster/eu-2 passed, cluster/us-1 skipped Stale, cluster/us-2 failed Progressing", ""},
	} {
		for _, format := range []string{"json", "junit"} {
			t.Run(tc.result+" "+format, func(t *testing.T) {
				bundle := newBundle("web", 3, nil, "prod")
				bundle.Status.Rollout = tc.rollout
				h := serve(t, newFleet(append(tc.objects, bundle)...))
				r := h.background(t, invocation{args: []string{"publish", dir, "-b", "web", "--wait", "-o", format}})
				if tc.late {
					until(t, "it has seen how it is", func() bool { return strings.Contains(r.err.String(), "1 of 3") })
					r.timeUp <- testTime
				}
				if code := r.wait(t); code != tc.code {
					t.Errorf("exit %d: %s", code, r.err.String())
				}
				if format == "json" {
					checkConclusion(t, r.out.String(), tc.result, tc.code, tc.message, tc.failed)
				} else if got := casesOf(t, r.out.String()); got != tc.cases && !matches(got, tc.cases) {
					t.Errorf("got %s\nwant %s", got, tc.cases)
				}
			})
		}
	}
}

func checkConclusion(t *testing.T, text, result string, code int, message, failed string) {
	t.Helper()
	var doc struct {
		Outcome  string
		Revision struct{ Spec struct{ Number int } }
		Verdict  struct {
			Result, Message, Bundle string
			ExitCode, Revision      int
			Failed                  []struct{ Cluster, Object, File, Reason string }
		}
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	v := doc.Verdict
	if doc.Outcome != "published" || doc.Revision.Spec.Number != 4 || v.Revision != 4 || v.Bundle != "web" || v.Result != result || v.ExitCode != code || !strings.Contains(v.Message, message) {
		t.Errorf("got %s", text)
	}
	var clusters []string
	for _, f := range v.Failed {
		clusters = append(clusters, f.Cluster)
		if f.Object != "Service prod/web" || f.File != "a.yaml" || f.Reason != "Invalid" {
			t.Errorf("it failed by %+v", f)
		}
	}
	if strings.Join(clusters, " ") != failed {
		t.Errorf("failed: %v", clusters)
	}
}

// casesOf reads a JUnit document: each case with what came of it, its type, and its message where it was skipped.
func casesOf(t *testing.T, text string) string {
	t.Helper()
	var doc junitSuites
	if err := xml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	var out []string
	count := junitSuite{}
	for _, c := range doc.Suites[0].Cases {
		count.Tests++
		switch {
		case c.Failure != nil:
			count.Failures++
			out = append(out, c.Name+" failed "+c.Failure.Type)
		case c.Error != nil:
			count.Errors++
			out = append(out, c.Name+" error "+c.Error.Type)
		case c.Skipped != nil:
			count.Skipped++
			out = append(out, c.Name+" skipped "+c.Skipped.Message)
		default:
			out = append(out, c.Name+" passed")
		}
	}
	if s := doc.Suites[0]; s.Tests != count.Tests || s.Failures != count.Failures || s.Errors != count.Errors || s.Skipped != count.Skipped {
		t.Errorf("it counts wrongly: %s", text)
	}
	return strings.Join(out, ", ")
}

// matches tells whether each case begins as wanted.
func matches(got, want string) bool {
	return slices.EqualFunc(strings.Split(got, ", "), strings.Split(want, ", "), strings.HasPrefix)
}

// TestConclusionWithoutRevision: what cannot be published is said in the same way.
func TestConclusionWithoutRevision(t *testing.T) {
	h := serve(t, exampleFleet())
	empty := t.TempDir()
	got := h.run(t, "publish", empty, "-b", "web", "--wait", "-o", "junit")
	if got.code != ExitError || casesOf(t, got.out) != "rollout error error" || !strings.Contains(got.out, "nothing was published") {
		t.Errorf("%+v", got)
	}
	got = h.run(t, "wait", "bundle/draft", "-o", "json")
	if got.code != ExitNo || !strings.Contains(got.out, `"result": "failed"`) || !strings.Contains(got.out, "has no revision yet") {
		t.Errorf("%+v", got)
	}
	if got := h.run(t, "publish", empty, "-b", "web", "-o", "junit"); got.code != ExitError || got.out != "" || !strings.Contains(got.err, "goes with --wait") {
		t.Errorf("%+v", got)
	}
	if got := h.run(t, "wait", "cluster/eu-1", "-o", "junit"); got.code != ExitError || !strings.Contains(got.err, "goes with waiting for a bundle") {
		t.Errorf("%+v", got)
	}
}
