package api_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/yardarm-dev/yardarm/hub/api"
	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/gateway"
	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// variants is a hub with a cluster in each of the groups prod and test, and bundle web from a source.
type variants struct {
	*testing.T
	*apitest.Hub
	uids map[string]string // by group
}

func newVariants(t *testing.T, options ...apitest.Option) *variants {
	t.Helper()
	w := &variants{t, apitest.Start(t, options...), map[string]string{}}
	apply(t, w.Hub, group("prod", "env=prod"), group("test", "env=test"))
	for _, env := range []string{"prod", "test"} {
		w.uids[env] = w.Enrolled(t, env+"-1", map[string]string{"env": env})
	}
	return w
}

// source is bundle web with these variants, and the one that each of its targets names, as in "prod=large".
func source(names string, targets ...string) *hubv1.Resource {
	b := bundle("web")
	b.GetBundle().Spec.Source = &yardarmv1.Source{From: &yardarmv1.Source_Git{Git: &yardarmv1.GitSource{Url: "https://git.example.com/app"}}}
	for _, name := range strings.Fields(names) {
		b.GetBundle().Spec.Source.Variants = append(b.GetBundle().Spec.Source.Variants, &yardarmv1.Variant{Name: name, Path: name})
	}
	for _, t := range targets {
		group, variant, _ := strings.Cut(t, "=")
		b.GetBundle().Spec.Targets = append(b.GetBundle().Spec.Targets, &yardarmv1.Target{Group: group, Variant: variant})
	}
	return b
}

// comes is what the source has come to, by what the bundle asks of it: each variant is a ConfigMap with the value, or its own name.
func (w *variants) comes(values map[string]string) (held string, err error) {
	w.Helper()
	b := w.web()
	p := api.SourcePublication{BundleUID: b.Metadata.Uid, Bundle: "web", Source: b.Spec.Source, Provenance: &yardarmv1.Provenance{}}
	for _, v := range b.Spec.Renderings() {
		value := values[v.Name]
		if value == "" {
			value = "is " + cmp.Or(v.Name, "none")
		}
		p.Renderings = append(p.Renderings, api.SourceRendering{Variant: v.Name, Files: []manifest.File{apitest.ConfigMap("default", "a", value)}})
	}
	held, err = w.API.PublishSource(w.Context(), p)
	apitest.Settle(w, w.Store)
	return held, err
}

func (w *variants) come(values map[string]string) {
	w.Helper()
	if held, err := w.comes(values); held != "" || err != nil {
		w.Fatal(held, err)
	}
}

func (w *variants) web() *yardarmv1.Bundle {
	return w.Store.Read().BundleByName("web")
}

// gets tells whether the clusters of the groups get these variants by the revision with the number: as in "prod=large", or "prod-" for nothing.
func (w *variants) gets(revision uint32, want ...string) {
	w.Helper()
	tx := w.Store.Read()
	if n := w.web().Status.LatestRevision; n != revision {
		w.Errorf("there is revision %d, want %d", n, revision)
	}
	var got []string
	for _, env := range slices.Sorted(maps.Keys(w.uids)) {
		a := placement.DesiredOf(tx, tx.Cluster(w.uids[env]), w.web())
		if a == nil {
			got = append(got, env+"-")
			continue
		}
		text := string(artifactOf(w.T, w.Hub, a.Digest))
		got = append(got, env+"="+strings.TrimSuffix(text[strings.Index(text, `"key":"`)+len(`"key":"`):strings.Index(text, `"},`)], `"`))
	}
	if !slices.Equal(got, want) {
		w.Errorf("clusters get %q, want %q", got, want)
	}
}

