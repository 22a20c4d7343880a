package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/yardarm-dev/yardarm/pkg/clientconfig"
)

// bare is a hub that is not there: only its configuration file's path is used.
func bare(t *testing.T) *hub {
	return &hub{t: t, fleet: newFleet(), address: "unused", config: filepath.Join(t.TempDir(), "yardarm", "config.yaml")}
}

func TestConfig(t *testing.T) {
	h := bare(t)
	steps := []struct {
		args string
		in   string
		code int
		out  string
		err  string
	}{
		{"config get-contexts", "", ExitYes, "", "there are no contexts in CONFIG"},
		{"config view", "", ExitError, "", "there is no configuration in CONFIG"},
		{"config current-context", "", ExitError, "", "there is no configuration in CONFIG"},
		{"config set-context a", "", ExitError, "", "a new context needs --server HOST:PORT"},
		{"config set-context a --server hub.example.com:8443 --token-file -", "yat_abc\n", ExitYes, "", "context \"a\" created\n"},
		{"config set-context b --server https://other.example.com", "", ExitYes, "", "context \"b\" created\n"},
		{"config get-contexts", "", ExitYes, "CURRENT   NAME   SERVER\n*         a      https://hub.example.com:8443\n-         b      https://other.example.com\n", ""},
		{"config get-contexts -o name", "", ExitYes, "a\nb\n", ""},
		{"config current-context", "", ExitYes, "a\n", ""},
		{"config use-context nope", "", ExitNo, "", `no such context: "nope"`},
		{"config use-context b", "", ExitYes, "", "switched to context \"b\"\n"},
		{"config current-context", "", ExitYes, "b\n", ""},
		{"config current-context --context a", "", ExitYes, "a\n", ""},
		{"config set-context a --server hub2.example.com:8443", "", ExitYes, "", "context \"a\" changed\n"},
		{"config set-context a --server https://hub2/path", "", ExitError, "", "server"},
		{"config set-context a --ca /nowhere", "", ExitError, "", "/nowhere"},
		{"config view", "", ExitYes, "apiVersion: yardarm.dev/v1\ncontexts:\n- name: a\n  server: https://hub2.example.com:8443\n  token: REDACTED\n" +
			"- name: b\n  server: https://other.example.com\ncurrentContext: b\nkind: Config\n", ""},
		{"config view --raw", "", ExitYes, "apiVersion: yardarm.dev/v1\ncontexts:\n- name: a\n  server: https://hub2.example.com:8443\n  token: yat_abc\n" +
			"- name: b\n  server: https://other.example.com\ncurrentContext: b\nkind: Config\n", ""},
		{"config delete-context nope", "", ExitNo, "", `there is no context "nope"`},
		{"config delete-context b", "", ExitYes, "", "it was the current one"},
		{"config current-context", "", ExitNo, "", "none is current"},
		{"get clusters", "", ExitError, "", "none is current in CONFIG; 'yardarm config get-contexts' lists"},
	}
	for i, step := range steps {
		got := h.invoke(t, invocation{args: strings.Fields(step.args), in: step.in})
		if got.code != step.code || got.out != step.out || !strings.Contains(got.err, step.err) {
			t.Fatalf("step %d, %s: %+v", i, step.args, got)
		}
	}
	file, err := clientconfig.Load(h.config)
	if err != nil || file.Contexts[0].Token != "yat_abc" {
		t.Errorf("the token has gone: %v, %v", file, err)
	}
	if info, err := os.Stat(h.config); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info.Mode(), err)
	}
}

func TestConfigImport(t *testing.T) {
	real := serve(t, exampleFleet())
	text, err := os.ReadFile(real.config)
	if err != nil {
		t.Fatal(err)
	}
	h := bare(t)
	h.address = real.address
	if got := h.run(t, "config", "import", real.config); got.code != ExitYes || got.err != "context \"test\" imported (https://HUB)\n" {
		t.Errorf("%+v", got)
	}
	if got := h.run(t, "get", "clusters", "-o", "name"); got.code != ExitYes || !strings.HasPrefix(got.out, "cluster/eu-1\n") {
		t.Errorf("%+v", got)
	}
	if got := h.run(t, "config", "import", real.config); !strings.Contains(got.err, "replaced") {
		t.Errorf("%+v", got)
	}
	got := h.invoke(t, invocation{args: []string{"config", "import", "-", "--name", "prod", "--use=false"}, in: string(text)})
	if got.code != ExitYes || !strings.Contains(got.err, `context "prod" imported`) {
		t.Errorf("%+v", got)
	}
	if got := h.run(t, "config", "current-context"); got.out != "test\n" {
		t.Errorf("%+v", got)
	}
	if got := h.invoke(t, invocation{args: []string{"get", "clusters", "-o", "name"}, env: map[string]string{clientconfig.EnvPath: h.config, "YARDARM_CONTEXT": "prod"}}); got.code != ExitYes {
		t.Errorf("%+v", got)
	}
	for _, args := range [][]string{{"config", "import", "/nowhere"}, {"config", "import", "-"}, {"config", "import", h.config, "--name", "x"}} {
		if got := h.invoke(t, invocation{args: args, in: "token: [yat_secret"}); got.code != ExitError || strings.Contains(got.err, "yat_secret") {
			t.Errorf("%v: %+v", args, got)
		}
	}
}

// A file that others can read is worth a warning, and no more.
func TestConfigReadableByOthers(t *testing.T) {
	h := serve(t, exampleFleet())
	if err := os.Chmod(h.config, 0o644); err != nil {
		t.Fatal(err)
	}
	got := h.run(t, "get", "clusters", "-o", "name")
	if got.code != ExitYes || !strings.HasPrefix(got.err, "warning: ") || !strings.Contains(got.err, "chmod 600") {
		t.Errorf("%+v", got)
	}
}
