package api_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/yardarm-dev/yardarm/hub/api"
	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/gateway"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestPublishMakesABundleAndItsRevisions(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"), group("empty", "env=none"))
	h.Enrolled(t, "berlin", map[string]string{"env": "prod"})
	resp := must[*hubv1.PublishRevisionResponse](t)(h.Publish(t.Context(), &hubv1.Publication{Bundle: "web", Groups: []string{"prod", "empty"},
		Provenance: &yardarmv1.Provenance{Message: "first", Commit: "abc", Actor: "mallory", UndoOf: 7}}, apitest.ConfigMap("", "web", "1")))
	r := resp.Revision
	if resp.Outcome != "published" || resp.Clusters != 1 || r.Spec.Number != 1 || r.Metadata.Name != "web-1" || r.Spec.Objects != 1 || r.Spec.Bundle != "web" {
		t.Errorf("response %v", resp)
	}
	if p := r.Spec.Provenance; p.Actor == "mallory" || p.Actor == "" || p.UndoOf != 0 || p.Message != "first" || p.Commit != "abc" || p.Time == nil {
		t.Errorf("provenance %v", p)
	}
	if !slices.ContainsFunc(resp.Warnings, func(w string) bool { return strings.Contains(w, `"empty"`) }) {
		t.Errorf("warnings %q", resp.Warnings)
	}

	// The same content in another file layout is the same artifact.
	file := apitest.ConfigMap("", "web", "1")
	file.Path, file.Data = "other/name.yml", append([]byte("# a comment\n"), file.Data...)
	same := must[*hubv1.PublishRevisionResponse](t)(h.Publish(t.Context(), &hubv1.Publication{Bundle: "web"}, file))
	if same.Outcome != "unchanged" || same.Revision.Spec.Number != 1 || same.Revision.Metadata.Uid != r.Metadata.Uid {
		t.Errorf("publishing the same again: %v", same)
	}
	// Targets may change all the same.
	same = must[*hubv1.PublishRevisionResponse](t)(h.Publish(t.Context(), &hubv1.Publication{Bundle: "web", Groups: []string{"empty"}}, file))
	if same.Outcome != "unchanged" || same.Clusters != 0 {
		t.Errorf("publishing the same to another group: %v", same)
	}
	next := publish(t, h, "web", "2", "prod")
	if next.Revision.Spec.Number != 2 || next.Clusters != 1 {
		t.Errorf("second revision %v", next)
	}
	b := must[*yardarmv1.Bundle](t)(h.GetBundle(t.Context(), &hubv1.GetBundleRequest{Name: "web"}))
	if b.Status.Revision != 2 || b.Status.LatestRevision != 2 || b.Status.Digest != next.Revision.Spec.Digest || b.Metadata.Generation != 3 {
		t.Errorf("bundle %v", b)
	}
	var published []uint32
	for _, e := range must[[]*hubv1.WatchEventsResponse](t)(events(t, h)) {
		if e.Event.Reason == "RevisionPublished" {
			published = append(published, e.Event.Revision)
		}
	}
	if !slices.Equal(published, []uint32{1, 2}) {
		t.Errorf("events about revisions %v", published)
	}
}

func TestPublishDryRun(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"))
	dry := &hubv1.Publication{Bundle: "web", Groups: []string{"prod"}, DryRun: true}
	resp := must[*hubv1.PublishRevisionResponse](t)(h.Publish(t.Context(), dry, apitest.ConfigMap("", "web", "1")))
	if resp.Outcome != "published" || resp.Revision.Spec.Number != 1 || resp.Revision.Metadata.Uid != "" {
		t.Errorf("dry run %v", resp)
	}
	tx := h.Store.Read()
	if tx.BundleByName("web") != nil || tx.Artifact(resp.Revision.Spec.Digest) != nil {
		t.Error("a dry run left something")
	}
	if real := publish(t, h, "web", "1", "prod"); real.Revision.Spec.Digest != resp.Revision.Spec.Digest {
		t.Error("the dry run answered another digest")
	}
	if resp := must[*hubv1.PublishRevisionResponse](t)(h.Publish(t.Context(), dry, apitest.ConfigMap("", "web", "1"))); resp.Outcome != "unchanged" || resp.Revision.Metadata.Uid == "" {
		t.Errorf("dry run of what runs already: %v", resp)
	}
}

