package cli

import (
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func protoText(m proto.Message) string { return prototext.MarshalOptions{}.Format(m) }

const configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  namespace: prod\ndata:\n  a: b\n"

func TestPublish(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.yaml", configMap)
	write(t, dir, "sub/b.yaml", strings.ReplaceAll(configMap, "name: a", "name: b"))
	write(t, dir, ".hidden.yaml", "not: read")

	t.Run("published, then unchanged", func(t *testing.T) {
		h := serve(t, exampleFleet())
		args := []string{"publish", dir, "--bundle", "bundle/web", "--to", "prod, clustergroup/big", "-m", "a message", "--commit", "c0ffee", "--source", "here"}
		got := h.run(t, args...)
		if got.code != ExitYes || !strings.HasPrefix(got.out, "bundle/web revision 4 sha256:") || !strings.HasSuffix(got.out, " published (to 3 clusters)\n") || got.err != "" {
			t.Errorf("%+v", got)
		}
		want := &hubv1.Publication{Bundle: "web", Groups: []string{"prod", "big"}, Provenance: &yardarmv1.Provenance{Message: "a message", Commit: "c0ffee", Source: "here"}}
		if !proto.Equal(h.lastCall(), want) {
			t.Errorf("the hub was asked %v", h.lastCall())
		}
		if len(h.published) != 2 || h.published[0].Path != "a.yaml" || string(h.published[0].Data) != configMap || h.published[1].Path != "sub/b.yaml" {
			t.Errorf("published %v", h.published)
		}
		if again := h.run(t, args...); again.code != ExitYes || again.out != strings.Replace(got.out, "published (to 3 clusters)", "unchanged", 1) {
			t.Errorf("%+v", again)
		}
	})
	t.Run("dry run", func(t *testing.T) {
		h := serve(t, exampleFleet())
		got := h.run(t, "publish", dir, "-b", "new", "--to", "empty", "--dry-run")
		if got.code != ExitYes || !strings.Contains(got.out, " published (to 0 clusters) (dry run)\n") || !strings.Contains(got.out, "spec.replicas: 1 → 3") || got.err != "warning: cluster group \"empty\" matches no cluster\n" {
			t.Errorf("%+v", got)
		}
		if get := h.run(t, "get", "bundle/new"); get.code != ExitNo {
			t.Errorf("the bundle was made: %+v", get)
		}
	})
	t.Run("formats", func(t *testing.T) {
		h := serve(t, exampleFleet())
		if got := h.run(t, "publish", dir, "-b", "web", "-o", "name"); got.out != "revision/web-4\n" {
			t.Errorf("%+v", got)
		}
		if got := h.run(t, "publish", dir, "-b", "web", "-o", "json"); !strings.Contains(got.out, `"outcome": "unchanged"`) || !strings.Contains(got.out, `"number": 4`) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("progress on a terminal", func(t *testing.T) {
		h := serve(t, exampleFleet())
		got := h.invoke(t, invocation{args: []string{"publish", dir, "-b", "web"}, terminal: true})
		if !strings.Contains(got.err, "\r\x1b[K2 objects in 2 files: 82 B of 164 B sent") || !strings.HasSuffix(got.err, "\r\x1b[K") {
			t.Errorf("%q", got.err)
		}
	})
	t.Run("and wait", func(t *testing.T) {
		h := serve(t, newFleet(newBundle("web", 3, nil, "prod"), newAssignment("eu-1", "web", 3, yardarmv1.PhaseReady)))
		r := h.background(t, invocation{args: []string{"publish", dir, "-b", "web", "--wait"}})
		until(t, "it waits for the new revision", func() bool {
			return strings.Contains(r.err.String(), "bundle/web revision 4: 0 of 1 cluster ready (1 at another revision)")
		})
		h.put(newAssignment("eu-1", "web", 4, yardarmv1.PhaseReady))
		if code := r.wait(t); code != ExitYes || !strings.HasSuffix(r.out.String(), "bundle/web revision 4 is ready in 1 cluster\n") {
			t.Errorf("exit %d, %q", code, r.out.String())
		}
	})
	t.Run("and wait, for programs", func(t *testing.T) {
		h := serve(t, newFleet(newBundle("web", 3, nil, "prod"), newAssignment("eu-1", "web", 4, yardarmv1.PhaseFailed)))
		got := h.run(t, "publish", dir, "-b", "web", "--wait", "-o", "name")
		if got.code != ExitNo || got.out != "revision/web-4\n" || !strings.Contains(got.err, "cluster/eu-1: Failed") {
			t.Errorf("%+v", got)
		}
	})
	t.Run("what the hub refuses is shown by flag", func(t *testing.T) {
		h := serve(t, exampleFleet())
		h.failWith("PublishRevision", withDetails(t, codes.InvalidArgument, "publication.groups[1]: there is no cluster group \"nope\"\npublication.provenance.commit: is too long",
			&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
				{Field: "publication.groups[1]", Description: "there is no cluster group \"nope\""}, {Field: "publication.provenance.commit", Description: "is too long"}}}))
		got := h.run(t, "publish", dir, "-b", "web", "--to", "prod,nope")
		if want := "error: there are 2 problems:\n  --to: there is no cluster group \"nope\"\n  --commit: is too long\n"; got.code != ExitError || got.err != want {
			t.Errorf("%+v", got)
		}
	})
	t.Run("mistakes", func(t *testing.T) {
		h := serve(t, exampleFleet())
		bad := t.TempDir()
		write(t, bad, "a.yaml", configMap+"---\n"+configMap)
		write(t, bad, "b.yaml", "apiVersion: v1\nkind: Secret\n")
		for _, tc := range []struct {
			args []string
			want string
		}{
			{[]string{"publish", dir}, "name the bundle: --bundle NAME"},
			{[]string{"publish", "--bundle", "web"}, "needs the directory to publish"},
			{[]string{"publish", dir, "--bundle", "Web"}, "--bundle: "},
			{[]string{"publish", dir, "--bundle", "web", "--wait", "--dry-run"}, "--wait and --dry-run"},
			{[]string{"publish", t.TempDir(), "--bundle", "web"}, "nothing was published"},
			{[]string{"publish", "/nowhere", "--bundle", "web"}, "/nowhere"},
			{[]string{"publish", bad, "--bundle", "web"}, "error: there are 2 problems:\n  a.yaml:9: "},
			{[]string{"publish", bad, "--bundle", "web"}, "\n  b.yaml:1: "},
		} {
			if got := h.run(t, tc.args...); got.code != ExitError || !strings.Contains(got.err, tc.want) {
				t.Errorf("%v: exit %d, %q", tc.args, got.code, got.err)
			}
		}
		if h.lastCall() != nil {
			t.Errorf("the hub was asked %v", h.lastCall())
		}
	})
}
