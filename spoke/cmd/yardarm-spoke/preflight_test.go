package main

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestPreflight(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	for args, want := range map[string]string{
		"preflight":                         "FAILED  hub: no address is given",
		"preflight --hub hub.invalid:7444":  "the cluster is not looked at",
		"preflight --kubeconfig " + missing: "no such file",
		"preflight --token-file " + missing: "read the enrolment token",
		"preflight hub.example.com":         "unknown command",
	} {
		if out, code := call(t, strings.Fields(args)...); code != 1 || !strings.Contains(out, want) {
			t.Errorf("%s: status %d, want 1 and %q:\n%s", args, code, want, out)
		}
	}
}
