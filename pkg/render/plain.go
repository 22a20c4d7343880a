package render

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// plain takes the manifests in and below a directory as they are: the files that [manifest.ReadDir] takes of one on disk. Nothing in them is evaluated, so it
// needs no process of its own.
func plain(ctx context.Context, in Input) ([]manifest.File, error) {
	p := plainReader{reader: reader{fs: in.FS, limits: in.Limits}}
	if err := p.dir(ctx, in.Path, 0); err != nil {
		return nil, err
	}
	return p.found, nil
}

type plainReader struct {
	reader
	found []manifest.File
}

func (p *plainReader) dir(ctx context.Context, dir string, depth int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if depth > maxDepth {
		return manifest.Problem{File: dir, Message: fmt.Sprintf("there are more than %d directories in each other", maxDepth), Err: manifest.ErrTooDeep}
	}
	entries, err := p.list(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name)
		switch {
		case strings.HasPrefix(e.Name, "."):
		case e.Dir && e.Link:
			// Its files would be found twice, or without end.
			return manifest.Problem{File: name, Message: "is a symbolic link to a directory, which is not followed", Err: manifest.ErrSymlink}
		case e.Dir:
			err = p.dir(ctx, name, depth+1)
		case isManifest(e.Name):
			var data []byte
			data, err = p.read(name)
			p.found = append(p.found, manifest.File{Path: name, Data: data})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func isManifest(name string) bool {
	return slices.Contains([]string{".yaml", ".yml", ".json"}, strings.ToLower(path.Ext(name)))
}
