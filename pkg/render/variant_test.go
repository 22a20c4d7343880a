package render

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// A variant's values count over all that the rendering says: its files over the rendering's own values, too.
func TestVariantValues(t *testing.T) {
	files := chartOf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {text: {{ list .Values.a .Values.b .Values.c .Values.d .Values.e | join \"\" | quote }}}\n",
		"values.yaml", "{a: 1, b: 1, c: 1, d: 1, e: 1}\n", "all.yaml", "{b: 2, c: 2, d: 2, e: 2}\n", "prod.yaml", "{d: 4, e: 4}\n")
	values := func(m map[string]any) *structpb.Struct {
		s, err := structpb.NewStruct(m)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	in := Input{FS: tree(files), Name: "shop", Rendering: &yardarmv1.Rendering{Helm: &yardarmv1.HelmRendering{ValueFiles: []string{"all.yaml"}, Values: values(map[string]any{"c": 3, "d": 3, "e": 3})}}}
	for want, variant := range map[string]*yardarmv1.Variant{
		"12333": nil,
		"12344": {Name: "prod", ValueFiles: []string{"prod.yaml"}},
		"12345": {Name: "prod", ValueFiles: []string{"prod.yaml"}, Values: values(map[string]any{"e": 5})},
		"16333": {Name: "test", Values: values(map[string]any{"b": 6})},
	} {
		in.Variant = variant
		if _, out := set(t, in); !strings.Contains(text(out), `"`+want+`"`) {
			t.Errorf("want %s in\n%s", want, text(out))
		}
	}
}

func TestVariantPath(t *testing.T) {
	files := map[string]string{"apps/web/base/a.yaml": configMap, "apps/web/base/kustomization.yaml": "resources: [a.yaml]\n", "apps/web/prod/kustomization.yaml": "resources: [../base]\nnamePrefix: prod-\n",
		"top/a.yaml": strings.Replace(configMap, "name: a", "name: top", 1)}
	for path, want := range map[string]string{"prod": "name: prod-a", "base": "name: a", "../../top": "name: top"} {
		if _, out := set(t, Input{FS: tree(files), Path: "apps/web", Variant: &yardarmv1.Variant{Name: "x", Path: path}}); !strings.Contains(text(out), want) {
			t.Errorf("%s: want %s in\n%s", path, want, text(out))
		}
	}
}

// What is wrong with a variant, or with a rendering where it does not fit the directory, is the source's to mend, and says where.
func TestVariantProblems(t *testing.T) {
	helm := &yardarmv1.Rendering{Helm: &yardarmv1.HelmRendering{ReleaseName: "x"}}
	for name, test := range map[string]struct {
		rendering *yardarmv1.Rendering
		variant   *yardarmv1.Variant
		want      string
	}{
		"out of the source":     {nil, &yardarmv1.Variant{Path: "../x"}, "../x: the path leads out of the source"},
		"not there":             {nil, &yardarmv1.Variant{Path: "x"}, "x: is not there"},
		"values of no chart":    {nil, &yardarmv1.Variant{ValueFiles: []string{"a.yaml"}}, `variant.valueFiles: it is for charts, and the type is "plain"`},
		"rendering of no chart": {helm, nil, `rendering.helm: it is for charts, and the type is "plain"`},
	} {
		_, err := Render(t.Context(), Input{FS: tree(map[string]string{"a.yaml": configMap}), Rendering: test.rendering, Variant: test.variant})
		var problem manifest.Problem
		if !errors.As(err, &problem) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}
