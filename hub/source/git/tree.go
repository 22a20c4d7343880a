package git

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

const (
	// maxFile is the largest file that is read, in bytes: that of an artifact.
	maxFile = 64 << 20
	// maxLinks is how many symbolic links one path may lead over, as in Linux.
	maxLinks = 40
	// maxLink bounds what a link says, in bytes: Linux' own limit of a path.
	maxLink = 4096
	// maxDepth is how many directories may be in each other.
	maxDepth = 64
	// maxEntries is how many files and directories are looked at in one tree: those of large repositories many times.
	maxEntries = 500_000
)

var (
	errOutside   = errors.New("leads out of the repository")
	errSubmodule = errors.New("is of a submodule, and those are not fetched, or not listed in " + modulesFile + " (spec.source.git.submodules)")
)

// tree is a commit's tree as a file system. Symbolic links are followed within it, and never out of it. It belongs to one goroutine.
type tree struct {
	storage *filesystem.Storage
	root    plumbing.Hash
	// dirs are those that were read, and entries is how much is in them.
	dirs    map[plumbing.Hash]*object.Tree
	entries int
	// modules are its submodules by their paths, as far as they were fetched. To whoever reads them they are directories like others.
	modules map[string]*tree
}

func newTree(storage *filesystem.Storage, root plumbing.Hash) *tree {
	return &tree{storage: storage, root: root, dirs: make(map[plumbing.Hash]*object.Tree), modules: make(map[string]*tree)}
}

// node is a place in a tree.
type node struct {
	tree *tree
	// at is its path in the tree; name is what it is called.
	at, name string
	mode     filemode.FileMode
	hash     plumbing.Hash
}

func (t *tree) top() node { return node{tree: t, name: ".", mode: filemode.Dir, hash: t.root} }

func (n node) isDir() bool { return n.mode == filemode.Dir }

// entered is what a node is to whoever reads: the top of a submodule that was fetched.
func (n node) entered() node {
	m := n.tree.modules[n.at]
	if n.mode != filemode.Submodule || m == nil {
		return n
	}
	top := m.top()
	top.name = n.name
	return top
}

// Open implements [fs.FS].
func (t *tree) Open(name string) (fs.File, error) {
	n, err := t.find("open", name)
	if err != nil {
		return nil, err
	}
	if n.isDir() {
		entries, err := n.list()
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		}
		return &directory{info: info{node: n}, entries: entries}, nil
	}
	blob, err := object.GetBlob(n.tree.storage, n.hash)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	if blob.Size > maxFile {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fmt.Errorf("is larger than %d bytes", maxFile)}
	}
	reader, err := blob.Reader()
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &file{ReadCloser: reader, info: info{n, blob.Size}}, nil
}

// ReadDir implements [fs.ReadDirFS].
func (t *tree) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := t.find("readdir", name)
	if err != nil {
		return nil, err
	}
	if !n.isDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errors.New("is no directory")}
	}
	entries, err := n.list()
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	return entries, nil
}

// Stat implements [fs.StatFS]. It follows links.
func (t *tree) Stat(name string) (fs.FileInfo, error) {
	n, err := t.find("stat", name)
	if err != nil {
		return nil, err
	}
	size := int64(0)
	if !n.isDir() {
		if size, err = n.tree.storage.EncodedObjectSize(n.hash); err != nil {
			return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
		}
	}
	return info{n, size}, nil
}

