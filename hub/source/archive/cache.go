package archive

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// defaultMaxSize is how much one archive may hold, unpacked, in bytes.
const defaultMaxSize = 256 << 20

// Found is what has become of one wish for a chart or an artifact.
type Found struct {
	// Ref is the version or the tag that it was found by, empty where it was named by its digest.
	Ref string
	// Digest is "sha256:" and 64 hexadecimal digits; empty where nothing was found.
	Digest string
	// Tree is what it holds, for as long as its cache is not asked again; nil where it was known, or Err is not nil.
	Tree fs.FS
	Err  error
}

// Cache keeps trees by their digests, in a directory of its own, which is made when there is something to keep. It is for one caller at a time.
type Cache struct {
	Dir string
	// MaxSize is how much one archive may hold, in bytes. Default 256 MiB.
	MaxSize int64
}

// Open is the tree of a digest, if it is kept.
func (c *Cache) Open(digest string) (fs.FS, bool) {
	dir := filepath.Join(c.Dir, name(digest))
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, false
	}
	return tree(dir), true
}

// Add has fill write the tree of a digest, and keeps it if that answers no error.
func (c *Cache) Add(digest string, fill func(*Unpacker) error) (fs.FS, error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the cache of a source: %w", err)
	}
	dir, err := os.MkdirTemp(c.Dir, ".new-")
	if err != nil {
		return nil, fmt.Errorf("unpack into the cache of a source: %w", err)
	}
	defer os.RemoveAll(dir)
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("unpack into the cache of a source: %w", err)
	}
	u := &Unpacker{root: root, room: c.Limit(), max: c.Limit()}
	if err := errors.Join(fill(u), root.Close()); err != nil {
		return nil, err
	}
	whole := filepath.Join(c.Dir, name(digest))
	if err := os.RemoveAll(whole); err != nil {
		return nil, fmt.Errorf("unpack into the cache of a source: %w", err)
	}
	if err := os.Rename(dir, whole); err != nil {
		return nil, fmt.Errorf("unpack into the cache of a source: %w", err)
	}
	return tree(whole), nil
}

// Keep removes the trees of all other digests.
func (c *Cache) Keep(digests map[string]bool) error {
	kept := make(map[string]bool, len(digests))
	for digest := range digests {
		kept[name(digest)] = true
	}
	entries, err := os.ReadDir(c.Dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("tidy the cache of a source: %w", err)
	}
	for _, entry := range entries {
		if kept[entry.Name()] {
			continue
		}
		if err := os.RemoveAll(filepath.Join(c.Dir, entry.Name())); err != nil {
			return fmt.Errorf("tidy the cache of a source: %w", err)
		}
	}
	return nil
}

// Clear removes all: for whoever finds that it cannot be read.
func (c *Cache) Clear() error { return c.Keep(nil) }

// Limit is how much one archive may hold, in bytes.
func (c *Cache) Limit() int64 {
	if c.MaxSize > 0 {
		return c.MaxSize
	}
	return defaultMaxSize
}

// name is that of a digest's directory. Digests are checked by whoever has them from a server.
func name(digest string) string { return strings.TrimPrefix(digest, "sha256:") }

// tree is a directory whose symbolic links lead nowhere out of it. It holds nothing open between two calls.
type tree string

func (t tree) Open(name string) (fs.File, error) {
	root, err := os.OpenRoot(string(t))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.FS().Open(name)
}
