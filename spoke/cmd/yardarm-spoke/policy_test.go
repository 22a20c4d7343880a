package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// call runs a command line, and answers what it says and its exit status.
func call(t *testing.T, args ...string) (out string, code int) {
	t.Helper()
	c := root()
	var text bytes.Buffer
	c.SetOut(&text)
	c.SetErr(&text)
	c.SetArgs(args)
	if err := c.ExecuteContext(t.Context()); err != nil {
		code = fail(&text, err)
	}
	return text.String(), code
}

func TestPolicyCommands(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	example, code := call(t, "policy", "example")
	if code != 0 {
		t.Fatal(example)
	}
	good, broken := file("good.yaml", example), file("broken.yaml", "kinds:\n  denied: []\n")
	frozen := file("frozen.yaml", "freeze: {reason: stocktaking}\nimpersonation: {required: true}\n")
	for _, c := range []struct {
		args string
		code int
		want []string
	}{
		{"check " + good, 0, []string{"enforced", "prod-*, web; never prod-vault", "always web/platform"}},
		{"check " + frozen, 0, []string{"frozen", "stocktaking", "without one it fails"}},
		{"check " + broken, 2, []string{broken, "line 2: kinds:", "allow, deny"}},
		{"check " + filepath.Join(dir, "missing.yaml"), 2, []string{"no such file"}},
		{"check", 2, []string{"1 arg"}},
		{"test " + good + " --kind apps/Deployment --namespace prod-a", 0, []string{"allowed: namespaces.allow[0]: prod-*"}},
		{"test " + good + " --kind apps/Deployment --namespace prod-vault", 1, []string{"denied: namespaces.deny[0]: prod-vault"}},
		{"test " + good + " --kind rbac.authorization.k8s.io/Role --namespace web", 1, []string{"denied: kinds.deny[0]"}},
		{"test " + good + " --kind core/Namespace --name other", 1, []string{"denied: namespaces.allow: has no other"}},
		{"test " + frozen + " --kind core/Node", 0, []string{"allowed: no rule is about it"}},
		{"test " + frozen + " --kind core/ConfigMap --namespace here --spoke-namespace here", 1, []string{"denied: ownNamespace"}},
		{"test " + good + " --kind Role --namespace web", 2, []string{"core/Secret"}},
		{"test " + good, 2, []string{"--kind"}},
		{"test " + broken + " --kind core/Node", 2, []string{"line 2"}},
		{"test " + good + " --bundle web", 0, []string{"service account web/deployer"}},
		{"test " + good + " --bundle web --service-account prod-a/deployer", 0, []string{"service account prod-a/deployer"}},
		{"test " + good + " --bundle web --service-account kube-system/x", 1, []string{"denied", "impersonation.allow"}},
		{"test " + frozen + " --bundle web", 1, []string{"denied: impersonation.required"}},
	} {
		t.Run(c.args, func(t *testing.T) {
			out, code := call(t, append([]string{"policy"}, strings.Fields(c.args)...)...)
			if code != c.code {
				t.Errorf("exit status %d, want %d", code, c.code)
			}
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("%q does not say %q", out, want)
				}
			}
		})
	}
}

// A spoke does not start with a policy that is broken, or said twice.
func TestRunNeedsItsPolicy(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken.yaml")
	if err := os.WriteFile(broken, []byte("readOnly: maybe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"--policy " + broken:                         "line 1: readOnly",
		"--policy " + broken + " --read-only":        "give either",
		"--policy " + broken + ".missing":            "no such file",
		"--deny-kinds deployments":                   "--deny-kinds",
		"--service-account deployer --kubeconfig /x": "NAMESPACE/NAME",
	} {
		out, code := call(t, append([]string{"run"}, strings.Fields(args)...)...)
		if code != 1 || !strings.Contains(out, want) {
			t.Errorf("run %s: status %d: %s", args, code, out)
		}
	}
	t.Setenv(policyEnv, broken)
	if out, code := call(t, "run"); code != 1 || !strings.Contains(out, "line 1: readOnly") {
		t.Errorf("by environment: status %d: %s", code, out)
	}
}
