package render

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// TestLimits: a source that takes too much fails by itself, and says where.
func TestLimits(t *testing.T) {
	const head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n"
	bomb := "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 'b'; i < 'l'; i++ {
		bomb += string(i) + ": &" + string(i) + " [" + strings.TrimSuffix(strings.Repeat("*"+string(i-1)+", ", 10), ", ") + "]\n"
	}
	kustomization := "resources: [a.yaml]\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  string
		is    error
	}{
		"loop with text":      {files: chartOf(head + "  a: |\n{{ range 100000000000 }}\n    x{{ end }}\n"), want: "templates/a.yaml:6: takes ", is: ErrLimit},
		"loop without text":   {files: chartOf(head + "{{ range 100000000000 }}{{ end }}\n"), want: "templates/a.yaml:5: takes longer than 1s to render", is: ErrLimit},
		"loop of calls":       {files: chartOf(head+"  a: {{ include \"x\" . }}\n", "templates/_x.tpl", "{{ define \"x\" }}\n{{ range 100000000000 }}{{ include \"y\" . }}{{ end }}{{ end }}{{ define \"y\" }}{{ $x := repeat 1000000 \"x\" }}{{ end }}"), want: "templates/_x.tpl:2: takes longer than 1s", is: ErrLimit},
		"doubling":            {files: chartOf(head + "{{ $x := \"xxxxxxxxxxxxxxxx\" }}{{ range until 60 }}\n{{ $x = print $x $x }}{{ end }}\n"), want: "templates/a.yaml", is: ErrLimit},
		"loop in tpl":         {files: chartOf(head + "  a: {{ tpl \"{{ range 100000000000 }}x{{ end }}\" . }}\n"), want: "templates/a.yaml: takes ", is: ErrLimit},
		"output":              {files: chartOf(head + "  a: {{ repeat 9000000 \"x\" }}\n  b: {{ repeat 9000000 \"x\" }}\n"), want: "templates/a.yaml: ", is: ErrLimit},
		"aliases in values":   {files: chartOf(head, "values.yaml", bomb), want: "values.yaml: "},
		"aliases in Chart":    {files: map[string]string{"Chart.yaml": bomb}, want: "Chart.yaml: "},
		"aliases in resource": {files: map[string]string{"kustomization.yaml": kustomization, "a.yaml": bomb}, want: "a.yaml: "},
		"input":               {files: chartOf(head, "big", strings.Repeat("x", 20<<20)), want: "big: with this file, more than 16777216 bytes are read", is: ErrLimit},
		"files":               {files: chartOf(head, "many/a", "", "many/b", "", "many/c", "", "many/d", ""), want: "templates/a.yaml: with this one, more than 5 files are read", is: ErrLimit},
		"itself":              {files: map[string]string{"kustomization.yaml": "resources: [x]\n", "x/kustomization.yaml": "resources: [../../x, ..]\n"}, want: "x/kustomization.yaml: cannot take '../../x': "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most wait for a clock
			began := time.Now()
			out, err := Render(t.Context(), Input{FS: tree(c.files), Limits: Limits{Memory: 192 << 20, Time: time.Second, Bytes: 16 << 20, Files: 5}})
			var problem manifest.Problem
			if !errors.As(err, &problem) || !strings.HasPrefix(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("got %v, want %q; %d files", err, c.want, len(out.Files))
			}
			t.Logf("after %v: %v", time.Since(began).Round(time.Millisecond), err)
		})
	}
}

// stuck is a source that does not answer.
type stuck struct{ fs.FS }

func (s stuck) Open(name string) (fs.File, error) {
	if strings.HasSuffix(name, "a.yaml") {
		return nil, errors.New("the disk is gone")
	}
	return s.FS.Open(name)
}

// What the source's own file system fails with is not the source's fault.
func TestSourceFails(t *testing.T) {
	for _, files := range []map[string]string{chartOf(configMap), {"kustomization.yaml": "resources: [a.yaml]\n", "a.yaml": configMap}, {"a.yaml": configMap}} {
		_, err := Render(t.Context(), Input{FS: stuck{tree(files)}})
		var problem manifest.Problem
		if err == nil || errors.As(err, &problem) || !strings.Contains(err.Error(), "the disk is gone") {
			t.Errorf("got %v", err)
		}
	}
}

func TestKinds(t *testing.T) {
	if _, err := Render(t.Context(), Input{FS: tree(chartOf(configMap)), Rendering: &yardarmv1.Rendering{Type: yardarmv1.RenderKustomize}}); err == nil || !strings.Contains(err.Error(), "kustomization") {
		t.Errorf("a chart as a kustomization: %v", err)
	}
	if _, err := Render(t.Context(), Input{FS: tree(map[string]string{"a.yaml": configMap}), Rendering: &yardarmv1.Rendering{Type: yardarmv1.RenderHelm}}); err == nil || !strings.Contains(err.Error(), "Chart.yaml") {
		t.Errorf("manifests as a chart: %v", err)
	}
}

// Charts are bounded in how deep their directories are, and in how many files a packed one has.
func TestChartLimits(t *testing.T) {
	helm := &yardarmv1.Rendering{Type: yardarmv1.RenderHelm}
	deep := chartOf(configMap, strings.Repeat("d/", maxDepth+2)+"a.txt", "x")
	if _, err := Render(t.Context(), Input{FS: tree(deep), Rendering: helm}); !errors.Is(err, manifest.ErrTooDeep) {
		t.Errorf("directories in each other: %v", err)
	}
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	archive := tar.NewWriter(zip)
	for i := range 12 {
		name, text := fmt.Sprintf("web/%d.txt", i), "x"
		if i == 0 {
			name, text = "web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n"
		}
		if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(archive.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	in := Input{FS: tree(map[string]string{"web.tgz": packed.String()}), Path: "web.tgz", Rendering: helm, Limits: Limits{Files: 10}}
	if _, err := Render(t.Context(), in); !errors.Is(err, ErrLimit) || !strings.Contains(err.Error(), "more than 10 files") {
		t.Errorf("a packed chart of many files: %v", err)
	}
	in.Limits.Files = 12
	if _, err := Render(t.Context(), in); err != nil {
		t.Errorf("one of just as many as may be: %v", err)
	}
}