// Each target gets its variant; a change of one is a revision that changes nothing for the others, and the same is none.
func TestVariants(t *testing.T) {
	w := newVariants(t)
	apply(t, w.Hub, source("large small", "prod=large", "test"))
	w.come(nil)
	w.gets(1, "prod=is large", "test=is none")
	spec := current(t, w.Hub).Spec
	if len(spec.Variants) != 3 || spec.Variants[0].Name != "" || spec.Digest != spec.Variants[0].Digest || spec.Variants[2].Name != "small" || spec.Variants[2].Objects != 1 {
		t.Errorf("the revision is %v", spec)
	}
	w.come(nil)
	w.gets(1, "prod=is large", "test=is none")
	test := placement.DesiredOf(w.Store.Read(), w.Store.Read().Cluster(w.uids["test"]), w.web())
	w.come(map[string]string{"large": "larger"})
	w.gets(2, "prod=larger", "test=is none")
	if is := placement.DesiredOf(w.Store.Read(), w.Store.Read().Cluster(w.uids["test"]), w.web()); !placement.Same(test, is) || is.Revision != 2 {
		t.Errorf("what changes for prod alone makes of test %v", is)
	}
	// The variant of a target is part of a revision: it changes by applying the bundle, and returns.
	apply(t, w.Hub, source("large small", "prod=small", "test"))
	w.gets(3, "prod=is small", "test=is none")
	if m := current(t, w.Hub).Spec.Provenance.Message; m != "variants changed; content of revision 2" {
		t.Errorf("it says %q", m)
	}
	must[any](t)(w.UndoRollout(t.Context(), &hubv1.UndoRolloutRequest{Bundle: "web"}))
	w.gets(4, "prod=larger", "test=is none")
	if b := w.web(); b.Spec.Targets[0].Variant != "large" {
		t.Errorf("the targets are %v", b.Spec.Targets)
	}
	// Others may be found by any of their artifacts.
	list := must[*hubv1.ListRevisionsResponse](t)(w.ListRevisions(t.Context(), &hubv1.ListRevisionsRequest{Bundle: "web", Filter: "digest=" + spec.Variants[1].Digest}))
	if names(list.Revisions) != "web-1" {
		t.Errorf("with the artifact of a variant: %s", names(list.Revisions))
	}
	if p, text, err := preview(t, w.Hub, "prod-1", "web"); err != nil || p.Digest != current(t, w.Hub).Spec.Variant("large").Digest || !strings.Contains(text, "larger") {
		t.Errorf("the preview is %v, %v", p, err)
	}
	a := must[*yardarmv1.Assignment](t)(w.GetAssignment(t.Context(), &hubv1.GetAssignmentRequest{Cluster: "prod-1", Bundle: "web"}))
	if a.Spec.Variant != "large" {
		t.Errorf("the assignment is %v", a.Spec)
	}
}

// Until the source has come to what a change of the bundle asks for, clusters keep what they have, and those that have nothing get nothing: never another variant.
func TestVariantsThatAreNotThereYet(t *testing.T) {
	w := newVariants(t)
	apply(t, w.Hub, source("large", "prod=large"))
	w.come(nil)
	w.gets(1, "prod=is large", "test-")
	if spec := current(t, w.Hub).Spec; len(spec.Variants) != 1 || spec.Digest != spec.Variants[0].Digest {
		t.Errorf("rendered is what no target asks for: %v", spec)
	}
	old := w.web()
	apply(t, w.Hub, source("large small", "prod=large", "test=small"))
	w.gets(1, "prod=is large", "test-")
	w.Present(t, w.uids["test"], yardarmv1.PresenceConnected)
	if st := must[*yardarmv1.Assignment](t)(w.GetAssignment(t.Context(), &hubv1.GetAssignmentRequest{Cluster: "test-1", Bundle: "web"})).Status; st.Reason != yardarmv1.ReasonAwaitsVariant || !strings.Contains(st.Message, "revision 1 has nothing yet") {
		t.Errorf("the status is %v", st)
	}
	// What was looked at for the bundle as it was, is not published.
	if held, err := w.API.PublishSource(t.Context(), api.SourcePublication{BundleUID: old.Metadata.Uid, Bundle: "web", Source: old.Spec.Source, Provenance: &yardarmv1.Provenance{},
		Renderings: []api.SourceRendering{{Variant: "large", Files: []manifest.File{apitest.ConfigMap("default", "a", "late")}}}}); held != "" || err != nil {
		t.Errorf("a late look: %q, %v", held, err)
	}
	w.gets(1, "prod=is large", "test-")
	w.come(nil)
	w.gets(2, "prod=is large", "test=is small")
	// The same for a target that names none, while nothing is rendered without one.
	apply(t, w.Hub, source("large small", "prod=large", "test"))
	w.gets(2, "prod=is large", "test=is small")
	late := api.SourcePublication{BundleUID: old.Metadata.Uid, Bundle: "web", Source: w.web().Spec.Source, Provenance: &yardarmv1.Provenance{}}
	for _, name := range []string{"large", "small"} {
		late.Renderings = append(late.Renderings, api.SourceRendering{Variant: name, Files: []manifest.File{apitest.ConfigMap("default", "a", "late")}})
	}
	if held, err := w.API.PublishSource(t.Context(), late); held != "" || err != nil {
		t.Errorf("a look of before the targets were changed: %q, %v", held, err)
	}
	w.come(nil)
	w.gets(3, "prod=is large", "test=is none")
	apply(t, w.Hub, source("", "prod", "test"))
	w.gets(4, "prod=is none", "test=is none")
	w.come(nil)
	w.gets(5, "prod=is none", "test=is none")
}

