package render

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// chartFile makes a directory a chart, and one of kustomizationFiles a kustomization.
const chartFile = "Chart.yaml"

var kustomizationFiles = []string{"kustomization.yaml", "kustomization.yml", "Kustomization"}

// Detect says what a directory is, by the file that makes it so: one of the yardarmv1.Render words.
func Detect(tree fs.FS, dir string) (string, error) {
	info, err := fs.Stat(tree, dir)
	switch {
	case err != nil:
		return "", unread(dir, err)
	case !info.IsDir() && isArchive(dir):
		return yardarmv1.RenderHelm, nil
	case !info.IsDir():
		return "", manifest.Problem{File: dir, Message: "is a file; name the directory that it is in"}
	}
	chart := isFile(tree, path.Join(dir, chartFile))
	for _, name := range kustomizationFiles {
		switch kustomization := isFile(tree, path.Join(dir, name)); {
		case kustomization && chart:
			return "", manifest.Problem{File: path.Join(dir, name), Message: "there is a " + chartFile + " beside it; say by its type which of them is meant"}
		case kustomization:
			return yardarmv1.RenderKustomize, nil
		}
	}
	if chart {
		return yardarmv1.RenderHelm, nil
	}
	return yardarmv1.RenderPlain, nil
}

func isFile(tree fs.FS, name string) bool {
	info, err := fs.Stat(tree, name)
	return err == nil && info.Mode().IsRegular()
}

// isArchive says whether a name is that of a chart that is packed.
func isArchive(name string) bool {
	return strings.HasSuffix(name, ".tgz") || strings.HasSuffix(name, ".tar.gz")
}

// within is the path in the source that a file's reference means, seen from dir.
func within(dir, ref string) (string, error) {
	if path.IsAbs(ref) {
		return "", errors.New("is absolute; say where it is from the directory that is rendered")
	}
	name := path.Join(dir, ref)
	if !fs.ValidPath(name) {
		return "", errors.New("leads out of the source")
	}
	return name, nil
}

// unread is the problem of a file that cannot be read, without what the machine calls it.
func unread(name string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return manifest.Problem{File: name, Message: "is not there", Err: fs.ErrNotExist}
	case errors.Is(err, fs.ErrInvalid):
		return manifest.Problem{File: name, Message: "is no path in the source", Err: fs.ErrInvalid}
	case strings.Contains(err.Error(), "path escapes"):
		return manifest.Problem{File: name, Message: "is a symbolic link that leads out of the source", Err: manifest.ErrSymlink}
	}
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return fmt.Errorf("read %s: %w", name, err)
}
