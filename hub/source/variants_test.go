package source

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/yardarm-dev/yardarm/hub/store"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// vary makes bundle web what it is to be: variants of the source, and targets as in "group=variant".
func (w *world) vary(path string, variants []*yardarmv1.Variant, targets ...string) {
	w.Helper()
	b := &yardarmv1.Bundle{Metadata: &yardarmv1.ObjectMeta{Name: "web"}, Spec: &yardarmv1.BundleSpec{Source: &yardarmv1.Source{Variants: variants,
		From: &yardarmv1.Source_Git{Git: &yardarmv1.GitSource{Url: w.server.Repo, Path: path, Credentials: "git"}}}}}
	resources := []*hubv1.Resource{{Resource: &hubv1.Resource_Bundle{Bundle: b}}}
	for _, t := range targets {
		group, variant, _ := strings.Cut(t, "=")
		b.Spec.Targets = append(b.Spec.Targets, &yardarmv1.Target{Group: group, Variant: variant})
		resources = append(resources, &hubv1.Resource{Resource: &hubv1.Resource_ClusterGroup{ClusterGroup: &yardarmv1.ClusterGroup{Metadata: &yardarmv1.ObjectMeta{Name: group},
			Spec: &yardarmv1.ClusterGroupSpec{Selector: &yardarmv1.LabelSelector{MatchLabels: map[string]string{"env": group}}}}}})
	}
	if _, err := w.hub.Apply(w.Context(), &hubv1.ApplyRequest{Resources: resources}); err != nil {
		w.Fatal(err)
	}
}

// artifacts are those of a revision, as in "prod=1234567": a few digits of each.
func (w *world) artifacts(number uint32) string {
	w.Helper()
	var out []string
	for _, a := range w.revision(number).GetVariants() {
		out = append(out, a.Name+"="+strings.TrimPrefix(a.Digest, "sha256:")[:7])
	}
	return strings.Join(out, " ")
}

// TestVariants renders each variant once a push, however many clusters have it, and says which one is wrong.
func TestVariants(t *testing.T) {
	w := newWorld(t)
	w.hub.Update(t, func(tx *store.Tx) error {
		var err error
		for i := range 50 {
			uid := fmt.Sprint("c", i)
			err = errors.Join(err, tx.PutCluster(&yardarmv1.Cluster{Metadata: &yardarmv1.ObjectMeta{Name: uid, Uid: uid, Labels: map[string]string{"env": []string{"prod", "test"}[i%2]}}}))
		}
		return err
	})
	const template = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {size: {{ .Values.size | quote }}, color: {{ .Values.color | quote }}}\n"
	w.Write("shop/Chart.yaml", "apiVersion: v2\nname: shop\nversion: 1.0.0\n")
	w.Write("shop/templates/a.yaml", template)
	w.Write("shop/values.yaml", "{size: 1, color: red}\n")
	first := w.Commit("one", "shop/prod.yaml", "size: 3\n")
	small, err := structpb.NewStruct(map[string]any{"color": "blue"})
	if err != nil {
		t.Fatal(err)
	}
	w.vary("shop", []*yardarmv1.Variant{{Name: "prod", ValueFiles: []string{"prod.yaml"}}, {Name: "blue", Values: small}}, "prod=prod", "test")
	w.untilCommit(first)
	renders := func() float64 {
		var m dto.Metric
		if err := w.controller.metrics.renders.Write(&m); err != nil {
			t.Fatal(err)
		}
		return m.GetCounter().GetValue()
	}
	if n := renders(); n != 3 {
		t.Errorf("a commit was rendered %v times, for three variants", n)
	}
	one := w.revision(1)
	if got := w.artifacts(1); !strings.HasPrefix(got, "=") || !strings.Contains(got, " blue=") || !strings.Contains(got, " prod=") || len(one.Digests()) != 3 {
		t.Errorf("the artifacts are %s", got)
	}
	second := w.Commit("two", "shop/prod.yaml", "size: 4\n")
	w.look()
	w.untilCommit(second)
	if n := renders(); n != 6 {
		t.Errorf("two commits were rendered %v times, for three variants", n)
	}
	two := w.revision(2)
	if two.Variant("").Digest != one.Variant("").Digest || two.Variant("blue").Digest != one.Variant("blue").Digest || two.Variant("prod").Digest == one.Variant("prod").Digest {
		t.Errorf("a change of one variant's values makes of %s: %s", w.artifacts(1), w.artifacts(2))
	}
	// The bundle's targets say whether anything is rendered without a variant, and so a change of them has it looked at anew.
	w.vary("shop", []*yardarmv1.Variant{{Name: "prod", ValueFiles: []string{"prod.yaml"}}, {Name: "blue", Values: small}}, "prod=prod", "test=blue")
	w.until("a revision by applying it", func(b *yardarmv1.Bundle) bool { return b.Status.LatestRevision >= 3 })
	w.until("a revision of two artifacts", func(b *yardarmv1.Bundle) bool { return len(w.revision(b.Status.LatestRevision).Variants) == 2 })

	bad := w.Commit("bad", "shop/prod.yaml", "size: [\n")
	w.look()
	if p := w.untilProblem(yardarmv1.SourceNotRendered); p.Commit != bad || p.File != "shop/prod.yaml" || !strings.HasPrefix(p.Message, "variant prod: ") {
		t.Errorf("the problem is %v", p)
	}
}

// TestOverlays follows a repository of overlays: each target has one, and their top is rendered for nobody.
func TestOverlays(t *testing.T) {
	w := newWorld(t)
	overlay := func(n string) string {
		return "resources: [../../base]\nconfigMapGenerator:\n- name: b\n  literals: [n=" + n + "]\n"
	}
	w.Write("web/base/a.yaml", configMap("a", "one"))
	w.Write("web/base/kustomization.yaml", "resources: [a.yaml]\n")
	w.Write("web/overlays/prod/kustomization.yaml", overlay("1"))
	hash := w.Commit("one", "web/overlays/test/kustomization.yaml", overlay("2"))
	w.vary("web", []*yardarmv1.Variant{{Name: "test", Path: "overlays/test"}, {Name: "prod", Path: "overlays/prod"}}, "prod=prod", "test=test")
	w.untilCommit(hash)
	if r := w.revision(1); len(r.Variants) != 2 || r.Variants[0].Name != "prod" || r.Variants[0].Objects != 2 || len(r.Digests()) != 2 || r.Digest != r.Variants[0].Digest {
		t.Errorf("the revision is %v", r)
	}
	w.vary("web", []*yardarmv1.Variant{{Name: "test", Path: "overlays/test"}, {Name: "prod", Path: "../../web2"}}, "prod=prod", "test=test")
	if p := w.untilProblem(yardarmv1.SourceNotRendered); !strings.Contains(p.Message, "variant prod: ../../web2: the path leads out of the source") {
		t.Errorf("the problem is %v", p)
	}
	if n := w.hub.Store.Read().BundleByName("web").Status.LatestRevision; n != 1 {
		t.Errorf("there is revision %d", n)
	}
}
