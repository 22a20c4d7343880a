package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// repository is a Git repository with a chart, an overlay with its base, and manifests.
func repository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, ".git"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"charts/web/Chart.yaml":            "apiVersion: v2\nname: web\nversion: 1.0.0\n",
		"charts/web/values.yaml":           "color: red\n",
		"charts/web/templates/a.yaml":      "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}'}\ndata: {color: '{{ .Values.color }}', kube: '{{ .Capabilities.KubeVersion.Minor }}'}\n",
		"values/prod.yaml":                 "color: green\n",
		"base/kustomization.yaml":          "resources: [a.yaml]\n",
		"base/a.yaml":                      configMap,
		"overlays/prod/kustomization.yaml": "namePrefix: prod-\nresources: [../../base]\n",
		"hooks/a.yaml":                     configMap + "---\napiVersion: batch/v1\nkind: Job\nmetadata: {name: x, annotations: {helm.sh/hook: pre-install}}\n",
		"broken/Chart.yaml":                "apiVersion: v2\nname: web\nversion: 1.0.0\n",
		"broken/templates/a.yaml":          "apiVersion: v1\n{{ randAlphaNum 5 }}\n",
	} {
		write(t, dir, name, text)
	}
	return dir
}

func TestRender(t *testing.T) {
	dir := repository(t)
	h := serve(t, exampleFleet())
	for _, c := range []struct {
		args     string
		code     int
		out, err string // parts
	}{
		{args: "charts/web", out: "color: red\n  kube: \"34\"\n", err: "# 1 object, rendered as helm\n# digest sha256:"},
		{args: "charts/web -f values/prod.yaml --kube-version 1.33.2 --release shop", out: "color: green\n  kube: \"33\"\nkind: ConfigMap\nmetadata:\n  name: shop\n"},
		{args: "overlays/prod", out: "name: prod-a\n", err: "rendered as kustomize"},
		{args: "overlays/prod --root overlays", code: ExitError, err: "base"},
		{args: "base --plain", code: ExitError, err: "kustomization.yaml"},
		{args: "base -f values/prod.yaml", code: ExitError, err: "is no chart"},
		{args: "hooks", code: ExitError, err: "a.yaml:11: Job x: is a hook (helm.sh/hook: pre-install)"},
		{args: "hooks --hooks skip -o name", out: "ConfigMap prod/a\n", err: "warning: a.yaml:11: Job x is left out"},
		{args: "broken", code: ExitError, err: "broken/templates/a.yaml:2: randAlphaNum answers something else each time"},
		{args: "nothing", code: ExitError, err: "nothing: there is no such directory or chart"},
		{args: "charts/web --root values", code: ExitError, err: "is not in it"},
		{args: "charts/web -f ../x.yaml", code: ExitError, err: "is outside of"},
	} {
		args := []string{"render"}
		for _, arg := range strings.Fields(c.args) {
			if strings.Contains(arg, "/") || !strings.HasPrefix(arg, "-") && len(args) == 1 || arg == "overlays" || arg == "values" {
				arg = filepath.Join(dir, arg)
			}
			args = append(args, arg)
		}
		if got := h.run(t, args...); got.code != c.code || !strings.Contains(got.out, c.out) || !strings.Contains(got.err, c.err) {
			t.Errorf("render %s: exit %d\n%s%s", c.args, got.code, got.out, got.err)
		}
	}
}

// A bundle's source is rendered as the hub renders it, of its variants one.
func TestRenderAs(t *testing.T) {
	dir := repository(t)
	h := serve(t, exampleFleet())
	write(t, dir, "bundle.yaml", `apiVersion: yardarm.dev/v1
kind: Bundle
metadata: {name: shop}
spec:
  delivery: {namespace: front}
  source:
    git: {url: https://git.example.com/shop, path: charts/web}
    rendering: {helm: {kubeVersion: 1.33.2, values: {color: blue}}}
    variants:
    - {name: prod, valueFiles: [../../values/prod.yaml]}
    - {name: overlay, path: ../../overlays/prod}
`)
	write(t, dir, "none.yaml", "apiVersion: yardarm.dev/v1\nkind: Bundle\nmetadata: {name: shop}\n")
	for args, want := range map[string]struct {
		code int
		text string
	}{
		"--as bundle.yaml":                      {ExitYes, "color: blue\n  kube: \"33\"\nkind: ConfigMap\nmetadata:\n  name: shop\n"},
		"--as bundle.yaml --variant prod":       {ExitYes, "color: green\n"},
		"--as bundle.yaml --variant overlay":    {ExitError, "overlays/prod: rendering.helm: it is for charts"},
		"--as bundle.yaml --variant test":       {ExitError, "the bundle's source has prod, overlay"},
		"--as none.yaml":                        {ExitError, "no bundle with a source"},
		"--variant prod":                        {ExitError, "name its manifest with --as"},
		"--as bundle.yaml --kube-version 1.1.1": {ExitError, "only --root goes with it"},
	} {
		line := append([]string{"render", filepath.Join(dir, "charts/web")}, strings.Fields(strings.ReplaceAll(args, "--as ", "--as "+dir+"/"))...)
		if got := h.run(t, line...); got.code != want.code || !strings.Contains(got.out+got.err, want.text) {
			t.Errorf("%s: exit %d, want %d and %q\n%s%s", args, got.code, want.code, want.text, got.out, got.err)
		}
	}
}

// What is published is what was shown.
func TestPublishRendered(t *testing.T) {
	dir := repository(t)
	h := serve(t, exampleFleet())
	for path, name := range map[string]string{"charts/web": "charts/web/templates/a.yaml", "overlays/prod": "base/a.yaml"} {
		shown := h.run(t, "render", filepath.Join(dir, path), "--digest", "--release", "web")
		if path != "charts/web" {
			shown = h.run(t, "render", filepath.Join(dir, path), "--digest")
		}
		got := h.run(t, "publish", filepath.Join(dir, path), "--bundle", "web")
		if digest := strings.TrimSpace(shown.out); got.code != ExitYes || digest == "" || !strings.Contains(got.out, digest) {
			t.Errorf("%s: shown %+v, published %+v", path, shown, got)
		}
		if len(h.published) != 1 || h.published[0].Path != name {
			t.Errorf("%s: published %v", path, h.published)
		}
	}
	if got := h.run(t, "publish", filepath.Join(dir, "base"), "--bundle", "web", "--plain"); got.code != ExitError || !strings.Contains(got.err, "kustomization.yaml") {
		t.Errorf("a kustomization as it is: %+v", got)
	}
}
