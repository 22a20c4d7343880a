package cli

import (
	"strings"
	"testing"
	"time"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// TestFailingSources: whoever asks what is wrong, or why a cluster is not further, is told that there is nothing new to be had.
func TestFailingSources(t *testing.T) {
	f := exampleFleet()
	b, err := find[*yardarmv1.Bundle](f, yardarmv1.KindBundle, "web")
	if err != nil {
		t.Fatal(err)
	}
	problem := &yardarmv1.SourceProblem{Reason: "RenderingFailed", Message: "mapping values\nare not allowed", Commit: "4f2c1e9d8b7a6f5e", File: "apps/web.yaml", Line: 3, Since: ago(3 * time.Minute)}
	b.Status.Source = &yardarmv1.SourceStatus{Problem: problem}
	h := serve(t, f)
	want := `bundle/web gets no new revision (for 3m): RenderingFailed: apps/web.yaml:3: mapping values are not allowed (commit 4f2c1e9d)` + "\n"
	for _, args := range [][]string{{"problems"}, {"problems", "bundle/web"}, {"why", "eu-1", "web"}} {
		if got := h.run(t, args...); !strings.HasPrefix(got.out, want) {
			t.Errorf("%v: %+v", args, got)
		}
	}
	if got := h.run(t, "problems", "cluster/eu-1"); strings.Contains(got.out, "RenderingFailed") {
		t.Errorf("of a cluster: %s", got.out)
	}
	problem.Message, problem.Commit, problem.Since = "apps/web.yaml:3: no", "", nil
	if got := h.run(t, "problems"); !strings.HasPrefix(got.out, "bundle/web gets no new revision: RenderingFailed: apps/web.yaml:3: no\n") {
		t.Errorf("%s", got.out)
	}
}