func TestPublishRefusals(t *testing.T) {
	h := apitest.Start(t, func(c *api.Config, _ *gateway.Config) { c.Limits.MaxArtifactSize, c.Limits.MaxFiles = 2<<20, 3 })
	apply(t, h, group("prod", "env=prod"))
	good := apitest.ConfigMap("", "web", "1")
	file := func(path, text string) manifest.File { return manifest.File{Path: path, Data: []byte(text)} }
	to := &hubv1.Publication{Bundle: "web", Groups: []string{"prod"}}
	for _, tc := range []struct {
		name        string
		publication *hubv1.Publication
		files       []manifest.File
		code        codes.Code
		words       []string
	}{
		{"no such bundle", &hubv1.Publication{Bundle: "web"}, []manifest.File{good}, codes.NotFound, []string{`bundle "web"`, "--to"}},
		{"no such group", &hubv1.Publication{Bundle: "web", Groups: []string{"nowhere"}}, []manifest.File{good}, codes.InvalidArgument, []string{"publication.groups[0]", "nowhere"}},
		{"group twice", &hubv1.Publication{Bundle: "web", Groups: []string{"prod", "prod"}}, []manifest.File{good}, codes.InvalidArgument, []string{"groups[1]"}},
		{"bad name", &hubv1.Publication{Bundle: "Web"}, []manifest.File{good}, codes.InvalidArgument, []string{"publication.bundle"}},
		{"long message", &hubv1.Publication{Bundle: "web", Provenance: &yardarmv1.Provenance{Message: strings.Repeat("x", 1025)}}, nil, codes.InvalidArgument, []string{"provenance.message"}},
		{"no files", to, nil, codes.InvalidArgument, []string{"no object"}},
		{"comments only", to, []manifest.File{file("a.yaml", "# nothing\n---\n")}, codes.InvalidArgument, []string{"no object"}},
		{"no path", to, []manifest.File{file("", "a: b")}, codes.InvalidArgument, []string{"file.path"}},
		{"control characters in a path", to, []manifest.File{file("a\n.yaml", "a: b")}, codes.InvalidArgument, []string{"file.path"}},
		{"pieces apart", to, []manifest.File{good, file("b.yaml", ""), good}, codes.InvalidArgument, []string{"files[web.yaml]", "follow each other"}},
		{"too many files", to, []manifest.File{file("a", ""), file("b", ""), file("c", ""), file("d", "")}, codes.InvalidArgument, []string{"more than 3 files"}},
		{"large piece", to, []manifest.File{file("a", strings.Repeat("#", 1<<20+1))}, codes.InvalidArgument, []string{"files[a]", "1048576"}},
		{"too large", to, []manifest.File{file("a", strings.Repeat("#", 1<<20)), file("b", strings.Repeat("#", 1<<20)), file("c", "#")}, codes.InvalidArgument, []string{"larger than 2097152 bytes", "raise the hub's limit"}},
		{"no YAML", to, []manifest.File{file("a.yaml", "a: [")}, codes.InvalidArgument, []string{"a.yaml:1"}},
		{"no name", to, []manifest.File{file("a.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {}\n")}, codes.InvalidArgument, []string{"a.yaml", "metadata.name"}},
		{"duplicate", to, []manifest.File{good, file("z.yaml", string(good.Data))}, codes.InvalidArgument, []string{"z.yaml:1", "ConfigMap web", "web.yaml:1"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := h.Publish(t.Context(), tc.publication, tc.files...)
			refused(t, err, tc.code, tc.words...)
		})
	}
	t.Run("a problem of a manifest as details", func(t *testing.T) {
		_, err := h.Publish(t.Context(), to, file("a/b.yaml", "apiVersion: v1\nkind: Secret\nmetadata:\n  name: A/B\n"))
		st := refused(t, err, codes.InvalidArgument)
		if got := fields(st); !slices.Equal(got, []string{"files[a/b.yaml]:4 Secret A/B metadata.name"}) || reason(st) != "INVALID_MANIFEST" {
			t.Errorf("fields %q, reason %q", got, reason(st))
		}
	})
	t.Run("file first", func(t *testing.T) {
		stream := must[hubv1.FleetService_PublishRevisionClient](t)(h.PublishRevision(t.Context()))
		_ = stream.Send(&hubv1.PublishRevisionRequest{Message: &hubv1.PublishRevisionRequest_File{File: &hubv1.FileChunk{Path: "a"}}})
		_, err := stream.CloseAndRecv()
		refused(t, err, codes.InvalidArgument, "publication")
	})
	t.Run("publication twice", func(t *testing.T) {
		stream := must[hubv1.FleetService_PublishRevisionClient](t)(h.PublishRevision(t.Context()))
		for range 2 {
			_ = stream.Send(&hubv1.PublishRevisionRequest{Message: &hubv1.PublishRevisionRequest_Publication{Publication: to}})
		}
		_, err := stream.CloseAndRecv()
		refused(t, err, codes.InvalidArgument, "file")
	})
	t.Run("nothing", func(t *testing.T) {
		stream := must[hubv1.FleetService_PublishRevisionClient](t)(h.PublishRevision(t.Context()))
		_, err := stream.CloseAndRecv()
		refused(t, err, codes.InvalidArgument, "publication")
	})
	if h.Store.Read().BundleByName("web") != nil {
		t.Error("a refused publication made the bundle")
	}
}

