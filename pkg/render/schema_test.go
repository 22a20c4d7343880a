package render

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// A value that is not as the chart's schema wants it is told of at the file and line that says it, or the field.
func TestSchemaPlaces(t *testing.T) {
	const schema = `{"additionalProperties":false,"properties":{"db":{},"global":{},"a":{"type":"object","properties":{"b":{"type":"string"}}},"list":{"type":"array","items":{"type":"string"}}}}`
	files := chartOf(configMap, "values.schema.json", schema, "values.yaml", "# ours\na:\n  b: x\nlist: [x]\n", "all.yaml", "a:\n  b: x\n\nlist:\n- x\n- 2\n", "prod.yaml", "\n\na:\n\n  b: 1\n", "typo.yaml", "a: {b: x}\nlits: 1\n",
		"charts/db/Chart.yaml", "apiVersion: v2\nname: db\nversion: 1.0.0\n", "charts/db/values.schema.json", `{"properties":{"size":{"type":"number"}}}`, "db.yaml", "db:\n  size: large\n")
	values := func(m map[string]any) *structpb.Struct {
		s, err := structpb.NewStruct(m)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for name, test := range map[string]struct {
		helm    *yardarmv1.HelmRendering
		variant *yardarmv1.Variant
		want    string
	}{
		"a file":             {&yardarmv1.HelmRendering{ValueFiles: []string{"prod.yaml"}}, nil, "prod.yaml:5: "},
		"an item of a list":  {&yardarmv1.HelmRendering{ValueFiles: []string{"all.yaml"}}, nil, "all.yaml:6: "},
		"the rendering":      {&yardarmv1.HelmRendering{Values: values(map[string]any{"a": map[string]any{"b": 1}})}, nil, "rendering.helm.values: "},
		"a list in it":       {&yardarmv1.HelmRendering{Values: values(map[string]any{"list": []any{"x", 1}})}, nil, "rendering.helm.values: "},
		"a variant's file":   {&yardarmv1.HelmRendering{Values: values(map[string]any{"list": []any{"x"}})}, &yardarmv1.Variant{Name: "prod", ValueFiles: []string{"prod.yaml"}}, "prod.yaml:5: "},
		"a variant":          {&yardarmv1.HelmRendering{ValueFiles: []string{"typo.yaml"}}, &yardarmv1.Variant{Name: "prod", Values: values(map[string]any{"a": map[string]any{"b": true}})}, "variant.values: "},
		"a chart in it":      {&yardarmv1.HelmRendering{ValueFiles: []string{"db.yaml"}}, nil, "db.yaml:2: "},
		"a key that is none": {&yardarmv1.HelmRendering{ValueFiles: []string{"typo.yaml"}}, nil, "typo.yaml:2: "},
	} {
		_, err := Render(t.Context(), Input{FS: tree(files), Name: "shop", Rendering: &yardarmv1.Rendering{Helm: test.helm}, Variant: test.variant})
		var problem manifest.Problem
		if !errors.As(err, &problem) || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
}
