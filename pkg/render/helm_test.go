package render

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// chartOf is a chart with a template, and further files.
func chartOf(template string, more ...string) map[string]string {
	files := map[string]string{"Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n", "templates/a.yaml": template}
	for i := 0; i+1 < len(more); i += 2 {
		files[more[i]] = more[i+1]
	}
	return files
}

func TestHelm(t *testing.T) {
	files := map[string]string{}
	for name, text := range chartOf(`apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-{{ .Values.suffix }}, namespace: {{ .Release.Namespace }}}
data:
  color: {{ .Values.color | quote }}
  size: {{ .Values.size | quote }}
  big: {{ .Values.big | quote }}
  kube: {{ .Capabilities.KubeVersion.Version }}
  apis: {{ .Capabilities.APIVersions.Has "example.com/v1" | quote }} {{- /* trimmed */ -}}
{{ range $i := until 3 }}
  n{{ $i }}: {{ include "web.double" $i | quote }}
{{- end }}
`, "values.yaml", "suffix: a\ncolor: red\nsize: 1\nbig: 12345678\n", "templates/_helpers.tpl", "{{- define \"web.double\" -}}\n{{- mul . 2 -}}\n{{- end -}}\n",
		"templates/NOTES.txt", "no: {manifest", "templates/empty.yaml", "{{ if false }}x{{ end }}\n", "crds/a.yaml", strings.Replace(configMap, "name: a", "name: crd", 1)) {
		files["charts/web/"+name] = text
	}
	files["values/prod.yaml"] = "color: green\nsize: 2\n"
	values, err := structpb.NewStruct(map[string]any{"size": 3})
	if err != nil {
		t.Fatal(err)
	}
	in := Input{FS: tree(files), Path: "charts/web", Name: "shop", Namespace: "front", Rendering: &yardarmv1.Rendering{Helm: &yardarmv1.HelmRendering{
		ValueFiles: []string{"../../values/prod.yaml"}, Values: values, KubeVersion: "1.33.7", ApiVersions: []string{"example.com/v1"}}}}
	first, out := set(t, in)
	if out.Type != yardarmv1.RenderHelm || len(out.Files) != 2 || out.Files[0].Path != "charts/web/crds/a.yaml" || out.Files[1].Path != "charts/web/templates/a.yaml" {
		t.Fatalf("rendered as %s:\n%s", out.Type, text(out))
	}
	want, err := manifest.Parse([]manifest.File{{Path: "a.yaml", Data: []byte(`apiVersion: v1
kind: ConfigMap
metadata: {name: shop-a, namespace: front}
data: {color: green, size: "3", big: "1.2345678e+07", kube: v1.33.7, apis: "true", n0: "0", n1: "2", n2: "4"}
---
` + strings.Replace(configMap, "name: a", "name: crd", 1))}}, manifest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if first.Digest() != want.Digest() {
		t.Errorf("got\n%s\nwant\n%s", first.Canonical(), want.Canonical())
	}
	for range 3 {
		if again, _ := set(t, in); again.Digest() != first.Digest() {
			t.Fatalf("the second time it is\n%s", again.Canonical())
		}
	}
	in.Rendering.Helm.SkipCrds = true
	if got, _ := set(t, in); got.Len() != 1 {
		t.Errorf("without CRDs there are %d objects", got.Len())
	}
}

// TestHelmProblems: what is wrong is said with its file and line.
func TestHelmProblems(t *testing.T) {
	const head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n"
	for name, c := range map[string]struct {
		files map[string]string
		helm  *yardarmv1.HelmRendering
		want  string // in the error
		is    error
	}{
		"syntax":           {files: chartOf(head + "  a: {{ if }}\n"), want: "templates/a.yaml:5: missing value for if"},
		"function":         {files: chartOf(head + "  a: {{ nothing }}\n"), want: `templates/a.yaml:5: function "nothing" not defined`},
		"env":              {files: chartOf(head + "  a: {{ env \"HOME\" }}\n"), want: `templates/a.yaml:5: function "env" not defined`},
		"nil":              {files: chartOf(head + "  a: {{ .Values.a.b.c }}\n"), want: "templates/a.yaml:5: nil pointer evaluating interface {}.b"},
		"required":         {files: chartOf(head + "  a: {{ required \"say a: please\" .Values.a }}\n"), want: "templates/a.yaml:5: say a: please"},
		"fail in helper":   {files: chartOf(head+"  a: {{ include \"x\" . }}\n", "templates/_x.tpl", "\n{{ define \"x\" }}\n{{ fail \"no\" }}{{ end }}"), want: "no"},
		"now":              {files: chartOf(head + "\n  a: {{ now | date \"2006\" }}\n"), want: "templates/a.yaml:6: now answers something else each time"},
		"random":           {files: chartOf(head + "  a: {{ randAlphaNum 5 }}\n"), want: "templates/a.yaml:5: randAlphaNum answers"},
		"certificate":      {files: chartOf(head + "  a: {{ (genCA \"x\" 5).Cert }}\n"), want: "templates/a.yaml:5: genCA answers"},
		"date of nothing":  {files: chartOf(head + "  a: {{ date \"2006\" \"x\" }}\n"), want: "templates/a.yaml:5: this is no date"},
		"endless include":  {files: chartOf(head+"  a: {{ include \"x\" . }}\n", "templates/_x.tpl", "{{ define \"x\" }}\n{{ include \"x\" . }}{{ end }}"), want: "templates/_x.tpl:2: "},
		"endless template": {files: chartOf(head+"  a: {{ template \"x\" . }}\n", "templates/_x.tpl", "{{ define \"x\" }}\n{{ template \"x\" . }}{{ end }}"), want: "templates/_x.tpl:2: "},
		"repeat":           {files: chartOf(head + "  a: {{ repeat 10000000000 \"x\" }}\n"), want: "templates/a.yaml:5: ", is: ErrLimit},
		"until":            {files: chartOf(head + "  a: {{ until 1000000000 }}\n"), want: "templates/a.yaml:5: ", is: ErrLimit},
		"values":           {files: chartOf(head, "values.yaml", "a: 1\nb: [\n"), want: "values.yaml:"},
		"chart":            {files: map[string]string{"Chart.yaml": "name: [", "templates/a.yaml": ""}, want: "Chart.yaml"},
		"no version":       {files: map[string]string{"Chart.yaml": "apiVersion: v2\nname: web\n"}, want: "Chart.yaml: "},
		"kube version":     {files: map[string]string{"Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\nkubeVersion: '>=1.99'\n"}, want: "Chart.yaml: kubeVersion: the chart is for Kubernetes >=1.99"},
		"library":          {files: map[string]string{"Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\ntype: library\n"}, want: "a library chart"},
		"dependency":       {files: map[string]string{"Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies: [{name: db, version: 1.0.0, repository: 'https://example.com'}]\n"}, want: "Chart.yaml: dependencies: not in the chart's charts directory: db"},
		"schema":           {files: chartOf(head, "values.schema.json", `{"properties":{"a":{"type":"string"}}}`, "values.yaml", "a: 1\n"), want: "values.yaml:1: "},
		"schema's secret":  {files: chartOf(head, "values.schema.json", `{"properties":{"a":{"pattern":"^x$"}}}`, "values.yaml", "a: hunter2\n"), want: "at '/a': it does not match pattern '^x$'"},
		"schema elsewhere": {files: chartOf(head, "values.schema.json", `{"$ref":"https://192.0.2.1/schema.json"}`, "values.yaml", "a: 1\n"), want: "192.0.2.1"},
		"schema of a file": {files: chartOf(head, "values.schema.json", `{"$ref":"file:///etc/passwd"}`, "values.yaml", "a: 1\n"), want: "values.yaml: "},
		"no file":          {files: chartOf(head), helm: &yardarmv1.HelmRendering{ValueFiles: []string{"x.yaml"}}, want: "x.yaml: is not there"},
		"file outside":     {files: chartOf(head), helm: &yardarmv1.HelmRendering{ValueFiles: []string{"../x.yaml"}}, want: "../x.yaml: a file of values leads out of the source"},
		"hook":             {files: chartOf("apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: x\n  annotations: {helm.sh/hook: post-install}\n"), want: "templates/a.yaml:5: Job x: is a hook (helm.sh/hook: post-install)"},
		"packed":           {files: map[string]string{"Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n", "charts/db.tgz": "no"}, want: "db"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &yardarmv1.Rendering{Type: yardarmv1.RenderHelm, Helm: c.helm}
			out, err := Render(t.Context(), Input{FS: tree(c.files), Name: "shop", Rendering: r})
			var problem manifest.Problem
			var problems *manifest.Problems
			if !errors.As(err, &problem) && !errors.As(err, &problems) || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("got %v, want %q\n%s", err, c.want, text(out))
			}
			t.Log(err)
		})
	}
}
