package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "write the table of flags into docs/configure.md")

// written is a configuration file.
func written(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "hub.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// What the command line says goes before the environment, and that before the file.
func TestWhereSettingsComeFrom(t *testing.T) {
	file := written(t, `
listen: :1
spoke-listen: :2
metrics-listen: :3
address: [hub.example.com, 192.0.2.1]
stale-after: 2m
keep-revisions: 5
`)
	t.Setenv("YARDARM_HUB_SPOKE_LISTEN", ":20")
	t.Setenv("YARDARM_HUB_METRICS_LISTEN", ":30")
	t.Setenv("YARDARM_HUB_SPOKE_ADDRESS", "a:1,b:2")
	t.Setenv("YARDARM_HUB_PORT_7443_TCP", "tcp://192.0.2.9:7443") // Kubernetes sets it beside a Service
	t.Setenv("YARDARM_HUB_CONFIG", file)
	out, err := call(t.Context(), "config", "show", "--metrics-listen", ":300")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"listen: :1 # " + file, "spoke-listen: :20 # YARDARM_HUB_SPOKE_LISTEN", "metrics-listen: :300 # command line",
		"address: [hub.example.com, 192.0.2.1] # " + file, `spoke-address: ['a:1', 'b:2'] # YARDARM_HUB_SPOKE_ADDRESS`,
		"stale-after: 2m0s # " + file, "keep-revisions: 5 # " + file, "log-level: info # default",
	} {
		if !strings.Contains("\n"+out, "\n"+want+"\n") {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}

	// What is shown is a configuration that gives the same.
	t.Setenv("YARDARM_HUB_CONFIG", "")
	for _, name := range []string{"SPOKE_LISTEN", "METRICS_LISTEN", "SPOKE_ADDRESS"} {
		os.Unsetenv(envPrefix + name) // Setenv puts it back
	}
	again, err := call(t.Context(), "config", "show", "--config", written(t, out))
	if err != nil {
		t.Fatal(err)
	}
	bare := func(text string) string {
		var b strings.Builder
		for line := range strings.Lines(text) {
			line, _, _ = strings.Cut(line, " #")
			b.WriteString(line + "\n")
		}
		return b.String()
	}
	if bare(again) != bare(out) {
		t.Errorf("shown\n%s\ngives\n%s", out, again)
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	dir := t.TempDir()
	good := issue(t, dir, "hub.example.com", "127.0.0.1")
	for _, c := range []struct {
		name, text string
		args       []string
		want       string // of the error; empty for none
	}{
		{name: "empty"},
		{name: "a certificate", text: "tls-cert: " + good.cert + "\ntls-key: " + good.key + "\nclient-ca: " + good.ca},
		{name: "unknown", text: "listen: :1\nlisten-spokes: :2", want: `line 2: there is no setting "listen-spokes"`},
		{name: "a file names no file", text: "config: other.yaml", want: `no setting "config"`},
		{name: "twice", text: "listen: :1\nlisten: :2", want: "already defined"},
		{name: "a list of one", text: "listen: [':1']", want: "listen: takes one value"},
		{name: "a mapping", text: "listen: {port: 1}", want: "listen: a value is needed"},
		{name: "no mapping", text: "- listen", want: "cannot unmarshal"},
		{name: "two documents", text: "listen: :1\n---\nlisten: :2", want: "more than one document"},
		{name: "not a number", text: "keep-revisions: many", want: "keep-revisions"},
		{name: "not a duration", text: "heartbeat: 30", want: "heartbeat"},
		{name: "too large", text: strings.Repeat("#", maxConfig+1), want: "more than"},
		{name: "a command line that is wrong", args: []string{"--log-level", "loud"}, want: "loud"},
		{name: "half a certificate", text: "tls-cert: " + good.cert, want: "two files"},
		{name: "no such certificate", text: "tls-cert: /nowhere\ntls-key: /nowhere", want: "/nowhere"},
		{name: "no CA", text: "client-ca: " + good.key, want: "no certificate in PEM"},
		{name: "no such provider file", text: "oidc-config: /nowhere", want: "/nowhere"},
		{name: "no port", text: "metrics-listen: localhost", want: "missing port"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := call(t.Context(), append([]string{"config", "check", "--config", written(t, c.text)}, c.args...)...)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if _, err := call(t.Context(), "config", "check", "--config", "/nowhere.yaml"); err == nil {
		t.Error("a file that is not there is taken")
	}
}

// Other commands take from the file what they have.
func TestSettingsOfOtherCommands(t *testing.T) {
	file := written(t, "data-dir: /nowhere/hub\nlisten: :1\nkeep-revisions: 3")
	if _, err := call(t.Context(), "admin-credential", "--config", file); err == nil || !strings.Contains(err.Error(), "/nowhere/hub/admin.yaml") {
		t.Errorf("admin-credential: %v", err)
	}
	if _, err := call(t.Context(), "admin-credential", "--config", written(t, "nothing: 1")); err == nil || !strings.Contains(err.Error(), `"nothing"`) {
		t.Errorf("an unknown setting: %v", err)
	}
}

// No flag may have a name whose variable Kubernetes sets for a Service that is called yardarm-hub.
func TestNamesOfSettings(t *testing.T) {
	f := pflag.NewFlagSet("run", pflag.ContinueOnError)
	new(settings).flags(f)
	f.VisitAll(func(f *pflag.Flag) {
		if name := strings.TrimPrefix(envName(f.Name), envPrefix); name == "KEY" || name == "CONFIG" || strings.HasPrefix(name, "PORT") || strings.HasPrefix(name, "SERVICE_") {
			t.Errorf("--%s would be read of %s%s", f.Name, envPrefix, name)
		}
	})
}

// TestTableOfFlags keeps docs/configure.md true; with -update it writes it.
func TestTableOfFlags(t *testing.T) {
	const begin, end = "<!-- flags: go test ./hub/cmd/yardarm-hub -run TestTableOfFlags -update -->\n", "<!-- end of flags -->"
	file := filepath.Join("..", "..", "..", "docs", "configure.md")
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(page), begin)
	table, after, found := strings.Cut(rest, end)
	if !ok || !found {
		t.Fatal("the page has no place for the table")
	}
	if want := tableOfFlags(); table != want {
		if !*update {
			t.Fatalf("docs/configure.md is not what run's flags are; write it anew with -update. It should say\n%s", want)
		}
		if err := os.WriteFile(file, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func tableOfFlags() string {
	f := pflag.NewFlagSet("run", pflag.ContinueOnError)
	new(settings).flags(f)
	var b strings.Builder
	b.WriteString("| setting | default | what it is |\n|---|---|---|\n")
	f.VisitAll(func(f *pflag.Flag) {
		_, usage := pflag.UnquoteUsage(f)
		value := ""
		if f.DefValue != "" && f.DefValue != "[]" && f.DefValue != "0s" {
			value = "`" + strings.Trim(f.DefValue, "[]") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.Name, value, strings.ReplaceAll(usage, "|", `\|`))
	})
	return b.String()
}
