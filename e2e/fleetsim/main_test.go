package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yardarm-dev/yardarm/e2e/fleet"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/report"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/scenario"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/worker"
	"github.com/yardarm-dev/yardarm/e2e/parallel"
	"github.com/yardarm-dev/yardarm/pkg/render"
)

const (
	// spokesInTest is a fleet that is small and more than one process can be given.
	spokesInTest = 20
	// atATime is how many scenarios run at a time at least: each mostly waits for its fleet to be at rest.
	atATime = 4
)

var programs fleet.Programs

func TestMain(m *testing.M) {
	worker.Main() // this program is its own workers
	render.Child()
	parallel.AtLeast(atATime)
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "fleetsim-test")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		if programs, err = fleet.Build(context.Background(), dir, true, os.Stderr); err != nil {
			panic(err)
		}
		return m.Run()
	}())
}

// small runs a scenario with a fleet of twenty in two processes. What it asserts is that everybody got there, not how fast.
func small[T any](t *testing.T, name string) *T {
	t.Helper()
	t.Parallel()
	figures, err := scenario.Start(t.Context(), name, scenario.Config{
		Spokes: spokesInTest, PerProcess: spokesInTest/2 + 2, Changes: 2, Hold: 100 * time.Millisecond, Idle: 300 * time.Millisecond, Busy: time.Second,
		Writers: 8, Writing: 200 * time.Millisecond, Clusters: 50, ClusterBundles: 5, Dir: t.TempDir(), Programs: programs, Progress: t.Output(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return figures.(*T)
}

func TestConnect(t *testing.T) {
	f := small[report.Connect](t, "connect")
	if f.Spokes != spokesInTest || f.Drops != 0 || f.HubRSSPerSpoke <= 0 || f.BareRSSPerSpoke <= 0 || f.EnrolmentsPerSecond <= 0 || f.HubCPU <= 0 || f.GeneratorCPU <= 0 {
		t.Errorf("got %+v", f)
	}
}

func TestIdle(t *testing.T) {
	f := small[report.Idle](t, "idle")
	if f.Spokes != spokesInTest || f.Fsyncs != 0 {
		t.Errorf("got %+v", f)
	}
}

// TestChange: a change of one field travels as a change, not as the artifact.
func TestChange(t *testing.T) {
	f := small[report.Change](t, "change")
	if f.Spokes != spokesInTest || f.BytesPerSpoke <= 100 || f.BytesPerSpoke > 2000 || f.BytesUp <= 100 || f.P99 < f.P50 || f.FloorP99 <= 0 || f.HubCPU <= 0 {
		t.Errorf("got %+v", f)
	}
}

// TestRollout: a change goes through all stages to everybody.
func TestRollout(t *testing.T) {
	f := small[report.Rollout](t, "rollout")
	if f.Spokes != spokesInTest || f.ConvergedSeconds <= 0 || f.PlanPerReport <= 0 || f.Clusters != 50 || f.DiffSeconds <= 0 || f.Problems <= 0 || f.Failing != 5 {
		t.Errorf("got %+v", f)
	}
}

// TestStalled: the others get what changes, and the fleet ends though some of it reads nothing.
func TestStalled(t *testing.T) {
	f := small[report.Stalled](t, "stalled")
	if f.Spokes != spokesInTest || f.Stalled != 2 || f.P99 <= 0 || f.P99Without <= 0 || f.Ratio <= 0 {
		t.Errorf("got %+v", f)
	}
}

// TestStorm: all come back, and say no more than that nothing has changed.
func TestStorm(t *testing.T) {
	f := small[report.Storm](t, "storm")
	if f.Spokes != spokesInTest || f.ConvergedSeconds <= 0 || f.JitterWindow <= 0 || f.FloorFull <= 0 || f.FloorResumed <= 0 || f.Writes == 0 || f.WriteP99 <= 0 || f.ResyncBytesPerSpoke <= 100 || f.ResyncBytesPerSpoke > 2000 {
		t.Errorf("got %+v", f)
	}
}

func TestWrite(t *testing.T) {
	f := small[report.Write](t, "write")
	if f.Writers != 8 || f.WritesPerSecond <= 0 || f.SequentialWritesPerSecond <= 0 || f.APIWritesPerSecond <= 0 || f.FdatasyncsPerSecond <= 0 {
		t.Errorf("got %+v", f)
	}
	// One for each commit, and two where the database follows after many. Where strace is, that is counted.
	if f.SyncsPerWrite != 0 && (f.SyncsPerWrite < 1 || f.SyncsPerWrite > 1.2) {
		t.Errorf("a sequential write makes %v syncs, want hardly more than 1", f.SyncsPerWrite)
	}
}

func TestOpen(t *testing.T) {
	f := small[report.Open](t, "open")
	if f.Clusters != 50 || f.Bundles != 5 || f.Seconds <= 0 || f.RSS <= 0 || f.DatabaseBytes <= 0 {
		t.Errorf("got %+v", f)
	}
}

func TestAPI(t *testing.T) {
	f := small[report.API](t, "api")
	if f.Clusters != 50 || f.Watchers != 50 || f.ListP99 <= 0 || f.FacetsP99 <= 0 || f.FloorP99 <= 0 || f.WatchP99 <= 0 || f.Authz <= 0 || f.Messages == 0 ||
		f.ListP50 <= 0 || f.ListP50 > f.ListP99 || f.WatchP50 <= 0 || f.WatchP50 > f.WatchP99 || f.HubCPU <= 0 || f.GeneratorCPU <= 0 {
		t.Errorf("got %+v", f)
	}
}

// TestSource: repositories without news are asked once a poll and cost no write each, and a revision is rendered once. On a machine that is busy a next poll
// may come before the last was counted, or be counted before it is over, and the hub writes what else it has, such as when a credential was last used.
func TestSource(t *testing.T) {
	f := small[report.Source](t, "source")
	if f.Clusters != 50 || f.Pushes != 2 || f.PushP99 <= 0 || f.PollRefs < 0.9 || f.PollRefs > 1.5 || f.PollWrites > 5 || f.Helm <= 0 || f.RendersPerVariant != 1 {
		t.Errorf("got %+v", f)
	}
}

// TestDashboard: every state that has changed is drawn as it is, and the document stays small.
func TestDashboard(t *testing.T) {
	f := small[report.Dashboard](t, "dashboard")
	if f.Clusters != 50 || f.Dropped != 0 || f.ChangesPerSecond <= 0 || f.Nodes <= 0 || f.Nodes > 2000 || f.FirstPaint <= 0 || f.Filter <= 0 || f.Sort <= 0 {
		t.Errorf("got %+v", f)
	}
}

func TestGrowth(t *testing.T) {
	f := small[report.Growth](t, "growth")
	if !slices.Equal(f.Sizes, []int{10, 20}) || len(f.ChangeCPU) != 2 || len(f.SpokesCPU) != 2 || len(f.TenCPU) != 2 || slices.Max(f.ChangeCPU) <= 0 {
		t.Errorf("got %+v", f)
	}
}

// TestOutput: -json prints one object with the figures' names, and -out writes what machine they are of.
func TestOutput(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	dir, out := t.TempDir(), t.TempDir()
	args := []string{"-scenario", "open", "-spokes", "5", "-cluster-bundles", "2", "-json", "-programs", programs.Dir, "-dir", dir, "-out", out}
	if err := run(t.Context(), args, &stdout, &stderr); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var figures map[string]any
	if err := json.Unmarshal(stdout.Bytes(), &figures); err != nil {
		t.Fatalf("%v: %s", err, stdout.String())
	}
	for _, name := range []string{"clusters", "bundles", "seconds", "rss_bytes"} {
		if _, ok := figures[name]; !ok {
			t.Errorf("no %q in %s", name, stdout.String())
		}
	}
	for name, want := range map[string]string{"fleetsim.json": `"machine": "`, "fleetsim.md": "| open | resident memory |"} {
		content, err := os.ReadFile(filepath.Join(out, name))
		if err != nil || !strings.Contains(string(content), want) {
			t.Errorf("%s lacks %q: %v\n%s", name, want, err, content)
		}
	}
}

func TestUsage(t *testing.T) {
	for args, want := range map[string]string{
		"-scenario nonsense":                         "no scenario",
		"-scenario open more":                        "unexpected argument",
		"-scenario open -spokes 0 -programs nowhere": "at least one",
		"-scenario idle -hub-config a.yaml":          "-hub-spokes",
	} {
		var stderr bytes.Buffer
		if err := run(t.Context(), strings.Fields(args), &stderr, &stderr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want something with %q", args, err, want)
		}
	}
}
