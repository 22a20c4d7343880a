package report

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestLines: a figure at its target meets it, and one beyond does not.
func TestLines(t *testing.T) {
	for name, c := range map[string]struct{ met, missed any }{
		"connect": {&Connect{Drops: 0, RSSRatioToBare: 1.25}, &Connect{Drops: 1, RSSRatioToBare: 1.26}},
		"idle":    {&Idle{HubCPUPercent: 5}, &Idle{HubCPUPercent: 5.1, Fsyncs: 1}},
		"change":  {&Change{Ratio: 1.5, BytesPerSpoke: 200}, &Change{Ratio: 1.51, BytesPerSpoke: 201}},
		"storm":   {&Storm{Ratio: 1.3, ResyncBytesPerSpoke: 250, RSSPeakRatio: 1.5}, &Storm{Ratio: 1.31, ResyncBytesPerSpoke: 251, RSSPeakRatio: 1.51}},
		"write":   {&Write{WritesPerSecond: 20_000, SequentialRatio: 0.35}, &Write{WritesPerSecond: 19_999, SequentialRatio: 0.34}},
		"open":    {&Open{Seconds: 10, RSS: 2 << 30}, &Open{Seconds: 10.1, RSS: 2<<30 + 1}},
		"source":  {&Source{PushP99: 1000, PollRefs: 1, Helm: 200, RendersPerVariant: 1}, &Source{PushP99: 1001, PollRefs: 2, PollWrites: 1, Helm: 201, RendersPerVariant: 2}},
		"rollout": {&Rollout{Spokes: 100, ConvergedSeconds: 2, PlanPerReport: 1000, DiffSeconds: 1, Problems: 100}, &Rollout{Spokes: 100, ConvergedSeconds: 2.1, PlanPerReport: 1001, DiffSeconds: 1.1, Problems: 101}},
		"growth":  {&Growth{MemoryExponent: 1.05, ChangeExponent: 1.05, TenOfManyRatio: 1.2}, &Growth{MemoryExponent: 1.06, ChangeExponent: 1.06, TenOfManyRatio: 1.21}},
	} {
		met, missed := Lines(c.met), Lines(c.missed)
		if len(met) == 0 {
			t.Errorf("%s has no figures", name)
		}
		for i := range met {
			if met[i].Scenario != name || !met[i].Met || missed[i].Met {
				t.Errorf("%s: %+v, %+v", name, met[i], missed[i])
			}
		}
	}
}

// A change of ten that was lost in what the hub takes for none meets no target.
func TestLinesOfWhatWasNotMeasured(t *testing.T) {
	for _, l := range Lines(&Growth{}) {
		if l.Met && strings.Contains(l.Figure, "change of ten") {
			t.Errorf("%+v", l)
		}
	}
}

// A rollout through a larger fleet than its target is for is not judged by it.
func TestLinesOfALargeFleet(t *testing.T) {
	for _, l := range Lines(&Rollout{Spokes: 101, ConvergedSeconds: 9}) {
		if !l.Met {
			t.Errorf("%+v", l)
		}
	}
}

// TestFieldNames: what the issue of a benchmark is compared by.
func TestFieldNames(t *testing.T) {
	for figures, names := range map[any]string{
		&Connect{}: "spokes drops handshakes_per_s hub_rss_per_spoke_bytes rss_ratio_to_bare generator_cpu_s hub_cpu_s",
		&Idle{}:    "spokes hub_cpu_percent floor_cpu_percent fsyncs",
		&Source{}:  "push_p99_ms poll_refs poll_writes helm_ms renders_per_variant",
		&Change{}:  "spokes p50_ms p99_ms floor_p99_ms ratio bytes_per_spoke artifact_bytes",
		&Storm{}:   "spokes converged_s jitter_window_s floor_full_s floor_resumed_s ratio resync_bytes_per_spoke rss_peak_ratio",
		&Write{}:   "writers writes_per_s sequential_writes_per_s api_writes_per_s fdatasyncs_per_s sequential_ratio",
		&Open{}:    "clusters bundles seconds rss_bytes",
		&API{}:     "list_p99_ms facets_p99_ms watch_p99_ms authz_us hub_cpu_s generator_cpu_s",
		&Growth{}:  "memory_exponent change_exponent ten_of_many_ratio",
	} {
		text, err := json.Marshal(figures)
		if err != nil {
			t.Fatal(err)
		}
		var object map[string]any
		if err := json.Unmarshal(text, &object); err != nil {
			t.Fatal(err)
		}
		for name := range strings.FieldsSeq(names) {
			if _, ok := object[name]; !ok {
				t.Errorf("%T has no %s", figures, name)
			}
		}
	}
}

// Where the floor broke, the hub's memory is told and beside nothing.
func TestLinesWithoutAFloor(t *testing.T) {
	lines := Lines(&Connect{HubRSSPerSpoke: 90_000, FloorBroke: "a stream has ended"})
	if l := lines[len(lines)-1]; l.Met || !strings.Contains(l.Value, "90 KB") {
		t.Errorf("got %+v", l)
	}
}

func TestWriteFiles(t *testing.T) {
	b := NewBench(time.Unix(0, 0), "v1", "go run it")
	b.Add("write", &Write{Writers: 8, WritesPerSecond: 30_000, SequentialRatio: 0.1})
	dir := filepath.Join(t.TempDir(), "bench")
	if err := b.WriteFiles(dir, "x"); err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile(filepath.Join(dir, "x.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1970-01-01T00:00:00Z", "`go run it`", "| write | durable writes a second, 8 writers | 30000 | ≥ 20,000 | met |", "| MISSED |"} {
		if !bytes.Contains(table, []byte(want)) {
			t.Errorf("no %q in:\n%s", want, table)
		}
	}
	var back Bench
	text, err := os.ReadFile(filepath.Join(dir, "x.json"))
	if err == nil {
		err = json.Unmarshal(text, &back)
	}
	if err != nil || back.Machine == "" || back.GRPC == "" || back.Scenarios["write"] == nil {
		t.Errorf("got %+v, %v", back, err)
	}
}
