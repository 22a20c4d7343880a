package state

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Dir keeps state in files below a directory, one a key. A write goes to a temporary file, is synced and renamed, and the
// folder is synced, so that a file is never seen half written.
type Dir struct {
	root string
}

// tempSuffix marks files that a crash may leave; List removes them.
const tempSuffix = ".tmp"

// NewDir makes the directory if need be, readable by its owner only.
func NewDir(root string) (*Dir, error) {
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, fmt.Errorf("make state directory: %w", err)
	}
	return &Dir{root: root}, nil
}

// List answers all keys, and removes what an interrupted write left.
func (d *Dir) List(context.Context) ([]string, error) {
	var keys []string
	err := filepath.WalkDir(d.root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !e.Type().IsRegular():
			return nil
		case strings.HasSuffix(path, tempSuffix):
			return os.Remove(path)
		}
		rel, err := filepath.Rel(d.root, path)
		keys = append(keys, filepath.ToSlash(rel))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list state directory: %w", err)
	}
	return keys, nil
}

// Read answers one file.
func (d *Dir) Read(_ context.Context, key string) ([]byte, error) {
	return os.ReadFile(d.path(key))
}

// Write writes and removes files, each synced before the next.
func (d *Dir) Write(ctx context.Context, changes []Write) error {
	for _, c := range changes {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := d.write(d.path(c.Key), c.Value); err != nil {
			return fmt.Errorf("write state %s: %w", c.Key, err)
		}
	}
	return nil
}

func (d *Dir) write(path string, value []byte) error {
	dir := filepath.Dir(path)
	if value == nil {
		err := os.Remove(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return syncDir(dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path+tempSuffix, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(value)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return errors.Join(err, os.Remove(path+tempSuffix))
	}
	if err := os.Rename(path+tempSuffix, path); err != nil {
		return err
	}
	return syncDir(dir)
}

func (d *Dir) path(key string) string { return filepath.Join(d.root, filepath.FromSlash(key)) }

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
