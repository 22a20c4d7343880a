package archive

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/yardarm-dev/yardarm/hub/source/reach"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// maxEntries is how many files and directories an archive may hold: twice what may be rendered.
	maxEntries = 20_000
	// maxDepth is how many directories may be in each other: as many as are rendered.
	maxDepth = 32
	// maxName is the longest path in an archive, in bytes.
	maxName = 1024
)

// Unpacker writes the files of archives into a directory.
type Unpacker struct {
	root *os.Root
	// room is how many bytes may still come, of max.
	room, max int64
	entries   int
}

// Tar unpacks a tar archive, which may be packed by gzip. Of each path, the first strip directories are left out: all that a chart's archive holds is in one.
// What is wrong with the archive is a [manifest.Problem] or a [*reach.Error].
func (u *Unpacker) Tar(r io.Reader, strip int) error {
	buffered := bufio.NewReader(r)
	r = buffered
	if magic, _ := buffered.Peek(2); string(magic) == "\x1f\x8b" {
		unzipped, err := gzip.NewReader(buffered)
		if err != nil {
			return damaged(err)
		}
		r = unzipped
	}
	// What is between the files counts too: an archive may be nothing but headers.
	counted := &io.LimitedReader{R: r, N: u.max + maxEntries*1024}
	archive := tar.NewReader(counted)
	for {
		header, err := archive.Next()
		switch {
		case counted.N <= 0:
			return u.tooLarge()
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return damaged(err)
		}
		name, err := inside(header.Name, strip)
		if err != nil || name == "." {
			if err != nil {
				return err
			}
			continue
		}
		if err := u.entry(name, header, archive); err != nil {
			return err
		}
	}
}

// File writes one file that is in no archive.
func (u *Unpacker) File(name string, r io.Reader) error {
	name, err := inside(name, 0)
	if err != nil {
		return err
	}
	return u.entry(name, &tar.Header{Typeflag: tar.TypeReg}, r)
}

func (u *Unpacker) entry(name string, header *tar.Header, content io.Reader) error {
	if u.entries++; u.entries > maxEntries {
		return reach.Failed(yardarmv1.SourceTooLarge, "there are more than %d files in it", maxEntries)
	}
	switch header.Typeflag {
	case tar.TypeXGlobalHeader: // a remark, such as the commit that git archive has packed
		return nil
	case tar.TypeDir:
		return written(name, u.root.MkdirAll(name, 0o700))
	}
	if err := u.root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return written(name, err)
	}
	switch header.Typeflag {
	case tar.TypeReg:
		return u.file(name, content)
	case tar.TypeSymlink:
		// It may lead anywhere: whoever reads the tree follows none that leads out of it.
		return written(name, u.root.Symlink(header.Linkname, name))
	}
	return manifest.Problem{File: name, Message: "is no file, directory or symbolic link, and archives may hold nothing else", Err: manifest.ErrNotRegular}
}

func (u *Unpacker) file(name string, content io.Reader) error {
	file, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return written(name, err)
	}
	n, err := io.Copy(file, io.LimitReader(content, u.room+1))
	if closing := file.Close(); closing != nil {
		return fmt.Errorf("unpack %s: %w", name, closing)
	}
	if u.room -= n; u.room < 0 {
		return u.tooLarge()
	}
	var onDisk *fs.PathError
	switch {
	case errors.As(err, &onDisk):
		return fmt.Errorf("unpack %s: %w", name, onDisk.Err)
	case err != nil:
		return damaged(err)
	}
	return nil
}

func (u *Unpacker) tooLarge() error {
	return reach.Failed(yardarmv1.SourceTooLarge, "it holds more than %d bytes; split it, or raise the hub's --source-max-size", u.max)
}

// inside is where a path of an archive is in the directory.
func inside(name string, strip int) (string, error) {
	problem := func(message string) (string, error) {
		return "", manifest.Problem{File: name[:min(len(name), maxName)], Message: message, Err: fs.ErrInvalid}
	}
	switch {
	case len(name) > maxName:
		return problem(fmt.Sprintf("is a path of more than %d bytes", maxName))
	case strings.ContainsAny(name, "\\\x00"):
		return problem("is a path with characters that are not for names")
	case path.IsAbs(name):
		return problem("is an absolute path, and what an archive holds is all below its top")
	}
	parts := strings.Split(path.Clean(name), "/")
	if parts[0] == ".." {
		return problem("leads out of the archive")
	}
	if len(parts) > maxDepth {
		return problem(fmt.Sprintf("there are more than %d directories in each other", maxDepth))
	}
	return path.Clean(path.Join(parts[min(strip, len(parts)):]...)), nil
}

// written is what became of an entry. Paths that lead out by a symbolic link of the archive are refused by the directory itself.
func written(name string, err error) error {
	switch {
	case err == nil:
		return nil
	case strings.Contains(err.Error(), "path escapes"):
		return manifest.Problem{File: name, Message: "leads out of the archive by a symbolic link", Err: manifest.ErrSymlink}
	case errors.Is(err, fs.ErrExist):
		return manifest.Problem{File: name, Message: "is in the archive twice", Err: fs.ErrExist}
	}
	var onPath *fs.PathError
	if errors.As(err, &onPath) {
		err = onPath.Err
	}
	return fmt.Errorf("unpack %s: %w", name, err)
}

// damaged is what is told of an archive that cannot be read, or that did not come whole.
func damaged(err error) error {
	var known *reach.Error
	if errors.As(err, &known) {
		return known
	}
	return reach.Failed(yardarmv1.SourceUnreachable, "the archive cannot be unpacked: %w", err)
}
