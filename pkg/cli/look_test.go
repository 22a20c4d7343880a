package cli

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestGetWatch(t *testing.T) {
	h := serve(t, exampleFleet())
	r := h.background(t, invocation{args: []string{"get", "clusters", "-l", "env=prod", "-w"}})
	until(t, "the table is there", func() bool { return strings.Count(r.out.String(), "\n") == 4 })
	// A heartbeat is no news, nor is what is not asked for.
	us1 := proto.CloneOf(h.objects[yardarmv1.KindCluster]["us-1"].(*yardarmv1.Cluster))
	h.put(newCluster("lab-2", yardarmv1.ClusterActive, yardarmv1.PresenceConnected, nil))
	quiet := proto.CloneOf(h.objects[yardarmv1.KindCluster]["eu-1"].(*yardarmv1.Cluster))
	quiet.Status.LastSeen = ago(-time.Second)
	h.put(quiet)
	us1.Status.Presence = yardarmv1.PresenceConnected
	h.put(us1)
	until(t, "a change is there", func() bool { return strings.Count(r.out.String(), "\n") == 5 })
	h.cutStreams()
	until(t, "it is back", func() bool { return strings.Contains(r.err.String(), "lost the hub") && h.openStreams() == 1 })
	h.remove(yardarmv1.KindCluster, "us-1")
	until(t, "the deletion is there", func() bool { return strings.Count(r.out.String(), "\n") == 6 })
	other := newCluster("eu-2", yardarmv1.ClusterActive, yardarmv1.PresenceConnected, map[string]string{"env": "lab"})
	h.put(other) // which is not asked for any more
	until(t, "the leaver is there", func() bool { return strings.Count(r.out.String(), "\n") == 7 })
	r.interrupt()
	if code := r.wait(t); code != ExitInterrupted {
		t.Errorf("exit %d", code)
	}
	golden(t, "get-watch", r.out.String())
}

// TestGetLeavesFiltersToTheHub: the hub alone knows their grammar, and says what is wrong with them.
func TestGetLeavesFiltersToTheHub(t *testing.T) {
	h := serve(t, exampleFleet())
	if r := h.run(t, "get", "clusters", "--filter", "presence=stale", "--sort", "version desc"); r.code != 0 {
		t.Fatalf("exit %d: %s", r.code, r.err)
	}
	for _, asked := range h.asked {
		if asked != "presence=stale|version desc" {
			t.Errorf("asked for %q", asked)
		}
	}
	if len(h.asked) == 0 {
		t.Error("the hub was not asked")
	}
}

