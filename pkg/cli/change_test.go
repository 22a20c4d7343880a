package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// write makes a file in a folder and returns its path.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const groupsYAML = `apiVersion: yardarm.dev/v1
kind: ClusterGroup
metadata:
  name: prod
spec:
  selector:
    matchLabels:
      env: prod
---
apiVersion: yardarm.dev/v1
kind: ClusterGroup
metadata:
  name: edge
spec:
  selector:
    matchLabels:
      tier: edge
  expression: facts.nodes >= 3
`

const bundleYAML = `apiVersion: yardarm.dev/v1
kind: Bundle
metadata:
  name: web
spec:
  targets:
  - group: prod
  - group: edge
`

func TestApply(t *testing.T) {
	dir := t.TempDir()
	groups := write(t, dir, "groups.yaml", groupsYAML)
	write(t, dir, "bundle.yml", bundleYAML)
	write(t, dir, "notes.txt", "not a resource")
	write(t, dir, "deep/more.json", `{"apiVersion": "yardarm.dev/v1", "kind": "Cluster", "metadata": {"name": "eu-1", "labels": {"env": "prod"}}}`)

	t.Run("a directory is one call", func(t *testing.T) {
		h := serve(t, exampleFleet())
		got := h.run(t, "apply", "-f", dir)
		if want := "bundle/web configured\nclustergroup/prod configured\nclustergroup/edge created\n"; got.code != ExitYes || got.out != want {
			t.Errorf("exit %d, %q, %q", got.code, got.out, got.err)
		}
		req := h.lastCall().(*hubv1.ApplyRequest)
		if len(h.calls) != 1 || len(req.GetResources()) != 3 || req.GetDryRun() {
			t.Errorf("calls are %v", h.calls)
		}
		edge := req.GetResources()[2].GetClusterGroup().GetSpec()
		if edge.GetExpression() != "facts.nodes >= 3" || edge.GetSelector().GetMatchLabels()["tier"] != "edge" {
			t.Errorf("the hub got %v", edge)
		}
	})
	t.Run("recursively, dry", func(t *testing.T) {
		h := serve(t, exampleFleet())
		got := h.run(t, "apply", "-f", dir, "-R", "--dry-run")
		if !strings.Contains(got.out, "cluster/eu-1 configured (dry run)\n") || !h.lastCall().(*hubv1.ApplyRequest).GetDryRun() {
			t.Errorf("%q, %q", got.out, got.err)
		}
	})
	t.Run("standard input, named twice, as yaml", func(t *testing.T) {
		h := serve(t, exampleFleet())
		got := h.invoke(t, invocation{args: []string{"apply", "-f", "-", "-f", "-", "-o", "yaml"}, in: bundleYAML})
		if got.code != ExitYes || !strings.HasPrefix(got.out, "apiVersion: yardarm.dev/v1\nkind: Bundle\n") {
			t.Errorf("%q, %q", got.out, got.err)
		}
	})
	t.Run("warnings", func(t *testing.T) {
		h := serve(t, exampleFleet())
		got := h.invoke(t, invocation{args: []string{"apply", "-f", "-"}, in: bundleYAML + "  delivery: {dependsOn: [{bundle: db}]}\n"})
		if got.code != ExitYes || !strings.Contains(got.err, `bundle "web" waits for others`) || got.out != "bundle/web configured\n" {
			t.Errorf("%+v", got)
		}
	})
	t.Run("what get writes can be applied", func(t *testing.T) {
		h := serve(t, exampleFleet())
		for _, args := range [][]string{{"get", "groups", "-o", "yaml"}, {"get", "bundle/web", "-o", "json"}, {"get", "clusters", "-o", "json"}} {
			text := h.run(t, args...).out
			if got := h.invoke(t, invocation{args: []string{"apply", "-f", "-"}, in: text}); got.code != ExitYes {
				t.Errorf("%v: %q", args, got.err)
			}
		}
	})
	t.Run("mistakes", func(t *testing.T) {
		h := serve(t, exampleFleet())
		bad := write(t, t.TempDir(), "bad.yaml", "apiVersion: yardarm.dev/v1\nkind: ClusterGroup\nmetadata:\n  name: prod\nspec:\n  selektor: {}\n")
		empty := write(t, t.TempDir(), "empty.yaml", "# nothing\n---\n")
		for _, tc := range []struct {
			args []string
			want string
		}{
			{[]string{"apply"}, "name what to apply: -f FILE, -f DIR or -f -"},
			{[]string{"apply", groups}, "takes no arguments"},
			{[]string{"apply", "-f", "/nowhere"}, "/nowhere: no such file or directory"},
			{[]string{"apply", "-f", t.TempDir()}, "there is no .yaml, .yml or .json file in"},
			{[]string{"apply", "-f", empty}, "there are no resources in"},
			{[]string{"apply", "-f", bad}, "bad.yaml:6: ClusterGroup prod: spec.selektor: there is no such field; did you mean selector?"},
		} {
			if got := h.run(t, tc.args...); got.code != ExitError || !strings.Contains(got.err, tc.want) {
				t.Errorf("%v: exit %d, %q", tc.args, got.code, got.err)
			}
		}
		if len(h.calls) != 0 {
			t.Errorf("the hub was asked %v", h.calls)
		}
	})
	t.Run("what the hub refuses is shown in its file", func(t *testing.T) {
		h := serve(t, exampleFleet())
		h.failWith("Apply", withDetails(t, codes.InvalidArgument, "…", &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: "resources[1].spec.expression", Description: "1:7: undeclared reference"},
			{Field: `resources[0].spec.selector.matchLabels["env"]`, Description: "is no label"},
			{Field: "resources[0].spec.targets[3].group", Description: "is missing"},
		}}))
		got := h.run(t, "apply", "-f", groups)
		want := "error: there are 3 problems:\n" +
			"  " + groups + ":18: clustergroup/edge: spec.expression: 1:7: undeclared reference\n" +
			"  " + groups + `:8: clustergroup/prod: spec.selector.matchLabels["env"]: is no label` + "\n" +
			"  " + groups + ":6: clustergroup/prod: spec.targets[3].group: is missing\n"
		if got.code != ExitError || got.err != want {
			t.Errorf("exit %d, %q", got.code, got.err)
		}
	})
	t.Run("a stale resource version", func(t *testing.T) {
		h := serve(t, exampleFleet())
		h.failWith("Apply", withDetails(t, codes.Aborted, "cluster group prod has changed since", &errdetails.PreconditionFailure{Violations: []*errdetails.PreconditionFailure_Violation{
			{Subject: "ClusterGroup edge", Description: "it has changed since"}}}))
		got := h.run(t, "apply", "-f", groups)
		if want := "error: " + groups + ":10: clustergroup/edge: it has changed since\n"; got.code != ExitNo || got.err != want {
			t.Errorf("exit %d, %q", got.code, got.err)
		}
	})
}

func withDetails(t *testing.T, code codes.Code, message string, details ...protoadapt.MessageV1) error {
	t.Helper()
	st, err := status.New(code, message).WithDetails(details...)
	if err != nil {
		t.Fatal(err)
	}
	return st.Err()
}

func TestLabel(t *testing.T) {
	for _, tc := range []struct {
		args string
		code int
		out  string
		err  string
		call *hubv1.LabelClusterRequest
	}{
		{"label cluster lab-1 env=prod tier=gold --overwrite", ExitYes, "cluster/lab-1 labeled\n", "it joined prod\n",
			&hubv1.LabelClusterRequest{Name: "lab-1", Set: map[string]string{"env": "prod", "tier": "gold"}, Overwrite: true}},
		{"label eu-1 a=b", ExitYes, "cluster/eu-1 labeled\n", "", &hubv1.LabelClusterRequest{Name: "eu-1", Set: map[string]string{"a": "b"}}},
		{"label eu-1 eu-2 a=b", ExitError, "", `there is no resource type "eu-1"`, nil},
		{"label cluster/eu-1 env-", ExitYes, "cluster/eu-1 labeled\n", "it left prod\n", &hubv1.LabelClusterRequest{Name: "eu-1", Set: map[string]string{}, Remove: []string{"env"}}},
		{"label clusters eu-1 eu-2 a=", ExitYes, "cluster/eu-1 labeled\ncluster/eu-2 labeled\n", "", nil},
		{"label cluster eu-1 env=prod", ExitYes, "cluster/eu-1 not changed\n", "", nil},
		{"label cluster eu-1 env=lab", ExitNo, "", "to change it, say so (`--overwrite`)", nil},
		{"label cluster nope eu-1 a=b", ExitNo, "cluster/eu-1 labeled\n", `there is no cluster "nope"`, nil},
		{"label cluster eu-1 a=b -o name", ExitYes, "cluster/eu-1\n", "", nil},
		{"label cluster eu-1", ExitError, "", "there are no labels in it", nil},
		{"label bundle web a=b", ExitError, "", "this is for clusters; not for bundles", nil},
		{"label cluster a=b", ExitError, "", "name the cluster", nil},
		{"label cluster eu-1 a=b a-", ExitError, "", "label a is both set and removed", nil},
		{"label cluster eu-1 a=b a=c", ExitError, "", `label a is given twice, as "b" and "c"`, nil},
		{"label cluster eu-1 a=b eu-2", ExitError, "", `"eu-2" is neither KEY=VALUE nor KEY-`, nil},
		{"label cluster eu-1 a=$", ExitError, "", "label", nil},
	} {
		t.Run(tc.args, func(t *testing.T) {
			h := serve(t, exampleFleet())
			got := h.run(t, strings.Fields(tc.args)...)
			if got.code != tc.code || got.out != tc.out || !strings.Contains(got.err, tc.err) {
				t.Errorf("exit %d, %q, %q", got.code, got.out, got.err)
			}
			if tc.call != nil && !proto.Equal(h.lastCall(), tc.call) {
				t.Errorf("the hub was asked %v", h.lastCall())
			}
			if tc.code == ExitError && h.lastCall() != nil {
				t.Errorf("the hub was asked %v", h.lastCall())
			}
		})
	}
}

func TestDelete(t *testing.T) {
	h := serve(t, exampleFleet())
	for _, tc := range []struct {
		name     string
		args     string
		in       string
		terminal bool
	}{
		{"bundle-scripts", "delete bundle web --remove", "", false},
		{"bundle-keep", "delete bundle/web --keep", "", false},
		{"bundle-nowhere", "delete bundle draft --remove", "", false},
		{"bundle-unsaid", "delete bundle web", "", false},
		{"both", "delete bundle web --keep --remove", "", false},
		{"yes-unsaid", "delete bundle web --yes", "", true},
		{"bundle-asks", "delete bundle web", "remove\n", true},
		{"bundle-asks-no", "delete bundle web", "\n", true},
		{"bundle-asks-end", "delete bundle web", "", true},
		{"bundle-confirms", "delete bundle web --keep", "y\n", true},
		{"bundle-confirms-no", "delete bundle web --keep", "n\n", true},
		{"bundles-ask", "delete bundle/web bundle/db", "k\nr\n", true},
		{"cluster-scripts", "delete cluster eu-1 --remove", "", false},
		{"cluster-keep", "delete cluster eu-1 --keep", "", false},
		{"cluster-away", "delete cluster us-1 --remove", "", false},
		{"cluster-away-asks", "delete cluster us-1", "r\n", true},
		{"cluster-yes", "delete cluster us-1 --keep -y", "", true},
		{"cluster-not-there", "delete cluster nope --keep", "", false},
		{"group", "delete group big", "", false},
		{"group-in-use", "delete clustergroup/prod", "", false},
		{"group-workloads", "delete group big --keep", "", false},
		{"revision", "delete revision web-1", "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h.fleet.mu.Lock()
			h.calls = nil
			h.fleet.mu.Unlock()
			args := strings.Fields(tc.args)
			got := h.invoke(t, invocation{args: args, in: tc.in, terminal: tc.terminal})
			asked := "[the hub is asked nothing]\n"
			if call := h.lastCall(); call != nil {
				asked = "[the hub is asked " + strings.Join(strings.Fields(string(call.ProtoReflect().Descriptor().Name())+" "+protoText(call)), " ") + "]\n"
			}
			golden(t, "delete/"+tc.name, transcript(args, got)+asked)
		})
	}
}

func TestBan(t *testing.T) {
	h := serve(t, exampleFleet())
	if got := h.run(t, "ban", "cluster", "eu-1", "--reason", "stolen"); got.out != "cluster/eu-1 banned\n" ||
		!proto.Equal(h.lastCall(), &hubv1.BanClusterRequest{Name: "eu-1", Reason: "stolen"}) {
		t.Errorf("%+v, %v", got, h.lastCall())
	}
	if got := h.run(t, "unban", "cluster/eu-1"); got.out != "cluster/eu-1 unbanned\n" || !proto.Equal(h.lastCall(), &hubv1.UnbanClusterRequest{Name: "eu-1"}) {
		t.Errorf("%+v, %v", got, h.lastCall())
	}
	for _, verb := range []string{"ban", "unban"} {
		if got := h.run(t, verb, "eu-2"); got.out != "cluster/eu-2 "+verb+"ned\n" {
			t.Errorf("%+v", got)
		}
	}
	for _, args := range [][]string{{"ban", "eu-1", "eu-2"}, {"ban", "bundle/web"}, {"ban", "bundle"}, {"ban"}, {"unban", "cluster"}} {
		if got := h.run(t, args...); got.code != ExitError {
			t.Errorf("%v: %+v", args, got)
		}
	}
}

func TestAccept(t *testing.T) {
	f := exampleFleet()
	held := newAssignment("eu-2", "web", 3, yardarmv1.PhaseHeld)
	held.Status.Reason, held.Status.Message = yardarmv1.ReasonMassDeletion, "7 of 9 objects would be deleted"
	f.put(held)
	h := serve(t, f)
	got := h.run(t, "accept", "cluster/eu-2", "bundle/web")
	if got.out != "assignment/eu-2.web accepted\n" || !proto.Equal(h.lastCall(), &hubv1.AcceptRequest{Cluster: "eu-2", Bundle: "web"}) {
		t.Errorf("%+v, %v", got, h.lastCall())
	}
	before := len(h.calls)
	got = h.invoke(t, invocation{args: []string{"accept", "bundle/web"}, in: "no\n", terminal: true})
	if got.code != ExitNo || !strings.Contains(got.err, "assignment/eu-2.web: MassDeletion: 7 of 9 objects would be deleted\nAccept 1 hold? [y/N]") || len(h.calls) != before {
		t.Errorf("%+v", got)
	}
	got = h.invoke(t, invocation{args: []string{"accept", "bundle/web"}, in: "y\n", terminal: true})
	if got.code != ExitYes || len(h.calls) != before+1 {
		t.Errorf("%+v", got)
	}
	for _, args := range [][]string{{"accept"}, {"accept", "web"}, {"accept", "group/prod"}, {"accept", "bundle/a", "bundle/b"}} {
		if got := h.run(t, args...); got.code != ExitError {
			t.Errorf("%v: %+v", args, got)
		}
	}
}

func TestUndo(t *testing.T) {
	h := serve(t, exampleFleet())
	digest := "sha256:" + strings.Repeat("2", 64)
	got := h.run(t, "rollout", "undo", "bundle/web")
	if want := "bundle/web revision 4 " + digest + " published (to 3 clusters), with the content of revision 2\n"; got.out != want {
		t.Errorf("%+v", got)
	}
	got = h.run(t, "rollout", "undo", "web", "--to-revision", "1", "-o", "name")
	if got.out != "revision/web-4\n" || !proto.Equal(h.lastCall(), &hubv1.UndoRolloutRequest{Bundle: "web", ToRevision: 1}) {
		t.Errorf("%+v, %v", got, h.lastCall())
	}
	// The fake publishes nothing by itself.
	undone := newRevision("web", 4, digest)
	undone.Spec.Provenance.UndoOf = 2
	h.put(newBundle("web", 4, nil, "prod"), undone)
	calls := len(h.calls)
	got = h.run(t, "rollout", "undo", "bundle/web")
	want := "error: bundle/web revision 4 is an undo itself: it has returned to revision 2. Say with --to-revision which one to return to now:\n" +
		"  3  sha256:333333333333  60m ago  new logo\n  2  sha256:111111111111  60m ago  return to revision 1\n  1  sha256:111111111111  60m ago  -\n"
	if got.code != ExitNo || got.err != want || len(h.calls) != calls {
		t.Errorf("%+v", got)
	}
	if got := h.run(t, "rollout", "undo", "bundle/web", "--to-revision", "3"); got.code != ExitYes {
		t.Errorf("%+v", got)
	}
	if got := h.run(t, "rollout", "undo", "bundle/nope"); got.code != ExitNo || got.err != "error: there is no bundle \"nope\"\n" {
		t.Errorf("%+v", got)
	}
	for _, args := range [][]string{{"cluster/eu-1"}, {"web", "--to-revision", "0"}, {"web", "--to-revision", "-1"}} {
		if got := h.run(t, append([]string{"rollout", "undo"}, args...)...); got.code != ExitError {
			t.Errorf("%v: %+v", args, got)
		}
	}
}

func TestErrors(t *testing.T) {
	h := serve(t, exampleFleet())
	for _, tc := range []struct {
		name string
		err  error
		code int
		want string
	}{
		{"not found", status.Error(codes.NotFound, "there is none"), ExitNo, "error: there is none\n"},
		{"refused", status.Error(codes.FailedPrecondition, "in use"), ExitNo, "error: in use\n"},
		{"exists", status.Error(codes.AlreadyExists, "taken"), ExitNo, "error: taken\n"},
		{"stale version", status.Error(codes.Aborted, "changed since"), ExitNo, "error: changed since\n"},
		{"who are you", status.Error(codes.Unauthenticated, "revoked"), ExitError,
			"error: the hub at HUB does not accept the credential of context \"test\": revoked\n  'yardarm config import FILE' takes a new one, and --context chooses another context\n"},
		{"not yours", status.Error(codes.PermissionDenied, "only admins"), ExitError, "error: the hub at HUB does not let context \"test\" do this: only admins\n"},
		{"old hub", status.Error(codes.Unimplemented, "no method"), ExitError, "error: the hub at HUB does not know this call: no method\n  it may be older than this program ('yardarm version' shows both), or the address of something else\n"},
		{"failing hub", status.Error(codes.Internal, "its log says why, under request 7"), ExitError, "error: its log says why, under request 7\n"},
		{"stopping hub", status.Error(codes.Unavailable, "the hub is stopping"), ExitError, "error: the hub is stopping\n"},
		{"violations that the message does not tell", withDetails(t, codes.InvalidArgument, "bad request", &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: "name", Description: "is missing"}, {Field: "ttl", Description: "is too long"}}}), ExitError,
			"error: there are 3 problems:\n  bad request\n  name: is missing\n  ttl: is too long\n"},
		{"violations that it tells", withDetails(t, codes.InvalidArgument, "name: is missing\nttl: is too long", &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: "name", Description: "is missing"}, {Field: "ttl", Description: "is too long"}}}), ExitError,
			"error: there are 2 problems:\n  name: is missing\n  ttl: is too long\n"},
		{"a failed precondition with details", withDetails(t, codes.FailedPrecondition, "refused", &errdetails.PreconditionFailure{Violations: []*errdetails.PreconditionFailure_Violation{
			{Subject: "Bundle web", Description: "holds Service a/b already"}}}), ExitNo, "error: refused\n  Bundle web: holds Service a/b already\n"},
		// Longer than a call may take: it would be repeated until then.
		{"busy", withDetails(t, codes.ResourceExhausted, "too many", &errdetails.RetryInfo{RetryDelay: durationpb.New(time.Minute)}), ExitError, "error: too many\n  try again in 60s\n"},
		{"without a message", status.Error(codes.DataLoss, ""), ExitError, "error: the hub answered DataLoss without a reason\n"},
		{"with escapes", status.Error(codes.NotFound, "no \x1b[2Jbundle"), ExitNo, "error: no \uFFFD[2Jbundle\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h.failWith("BanCluster", tc.err)
			got := h.run(t, "ban", "cluster", "eu-1")
			if got.code != tc.code || got.err != tc.want {
				t.Errorf("exit %d, %q, want %d, %q", got.code, got.err, tc.code, tc.want)
			}
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		got := h.run(t, "get", "clusters", "--server", "127.0.0.1:1")
		if want := "error: cannot reach the hub of context \"test\" at 127.0.0.1:1: connection refused; nothing listens there."; got.code != ExitError || !strings.HasPrefix(got.err, want) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("no such host", func(t *testing.T) {
		got := h.run(t, "get", "clusters", "--server", "nowhere.invalid:443")
		if got.code != ExitError || !strings.Contains(got.err, `cannot reach the hub of context "test" at nowhere.invalid:443`) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("another CA", func(t *testing.T) {
		other := serve(t, exampleFleet())
		got := h.run(t, "get", "clusters", "--server", other.address)
		if got.code != ExitError || !strings.Contains(got.err, "its certificate is not signed by the CA of the context") {
			t.Errorf("%+v", got)
		}
	})
	t.Run("a bad address", func(t *testing.T) {
		if got := h.run(t, "get", "clusters", "--server", "hub"); got.code != ExitError || !strings.Contains(got.err, `hub address "hub" is not HOST:PORT`) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("too slow", func(t *testing.T) {
		got := h.run(t, "get", "clusters", "--request-timeout", "1ns")
		if got.code != ExitError || !strings.Contains(got.err, "has not answered in time") || !strings.Contains(got.err, "--request-timeout says how long to wait") {
			t.Errorf("%+v", got)
		}
	})
}
