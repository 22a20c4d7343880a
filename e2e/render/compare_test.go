// Package render compares what pkg/render makes of charts and overlays with what Helm and kubectl print for the same.
package render

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/yardarm-dev/yardarm/e2e/charts"
	"github.com/yardarm-dev/yardarm/e2e/cluster"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/pkg/render"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestMain(m *testing.M) {
	render.Child()
	os.Exit(m.Run())
}

// what runs a program and answers what it prints, as objects.
func what(t *testing.T, program string, args ...string) *manifest.Set {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, stderr.String())
	}
	set, err := manifest.Parse([]manifest.File{{Path: filepath.Base(program) + ".yaml", Data: out}}, manifest.Limits{})
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	return set
}

func ours(t *testing.T, root, path string, helm *yardarmv1.HelmRendering) *manifest.Set {
	t.Helper()
	dir, err := os.OpenRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	r := &yardarmv1.Rendering{Helm: helm}
	out, err := render.Render(t.Context(), render.Input{FS: dir.FS(), Path: path, Name: "rel", Namespace: "shop", Rendering: r})
	if err != nil {
		t.Fatal(err)
	}
	set, err := manifest.Parse(out.Files, manifest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// same fails with the first object that differs.
func same(t *testing.T, got, want *manifest.Set) {
	t.Helper()
	if got.Digest() == want.Digest() && want.Len() > 0 {
		return
	}
	g, w := bytes.Split(got.Canonical(), []byte("\n")), bytes.Split(want.Canonical(), []byte("\n"))
	for i := range max(len(g), len(w)) {
		if i >= len(g) || i >= len(w) || !bytes.Equal(g[i], w[i]) {
			t.Fatalf("%d objects, and %d are wanted; here they differ:\n%s\n%s", got.Len(), want.Len(), bytes.Join(g[min(i, len(g)):min(i+1, len(g))], nil), bytes.Join(w[min(i, len(w)):min(i+1, len(w))], nil))
		}
	}
	t.Fatal("there are no objects")
}

// TestHelm covers charts in a chart, packed and under other names, libraries, .helmignore, schemas, CRDs, files and values of all kinds, and the charts that Yardarm
// itself is installed by.
func TestHelm(t *testing.T) {
	helm, err := charts.Helm(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	template := func(t *testing.T, chart string, args ...string) *manifest.Set {
		args = append([]string{"template", "rel", chart, "--namespace", "shop", "--include-crds", "--skip-tests", "--kube-version", "1.34.0"}, args...)
		return what(t, helm, args...)
	}
	for name, c := range map[string]struct {
		args []string
		helm *yardarmv1.HelmRendering
	}{
		"as it is":  {},
		"of values": {args: []string{"-f", "testdata/values/prod.yaml"}, helm: &yardarmv1.HelmRendering{ValueFiles: []string{"../../values/prod.yaml"}}},
		"of APIs":   {args: []string{"--api-versions", "example.com/v1/Widget"}, helm: &yardarmv1.HelmRendering{ApiVersions: []string{"example.com/v1/Widget"}}},
	} {
		t.Run(name, func(t *testing.T) {
			same(t, ours(t, "testdata", "charts/shop", c.helm), template(t, "testdata/charts/shop", c.args...))
		})
	}
	t.Run("packed", func(t *testing.T) {
		dir := t.TempDir()
		if out, err := exec.CommandContext(t.Context(), helm, "package", "testdata/charts/shop", "-d", dir).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		same(t, ours(t, dir, "shop-1.2.3.tgz", nil), template(t, filepath.Join(dir, "shop-1.2.3.tgz")))
	})
	for name, args := range map[string][]string{"yardarm-hub": {"addresses: [hub.example.com]"}, "yardarm-spoke": {"cluster: edge-1", "hub: ['hub.example.com:7444']", "token: ye1x"}} {
		t.Run(name, func(t *testing.T) {
			chart, err := charts.Path(name)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(chart)); err != nil {
				t.Fatal(err)
			}
			values := filepath.Join(dir, "values.yaml")
			if err := os.WriteFile(values, []byte(strings.Join(args, "\n")+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			same(t, ours(t, dir, name, &yardarmv1.HelmRendering{ValueFiles: []string{"../values.yaml"}}), template(t, chart, "-f", values))
		})
	}
}

// TestKustomize covers bases, components, generators, patches, replacements, images, prefixes and namespaces.
func TestKustomize(t *testing.T) {
	bin, err := cluster.Binaries(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"overlays/base", "overlays/more", "overlays/prod"} {
		t.Run(path, func(t *testing.T) {
			same(t, ours(t, "testdata", path, nil), what(t, bin.Path("kubectl"), "kustomize", filepath.Join("testdata", path)))
		})
	}
}

// BenchmarkHelm renders a chart with 100 objects, the start of the process included: at most 200 ms.
func BenchmarkHelm(b *testing.B) {
	dir := b.TempDir()
	chart := filepath.Join(dir, "templates")
	if err := os.Mkdir(chart, 0o755); err != nil {
		b.Fatal(err)
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	write("Chart.yaml", "apiVersion: v2\nname: many\nversion: 1.0.0\n")
	deployment, err := os.ReadFile("testdata/charts/shop/templates/deployment.yaml")
	if err != nil {
		b.Fatal(err)
	}
	helpers, err := os.ReadFile("testdata/charts/shop/templates/_helpers.tpl")
	if err != nil {
		b.Fatal(err)
	}
	values, err := os.ReadFile("testdata/charts/shop/values.yaml")
	if err != nil {
		b.Fatal(err)
	}
	write("values.yaml", string(values))
	write("templates/_helpers.tpl", string(helpers))
	write("templates/config.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: config}\n")
	for i := range 99 {
		write(fmt.Sprintf("templates/d%d.yaml", i), strings.Replace(string(deployment), `{{ include "lib.name" . }}`, fmt.Sprintf("d%d", i), 1))
	}
	for b.Loop() {
		out, err := render.Render(context.Background(), render.Input{FS: os.DirFS(dir), Name: "rel"})
		if err != nil {
			b.Fatal(err)
		}
		set, err := manifest.Parse(out.Files, manifest.Limits{})
		if err != nil || set.Len() != 100 {
			b.Fatalf("%d objects, %v", set.Len(), err)
		}
	}
	if each := b.Elapsed() / time.Duration(b.N); each > 0 {
		b.ReportMetric(float64(each.Milliseconds()), "helm_ms")
	}
}