func TestGetWatchForPrograms(t *testing.T) {
	h := serve(t, newFleet(newBundle("web", 1, nil), newBundle("db", 1, nil)))
	r := h.background(t, invocation{args: []string{"get", "bundles", "web", "-w", "-o", "json", "--output-watch-events"}})
	until(t, "it is there", func() bool { return strings.Contains(r.out.String(), "ADDED") })
	h.put(newBundle("db", 2, nil), newBundle("web", 2, nil))
	until(t, "the change is there", func() bool { return strings.Contains(r.out.String(), "MODIFIED") })
	h.remove(yardarmv1.KindBundle, "web")
	until(t, "the end is there", func() bool { return strings.HasSuffix(r.out.String(), "\"DELETED\"\n}\n") })
	r.interrupt()
	r.wait(t)
	var got []string
	decoder := json.NewDecoder(strings.NewReader(r.out.String()))
	for {
		var event struct {
			Type   string
			Object struct {
				Metadata struct{ Name string }
				Status   struct{ Revision int }
			}
		}
		if err := decoder.Decode(&event); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		got = append(got, event.Type+" "+event.Object.Metadata.Name+" "+string(rune('0'+event.Object.Status.Revision)))
	}
	if want := "ADDED web 1, MODIFIED web 2, DELETED web 2"; strings.Join(got, ", ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestGetWatchBeforeAnythingIsThere(t *testing.T) {
	h := serve(t, newFleet())
	r := h.background(t, invocation{args: []string{"get", "assignments", "--bundle", "web", "-w", "-o", "name"}})
	until(t, "it says so", func() bool { return strings.Contains(r.err.String(), "no assignments match; waiting for the first") })
	h.put(newAssignment("eu-1", "db", 1, ""), newAssignment("eu-1", "web", 1, ""))
	until(t, "it is there", func() bool { return r.out.String() == "assignment/eu-1.web\n" })
	if got := h.run(t, "get", "bundle", "nope", "-w"); got.code != ExitNo {
		t.Errorf("%+v", got)
	}
}

func TestEventsWatch(t *testing.T) {
	h := serve(t, exampleFleet())
	r := h.background(t, invocation{args: []string{"events", "-w", "--tail", "1"}})
	until(t, "the last is there", func() bool { return strings.Contains(r.out.String(), "BundleFailed") && h.openStreams() == 1 })
	h.cutStreams()
	until(t, "it is back", func() bool { return strings.Contains(r.err.String(), "lost the hub") && h.openStreams() == 1 })
	h.addEvents(&yardarmv1.Event{Sequence: 9, Time: ago(0), Type: yardarmv1.EventNormal, Reason: "BundleReady", Bundle: "web", Message: "at last"})
	until(t, "the next is there", func() bool { return strings.Contains(r.out.String(), "at last") })
	if strings.Count(r.out.String(), "\n") != 2 {
		t.Errorf("written: %q", r.out.String())
	}
}

func TestRolloutWatchOverARestartOfTheHub(t *testing.T) {
	h := serve(t, exampleFleet())
	r := h.background(t, invocation{args: []string{"rollout", "watch", "shop", "--timeout", "1m"}})
	until(t, "it is followed", func() bool { return strings.Contains(r.out.String(), "canary 1/1") && h.openStreams() == 1 })
	h.cutStreams()
	until(t, "it is back", func() bool {
		return strings.Contains(r.err.String(), ": the hub is stopping; trying again\nthe hub is back\n")
	})
	r.endTime()
	if code := r.wait(t); code != ExitTimeout || !strings.Contains(r.err.String(), "bundle/shop has not come to its end after 1m0s") {
		t.Errorf("exit %d, %q", code, r.err.String())
	}
}

func TestColors(t *testing.T) {
	h := serve(t, exampleFleet())
	for _, tc := range []struct {
		name     string
		args     string
		terminal bool
		env      map[string]string
		want     bool
	}{
		{"a terminal", "get assignments", true, nil, true},
		{"no terminal", "get assignments", false, nil, false},
		{"NO_COLOR", "get assignments", true, map[string]string{"NO_COLOR": "1"}, false},
		{"a dumb terminal", "get assignments", true, map[string]string{"TERM": "dumb"}, false},
		{"always", "get assignments --color always", false, map[string]string{"NO_COLOR": "1"}, true},
		{"never", "get assignments --color never", true, nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			env := map[string]string{"YARDARM_CONFIG": h.config}
			for key, value := range tc.env {
				env[key] = value
			}
			got := h.invoke(t, invocation{args: strings.Fields(tc.args), terminal: tc.terminal, env: env})
			if colored := strings.Contains(got.out, "\x1b[31mFailed\x1b[0m"); colored != tc.want || strings.Contains(got.out, "\x1b") != tc.want {
				t.Errorf("%q", got.out)
			}
		})
	}
}

// What clusters report may hold what a terminal would act on. Only our own colours get through.
func TestNoEscapesFromClusters(t *testing.T) {
	h := serve(t, exampleFleet())
	evil := newAssignment("eu-1", "web", 3, "Ready\x1b]0;title\x07")
	evil.Status.Reason, evil.Status.Message = "\x1b[2J", "\x1b[1A\u202eevil"
	evil.Status.Report.Message, evil.Status.Report.Digest = "\x1b[2J", "\x1b[2J"
	evil.Status.Report.Problems = []*yardarmv1.ObjectProblem{{Object: "\x1b[2J", Reason: "\x1b[2J", Message: "\x1b[2J"}}
	evil.Status.Report.Objects.Drifted = 1
	evil.Status.Report.Drift = []*yardarmv1.Drift{{Object: "\x1b[2J", Path: "\x1b[2J", Desired: "\x1b[2J", Live: "\x1b[2J", Manager: "\x1b[2J", Reason: "\x1b[2J"}}
	evil.Status.Report.Conditions = []*yardarmv1.Condition{{Type: "\x1b[2J", Status: "\x1b[2J", Reason: "\x1b[2J", Message: "\x1b[2J"}}
	c := newCluster("eu-1", yardarmv1.ClusterActive, yardarmv1.PresenceConnected, nil)
	c.Status.SpokeVersion, c.Status.Facts.KubernetesVersion, c.Status.Facts.Region = "\x1b[2J", "\x1b[2J", "\x1b[2J"
	h.put(evil, c)
	h.addEvents(&yardarmv1.Event{Sequence: 9, Time: ago(0), Reason: "\x1b[2J", Message: "\x1b[2J", Cluster: "eu-1"})
	for _, args := range []string{"get as -o wide", "get clusters -o wide", "describe assignment eu-1.web", "describe cluster eu-1", "describe bundle web", "status", "status bundle/web", "events", "wait bundle/web"} {
		for _, color := range []string{"always", "never"} {
			got := h.run(t, append(strings.Fields(args), "--color", color)...)
			for _, bad := range []string{"\x1b[2J", "\x1b[1A", "\x1b]", "\x07", "\u202e"} {
				if strings.Contains(got.out+got.err, bad) {
					t.Errorf("%s --color %s writes %q", args, color, bad)
				}
			}
		}
	}
}