// artifactOf downloads an artifact.
func artifactOf(t *testing.T, h *apitest.Hub, digest string) []byte {
	t.Helper()
	stream := must[hubv1.FleetService_GetArtifactClient](t)(h.GetArtifact(t.Context(), &hubv1.GetArtifactRequest{Digest: digest}))
	var content []byte
	for _, m := range must[[]*hubv1.GetArtifactResponse](t)(drain(stream)) {
		content = append(content, m.Data...)
	}
	return content
}

func TestPublishJoinsPieces(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"))
	whole := apitest.ConfigMap("", "web", strings.Repeat("x", 1000))
	var pieces []manifest.File
	for piece := range slices.Chunk(whole.Data, 100) {
		pieces = append(pieces, manifest.File{Path: whole.Path, Data: piece})
	}
	to := &hubv1.Publication{Bundle: "web", Groups: []string{"prod"}}
	a := must[*hubv1.PublishRevisionResponse](t)(h.Publish(t.Context(), to, pieces...))
	b := must[*hubv1.PublishRevisionResponse](t)(h.Publish(t.Context(), to, whole))
	if b.Outcome != "unchanged" || a.Revision.Spec.Digest != b.Revision.Spec.Digest {
		t.Errorf("in pieces %v, whole %v", a, b)
	}
	content := artifactOf(t, h, a.Revision.Spec.Digest)
	if got := manifest.DigestOf(content).String(); got != a.Revision.Spec.Digest || !bytes.HasSuffix(content, []byte("\n")) {
		t.Errorf("the artifact's content has digest %s, want %s", got, a.Revision.Spec.Digest)
	}
	for digest, code := range map[string]codes.Code{"sha256:" + strings.Repeat("0", 64): codes.NotFound, "nonsense": codes.InvalidArgument} {
		stream := must[hubv1.FleetService_GetArtifactClient](t)(h.GetArtifact(t.Context(), &hubv1.GetArtifactRequest{Digest: digest}))
		_, err := stream.Recv()
		refused(t, err, code)
	}
}

func TestTwoBundlesDoNotClaimOneObject(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"), group("test", "env=test"))
	h.Enrolled(t, "berlin", map[string]string{"env": "prod"})
	h.Enrolled(t, "paris", map[string]string{"env": "test"})
	claim := func(bundle, group string, file manifest.File) (*hubv1.PublishRevisionResponse, error) {
		return h.Publish(t.Context(), &hubv1.Publication{Bundle: bundle, Groups: []string{group}}, file)
	}
	must[any](t)(claim("one", "prod", apitest.ConfigMap("default", "shared", "1")))
	// No namespace means the bundle's, which is "default".
	_, err := claim("two", "prod", apitest.ConfigMap("", "shared", "1"))
	if st := refused(t, err, codes.FailedPrecondition, `bundle "one"`, `bundle "two"`, "ConfigMap default/shared", `cluster "berlin"`); reason(st) != "OBJECT_CLAIMED" {
		t.Errorf("reason %q", reason(st))
	}
	must[any](t)(claim("two", "test", apitest.ConfigMap("", "shared", "1"))) // in another cluster
	must[any](t)(claim("three", "prod", apitest.ConfigMap("elsewhere", "shared", "1")))

	t.Run("by targets", func(t *testing.T) {
		_, err := h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{bundle("two", "test", "prod")}})
		refused(t, err, codes.FailedPrecondition, "ConfigMap default/shared")
		_, err = claim("two", "prod", apitest.ConfigMap("", "shared", "1"))
		refused(t, err, codes.FailedPrecondition, "ConfigMap default/shared")
	})
	t.Run("by a group's selector", func(t *testing.T) {
		_, err := h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{group("test", "")}})
		refused(t, err, codes.FailedPrecondition, "ConfigMap default/shared")
	})
	t.Run("by labels", func(t *testing.T) {
		apply(t, h, group("extra", "extra=yes"), bundle("two", "test", "extra"))
		_, err := h.LabelCluster(t.Context(), &hubv1.LabelClusterRequest{Name: "berlin", Set: map[string]string{"extra": "yes"}})
		refused(t, err, codes.FailedPrecondition, "ConfigMap default/shared", "berlin")
	})
	t.Run("by enrolling", func(t *testing.T) {
		_, err := h.EnrollCluster(t.Context(), &hubv1.EnrollClusterRequest{Name: "rome", Labels: map[string]string{"env": "prod", "extra": "yes"}})
		refused(t, err, codes.FailedPrecondition, "ConfigMap default/shared", "rome")
	})
	t.Run("by returning", func(t *testing.T) {
		must[any](t)(claim("one", "prod", apitest.ConfigMap("default", "own", "1")))
		apply(t, h, bundle("two", "test", "prod"))
		_, err := h.UndoRollout(t.Context(), &hubv1.UndoRolloutRequest{Bundle: "one"})
		refused(t, err, codes.FailedPrecondition, "ConfigMap default/shared")
	})
	t.Run("cluster-scoped", func(t *testing.T) {
		ns := manifest.File{Path: "ns.yaml", Data: []byte("apiVersion: v1\nkind: Namespace\nmetadata: {name: team}\n")}
		custom := bundle("four", "prod")
		custom.GetBundle().Spec.Delivery = &yardarmv1.DeliveryPolicy{Namespace: "other"}
		apply(t, h, custom)
		must[any](t)(claim("four", "prod", ns))
		_, err := claim("five", "prod", ns)
		refused(t, err, codes.FailedPrecondition, "Namespace team")
	})
}

