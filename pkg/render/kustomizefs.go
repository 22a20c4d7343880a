package render

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// kustomizeFS is the source as Kustomize sees it: a file system whose top is the source's. Symbolic links are what they lead to.
type kustomizeFS struct {
	source *remote
	top    string // the directory that is built
	// bases are where references lead to what is not in the source.
	bases map[string]string
	// keepOrigins: the kustomization itself asks for notes of where objects come from.
	keepOrigins bool
	// refused is what a kustomization says that is not done here.
	refused error
}

var _ filesys.FileSystem = (*kustomizeFS)(nil)

// name is a path in the source.
func (k *kustomizeFS) name(p string) (string, error) {
	return within(".", strings.TrimPrefix(path.Clean("/"+p), "/"))
}

func (k *kustomizeFS) stat(p string) (string, entry, bool) {
	name, err := k.name(p)
	if err != nil {
		return "", entry{}, false
	}
	e, ok := k.source.stat(name)
	return name, e, ok
}

func (k *kustomizeFS) ReadFile(p string) ([]byte, error) {
	name, err := k.name(p)
	if err != nil {
		return nil, err
	}
	if _, e, ok := k.stat(p); ok && e.Dir {
		return nil, &fs.PathError{Op: "read", Path: p, Err: errors.New("is a directory")}
	} else if !ok {
		return nil, &fs.PathError{Op: "open", Path: p, Err: fs.ErrNotExist}
	}
	data, err := k.source.read(name)
	if err != nil || !isKustomization(name) {
		return data, err
	}
	top := path.Dir(name) == k.top
	k.keepOrigins = k.keepOrigins || top && bytes.Contains(data, []byte(originAnnotations))
	data, err = kustomization(name, data, top, k.bases)
	if err != nil && k.refused == nil {
		k.refused = err
	}
	return data, err
}

func (k *kustomizeFS) IsDir(p string) bool {
	_, e, ok := k.stat(p)
	return ok && e.Dir
}

func (k *kustomizeFS) Exists(p string) bool {
	_, _, ok := k.stat(p)
	return ok
}

func (k *kustomizeFS) ReadDir(p string) ([]string, error) {
	name, err := k.name(p)
	if err != nil {
		return nil, err
	}
	entries, err := k.source.list(name)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name
	}
	return names, err
}

func (k *kustomizeFS) CleanedAbs(p string) (filesys.ConfirmedDir, string, error) {
	name, e, ok := k.stat(p)
	switch {
	case !ok:
		return "", "", &fs.PathError{Op: "open", Path: p, Err: fs.ErrNotExist}
	case e.Dir:
		return filesys.ConfirmedDir(path.Join("/", name)), "", nil
	}
	return filesys.ConfirmedDir(path.Join("/", path.Dir(name))), path.Base(name), nil
}

func (k *kustomizeFS) Glob(pattern string) ([]string, error) {
	dir, err := k.name(path.Dir(pattern))
	if err != nil || !k.IsDir(path.Dir(pattern)) {
		return nil, err
	}
	var found []string
	entries, err := k.source.list(dir)
	for _, e := range entries {
		ok, badPattern := path.Match(path.Base(pattern), e.Name)
		if badPattern != nil {
			return nil, badPattern
		}
		if ok {
			found = append(found, path.Join(path.Dir(pattern), e.Name))
		}
	}
	return found, err
}

func (k *kustomizeFS) Open(p string) (filesys.File, error) {
	data, err := k.ReadFile(p)
	if err != nil {
		return nil, err
	}
	return &openFile{Reader: bytes.NewReader(data), name: path.Base(p)}, nil
}

func (k *kustomizeFS) Walk(p string, visit filepath.WalkFunc) error {
	name, e, ok := k.stat(p)
	if !ok {
		return visit(p, nil, fs.ErrNotExist)
	}
	if err := visit(p, info{name: path.Base(name), dir: e.Dir}, nil); err != nil || !e.Dir {
		return err
	}
	return k.source.walk(name, 0, func(name string, e entry) (bool, error) {
		err := visit("/"+name, info{name: e.Name, dir: e.Dir}, nil)
		if errors.Is(err, filepath.SkipDir) && e.Dir {
			return false, nil
		}
		return true, err
	})
}

func (k *kustomizeFS) Create(string) (filesys.File, error) { return nil, errReadOnly }
func (k *kustomizeFS) Mkdir(string) error                  { return errReadOnly }
func (k *kustomizeFS) MkdirAll(string) error               { return errReadOnly }
func (k *kustomizeFS) RemoveAll(string) error              { return errReadOnly }
func (k *kustomizeFS) WriteFile(string, []byte) error      { return errReadOnly }

// openFile is a file that is read from memory.
type openFile struct {
	*bytes.Reader
	name string
}

var _ io.Reader = (*openFile)(nil)

func (f *openFile) Close() error               { return nil }
func (f *openFile) Write([]byte) (int, error)  { return 0, errReadOnly }
func (f *openFile) Stat() (os.FileInfo, error) { return info{name: f.name, size: f.Size()}, nil }

// info is what is known of a file without reading it.
type info struct {
	name string
	dir  bool
	size int64
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.dir }
func (i info) Sys() any           { return nil }
func (i info) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o755
	}
	return 0o644
}
