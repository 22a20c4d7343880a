package render

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestKustomize(t *testing.T) {
	in := Input{Path: "overlays/prod", FS: tree(map[string]string{
		"base/kustomization.yaml":          "resources: [a.yaml, ../more]\nconfigMapGenerator:\n- name: settings\n  files: [app.conf]\n",
		"base/a.yaml":                      "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  template:\n    spec:\n      containers: [{name: web, image: web, envFrom: [{configMapRef: {name: settings}}]}]\n",
		"base/app.conf":                    "a=1\n",
		"more/kustomization.yml":           "resources: [b.json]\n",
		"more/b.json":                      `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b"}}`,
		"overlays/prod/kustomization.yaml": "namePrefix: prod-\nresources: [../../base]\npatches:\n- path: patch.yaml\nimages: [{name: web, newTag: v2}]\n",
		"overlays/prod/patch.yaml":         "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 3}\n",
	})}
	first, out := set(t, in)
	want := []string{"base/a.yaml", "base/kustomization.yaml", "more/b.json.yaml"}
	var got []string
	for _, f := range out.Files {
		got = append(got, f.Path)
	}
	if out.Type != yardarmv1.RenderKustomize || !slices.Equal(got, want) {
		t.Errorf("rendered as %s:\n%s", out.Type, text(out))
	}
	for _, part := range []string{`"name":"prod-web"`, `"replicas":3`, `"image":"web:v2"`, `"name":"prod-settings-`, `"name":"prod-b"`} {
		if !strings.Contains(string(first.Canonical()), part) {
			t.Errorf("there is no %s in\n%s", part, first.Canonical())
		}
	}
	if strings.Contains(string(first.Canonical()), "config.kubernetes.io") {
		t.Errorf("notes of origins are left:\n%s", first.Canonical())
	}
}

func TestKustomizeProblems(t *testing.T) {
	base := map[string]string{"a.yaml": configMap}
	for name, c := range map[string]struct {
		kustomization string
		more          map[string]string
		want          string
	}{
		"remote":            {kustomization: "resources:\n- a.yaml\n- https://user:secret@example.com/x?token=1\n", want: "kustomization.yaml:3: resources: https://example.com/x is elsewhere"},
		"Git":               {kustomization: "resources: ['git@example.com:a/b']\n", want: "kustomization.yaml:1: resources: "},
		"GitHub":            {kustomization: "components:\n- github.com/a/b//c?ref=v1\n", want: "kustomization.yaml:2: components: "},
		"remote patch":      {kustomization: "resources: [a.yaml]\npatches:\n- path: https://example.com/x\n", want: "kustomization.yaml:3: patches.path: "},
		"remote in base":    {kustomization: "resources: [base]\n", more: map[string]string{"base/kustomization.yaml": "resources: ['ssh://example.com/x']\n"}, want: "base/kustomization.yaml:1: resources: "},
		"chart":             {kustomization: "resources: [a.yaml]\nhelmCharts: [{name: x}]\n", want: "kustomization.yaml:2: helmCharts: charts inside of a kustomization"},
		"nothing there":     {kustomization: "resources: [b.yaml]\n", want: "b.yaml"},
		"outside":           {kustomization: "resources: [../../x.yaml]\n", want: "x.yaml"},
		"absolute":          {kustomization: "resources: [/etc/passwd]\n", want: "etc/passwd"},
		"file outside root": {kustomization: "resources: [base]\n", more: map[string]string{"base/kustomization.yaml": "configMapGenerator: [{name: x, files: [../a.yaml]}]\n"}, want: "is not in or below"},
		"YAML":              {kustomization: "resources: [b.yaml]\n", more: map[string]string{"b.yaml": "a: 1\nb: [\n"}, want: "b.yaml:2"},
		"itself broken":     {kustomization: "resources: [\n", want: "kustomization.yaml"},
		"unknown field":     {kustomization: "resource: [a.yaml]\n", want: `unknown field "resource"`},
		"exec":              {kustomization: "resources: [a.yaml]\ntransformers: [t.yaml]\n", more: map[string]string{"t.yaml": "apiVersion: x/v1\nkind: X\nmetadata:\n  name: x\n  annotations: {config.kubernetes.io/function: 'exec: {path: /bin/sh}'}\n"}, want: "plugin"},
		"hook":              {kustomization: "resources: [b.yaml]\n", more: map[string]string{"b.yaml": configMap + "---\napiVersion: batch/v1\nkind: Job\nmetadata: {name: x, annotations: {argocd.argoproj.io/hook: PreSync}}\n"}, want: "Job x: is a hook (argocd.argoproj.io/hook: PreSync)"},
	} {
		t.Run(name, func(t *testing.T) {
			files := maps.Clone(base)
			maps.Copy(files, c.more)
			files["kustomization.yaml"] = c.kustomization
			out, err := Render(t.Context(), Input{FS: tree(files)})
			var problem manifest.Problem
			if !errors.As(err, &problem) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v, want %q\n%s", err, c.want, text(out))
			}
			t.Log(err)
		})
	}
}
