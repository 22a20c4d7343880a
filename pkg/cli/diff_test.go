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

// exampleTrial is what its clusters say: all of them, or those of one name.
func exampleTrial(req *hubv1.TrialRequest) *hubv1.Trial {
	if req == nil {
		return nil
	}
	parts := map[string]*hubv1.TrialPart{
		"refuses": {Clusters: 2, Names: []string{"eu-1", "eu-2"}, Result: &yardarmv1.TrialResult{Created: 1, Changed: 1, Unchanged: 7, Recreated: 1, Pruned: 1, Released: 1, Refused: 1, Untried: 1, MoreObjects: 3,
			Hold: "MassDeletion", HoldMessage: "revision 4 would delete 7 of 9 objects", Objects: []*yardarmv1.TriedObject{
				{Object: "apps/Deployment shop/web", Action: "refused", Reason: "ImmutableField", Message: "spec.selector: Invalid value: field is immutable\x1b[31m"},
				{Object: "example.com/Ship shop/mine", Action: "untried", Reason: "KindToCome", Message: "its kind comes with the revision"},
				{Object: "ConfigMap shop/config", Action: "changed", Fields: []*yardarmv1.TriedField{{Path: "data.color", Before: "\"red\"", After: "\"blue\""}, {Path: "data.size", After: "\"1\""}}},
				{Object: "ConfigMap shop/new", Action: "created"}, {Object: "batch/Job shop/once", Action: "recreated"}, {Object: "ConfigMap shop/old", Action: "pruned"}, {Object: "ConfigMap shop/kept", Action: "released"},
			}}},
		"away":    {Clusters: 60, Names: []string{"us-1", "us-2"}, Result: &yardarmv1.TrialResult{Reason: yardarmv1.TrialNotConnected, Message: "the cluster is not connected"}},
		"unfit":   {Clusters: 1, Names: []string{"lab-1"}, Result: &yardarmv1.TrialResult{Reason: "CustomizationFailed", Message: "it does not fit this cluster: no label region"}},
		"changes": {Clusters: 1, Names: []string{"eu-3"}, Result: &yardarmv1.TrialResult{Changed: 1, Objects: []*yardarmv1.TriedObject{{Object: "ConfigMap shop/config", Action: "changed"}}}},
		"same":    {Clusters: 1, Names: []string{"eu-4"}, Result: &yardarmv1.TrialResult{Unchanged: 9}},
	}
	if len(req.Clusters) == 0 {
		return &hubv1.Trial{Parts: []*hubv1.TrialPart{parts["refuses"], parts["away"], parts["same"]}, NotAsked: 4}
	}
	out := &hubv1.Trial{}
	for _, name := range req.Clusters {
		if parts[name] != nil {
			out.Parts = append(out.Parts, parts[name])
		}
	}
	return out
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
	for _, command := range []string{"diff DIR --bundle web", "publish DIR --bundle web --dry-run", "diff DIR", "diff /nowhere --bundle web", "diff DIR --bundle web -o yaml",
		"diff DIR --bundle web --server-side", "diff DIR --bundle web --cluster eu-1", "diff DIR --bundle web --server-side --cluster nobody"} {
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
	// Where the hub knows of no change, it is the clusters that say how it ends.
	for clusters, want := range map[string]int{"same": ExitYes, "same,away": ExitYes, "same,changes": ExitNo, "changes,refuses": ExitError, "same,unfit": ExitError, "away": ExitError} {
		if r := h.run(t, "diff", dir, "--bundle", "web", "--server-side", "--cluster", clusters); r.code != want {
			t.Errorf("%s: exit %d, want %d\n%s%s", clusters, r.code, want, r.out, r.err)
		}
	}
	h.run(t, "diff", dir, "--bundle", "web", "--server-side", "--cluster", "cluster/same", "--group", "clustergroup/prod", "-l", "env=prod", "--timeout", "1m")
	if p, ok := h.fleet.lastCall().(*hubv1.Publication); !ok || !p.DryRun || p.Trial.Group != "prod" || p.Trial.Selector != "env=prod" || p.Trial.Clusters[0] != "same" || p.Trial.Timeout.AsDuration() != time.Minute {
		t.Errorf("asked for %v", h.fleet.lastCall())
	}
}
