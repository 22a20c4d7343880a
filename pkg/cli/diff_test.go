package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// exampleDiff is what the fake says of a publication.
func exampleDiff(changes bool) *hubv1.Diff {
	if !changes {
		return &hubv1.Diff{Unchanged: 3}
	}
	return &hubv1.Diff{Unchanged: 1, NotCompared: 2, Parts: []*hubv1.DiffPart{
		{Group: "prod", Clusters: 12, Examples: []string{"eu-1", "eu-2", "us-1"}, Added: 1, Changed: 1, Pruned: 1, MoreObjects: 4, Objects: []*hubv1.ObjectDiff{
			{Object: "ConfigMap shop/new", Action: "added"},
			{Object: "apps/Deployment shop/web", Action: "changed", MoreFields: 2, Fields: []*hubv1.FieldDiff{
				{Path: "spec.replicas", Before: "1", After: "3"}, {Path: "spec.paused", After: "true"}, {Path: "spec.x", Before: "\"\x1b[31m\""}}},
			{Object: "Service shop/old", Action: "pruned"},
		}},
		{Clusters: 1, Examples: []string{"lab-1"}, Problem: "it cannot be customized: no label region"},
	}}
}

// examplePlan is how it says that it would go on.
func examplePlan() *yardarmv1.RolloutPlan {
	return &yardarmv1.RolloutPlan{Strategy: "careful", Stages: []*yardarmv1.PlannedStage{
		{Name: "canary", Clusters: 1, Examples: []string{"eu-1"}, Concurrency: 1, Soak: durationpb.New(10 * time.Minute), Approval: "after"},
		{Name: "rest", Clusters: 14, Away: 2, Examples: []string{"eu-2", "us-1", "us-2"}, Concurrency: 4, FailureBudget: 1,
			Gates: []*yardarmv1.RolloutGate{{Gate: "friday", Type: "freeze", Clusters: 9}, {Gate: "nightly", Type: "window", Clusters: 3, Opens: ago(-2 * time.Hour)}}},
		{Name: "lab", Concurrency: 1, Tolerant: true},
	}}
}

func TestDiff(t *testing.T) {
	h := serve(t, exampleFleet())
	dir := t.TempDir()
	write := func(value string) {
		if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: "+value+"}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	var b strings.Builder
	for _, command := range []string{"diff DIR --bundle web", "publish DIR --bundle web --dry-run", "diff DIR", "diff /nowhere --bundle web", "diff DIR --bundle web -o yaml"} {
		args := strings.Fields(strings.ReplaceAll(command, "DIR", dir))
		b.WriteString(strings.ReplaceAll(transcript(args, h.run(t, args...)), dir, "DIR") + "\n")
	}
	// What is the same is no difference.
	if r := h.run(t, "publish", dir, "--bundle", "web"); r.code != 0 {
		t.Fatalf("publish: %d %s", r.code, r.err)
	}
	if r := h.run(t, "diff", dir, "--bundle", "web"); r.code != 0 || !strings.Contains(r.out, "Nothing changes in 3 clusters.") {
		t.Errorf("exit %d: %s%s", r.code, r.out, r.err)
	}
	golden(t, "diff", b.String())
}