// A return to a revision stays until the source has something else, and is refused where it has nothing for a target.
func TestVariantsUndo(t *testing.T) {
	w := newVariants(t)
	apply(t, w.Hub, source("", "prod"))
	w.come(nil)
	apply(t, w.Hub, source("large", "prod=large"))
	w.come(nil)
	apply(t, w.Hub, source("large small", "prod=large", "test=small"))
	w.come(nil)
	w.gets(3, "prod=is large", "test=is small")
	_, err := w.UndoRollout(t.Context(), &hubv1.UndoRolloutRequest{Bundle: "web"})
	refused(t, err, codes.FailedPrecondition, "revision 4", `"small"`, `"test"`)
	must[any](t)(w.UndoRollout(t.Context(), &hubv1.UndoRolloutRequest{Bundle: "web", ToRevision: 1}))
	w.gets(4, "prod=is none", "test=is none") // of before there were variants: one for all
	if held, err := w.comes(nil); !strings.Contains(held, "has returned from revision 3") || err != nil {
		t.Errorf("held %q, %v", held, err)
	}
	w.gets(4, "prod=is none", "test=is none")
	w.come(map[string]string{"small": "smaller"})
	w.gets(5, "prod=is large", "test=smaller")

	// A variant that was returned to and that the source has no more: nothing is published until somebody says what is meant.
	apply(t, w.Hub, source("small", "prod=small", "test=small"))
	w.come(nil)
	must[any](t)(w.UndoRollout(t.Context(), &hubv1.UndoRolloutRequest{Bundle: "web", ToRevision: 5}))
	w.gets(8, "prod=is large", "test=smaller")
	_, err = w.comes(map[string]string{"small": "smallest"})
	if message, theirs := api.Refused(err); !theirs || !strings.Contains(message, `"large"`) {
		t.Errorf("a target without its variant: %v", err)
	}
	w.gets(8, "prod=is large", "test=smaller")
}