func TestUndoRollout(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"))
	undo := func(to uint32) (*hubv1.PublishRevisionResponse, error) {
		return h.UndoRollout(t.Context(), &hubv1.UndoRolloutRequest{Bundle: "web", ToRevision: to})
	}
	_, err := undo(0)
	refused(t, err, codes.NotFound, `bundle "web"`)
	one := publish(t, h, "web", "1", "prod")
	_, err = undo(0)
	refused(t, err, codes.FailedPrecondition, "no earlier revision")
	two := publish(t, h, "web", "2")
	back := must[*hubv1.PublishRevisionResponse](t)(undo(0))
	if r := back.Revision.Spec; back.Outcome != "published" || r.Number != 3 || r.Digest != one.Revision.Spec.Digest || r.Provenance.UndoOf != 1 || r.Size != one.Revision.Spec.Size {
		t.Errorf("undo %v", back)
	}
	again := must[*hubv1.PublishRevisionResponse](t)(undo(0))
	if r := again.Revision.Spec; r.Number != 4 || r.Digest != two.Revision.Spec.Digest {
		t.Errorf("undo of the undo %v", again)
	}
	if same := must[*hubv1.PublishRevisionResponse](t)(undo(2)); same.Outcome != "unchanged" || same.Revision.Spec.Number != 4 {
		t.Errorf("undo to what runs already %v", same)
	}
	_, err = undo(9)
	refused(t, err, codes.NotFound, `"web" has no revision 9`, "4, 3, 2, 1")

	// The delivery policy returns, too.
	atomic := bundle("web", "prod")
	atomic.GetBundle().Spec.Delivery = &yardarmv1.DeliveryPolicy{Atomic: true}
	apply(t, h, atomic)
	must[any](t)(undo(2))
	b := must[*yardarmv1.Bundle](t)(h.GetBundle(t.Context(), &hubv1.GetBundleRequest{Name: "web"}))
	if b.Spec.Delivery.GetAtomic() || b.Status.Revision != 6 {
		t.Errorf("bundle %v", b)
	}

	list := must[*hubv1.ListRevisionsResponse](t)(h.ListRevisions(t.Context(), &hubv1.ListRevisionsRequest{Bundle: "web", PageSize: 4}))
	rest := must[*hubv1.ListRevisionsResponse](t)(h.ListRevisions(t.Context(), &hubv1.ListRevisionsRequest{Bundle: "web", PageSize: 4, PageToken: list.NextPageToken}))
	if names(list.Revisions) != "web-6 web-5 web-4 web-3" || names(rest.Revisions) != "web-2 web-1" || rest.TotalSize != 6 {
		t.Errorf("revisions %s, then %s", names(list.Revisions), names(rest.Revisions))
	}
	_, err = h.ListRevisions(t.Context(), &hubv1.ListRevisionsRequest{Bundle: "nothing"})
	refused(t, err, codes.NotFound)
	_, err = h.GetRevision(t.Context(), &hubv1.GetRevisionRequest{Bundle: "web", Number: 7})
	refused(t, err, codes.NotFound, `"web" has no revision 7`)
}

