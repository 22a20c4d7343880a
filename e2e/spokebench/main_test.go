package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/yardarm-dev/yardarm/e2e/cluster"
	"github.com/yardarm-dev/yardarm/e2e/fleet"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// TestSmall runs all phases in small. It asserts that each has measured something, and what does not depend on the machine.
func TestSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("starts real control planes")
	}
	bin, err := cluster.Binaries(t.Context(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	programs, err := fleet.Build(t.Context(), filepath.Join(dir, "bin"), false, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	f, err := Measure(t.Context(), Config{
		Sizes: Sizes{
			Bundles: 2, PerBundle: 10, Others: 20, Revisions: 2, Edits: 4, Rounds: 1, Applied: 10, Idle: 500 * time.Millisecond, Resync: 2 * time.Second,
		},
		Dir: dir, Bin: bin, Programs: programs, Progress: t.Output(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if f.DriftP99 <= 0 || f.ApplyRatio <= 0 || f.RSS < mib || f.RSSWithout < mib || f.detail.drifts != 4 || f.detail.passes < 2 {
		t.Errorf("figures: %+v", f)
	}
	if f.IdleWrites != 0 || f.NoopRequests > 1 || f.detail.noopWrites != 0 {
		t.Errorf("idle writes %d; no-op: %v requests per kind, %d writes", f.IdleWrites, f.NoopRequests, f.detail.noopWrites)
	}
}

func TestFiguresAreNamedAsAsked(t *testing.T) {
	text, err := json.Marshal(&Figures{DriftP99: 1.5, IdleWrites: 2})
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	want := []string{"drift_p99_ms", "apply_ratio", "rss_bytes", "rss_bytes_without_others", "idle_millicores", "idle_writes", "noop_requests"}
	for _, name := range want {
		if _, ok := fields[name]; !ok {
			t.Errorf("%s is missing", name)
		}
	}
	if len(fields) != len(want) {
		t.Errorf("fields: %v", fields)
	}
}

func TestTargetsAreMetAndMissed(t *testing.T) {
	good := Figures{DriftP99: 250, ApplyRatio: 0.5, RSS: 45 * mib, RSSWithout: 45 * mib, IdleMillicores: 2, NoopRequests: 1}
	for _, l := range good.Lines() {
		if !l.Met {
			t.Errorf("missed: %+v", l)
		}
	}
	bad := Figures{DriftP99: 251, ApplyRatio: 0.51, RSS: 46 * mib, RSSWithout: 40 * mib, IdleMillicores: 2.1, IdleWrites: 1, NoopRequests: 1.5, detail: detail{noopWrites: 1}}
	for _, l := range bad.Lines() {
		if l.Met {
			t.Errorf("met: %+v", l)
		}
	}
}

func TestAuditCountsOneProgram(t *testing.T) {
	line := func(agent, verb, group, resource string) string {
		return `{"kind":"Event","verb":"` + verb + `","userAgent":"` + agent + `","objectRef":{"resource":"` + resource + `","apiGroup":"` + group + `"},"x":1}` + "\n"
	}
	log := line("yardarm-spoke/v1", "list", "", "configmaps") + line("yardarm-spoke/v1", "watch", "", "configmaps") + line("kubectl/v1", "patch", "", "configmaps") +
		line("yardarm-spoke/v1", "patch", "apps", "deployments") + line("yardarm-spoke/v1", "get", "", "secrets") + `{"verb":"get","userAgent":"yardarm-spoke/v1","requestURI":"/version"}` + "\n"
	path := filepath.Join(t.TempDir(), "audit.log")
	if err := os.WriteFile(path, []byte(log+`{"half":`), 0o600); err != nil {
		t.Fatal(err)
	}
	a := &audit{path: path, agent: "yardarm-spoke"}
	got, err := a.requests()
	if err != nil {
		t.Fatal(err)
	}
	if got.writes() != 1 || got.most() != 2 || got.lists(configMaps) != 1 || got.lists(secrets) != 0 {
		t.Errorf("got %v", got)
	}
	if want := "get  1, get secrets 1, list configmaps 1, patch deployments.apps 1, watch configmaps 1"; got.String() != want {
		t.Errorf("got %s", got)
	}
	if again, err := a.requests(); err != nil || len(again) != 0 || again.String() != "none" {
		t.Errorf("the same again: %v, %v", again, err)
	}
	if _, err := parseAudit([]byte("no JSON\n"), ""); err == nil {
		t.Error("a broken line is taken")
	}
}

// What is measured is what is published: each revision changes each object, and every kind is among them.
func TestManifests(t *testing.T) {
	const n = 100
	parse := func(revision int) *manifest.Set {
		set, err := manifest.Parse(manifests("app", n, revision), manifest.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	one, two := parse(1), parse(2)
	if one.Len() != n || two.Len() != n {
		t.Fatalf("%d and %d objects", one.Len(), two.Len())
	}
	before := strings.Split(string(one.Canonical()), "\n")
	for i, line := range strings.Split(string(two.Canonical()), "\n") {
		if line != "" && line == before[i] {
			t.Errorf("unchanged: %s", line)
		}
	}
	var seen []schema.GroupVersionResource
	for _, o := range objectsOf("app", n) {
		if !slices.Contains(seen, o.resource) {
			seen = append(seen, o.resource)
		}
	}
	if len(seen) != len(kinds) {
		t.Errorf("kinds: %v", seen)
	}
	edited, deleted := victims(fullSizes)
	if len(edited) < fullSizes.Edits/2 || len(deleted) < fullSizes.Edits/2 {
		t.Errorf("%d objects to edit, %d to delete", len(edited), len(deleted))
	}
}
