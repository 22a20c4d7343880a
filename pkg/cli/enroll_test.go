package cli

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// installCommand installs the spoke of a cluster, and processCommand runs one beside a kubeconfig.
func installCommand(cluster string) string {
	return `helm install yardarm-spoke deploy/charts/yardarm-spoke --namespace yardarm-system --create-namespace --values - <<'END'
cluster: "` + cluster + `"
hub: ["hub.example.com:7444"]
token: "ye1-secret"
END
`
}

const processCommand = "YARDARM_TOKEN=ye1-secret yardarm-spoke run --hub hub.example.com:7444 --kubeconfig KUBECONFIG\n"

func TestEnrollPrintsTheCommand(t *testing.T) {
	h := serve(t, newFleet())
	got := h.run(t, "enroll", "eu-1", "-l", "env=prod,region=eu", "-l", "tier=gold", "--ttl", "5m", "--no-wait")
	if got.code != ExitYes || got.out != installCommand("eu-1") || strings.Contains(got.err, "ye1-secret") || !strings.Contains(got.err, "until 12:05:00 UTC") {
		t.Errorf("%+v", got)
	}
	want := &hubv1.EnrollClusterRequest{Name: "eu-1", Labels: map[string]string{"env": "prod", "region": "eu", "tier": "gold"}, Ttl: durationpb.New(5 * time.Minute)}
	if !proto.Equal(h.lastCall(), want) {
		t.Errorf("the hub was asked %v", h.lastCall())
	}
	got = h.run(t, "enroll", "cluster/eu-2", "-o", "json")
	var value struct {
		Cluster, Token, Expires, Command string
		SpokeAddresses                   []string
	}
	if err := json.Unmarshal([]byte(got.out), &value); err != nil {
		t.Fatal(err)
	}
	if value.Cluster != "eu-2" || value.Token != "ye1-secret" || value.Expires != "2026-01-31T12:15:00Z" || value.Command+"\n" != installCommand("eu-2") || len(value.SpokeAddresses) != 1 {
		t.Errorf("%+v", value)
	}
}

func TestEnrollPrintsOtherCommands(t *testing.T) {
	h := serve(t, newFleet())
	for _, c := range []struct{ args, want string }{
		{"--process", processCommand},
		{"--set rbac.preset=read-only --set hub={a:1} --chart oci://r.example.com/spoke",
			"helm install yardarm-spoke oci://r.example.com/spoke --namespace yardarm-system --create-namespace --set rbac.preset=read-only --set 'hub={a:1}' --values - <<'END'\n"},
	} {
		got := h.run(t, append([]string{"enroll", "eu-1", "--no-wait"}, strings.Fields(c.args)...)...)
		if got.code != ExitYes || !strings.HasPrefix(got.out, c.want) {
			t.Errorf("%s: %+v", c.args, got)
		}
	}
	t.Setenv(chartEnv, "oci://mine")
	if got := h.run(t, "enroll", "eu-1", "--no-wait"); !strings.HasPrefix(got.out, "helm install yardarm-spoke oci://mine ") {
		t.Errorf("%+v", got)
	}
}

func TestEnrollFollowsTheCluster(t *testing.T) {
	state := func(phase, presence string) *yardarmv1.Cluster { return newCluster("eu-1", phase, presence, nil) }
	for _, tc := range []struct {
		name     string
		terminal bool
		steps    func(h *hub, r *running)
		code     int
		want     []string // in standard error, in this order
	}{
		{"until connected", false, func(h *hub, r *running) {
			h.put(state(yardarmv1.ClusterActive, yardarmv1.PresenceNeverConnected))
			until(h.t, "it knows that it has enrolled", func() bool { return h.openStreams() == 1 })
			h.put(state(yardarmv1.ClusterActive, yardarmv1.PresenceConnected))
		}, ExitYes, []string{"cluster/eu-1: waiting for its spoke", "cluster/eu-1: connected (Kubernetes v1.36.3, 3 nodes)"}},
		{"on a terminal, with the time left", true, func(h *hub, r *running) {
			h.put(state(yardarmv1.ClusterActive, yardarmv1.PresenceConnected))
		}, ExitYes, []string{"\r\x1b[Kcluster/eu-1: waiting for its spoke; the token is good for 15m more", "\r\x1b[Kcluster/eu-1: connected"}},
		{"until the token has run out", false, func(h *hub, r *running) { r.endTime() }, ExitTimeout, []string{"no spoke has enrolled as cluster/eu-1, and the token has run out"}},
		{"until it is deleted", false, func(h *hub, r *running) { h.remove(yardarmv1.KindCluster, "eu-1") }, ExitNo, []string{"has been deleted meanwhile"}},
		{"until interrupted", false, func(h *hub, r *running) { r.interrupt() }, ExitInterrupted, []string{
			"cluster/eu-1 is there, and its token is still good until 12:15:00 UTC; 'yardarm wait cluster/eu-1 --for connected' goes on waiting\n", "interrupted"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := serve(t, newFleet())
			r := h.background(t, invocation{args: []string{"enroll", "eu-1"}, terminal: tc.terminal})
			until(t, "it waits", func() bool { return h.openStreams() == 1 && strings.Contains(r.err.String(), "waiting for its spoke") })
			tc.steps(h, r)
			if code := r.wait(t); code != tc.code {
				t.Errorf("exit %d, want %d", code, tc.code)
			}
			if r.out.String() != installCommand("eu-1") {
				t.Errorf("standard output is %q", r.out.String())
			}
			rest := r.err.String()
			for _, want := range tc.want {
				_, after, ok := strings.Cut(rest, want)
				if !ok {
					t.Errorf("%q is not in %q", want, rest)
				}
				rest = after
			}
		})
	}
}

func TestEnrollRefusesMistakes(t *testing.T) {
	h := serve(t, newFleet())
	for _, args := range []string{"enroll", "enroll a b", "enroll Upper", "enroll a -l env", "enroll a -l env=a,env=b", "enroll a -l env=$", "enroll a --ttl 0s", "enroll a --ttl 25h",
		"enroll a --set rbac", "enroll a --set a=b --process"} {
		if got := h.run(t, strings.Fields(args)...); got.code != ExitError {
			t.Errorf("%s: %+v", args, got)
		}
	}
	if h.lastCall() != nil {
		t.Errorf("the hub was asked %v", h.lastCall())
	}
}

func TestShellQuote(t *testing.T) {
	for text, want := range map[string]string{"": "''", "ye1_A-b.c:9": "ye1_A-b.c:9", "a b": "'a b'", "a=b": "a=b", "it's": `'it'\''s'`, "$(x)": "'$(x)'", "[::1]:443": "'[::1]:443'"} {
		if got := shellQuote(text); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}
