package policy

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// replace puts a file in place as the kubelet does with a ConfigMap: behind a link, at once.
func replace(t *testing.T, link, text string) {
	t.Helper()
	target := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(target, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	next := link + ".next"
	if err := os.Symlink(target, next); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, link); err != nil {
		t.Fatal(err)
	}
}

func TestSourceFollowsItsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "policy.yaml")
	replace(t, file, "kinds: {deny: [Secret]}")
	registry := prometheus.NewRegistry()
	s, err := Open(Config{File: file, Namespace: own, Interval: time.Millisecond, Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	secret := ref(t, "Secret a/b")
	if !s.Current().Evaluate(secret).Denied {
		t.Error("the file is not in force from the start")
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()

	replace(t, file, "readOnly: true")
	<-s.Changed()
	if p := s.Current(); p.Mode() != ModeReadOnly || p.Evaluate(secret).Denied {
		t.Errorf("the new file is not in force: %+v", p)
	}
	want := func(mode string, broken float64) {
		t.Helper()
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		seen := 0
		for _, f := range families {
			for _, m := range f.GetMetric() {
				expect := broken
				if f.GetName() == "yardarm_spoke_policy_mode" {
					expect = 0
					if m.GetLabel()[0].GetValue() == mode {
						expect = 1
					}
				}
				if seen++; m.GetGauge().GetValue() != expect {
					t.Errorf("%s: %v, want %v", f.GetName(), m, expect)
				}
			}
		}
		if seen != 4 {
			t.Errorf("%d metrics: %v", seen, families)
		}
	}
	want(ModeReadOnly, 0)

	// One that is broken, or gone, leaves the one before it in force, and it is told.
	replace(t, file, "readOnly: maybe")
	<-s.Changed()
	broken := s.Broken()
	if text := broken.String(); !strings.Contains(text, "line 1: readOnly") || !strings.Contains(text, "stays in force (read-only)") {
		t.Errorf("it is told as %s", text)
	}
	if broken.Since.Before(broken.Read) || time.Since(broken.Since) > time.Minute || broken.InForce != s.Current() {
		t.Errorf("broken: %+v", broken)
	}
	want(ModeReadOnly, 1)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	<-s.Changed()
	if next := s.Broken(); !strings.Contains(next.Err.Error(), "no such file") || !next.Since.Equal(broken.Since) {
		t.Errorf("broken: %+v", next)
	}
	want(ModeReadOnly, 1)

	// The one before it comes back: nothing else is in force, and nothing is broken.
	current := s.Current()
	replace(t, file, "readOnly: true")
	<-s.Changed()
	if s.Broken() != nil || s.Current() != current {
		t.Errorf("broken: %v", s.Broken())
	}
	replace(t, file, "freeze: {reason: stocktaking}")
	<-s.Changed()
	want(ModeFrozen, 0)
}

// A spoke does not begin without the policy that it was given.
func TestSourceNeedsItsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "policy.yaml")
	if _, err := Open(Config{File: file, Namespace: own}); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a missing file: %v", err)
	}
	replace(t, file, "readOnly: maybe")
	if _, err := Open(Config{File: file, Namespace: own}); err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("a broken file: %v", err)
	}
	replace(t, file, "# "+strings.Repeat("x", 2*MaxSize))
	if _, err := Open(Config{File: file, Namespace: own}); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("a large file: %v", err)
	}
}

func TestSourceWithoutFile(t *testing.T) {
	s, err := Open(Config{Namespace: own})
	if err != nil {
		t.Fatal(err)
	}
	if !s.Current().Evaluate(ref(t, "ConfigMap "+own+"/x")).Denied {
		t.Error("the spoke's own namespace is open")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Error(err)
	}
}