func TestVariantFields(t *testing.T) {
	w := newVariants(t)
	many := make([]string, 17)
	for i := range many {
		many[i] = fmt.Sprint("v", i)
	}
	with := func(v *yardarmv1.Variant, change func(*yardarmv1.Source)) *hubv1.Resource {
		b := source("a")
		b.GetBundle().Spec.Source.Variants[0] = v
		if change != nil {
			change(b.GetBundle().Spec.Source)
		}
		return b
	}
	chart := func(s *yardarmv1.Source) {
		s.From = &yardarmv1.Source_Helm{Helm: &yardarmv1.HelmSource{Url: "https://charts.example.com", Chart: "shop"}}
	}
	none := bundle("web")
	none.GetBundle().Spec.Targets = []*yardarmv1.Target{{Group: "prod", Variant: "a"}}
	for name, test := range map[string]struct {
		bundle *hubv1.Resource
		field  string
		words  string
	}{
		"one that is not there":     {source("a b", "prod=c"), "spec.targets[0].variant", `names "c", and the bundle's source has a, b`},
		"one without a source":      {none, "spec.targets[0].variant", "the bundle's source has none"},
		"too many":                  {source(strings.Join(many, " ")), "spec.source.variants", "at most 16"},
		"twice":                     {source("a a"), "spec.source.variants[1].name", "a second time"},
		"no name":                   {with(&yardarmv1.Variant{}, nil), "spec.source.variants[0].name", "missing"},
		"a name that is none":       {with(&yardarmv1.Variant{Name: "A b"}, nil), "spec.source.variants[0].name", ""},
		"an absolute path":          {with(&yardarmv1.Variant{Name: "a", Path: "/etc"}, nil), "spec.source.variants[0].path", "slashes"},
		"a path of a chart":         {with(&yardarmv1.Variant{Name: "a", Path: "b"}, chart), "spec.source.variants[0].path", "the chart is what the source names"},
		"an absolute file":          {with(&yardarmv1.Variant{Name: "a", ValueFiles: []string{"/etc/passwd"}}, nil), "spec.source.variants[0].valueFiles[0]", "slashes"},
		"values of a kustomization": {with(&yardarmv1.Variant{Name: "a", ValueFiles: []string{"b"}}, func(s *yardarmv1.Source) { s.Rendering = &yardarmv1.Rendering{Type: yardarmv1.RenderKustomize} }), "spec.source.variants[0].valueFiles", "for charts"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{test.bundle}})
			if st := refused(t, err, codes.InvalidArgument, test.words); !slices.Contains(fields(st), "resources[0]."+test.field) {
				t.Errorf("fields %q, want %s; %s", fields(st), test.field, st.Message())
			}
		})
	}
}

// What is wrong with a variant is said of it, and all of them together may be as large as one.
func TestVariantsAreBounded(t *testing.T) {
	w := newVariants(t, func(c *api.Config, _ *gateway.Config) { c.Limits.MaxArtifactSize = 2000 })
	apply(t, w.Hub, source("large small", "prod=large", "test=small"))
	long := strings.Repeat("x", 900)
	if _, err := w.comes(map[string]string{"large": long}); err != nil {
		t.Error(err)
	}
	_, err := w.comes(map[string]string{"large": long, "small": long})
	if message, theirs := api.Refused(err); !theirs || !strings.Contains(message, "larger than 2000 bytes together") {
		t.Errorf("two large ones: %v", err)
	}
	b := w.web()
	_, err = w.API.PublishSource(context.Background(), api.SourcePublication{BundleUID: b.Metadata.Uid, Bundle: "web", Source: b.Spec.Source, Provenance: &yardarmv1.Provenance{},
		Renderings: []api.SourceRendering{{Variant: "large", Files: []manifest.File{apitest.ConfigMap("default", "a", "1")}}, {Variant: "small"}}})
	if message, theirs := api.Refused(err); !theirs || !strings.HasPrefix(message, "variant small: ") {
		t.Errorf("one without objects: %v", err)
	}
	w.gets(1, "prod="+long, "test=is small")
}

// Bundles may have the same object in different clusters, by their variants.
func TestVariantsClaim(t *testing.T) {
	w := newVariants(t)
	apply(t, w.Hub, source("large small", "prod=large", "test=small"))
	w.come(nil)
	must[any](t)(w.Publish(t.Context(), &hubv1.Publication{Bundle: "other", Groups: []string{"test"}}, apitest.ConfigMap("default", "b", "1")))
	publishAs := func(large, small string) error {
		b := w.web()
		_, err := w.API.PublishSource(t.Context(), api.SourcePublication{BundleUID: b.Metadata.Uid, Bundle: "web", Source: b.Spec.Source, Provenance: &yardarmv1.Provenance{},
			Renderings: []api.SourceRendering{{Variant: "large", Files: []manifest.File{apitest.ConfigMap("default", large, "1")}}, {Variant: "small", Files: []manifest.File{apitest.ConfigMap("default", small, "1")}}}})
		return err
	}
	if err := publishAs("b", "a"); err != nil {
		t.Errorf("the same object in another cluster: %v", err)
	}
	if message, _ := api.Refused(publishAs("a", "b")); !strings.Contains(message, "ConfigMap default/b") || !strings.Contains(message, "test-1") {
		t.Errorf("the same object in the same cluster: %q", message)
	}
	_, err := w.EnrollCluster(t.Context(), &hubv1.EnrollClusterRequest{Name: "both", Labels: map[string]string{"env": "test"}})
	if err != nil {
		t.Errorf("a cluster of the other variant: %v", err)
	}
	apply(t, w.Hub, group("also", "also=yes"))
	apply(t, w.Hub, bundle("other", "test", "also"))
	_, err = w.LabelCluster(t.Context(), &hubv1.LabelClusterRequest{Name: "prod-1", Set: map[string]string{"also": "yes"}})
	refused(t, err, codes.FailedPrecondition, "ConfigMap default/b", "prod-1")
}

