package manifest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// Errors of ReadDir.
var (
	// ErrSymlink refuses symbolic links that leave the directory, or that lead to directories: their files would be found twice, or
	// without end.
	ErrSymlink = errors.New("symbolic link is not followed")
	// ErrNotRegular refuses devices, pipes and sockets.
	ErrNotRegular = errors.New("not a regular file")
)

// ReadDir reads the manifest files in and below the directory root: those that end in .yaml, .yml or .json and, like the directories above
// them, do not begin with a dot. Paths are relative to root, with slashes, and ascending.
//
// Symbolic links to files inside root are followed (a mounted ConfigMap consists of them), all others are refused with [ErrSymlink].
// Nothing outside of root can be read, even if the tree changes meanwhile. limits.Files, DirDepth and Bytes apply.
func ReadDir(root string, limits Limits) ([]File, error) {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return nil, fmt.Errorf("read manifests: %w", err)
	}
	defer dir.Close()
	r := &dirReader{root: dir, limits: limits.withDefaults()}
	if err := r.read(".", 0); err != nil {
		return nil, fmt.Errorf("read manifests: %w", err)
	}
	slices.SortFunc(r.files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return r.files, nil
}

type dirReader struct {
	root   *os.Root
	limits Limits
	files  []File
	size   int
}

func (r *dirReader) read(dir string, depth int) error {
	if depth > r.limits.DirDepth {
		return fmt.Errorf("%s: %w: more than %d directories", dir, ErrTooDeep, r.limits.DirDepth)
	}
	entries, err := fs.ReadDir(r.root.FS(), dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := path.Join(dir, entry.Name())
		if strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		if entry.IsDir() {
			err = r.read(name, depth+1)
		} else if entry.Type()&fs.ModeSymlink != 0 || hasManifestSuffix(name) {
			err = r.readFile(name, entry.Type()&fs.ModeSymlink != 0)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *dirReader) readFile(name string, link bool) error {
	info, err := r.root.Stat(name)
	switch {
	case err != nil && link:
		return fmt.Errorf("%s: %w: it is broken or leads out of the directory", name, ErrSymlink)
	case err != nil:
		return err
	case link && info.IsDir():
		return fmt.Errorf("%s: %w: it leads to a directory", name, ErrSymlink)
	case !hasManifestSuffix(name):
		return nil
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s: %w", name, ErrNotRegular)
	case len(r.files) >= r.limits.Files:
		return tooManyFiles(r.limits)
	}
	file, err := r.root.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	room := r.limits.Bytes - r.size
	// One byte more than there is room for, to tell a file that just fits from one that does not.
	data, err := io.ReadAll(io.LimitReader(file, int64(room)+1))
	if err != nil {
		return err
	}
	if len(data) > room {
		return Problem{File: name, Message: fmt.Sprintf("with this file, the manifests are larger than %d bytes", r.limits.Bytes), Err: ErrArtifactTooLarge}
	}
	r.size += len(data)
	r.files = append(r.files, File{Path: name, Data: data})
	return nil
}

func hasManifestSuffix(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}
