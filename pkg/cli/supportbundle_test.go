package cli

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// TestSupportBundle looks for what the example fleet has in fields of objects, in all files, as whoever gets the archive could.
func TestSupportBundle(t *testing.T) {
	const secret = "s3cret-value"
	f := exampleFleet()
	for _, object := range f.objects[yardarmv1.KindAssignment] {
		a := object.(*yardarmv1.Assignment)
		for _, d := range a.GetStatus().GetReport().GetDrift() {
			d.Desired, d.Live = secret, secret
		}
	}
	web := f.objects[yardarmv1.KindBundle]["web"].(*yardarmv1.Bundle)
	web.Spec.Customization.Variables["tier"] = secret
	web.Spec.Targets[0].Customization.Patches[0].Patch = secret
	h := serve(t, f)

	file := filepath.Join(t.TempDir(), "support.tar.gz")
	if r := h.run(t, "support-bundle", file); r.code != 0 {
		t.Fatalf("exit %d: %s", r.code, r.err)
	}
	parts := unpack(t, file)
	want := []string{"bundles.jsonl", "clustergroups.jsonl", "clusters.jsonl", "drifted.jsonl", "errors.txt", "events.jsonl", "hub.jsonl",
		"notready.jsonl", "revisions.jsonl", "version.txt", "whoami.jsonl"}
	if got := slices.Sorted(maps.Keys(parts)); !slices.Equal(got, want) {
		t.Errorf("there are %v, want %v", got, want)
	}
	for name, text := range parts {
		if strings.Contains(text, secret) {
			t.Errorf("%s has a value of an object:\n%s", name, text)
		}
	}
	for name, word := range map[string]string{"clusters.jsonl": `"eu-2"`, "bundles.jsonl": `"web"`, "revisions.jsonl": "new logo", "drifted.jsonl": "spec.replicas", "events.jsonl": "reason"} {
		if !strings.Contains(parts[name], word) {
			t.Errorf("%s lacks %s:\n%s", name, word, parts[name])
		}
	}
	if parts["errors.txt"] != "" {
		t.Errorf("errors: %s", parts["errors.txt"])
	}

	// What is there is left alone.
	if r := h.run(t, "support-bundle", file); r.code != ExitError || !strings.Contains(r.err, "exists") {
		t.Errorf("a second time: exit %d: %s", r.code, r.err)
	}
	if len(unpack(t, file)) != len(parts) {
		t.Error("the file was touched")
	}
}

// unpack answers the files of a support bundle by name.
func unpack(t *testing.T, file string) map[string]string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]string{}
	for r := tar.NewReader(z); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return parts
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		parts[strings.TrimPrefix(header.Name, supportFolder+"/")] = string(text)
	}
}
