package artifact

import (
	"bytes"
	"testing"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// TestManifests: they are valid, of the size asked for, no more compressible than real ones, and differ by one line.
func TestManifests(t *testing.T) {
	for _, size := range []int{1, 10_000, 50_000, 1_000_000} {
		a, b := Manifests(7, size, 0), Manifests(7, size, 1)
		if len(a) < size || len(a) > size+2*serviceSize {
			t.Errorf("%d bytes asked for, %d written", size, len(a))
		}
		different := 0
		lines, others := bytes.Split(a, []byte("\n")), bytes.Split(b, []byte("\n"))
		if len(lines) != len(others) {
			t.Fatalf("%d bytes: a change has changed the number of lines", size)
		}
		for i := range lines {
			if !bytes.Equal(lines[i], others[i]) {
				different++
			}
		}
		if different != 1 {
			t.Errorf("%d bytes: a change has changed %d lines, want 1", size, different)
		}
		set, err := manifest.Parse([]manifest.File{{Path: "a.yaml", Data: a}}, manifest.Limits{})
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		canonical := set.Canonical()
		if ratio := float64(len(canonical)) / float64(len(manifest.Compress(canonical))); size >= 50_000 && (ratio < 2 || ratio > 6) {
			t.Errorf("%d bytes compress to 1/%.1f; real manifests to between 1/2 and 1/6", size, ratio)
		}
	}
	if bytes.Equal(Manifests(1, 1000, 0), Manifests(2, 1000, 0)) {
		t.Error("two seeds give the same manifests")
	}
}
