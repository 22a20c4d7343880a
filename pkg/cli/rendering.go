package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/pkg/render"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// renderFlags say how a directory becomes objects; commands that take a directory share them.
type renderFlags struct {
	plain    bool
	root     string
	hooks    string
	helm     yardarmv1.HelmRendering
	valueFor []string
	// as is how a bundle says that its source is rendered, in place of all of the above but root; nil for none.
	as *render.Input
}

func (f *renderFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.plain, "plain", false, "take the manifests as they are, also where there is a kustomization.yaml or a Chart.yaml")
	flags.StringVar(&f.root, "root", "", "nothing outside of this directory is read (default: that of the Git repository, or else DIR)")
	flags.StringVar(&f.hooks, "hooks", yardarmv1.HooksRefuse, "what becomes of Helm and Argo CD hooks: refuse or skip")
	flags.StringArrayVarP(&f.valueFor, "values", "f", nil, "file of values for a chart; the last one counts")
	flags.StringVar(&f.helm.ReleaseName, "release", "", "name of the release that a chart sees; by default the bundle's, or else the directory's")
	flags.StringVar(&f.helm.Namespace, "release-namespace", "", "namespace that a chart sees (default \"default\")")
	flags.StringVar(&f.helm.KubeVersion, "kube-version", "", "Kubernetes that a chart sees (default 1.34.0)")
	flags.StringSliceVar(&f.helm.ApiVersions, "api-versions", nil, "API versions that a chart sees beyond those of Kubernetes itself, separated by commas")
	flags.BoolVar(&f.helm.SkipCrds, "skip-crds", false, "leave out what is in a chart's crds directories")
	complete(cmd, "hooks", words(yardarmv1.HooksRefuse, yardarmv1.HooksSkip))
}

// charts says whether any flag is for charts alone.
func (f *renderFlags) charts() bool {
	h := &f.helm
	return len(f.valueFor)+len(h.ApiVersions) > 0 || h.ReleaseName+h.Namespace+h.KubeVersion != "" || h.SkipCrds
}

// errNothing is what a directory has that nothing comes out of.
var errNothing = errors.New("there is no")

// rendered makes objects of a directory or a chart's archive, and says what there is to say of them. Name is that of the bundle.
func (a *app) rendered(ctx context.Context, dir, name string, f *renderFlags) (render.Output, *manifest.Set, error) {
	out, err := renderDir(ctx, dir, name, f)
	if err != nil {
		return render.Output{}, nil, err
	}
	for _, warning := range out.Warnings {
		a.warn("%s", warning)
	}
	set, err := manifest.Parse(out.Files, manifest.Limits{})
	switch {
	case err != nil && out.Type != yardarmv1.RenderPlain:
		return render.Output{}, nil, fmt.Errorf("%w\nlines are those of what was rendered", err)
	case err != nil:
		return render.Output{}, nil, err
	case len(out.Files) == 0 && out.Type == yardarmv1.RenderPlain:
		return render.Output{}, nil, fmt.Errorf("%w .yaml, .yml or .json file in %s", errNothing, dir)
	case len(out.Files) == 0:
		return render.Output{}, nil, fmt.Errorf("%w object in %s, rendered as %s", errNothing, dir, out.Type)
	}
	return out, set, nil
}

func renderDir(ctx context.Context, dir, name string, f *renderFlags) (render.Output, error) {
	at, err := filepath.Abs(dir)
	if err != nil {
		return render.Output{}, err
	}
	if f.as != nil {
		return f.render(ctx, dir, at, repositoryOf(at), *f.as)
	}
	kind := yardarmv1.RenderPlain
	if !f.plain {
		if kind, err = render.Detect(os.DirFS(filepath.Dir(at)), filepath.Base(at)); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return render.Output{}, fmt.Errorf("%s: there is no such directory or chart", dir)
			}
			return render.Output{}, fmt.Errorf("render %s: %w", dir, err)
		}
	}
	rendering := &yardarmv1.Rendering{Type: kind, Hooks: f.hooks}
	switch {
	case kind == yardarmv1.RenderHelm:
		rendering.Helm = &f.helm
	case f.charts():
		return render.Output{}, usage("%s is no chart, but rendered as %s, and flags for charts are given", dir, kind)
	}
	top := at // files of plain manifests are named as they always were
	if kind != yardarmv1.RenderPlain {
		top = repositoryOf(at)
	}
	if name == "" {
		name = filepath.Base(at)
	}
	return f.render(ctx, dir, at, top, render.Input{Rendering: rendering, Name: name})
}

// render renders dir, which is at a path, as the input says. Nothing is read outside of top, where no other root was named.
func (f *renderFlags) render(ctx context.Context, dir, at, top string, in render.Input) (render.Output, error) {
	top, err := filepath.Abs(cmp.Or(f.root, top))
	if err != nil {
		return render.Output{}, err
	}
	inside, err := filepath.Rel(top, at)
	if err != nil || !filepath.IsLocal(inside) {
		return render.Output{}, usage("--root %s: %s is not in it", f.root, dir)
	}
	f.helm.ValueFiles = nil
	for _, file := range f.valueFor {
		ref, err := valueFile(at, top, file)
		if err != nil {
			return render.Output{}, err
		}
		f.helm.ValueFiles = append(f.helm.ValueFiles, ref)
	}
	root, err := os.OpenRoot(top)
	if err != nil {
		return render.Output{}, err
	}
	defer root.Close()
	in.FS, in.Path = root.FS(), filepath.ToSlash(inside)
	return render.Render(ctx, in)
}

// valueFile is a file of the command line as a Rendering names it: by the way from the chart.
func valueFile(at, top, file string) (string, error) {
	abs, err := filepath.Abs(file)
	if err != nil {
		return "", err
	}
	if inside, err := filepath.Rel(top, abs); err != nil || !filepath.IsLocal(inside) {
		return "", usage("--values %s: it is outside of %s; --root names a directory that both are in", file, top)
	}
	from := at
	if info, err := os.Stat(at); err == nil && !info.IsDir() {
		from = filepath.Dir(at)
	}
	ref, err := filepath.Rel(from, abs)
	return filepath.ToSlash(ref), err
}

// repositoryOf is the directory of the Git repository that a path is in; the directory itself where it is in none.
func repositoryOf(at string) string {
	for dir := at; ; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return dir
		} else if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrInvalid) || dir == filepath.Dir(dir) {
			break
		}
	}
	if info, err := os.Stat(at); err == nil && !info.IsDir() {
		return filepath.Dir(at)
	}
	return at
}