// How objects are stored is compared with what the same clusters ran, and not with other variants.
func TestVariantsStorage(t *testing.T) {
	w := newVariants(t)
	apply(t, w.Hub, source("large small", "prod=large", "test=small"))
	stored := func(large, small manifest.File) int {
		t.Helper()
		b := w.web()
		if _, err := w.API.PublishSource(t.Context(), api.SourcePublication{BundleUID: b.Metadata.Uid, Bundle: "web", Source: b.Spec.Source, Provenance: &yardarmv1.Provenance{},
			Renderings: []api.SourceRendering{{Variant: "large", Files: []manifest.File{large}}, {Variant: "small", Files: []manifest.File{small}}}}); err != nil {
			t.Fatal(err)
		}
		apitest.Settle(t, w.Store)
		return len(current(t, w.Hub).Spec.StorageChanges)
	}
	if n := stored(ships("v1", "v2"), ships("v2", "v1")); n != 0 {
		t.Errorf("%d changes of what is new", n)
	}
	if n := stored(ships("v1", "v2", "v3"), ships("v2", "v1")); n != 0 {
		t.Errorf("%d changes, where both store as they did", n)
	}
	if n := stored(ships("v1", "v2", "v3"), ships("v1", "v2")); n != 1 {
		t.Errorf("%d changes, where one does not", n)
	}
}

// Artifacts go with the last revision that names them, whichever variant's they are.
func TestVariantsAreDeleted(t *testing.T) {
	w := newVariants(t)
	apply(t, w.Hub, source("large", "prod=large", "test"))
	w.come(nil)
	if n := len(slices.Collect(w.Store.Read().Artifacts())); n != 2 {
		t.Errorf("%d artifacts", n)
	}
	must[any](t)(w.DeleteBundle(t.Context(), &hubv1.DeleteBundleRequest{Name: "web", Workloads: yardarmv1.Workloads_WORKLOADS_KEEP}))
	if n := len(slices.Collect(w.Store.Read().Artifacts())); n != 0 {
		t.Errorf("%d artifacts are left", n)
	}
}

// A spoke learns the files of no other artifact than those of the revision that it names, whatever it says that it holds.
func TestVariantsFiles(t *testing.T) {
	w := newVariants(t)
	apply(t, w.Hub, source("large small", "prod=large", "test=small"))
	w.come(nil)
	must[any](t)(w.Publish(t.Context(), &hubv1.Publication{Bundle: "other", Groups: []string{"test"}}, manifest.File{Path: "secret/path.yaml", Data: apitest.ConfigMap("default", "b", "1").Data}))
	other := w.Store.Read().Revision(w.Store.Read().BundleByName("other").Metadata.Uid, 1).Spec.Digest
	large := w.Store.Read().Revision(w.web().Metadata.Uid, 1).Spec.Variant("large").Digest
	for _, test := range []struct{ digest, object, want string }{{large, "ConfigMap default/a", "a.yaml"}, {other, "ConfigMap default/b", ""}} {
		w.Report(t, w.uids["prod"], &yardarmv1.Report{Bundle: "web", BundleUid: w.web().Metadata.Uid, Revision: 1, Digest: test.digest, Phase: yardarmv1.PhaseFailed,
			Problems: []*yardarmv1.ObjectProblem{{Object: test.object, Reason: "Invalid"}}})
		a := must[*yardarmv1.Assignment](t)(w.GetAssignment(t.Context(), &hubv1.GetAssignmentRequest{Cluster: "prod-1", Bundle: "web"}))
		if got := a.Status.Report.Problems[0].File; got != test.want {
			t.Errorf("the file of %s is %q, want %q", test.object, got, test.want)
		}
	}
}