func TestVersion(t *testing.T) {
	h := serve(t, exampleFleet())
	if got := h.run(t, "version"); got.code != ExitYes || !strings.HasSuffix(got.out, "hub      v1.2.3 (fleet test-fleet at HUB, cursor 1a2b3c4d/1042)\n") {
		t.Errorf("%+v", got)
	}
	if got := bare(t).run(t, "version", "--client", "-o", "json"); got.code != ExitYes || !strings.Contains(got.out, `"platform"`) {
		t.Errorf("%+v", got)
	}
	if got := bare(t).run(t, "version"); got.code != ExitYes || !strings.HasPrefix(got.out, "client   ") || strings.Count(got.out, "\n") != 1 || !strings.HasPrefix(got.err, "no hub is configured") {
		t.Errorf("%+v", got)
	}
	if got := bare(t).run(t, "version", "--config", "/nowhere/config.yaml"); got.code != ExitError || !strings.HasPrefix(got.out, "client   ") {
		t.Errorf("%+v", got)
	}
	// The client's is shown even if the hub does not answer.
	if got := h.run(t, "version", "--server", "127.0.0.1:1"); got.code != ExitError || !strings.HasPrefix(got.out, "client   ") {
		t.Errorf("%+v", got)
	}
}

func TestCompletion(t *testing.T) {
	h := serve(t, exampleFleet())
	for _, tc := range []struct{ args, want string }{
		{"get|", "clusters\nclustergroups\nbundles\nrevisions\nassignments\nstrategies\ngates\nroles\nrolebindings\ntokens\nnotifications\nsourcecredentials\n"},
		{"get|cluster|e", "eu-1\neu-2\n"},
		{"describe|bundle/w", "bundle/web\n"},
		{"wait|", "bundles\nclusters\n"},
		{"preview|bundle/w", "bundle/web\n"},
		{"preview|bundle/web|--cluster|us", "us-1\n"},
		{"preview|bundle/web|-o|", "yaml\njson\nname\n"},
		{"ban|cluster|us", "us-1\n"},
		{"unban|us", "us-1\n"},
		{"label|", "clusters\neu-1\neu-2\nlab-1\nold-1\nus-1\n"},
		{"publish|dir|--to|p", "prod\n"},
		{"get|assignments|--bundle|", "db\ndraft\nweb\n"},
		{"describe|as|us", "us-1.web\n"},
		{"get|clusters|-o|", "table\nwide\njson\nyaml\nname\n"},
		{"config|use-context|", "test\n"},
		{"get|clusters|--context|", "test\n"},
		{"get|nope|x", ""},
		{"rollout|undo|bundle/web|--to-revision|", "3\tnew logo\n2\treturn to revision 1\n1\n"},
		{"wait|bundle|web|--revision|2", "2\treturn to revision 1\n"},
		{"rollout|undo|--to-revision|", ""},
	} {
		got := h.run(t, append([]string{"__complete"}, strings.Split(tc.args, "|")...)...)
		words, _, ok := strings.Cut(got.out, ":")
		if !ok || words != tc.want {
			t.Errorf("%s: got %q", tc.args, got.out)
		}
	}
	// Without a hub there is nothing to offer, and nothing that would garble the prompt.
	if got := h.run(t, "__complete", "--server", "127.0.0.1:1", "get", "cluster", ""); got.code != ExitYes || !strings.HasPrefix(got.out, ":") {
		t.Errorf("%+v", got)
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := h.run(t, "completion", shell); got.code != ExitYes || !strings.Contains(got.out, "yardarm") {
			t.Errorf("%s: exit %d", shell, got.code)
		}
	}
}

// Help teaches: every command says what it does, and shows how.
func TestHelp(t *testing.T) {
	a := &app{io: IO{}}
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: the short help is %q", cmd.CommandPath(), cmd.Short)
		}
		if !cmd.HasSubCommands() && cmd.Example == "" {
			t.Errorf("%s has no example", cmd.CommandPath())
		}
		for line := range strings.Lines(cmd.Long + "\n" + cmd.Example) {
			if len([]rune(line)) > 116 {
				t.Errorf("%s: a line of its help is too wide: %q", cmd.CommandPath(), line)
			}
		}
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(a.root())
	h := bare(t)
	for _, args := range []string{"--help", "help wait", "get -h"} {
		if got := h.run(t, strings.Fields(args)...); got.code != ExitYes || !strings.Contains(got.out, "Usage:") || got.err != "" {
			t.Errorf("%s: %+v", args, got)
		}
	}
}
