package render

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// tree is a source of files by their paths.
func tree(files map[string]string) fs.FS {
	m := fstest.MapFS{}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

const configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"

// set renders, and parses what comes out.
func set(t *testing.T, in Input) (*manifest.Set, Output) {
	t.Helper()
	out, err := Render(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := manifest.Parse(out.Files, manifest.Limits{})
	if err != nil {
		t.Fatalf("%v\n%s", err, text(out))
	}
	return parsed, out
}

func text(out Output) string {
	var b strings.Builder
	for _, f := range out.Files {
		b.WriteString("# " + f.Path + "\n" + string(f.Data))
	}
	return b.String()
}

func TestDetect(t *testing.T) {
	for name, c := range map[string]struct {
		files []string
		path  string
		want  string // a type, or what the error says
	}{
		"plain":         {files: []string{"a.yaml"}, want: "plain"},
		"kustomization": {files: []string{"kustomization.yaml", "a.yaml"}, want: "kustomize"},
		"yml":           {files: []string{"kustomization.yml"}, want: "kustomize"},
		"old name":      {files: []string{"x/Kustomization"}, path: "x", want: "kustomize"},
		"chart":         {files: []string{"charts/web/Chart.yaml", "kustomization.yaml"}, path: "charts/web", want: "helm"},
		"packed":        {files: []string{"web-1.0.0.tgz"}, path: "web-1.0.0.tgz", want: "helm"},
		"both":          {files: []string{"Chart.yaml", "kustomization.yaml"}, want: "kustomization.yaml: there is a Chart.yaml beside it"},
		"below":         {files: []string{"base/kustomization.yaml"}, want: "plain"},
		"a directory":   {files: []string{"Chart.yaml/x.yaml"}, want: "plain"},
		"a file":        {files: []string{"a.yaml"}, path: "a.yaml", want: "a.yaml: is a file"},
		"nothing there": {files: []string{"a.yaml"}, path: "b", want: "b: is not there"},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{}
			for _, f := range c.files {
				files[f] = configMap
			}
			in := Input{FS: tree(files), Path: c.path}
			err := in.settle()
			if got := in.Rendering.GetType(); err == nil && got != c.want || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

// A directory that is plain is what it was before there was anything to render.
func TestPlainIsReadDir(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"b.yaml": configMap, "x/c.YML": strings.Replace(configMap, "name: a", "name: c", 1), "x/d.json": `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"d"}}`,
		".git/a.yaml": "no", "x/.hidden.yaml": "no", "README.md": "no"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("b.yaml", filepath.Join(dir, "link.txt")); err != nil {
		t.Fatal(err)
	}
	files, err := manifest.ReadDir(dir, manifest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want, err := manifest.Parse(files, manifest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	got, out := set(t, Input{FS: open(t, dir)})
	if got.Digest() != want.Digest() || out.Type != yardarmv1.RenderPlain || len(out.Files) != len(files) {
		t.Errorf("rendered as %s:\n%s", out.Type, text(out))
	}
}

// open is a directory as the command line sees it.
func open(t *testing.T, dir string) fs.FS {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root.FS()
}

// TestContained: nothing outside of the source is read, whatever leads there.
func TestContained(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "secret.yaml"), []byte(configMap), 0o644); err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(dir, "source")
	for name, target := range map[string]string{"up/a.yaml": "../../secret.yaml", "abs/a.yaml": filepath.Join(dir, "secret.yaml"), "dir/up": "../..", "loop/a.yaml": "a.yaml", "inside/again": "../x"} {
		if err := os.MkdirAll(filepath.Join(source, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(source, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(source, "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{"up": manifest.ErrSymlink, "abs": manifest.ErrSymlink, "dir": manifest.ErrSymlink, "loop": manifest.ErrSymlink, "inside": manifest.ErrSymlink,
		"..": nil, "../source": nil, "x/../..": nil, "/x": nil, dir: nil} {
		_, err := Render(t.Context(), Input{FS: open(t, source), Path: path})
		var problem manifest.Problem
		if !errors.As(err, &problem) || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: got %v", path, err)
		}
		if err != nil && strings.Contains(strings.TrimPrefix(err.Error(), problem.File), dir) {
			t.Errorf("%s: the error tells where the source is: %v", path, err)
		}
	}
}

func TestPlainLimits(t *testing.T) {
	deep := strings.Repeat("d/", maxDepth+2)
	files := map[string]string{"files/a.yaml": configMap, "files/b.yaml": configMap, "bytes/a.yaml": configMap + strings.Repeat("#", 2000), deep + "a.yaml": configMap}
	for path, want := range map[string]error{"files": ErrLimit, "bytes": ErrLimit, "d": manifest.ErrTooDeep} {
		if _, err := Render(t.Context(), Input{FS: tree(files), Path: path, Limits: Limits{Files: 1, Bytes: 1000}}); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", path, err, want)
		}
	}
}

func TestCheck(t *testing.T) {
	helm := func(h *yardarmv1.HelmRendering) *yardarmv1.Rendering { return &yardarmv1.Rendering{Helm: h} }
	for want, r := range map[string]*yardarmv1.Rendering{
		"":                   helm(&yardarmv1.HelmRendering{ReleaseName: "web.a-1", Namespace: "web", KubeVersion: "v1.34.2-gke.1", ApiVersions: []string{"v1", "apps/v1", "a.b/v1/Kind"}, ValueFiles: []string{"../x.yaml"}}),
		"type":               {Type: "jsonnet"},
		"hooks":              {Hooks: "run"},
		"helm:":              {Type: "plain", Helm: &yardarmv1.HelmRendering{}},
		"helm.releaseName":   helm(&yardarmv1.HelmRendering{ReleaseName: strings.Repeat("a", 54)}),
		"helm.namespace":     helm(&yardarmv1.HelmRendering{Namespace: "a.b"}),
		"helm.kubeVersion":   helm(&yardarmv1.HelmRendering{KubeVersion: "latest"}),
		"helm.valueFiles":    helm(&yardarmv1.HelmRendering{ValueFiles: make([]string, 33)}),
		"helm.valueFiles[0]": helm(&yardarmv1.HelmRendering{ValueFiles: []string{"/etc/passwd"}}),
		"helm.apiVersions[":  helm(&yardarmv1.HelmRendering{ApiVersions: []string{"a b"}}),
	} {
		if err := Check(r); (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
