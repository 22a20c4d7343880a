package render

import (
	"errors"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// ErrElsewhere is in errors of kustomizations that refer to what is not in the source.
var ErrElsewhere = errors.New("it is elsewhere")

// Elsewhere is the problem of a kustomization that refers to what is not in the source: whoever may fetch it renders again, with a Base of it.
type Elsewhere struct {
	manifest.Problem
	// Ref is the reference as it is written. It may hold secrets, which Address does not.
	Ref, Address string
}

func (e *Elsewhere) Unwrap() error { return e.Problem }

// Base is a directory that is not in the source, and that kustomizations may refer to all the same.
type Base struct {
	// Name is what it is called in the paths of its files; characters that are not for names are replaced.
	Name string
	// FS is all of it, as that of an Input, and Dir the directory in it that is meant.
	FS  fs.FS
	Dir string
}

// elsewhere is the directory that bases are seen in.
const elsewhere = ".elsewhere"

var noName = regexp.MustCompile(`[^A-Za-z0-9._@-]+`)

// top is where a base is seen in the source.
func (b Base) top() string {
	// Kustomize would take what ends in .git for a repository.
	name := strings.ReplaceAll(noName.ReplaceAllString(b.Name, "-"), ".git", "-git")
	return path.Join(elsewhere, "base-"+name)
}

// mounted is a source with its bases.
type mounted struct {
	fs.FS
	bases []Base
}

// withBases is the source as it is read.
func (in Input) withBases() fs.FS {
	if len(in.Bases) == 0 {
		return in.FS
	}
	m := mounted{FS: in.FS}
	for _, b := range in.Bases {
		m.bases = append(m.bases, b)
	}
	return m
}

// places are where the references lead, as the process that renders sees them, and the tops of the bases.
func (in Input) places() (refs map[string]string, tops []string) {
	refs = make(map[string]string, len(in.Bases))
	for ref, b := range in.Bases {
		refs[ref] = path.Join(b.top(), b.Dir)
		tops = append(tops, b.top())
	}
	return refs, tops
}

// in is the file system that a path leads into, and the path there.
func (m mounted) in(name string) (fs.FS, string) {
	for _, b := range m.bases {
		if inside, ok := strings.CutPrefix(name+"/", b.top()+"/"); ok {
			return b.FS, path.Join(".", inside)
		}
	}
	return m.FS, name
}

func (m mounted) Open(name string) (fs.File, error) {
	tree, inside := m.in(name)
	return tree.Open(inside)
}

func (m mounted) Stat(name string) (fs.FileInfo, error) {
	tree, inside := m.in(name)
	return fs.Stat(tree, inside)
}

func (m mounted) ReadDir(name string) ([]fs.DirEntry, error) {
	tree, inside := m.in(name)
	return fs.ReadDir(tree, inside)
}
