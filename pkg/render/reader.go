package render

import (
	"fmt"
	"io"
	"io/fs"
	"path"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// reader reads from a source within limits. It belongs to one goroutine.
type reader struct {
	fs     fs.FS
	limits Limits
	files  int
	bytes  int
}

// entry is one of a directory.
type entry struct {
	Name string
	// Dir and Regular say what it is, or what a symbolic link leads to.
	Dir, Regular, Link bool
}

// read answers a file's content.
func (r *reader) read(name string) ([]byte, error) {
	info, err := fs.Stat(r.fs, name)
	if err != nil {
		return nil, unread(name, err)
	}
	if !info.Mode().IsRegular() {
		return nil, manifest.Problem{File: name, Message: "is no file", Err: manifest.ErrNotRegular}
	}
	if r.files++; r.files > r.limits.Files {
		return nil, manifest.Problem{File: name, Message: fmt.Sprintf("with this one, more than %d files are read", r.limits.Files), Err: ErrLimit}
	}
	file, err := r.fs.Open(name)
	if err != nil {
		return nil, unread(name, err)
	}
	defer file.Close()
	room := r.limits.Bytes - r.bytes
	// One byte more than there is room for, to tell a file that just fits from one that does not.
	data, err := io.ReadAll(io.LimitReader(file, int64(room)+1))
	if err != nil {
		return nil, unread(name, err)
	}
	if len(data) > room {
		return nil, manifest.Problem{File: name, Message: fmt.Sprintf("with this file, more than %d bytes are read", r.limits.Bytes), Err: ErrLimit}
	}
	r.bytes += len(data)
	return data, nil
}

// list answers what is in a directory, in order. What a symbolic link leads to is seen as if it were there.
func (r *reader) list(dir string) ([]entry, error) {
	found, err := fs.ReadDir(r.fs, dir)
	if err != nil {
		return nil, unread(dir, err)
	}
	if len(found) > r.limits.Files {
		return nil, manifest.Problem{File: dir, Message: fmt.Sprintf("there are more than %d files in it", r.limits.Files), Err: ErrLimit}
	}
	entries := make([]entry, 0, len(found))
	for _, f := range found {
		e := entry{Name: f.Name(), Dir: f.IsDir(), Regular: f.Type().IsRegular(), Link: f.Type()&fs.ModeSymlink != 0}
		if e.Link {
			name := path.Join(dir, e.Name)
			info, err := fs.Stat(r.fs, name)
			if err != nil {
				return nil, manifest.Problem{File: name, Message: "is a symbolic link that is broken or leads out of the source", Err: manifest.ErrSymlink}
			}
			e.Dir, e.Regular = info.IsDir(), info.Mode().IsRegular()
		}
		entries = append(entries, e)
	}
	return entries, nil
}
