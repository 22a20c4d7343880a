package cli

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/reflect/protoreflect"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// changeless are the commands that change nothing at the hub.
var changeless = strings.Split(`audit, auth, auth can-i, auth whoami, completion bash, completion fish, completion powershell, completion zsh, config, config current-context,
config delete-context, config get-contexts, config import, config set-context, config use-context, config view, credentials, dashboard, describe, diff, drift, events, get, help, history, login,
logout, notification, notification test, preview, problems, render, rollout, rollout history, rollout status, rollout watch, status, support-bundle, token, version, wait, why`, ",")

// TestEveryChangeHasADryRun goes through all commands, so that a new one cannot be forgotten, and finds that no request of a dry run is meant.
func TestEveryChangeHasADryRun(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "web.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web, namespace: web}\n")
	groups := write(t, t.TempDir(), "groups.yaml", groupsYAML)
	lines := map[string][]string{
		"accept": {"bundle/web"}, "drift accept": {"bundle/web", "cluster/eu-1"}, "apply": {"-f", groups}, "ban": {"eu-1"}, "unban": {"eu-1"}, "enroll": {"eu-9"}, "label": {"eu-1", "a=b"},
		"publish": {dir, "--bundle", "web"}, "credentials set": {"git", "--url", "https://git.example.com/", "--ca-file", groups}, "reconcile": {"bundle/web"}, "token create": {"ci"}, "token revoke": {"ci"},
		"delete": {"bundle/web", "cluster/eu-1", "clustergroup/big", "gate/own", "role/own", "rolebinding/own", "--remove"},
		"freeze": {"--all"}, "unfreeze": {"own"}, "rollout override": {"web", "-m", "why"},
		"rollout undo": {"web"}, "rollout pause": {"web"}, "rollout resume": {"web"}, "rollout approve": {"web"}, "rollout promote": {"web"}, "rollout retry": {"web"},
	}
	h := serve(t, exampleFleet())
	h.put(&yardarmv1.Token{Kind: yardarmv1.KindToken, Metadata: &yardarmv1.ObjectMeta{Name: "ci"}})
	h.put(&yardarmv1.Gate{Kind: yardarmv1.KindGate, Metadata: &yardarmv1.ObjectMeta{Name: "own"}})
	for _, path := range commands((&app{}).root()) {
		if slices.ContainsFunc(changeless, func(name string) bool { return strings.TrimSpace(name) == path }) {
			continue
		}
		t.Run(path, func(t *testing.T) {
			h.fleet.mu.Lock()
			h.calls = nil
			h.fleet.mu.Unlock()
			// On a terminal: nobody is asked whether what is not meant is meant.
			got := h.invoke(t, invocation{args: slices.Concat(strings.Fields(path), lines[path], []string{"--dry-run"}), terminal: true})
			if got.code != ExitYes || !strings.Contains(got.out, "(dry run)") {
				t.Errorf("exit %d, %q, %q", got.code, got.out, got.err)
			}
			if len(h.calls) == 0 {
				t.Error("the hub was asked nothing")
			}
			for _, call := range h.calls {
				m := call.ProtoReflect()
				if field := m.Descriptor().Fields().ByName(protoreflect.Name("dry_run")); field == nil || !m.Get(field).Bool() {
					t.Errorf("the hub was asked %v", call)
				}
			}
		})
	}
}

// commands are the paths of all that can be run, without the program's name.
func commands(cmd *cobra.Command) (paths []string) {
	for _, sub := range cmd.Commands() {
		if sub.Runnable() {
			_, path, _ := strings.Cut(sub.CommandPath(), " ")
			paths = append(paths, path)
		}
		paths = append(paths, commands(sub)...)
	}
	return paths
}