func TestDeleteBundle(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"), group("test", "env=test"))
	shared := apitest.ConfigMap("", "same", "1")
	pub := func(bundle, group string, f manifest.File) *hubv1.PublishRevisionResponse {
		return must[*hubv1.PublishRevisionResponse](t)(h.Publish(t.Context(), &hubv1.Publication{Bundle: bundle, Groups: []string{group}}, f))
	}
	own := pub("web", "prod", apitest.ConfigMap("", "own", "1"))
	both := pub("web", "prod", shared)
	pub("api", "test", shared)
	_, err := h.DeleteBundle(t.Context(), &hubv1.DeleteBundleRequest{Name: "web"})
	refused(t, err, codes.InvalidArgument, "workloads", "--remove")
	_, err = h.DeleteBundle(t.Context(), &hubv1.DeleteBundleRequest{Name: "web", Workloads: yardarmv1.Workloads_WORKLOADS_REMOVE, ResourceVersion: "1"})
	refused(t, err, codes.Aborted)
	must[any](t)(h.DeleteBundle(t.Context(), &hubv1.DeleteBundleRequest{Name: "web", Workloads: yardarmv1.Workloads_WORKLOADS_REMOVE}))
	tx := h.Store.Read()
	uid := own.Revision.Spec.BundleUid
	if tx.Revision(uid, 1) != nil || tx.Artifact(own.Revision.Spec.Digest) != nil {
		t.Error("the bundle's own revisions or artifacts are still there")
	}
	if tx.Artifact(both.Revision.Spec.Digest) == nil {
		t.Error("an artifact that another bundle has is gone")
	}
	if d := tx.DeletedBundle(uid); d.GetName() != "web" || d.GetWorkloads() != yardarmv1.Workloads_WORKLOADS_REMOVE {
		t.Errorf("deletion %v", d)
	}
	_, err = h.GetBundle(t.Context(), &hubv1.GetBundleRequest{Name: "web"})
	refused(t, err, codes.NotFound)
	// Made again, it is another one that starts from 1.
	if next := pub("web", "prod", shared); next.Revision.Spec.Number != 1 || next.Revision.Spec.BundleUid == uid {
		t.Errorf("made again: %v", next)
	}
	labelled := bundle("api", "test")
	labelled.GetBundle().Metadata.Labels = map[string]string{"team": "a"}
	apply(t, h, labelled)
	list := must[*hubv1.ListBundlesResponse](t)(h.ListBundles(t.Context(), &hubv1.ListBundlesRequest{Selector: "team=a"}))
	if names(list.Bundles) != "api" || list.TotalSize != 1 {
		t.Errorf("selected %s", names(list.Bundles))
	}
	_, err = h.ListBundles(t.Context(), &hubv1.ListBundlesRequest{Selector: "=="})
	refused(t, err, codes.InvalidArgument, "selector")
}

func TestPublicationsAreBounded(t *testing.T) {
	h := apitest.Start(t, func(c *api.Config, _ *gateway.Config) { c.Limits.Publications = 1 })
	apply(t, h, group("prod", "env=prod"))
	open := must[hubv1.FleetService_PublishRevisionClient](t)(h.PublishRevision(t.Context()))
	send := func(m *hubv1.PublishRevisionRequest) {
		t.Helper()
		if err := open.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	send(&hubv1.PublishRevisionRequest{Message: &hubv1.PublishRevisionRequest_Publication{Publication: &hubv1.Publication{Bundle: "web", Groups: []string{"prod"}}}})
	// More than fits between the two: the last can be sent only once the hub has taken the first, and so has given the call its place.
	comment := bytes.Repeat([]byte("# long\n"), 1<<20/7)
	for range 4 {
		send(&hubv1.PublishRevisionRequest{Message: &hubv1.PublishRevisionRequest_File{File: &hubv1.FileChunk{Path: "comment.yaml", Data: comment}}})
	}
	_, err := h.Publish(t.Context(), &hubv1.Publication{Bundle: "api", Groups: []string{"prod"}}, apitest.ConfigMap("", "api", "1"))
	refused(t, err, codes.ResourceExhausted, "try again")
	f := apitest.ConfigMap("", "web", "1")
	send(&hubv1.PublishRevisionRequest{Message: &hubv1.PublishRevisionRequest_File{File: &hubv1.FileChunk{Path: f.Path, Data: f.Data}}})
	must[any](t)(open.CloseAndRecv())
	publish(t, h, "api", "1", "prod")
}
