package api_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// in is a manifest file somewhere else.
func in(path string, f manifest.File) manifest.File { return manifest.File{Path: path, Data: f.Data} }

// filesOf are those that an assignment's problems name, in their order, "-" where one names none; then those of its drift.
func filesOf(a *yardarmv1.Assignment) string {
	var out []string
	for _, p := range a.Status.Report.Problems {
		out = append(out, p.File)
	}
	for _, d := range a.Status.Report.Drift {
		out = append(out, d.File)
	}
	for i := range out {
		if out[i] == "" {
			out[i] = "-"
		}
	}
	return strings.Join(out, " ")
}

func TestProblemsNameFiles(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"))
	berlin := h.Enrolled(t, "berlin", map[string]string{"env": "prod"})
	h.Present(t, berlin, yardarmv1.PresenceConnected)
	publication := &hubv1.Publication{Bundle: "web", Groups: []string{"prod"}}
	widget := manifest.File{Path: "widget.yaml", Data: []byte("apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\n")}
	web := must[*hubv1.PublishRevisionResponse](t)(h.Publish(t.Context(), publication,
		in("a/one.yaml", apitest.ConfigMap("", "one", "1")), in("b/two.yaml", apitest.ConfigMap("shop", "two", "1")), widget)).Revision.Spec
	report := func(revision uint32, objects ...string) {
		t.Helper()
		r := &yardarmv1.Report{Bundle: "web", BundleUid: web.BundleUid, Phase: yardarmv1.PhaseFailed, Revision: revision}
		for _, object := range objects {
			r.Problems = append(r.Problems, &yardarmv1.ObjectProblem{Object: object, Reason: "Forbidden"})
		}
		r.Drift = []*yardarmv1.Drift{{Object: "ConfigMap shop/two", Path: "data.key"}}
		h.Report(t, berlin, r)
	}
	for _, tc := range []struct {
		name, object, want string
	}{
		{"as the manifest names it", "ConfigMap shop/two", "b/two.yaml"},
		{"in the namespace that it gets", "ConfigMap default/one", "a/one.yaml"},
		{"before it gets one", "ConfigMap one", "a/one.yaml"},
		{"of a kind without namespaces", "example.com/Widget w", "widget.yaml"},
		{"in another namespace", "ConfigMap shop/one", "-"},
		{"without the namespace that its manifest has", "ConfigMap two", "-"},
		{"that left the bundle", "ConfigMap default/old", "-"},
		{"that is none", "? one", "-"},
		{"with a key's form", "/ConfigMap/shop/two", "-"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			report(1, tc.object)
			if got := filesOf(assignment(t, h, "berlin", "web")); got != tc.want+" b/two.yaml" {
				t.Errorf("files %q", got)
			}
		})
	}
	report(1, "ConfigMap shop/two")
	assignment(t, h, "berlin", "web")
	if r := h.Store.Read().ObservedBundle(berlin, web.BundleUid).Report; r.Problems[0].File != "" || r.Drift[0].File != "" {
		t.Errorf("the store's own report was changed: %v", r)
	}
	report(7, "ConfigMap shop/two") // a revision that is not there
	if got := filesOf(assignment(t, h, "berlin", "web")); got != "- -" {
		t.Errorf("of an unknown revision, files %q", got)
	}

	t.Run("of another namespace of the bundle", func(t *testing.T) {
		apply(t, h, delivered(&yardarmv1.DeliveryPolicy{Namespace: "apps"}, "prod"))
		report(2, "ConfigMap apps/one", "ConfigMap default/one")
		if got := filesOf(assignment(t, h, "berlin", "web")); got != "a/one.yaml - b/two.yaml" {
			t.Errorf("files %q", got)
		}
	})
	t.Run("once they were moved", func(t *testing.T) {
		moved := []manifest.File{in("c/one.yaml", apitest.ConfigMap("", "one", "1")), in("b/two.yaml", apitest.ConfigMap("shop", "two", "1")), widget}
		dry := proto.CloneOf(publication)
		dry.DryRun = true
		for _, tc := range []struct {
			publication *hubv1.Publication
			want        string
		}{{dry, "a/one.yaml b/two.yaml"}, {publication, "c/one.yaml b/two.yaml"}} {
			resp := must[*hubv1.PublishRevisionResponse](t)(h.Publish(t.Context(), tc.publication, moved...))
			if resp.Outcome != "unchanged" || resp.Revision.Spec.Digest != web.Digest {
				t.Errorf("publishing moved files: %v", resp)
			}
			report(2, "ConfigMap apps/one")
			if got := filesOf(assignment(t, h, "berlin", "web")); got != tc.want {
				t.Errorf("files %q, want %q", got, tc.want)
			}
		}
		if got := manifest.DigestOf(artifactOf(t, h, web.Digest)).String(); got != web.Digest {
			t.Errorf("the content has digest %s now", got)
		}
	})
	t.Run("not known of an old artifact", func(t *testing.T) {
		h.Update(t, func(tx *store.Tx) error {
			row := proto.CloneOf(tx.Artifact(web.Digest))
			row.Files, row.ObjectFiles = nil, nil
			return tx.PutArtifact(row, nil)
		})
		report(2, "ConfigMap apps/one")
		if got := filesOf(assignment(t, h, "berlin", "web")); got != "- -" {
			t.Errorf("files %q", got)
		}
		must[any](t)(h.Publish(t.Context(), publication, in("d/all.yaml", apitest.ConfigMap("", "one", "1")), in("b/two.yaml", apitest.ConfigMap("shop", "two", "1")), widget))
		if got := filesOf(assignment(t, h, "berlin", "web")); got != "d/all.yaml b/two.yaml" {
			t.Errorf("files %q", got)
		}
	})
	t.Run("not known of a row that does not fit", func(t *testing.T) {
		h.Update(t, func(tx *store.Tx) error {
			row := proto.CloneOf(tx.Artifact(web.Digest))
			row.ObjectFiles = []uint32{9}
			return tx.PutArtifact(row, nil)
		})
		if got := filesOf(assignment(t, h, "berlin", "web")); got != "- -" {
			t.Errorf("files %q", got)
		}
	})
}

// Paths are a help. They take no more memory than they are worth, and what is too much of them is no reason to refuse a publication.
func TestKeptPathsAreBounded(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"))
	path := func(name string, length int) string {
		return name + strings.Repeat("x", length-len(name)-len(".yaml")) + ".yaml"
	}
	for _, tc := range []struct {
		name   string
		length int
		files  int
		kept   int
	}{
		{"a long path", 512, 1, 1},
		{"a longer path", 513, 1, 0},
		{"more paths", 512, 2049, 2048},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bundle := strings.ReplaceAll(tc.name, " ", "-")
			var files []manifest.File
			for i := range tc.files {
				name := bundle + "-" + number(i)
				files = append(files, in(path(name, tc.length), apitest.ConfigMap("", name, "1")))
			}
			digest := must[*hubv1.PublishRevisionResponse](t)(h.Publish(t.Context(), &hubv1.Publication{Bundle: bundle, Groups: []string{"prod"}}, files...)).Revision.Spec.Digest
			row := h.Store.Read().Artifact(digest)
			without := 0
			for _, place := range row.ObjectFiles {
				if place == 0 {
					without++
				}
			}
			if len(row.Files) != tc.kept || without != tc.files-tc.kept || len(row.ObjectFiles) != len(row.Objects) {
				t.Errorf("%d paths are kept, want %d; %d objects have none", len(row.Files), tc.kept, without)
			}
		})
	}
}
