package source

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/yardarm-dev/yardarm/hub/source/chart/charttest"
	"github.com/yardarm-dev/yardarm/hub/source/oci/ocitest"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// from makes the bundle web, or gives it another source.
func (w *world) from(s *yardarmv1.Source) {
	w.Helper()
	w.apply(func(is *yardarmv1.Source) { proto.Reset(is); proto.Merge(is, s) })
}

func (w *world) untilDigest(digest string) *yardarmv1.Bundle {
	w.Helper()
	return w.until("digest "+digest, func(b *yardarmv1.Bundle) bool { return b.GetStatus().GetSource().GetDigest() == digest })
}

func chartFiles(template string) map[string]string {
	return map[string]string{"templates/a.yaml": template, "values.yaml": "value: one\n", "values-prod.yaml": "value: prod\n"}
}

const chartTemplate = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: {{ .Release.Namespace }}}\ndata: {key: {{ .Values.value }}}\n"

// TestChart follows a chart of a repository: revisions say which version and digest they are of, one that cannot be rendered changes nothing and is shown with
// file and line, and what has not changed costs one question and no write.
func TestChart(t *testing.T) {
	w, charts := newWorld(t), charttest.Serve(t)
	first := charts.Add("shop", "1.0.0", chartFiles(chartTemplate))
	w.keep(&yardarmv1.SourceCredentialsSpec{Urls: []string{charts.URL}, Ca: string(charts.CA)})
	w.from(&yardarmv1.Source{Rendering: &yardarmv1.Rendering{Helm: &yardarmv1.HelmRendering{ValueFiles: []string{"values-prod.yaml"}}},
		From: &yardarmv1.Source_Helm{Helm: &yardarmv1.HelmSource{Url: charts.URL, Chart: "shop", Version: "1.x", Credentials: "git", Interval: durationpb.New(10 * time.Second)}}})
	if b := w.untilDigest(first); b.Status.LatestRevision != 1 || b.Status.Source.Ref != "1.0.0" || b.Status.Source.AsOf == nil {
		t.Errorf("the status is %v", b.Status)
	}
	p := w.revision(1).GetProvenance()
	if p.Actor != "source:web" || p.Digest != first || p.Ref != "1.0.0" || p.Source != charts.URL+"//shop" || p.Commit != "" {
		t.Errorf("the provenance is %v", p)
	}

	bad := charts.Add("shop", "1.1.0", chartFiles("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ fail \"no name\" }}}\n"))
	w.look()
	if p := w.untilProblem(yardarmv1.SourceNotRendered); p.Digest != bad || p.File != "templates/a.yaml" || p.Line != 3 {
		t.Errorf("the problem is %v", p)
	}
	second := charts.Add("shop", "1.2.0", chartFiles(chartTemplate+"  # a remark\nbinaryData: {}\n"))
	w.look()
	if b := w.untilDigest(second); b.Status.Source.Problem != nil || b.Status.Source.Ref != "1.2.0" {
		t.Errorf("the status is %v", b.Status)
	}

	index, unchanged, archives := w.hub.Store.Read().Index(), charts.Unchanged.Load(), charts.Archives.Load()
	before := w.until("a look", func(*yardarmv1.Bundle) bool { return true }).Status.Source.AsOf.AsTime()
	w.look()
	w.until("a later look", func(b *yardarmv1.Bundle) bool { return b.Status.Source.AsOf.AsTime().After(before) })
	if charts.Unchanged.Load() != unchanged+1 || charts.Archives.Load() != archives || w.hub.Store.Read().Index() != index {
		t.Errorf("a poll of what has not changed asked %d times, took %d archives and wrote up to index %d, after %d",
			charts.Unchanged.Load()-unchanged, charts.Archives.Load()-archives, w.hub.Store.Read().Index(), index)
	}
}

// A hostile archive is told of by the file in it that is, and is not fetched again. The last good revision stays.
func TestHostileChart(t *testing.T) {
	w, charts := newWorld(t), charttest.Serve(t)
	good := charts.Add("shop", "1.0.0", chartFiles(chartTemplate))
	w.keep(&yardarmv1.SourceCredentialsSpec{Urls: []string{charts.URL}, Ca: string(charts.CA)})
	w.from(&yardarmv1.Source{From: &yardarmv1.Source_Helm{Helm: &yardarmv1.HelmSource{Url: charts.URL, Chart: "shop", Credentials: "git"}}})
	w.untilDigest(good)
	bad := charts.Put("shop", "1.1.0", charttest.Pack("shop", map[string]string{"../../a.yaml": "a: b"}))
	w.look()
	if p := w.untilProblem(yardarmv1.SourceNotRendered); p.Digest != bad || p.File != "shop/../../a.yaml" {
		t.Errorf("the problem is %v", p)
	}
	before := w.until("a look", func(*yardarmv1.Bundle) bool { return true }).Status.Source.AsOf.AsTime()
	w.look()
	if b := w.until("a later look", func(b *yardarmv1.Bundle) bool { return b.Status.Source.AsOf.AsTime().After(before) }); b.Status.LatestRevision != 1 || b.Status.Source.Digest != good {
		t.Errorf("the status is %v", b.Status)
	}
	if n := charts.Archives.Load(); n != 2 {
		t.Errorf("archives were fetched %d times", n)
	}
}

// TestArtifact follows what is tagged in a registry: a kustomization in one of its directories.
func TestArtifact(t *testing.T) {
	w, registry := newWorld(t), ocitest.Serve(t)
	push := func(value string) string {
		return registry.Push("team/app", "stable", ocitest.Layer{Type: ocitest.Archive, Data: charttest.Pack("apps", map[string]string{
			"web/kustomization.yaml": "namePrefix: x-\nresources: [a.yaml]\n", "web/a.yaml": configMap("a", value)})})
	}
	first := push("one")
	w.keep(&yardarmv1.SourceCredentialsSpec{Urls: []string{"https://" + registry.Host + "/team/"}, Ca: string(registry.CA)})
	w.from(&yardarmv1.Source{From: &yardarmv1.Source_Oci{Oci: &yardarmv1.OciSource{Url: registry.URL("team/app"), Ref: &yardarmv1.OciRef{Tag: "stable"}, Path: "apps/web", Credentials: "git"}}})
	if b := w.untilDigest(first); b.Status.LatestRevision != 1 || b.Status.Source.Ref != "stable" {
		t.Errorf("the status is %v", b.Status)
	}
	if p := w.revision(1).GetProvenance(); p.Source != registry.URL("team/app")+"//apps/web" || p.Digest != first {
		t.Errorf("the provenance is %v", p)
	}
	second := push("two")
	w.look()
	if b := w.untilDigest(second); b.Status.LatestRevision != 2 {
		t.Errorf("the status is %v", b.Status)
	}
	w.keep(&yardarmv1.SourceCredentialsSpec{Urls: []string{"https://" + registry.Host + "/other/"}, Ca: string(registry.CA)})
	w.untilProblem(yardarmv1.SourceNotAllowed)
}