// find follows a path to what it is of, over links.
func (t *tree) find(op, name string) (node, error) {
	if !fs.ValidPath(name) {
		return node{}, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	n, err := t.walk(name)
	if err != nil {
		return node{}, &fs.PathError{Op: op, Path: name, Err: err}
	}
	n.name = path.Base(name)
	return n, nil
}

func (t *tree) walk(name string) (node, error) {
	at := []node{t.top()} // the directories that lead to where one is
	rest, links := parts(name), 0
	for len(rest) > 0 {
		step := rest[0]
		rest = rest[1:]
		if step == ".." {
			if len(at) == 1 {
				return node{}, errOutside
			}
			at = at[:len(at)-1]
			continue
		}
		n, err := at[len(at)-1].child(step)
		if err != nil {
			return node{}, err
		}
		n = n.entered()
		switch n.mode {
		case filemode.Symlink:
			if links++; links > maxLinks {
				return node{}, fmt.Errorf("leads over more than %d symbolic links", maxLinks)
			}
			to, err := n.link()
			if err != nil {
				return node{}, err
			}
			rest = append(parts(to), rest...)
		case filemode.Submodule:
			return node{}, errSubmodule
		case filemode.Dir:
			if len(at) > maxDepth {
				return node{}, fmt.Errorf("is in more than %d directories", maxDepth)
			}
			at = append(at, n)
		default:
			if len(rest) > 0 {
				return node{}, fs.ErrNotExist
			}
			return n, nil
		}
	}
	return at[len(at)-1], nil
}

// parts are the steps of a path, or of what a link says.
func parts(name string) []string {
	return slices.DeleteFunc(strings.Split(name, "/"), func(s string) bool { return s == "" || s == "." })
}

// child is an entry of a directory, as Git has it.
func (n node) child(name string) (node, error) {
	entries, err := n.tree.dir(n.hash)
	if err != nil {
		return node{}, err
	}
	entry, err := entries.FindEntry(name)
	if err != nil {
		return node{}, fs.ErrNotExist
	}
	return n.with(entry), nil
}

func (n node) with(entry *object.TreeEntry) node {
	return node{tree: n.tree, at: path.Join(n.at, entry.Name), name: entry.Name, mode: entry.Mode, hash: entry.Hash}
}

// dir reads a directory, once.
func (t *tree) dir(hash plumbing.Hash) (*object.Tree, error) {
	if known := t.dirs[hash]; known != nil {
		return known, nil
	}
	read, err := object.GetTree(t.storage, hash)
	if err != nil {
		return nil, err
	}
	if t.entries += len(read.Entries); t.entries > maxEntries {
		return nil, fmt.Errorf("the repository has more than %d files", maxEntries)
	}
	t.dirs[hash] = read
	return read, nil
}

// link reads what a symbolic link says.
func (n node) link() (string, error) {
	blob, err := object.GetBlob(n.tree.storage, n.hash)
	if err != nil {
		return "", err
	}
	if blob.Size > maxLink {
		return "", fmt.Errorf("is a symbolic link of more than %d bytes", maxLink)
	}
	reader, err := blob.Reader()
	if err != nil {
		return "", err
	}
	defer reader.Close()
	to, err := io.ReadAll(reader)
	if err != nil {
		return "", err
	}
	if path.IsAbs(string(to)) {
		return "", errOutside
	}
	return string(bytes.TrimRight(to, "\n")), nil
}

// list answers what is in a directory, by name. Submodules that were not fetched are left out.
func (n node) list() ([]fs.DirEntry, error) {
	read, err := n.tree.dir(n.hash)
	if err != nil {
		return nil, err
	}
	var out []fs.DirEntry
	for _, entry := range read.Entries {
		child := n.with(&entry).entered()
		if child.mode == filemode.Submodule || strings.Contains(entry.Name, "/") || entry.Name == "." || entry.Name == ".." {
			continue
		}
		out = append(out, dirEntry{child})
	}
	slices.SortFunc(out, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return out, nil
}

// dirEntry is one of a directory. As of an entry of a disk, that of a link is about the link.
type dirEntry struct{ node }

func (e dirEntry) Name() string      { return e.name }
func (e dirEntry) IsDir() bool       { return e.isDir() }
func (e dirEntry) Type() fs.FileMode { return info{node: e.node}.Mode().Type() }

func (e dirEntry) Info() (fs.FileInfo, error) {
	if e.isDir() {
		return info{node: e.node}, nil
	}
	size, err := e.tree.storage.EncodedObjectSize(e.hash)
	return info{e.node, size}, err
}

// info describes a node. Git keeps no times.
type info struct {
	node
	size int64
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.isDir() }
func (i info) Sys() any           { return nil }

func (i info) Mode() fs.FileMode {
	switch i.mode {
	case filemode.Dir:
		return fs.ModeDir | 0o555
	case filemode.Symlink:
		return fs.ModeSymlink | 0o777
	case filemode.Executable:
		return 0o555
	}
	return 0o444
}

type file struct {
	io.ReadCloser
	info info
}

func (f *file) Stat() (fs.FileInfo, error) { return f.info, nil }

type directory struct {
	info    info
	entries []fs.DirEntry
}

func (d *directory) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *directory) Close() error               { return nil }

func (d *directory) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.info.name, Err: errors.New("is a directory")}
}

// ReadDir implements [fs.ReadDirFile].
func (d *directory) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		out := d.entries
		d.entries = nil
		return out, nil
	}
	if len(d.entries) == 0 {
		return nil, io.EOF
	}
	out := d.entries[:min(n, len(d.entries))]
	d.entries = d.entries[len(out):]
	return out, nil
}
