// Package atomicfile replaces small files so that a crash leaves the old content or the new one, never a part of either.
//
// Keys, credentials and identities are kept this way, by the hub, the spoke and the CLI. It is no store: nothing orders the
// writes of two files.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Write replaces the file at path with data. The new file has just the given permissions, whatever the umask and whatever the old
// one had. It is on disk on return. The folder must exist.
func Write(path string, data []byte, perm fs.FileMode) error {
	return write(path, data, perm, os.Rename)
}

// Create is [Write] for a file that must not exist yet: of two that create the same path, one succeeds and the other gets an
// error that is [fs.ErrExist]. The file system must know hard links.
func Create(path string, data []byte, perm fs.FileMode) error {
	return write(path, data, perm, func(temporary, path string) error {
		if err := os.Link(temporary, path); err != nil {
			return err
		}
		return os.Remove(temporary)
	})
}

func write(path string, data []byte, perm fs.FileMode, place func(temporary, path string) error) (err error) {
	folder := filepath.Dir(path)
	// CreateTemp makes it readable by its owner only, so the content is never open to others for a moment.
	file, err := os.CreateTemp(folder, "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			file.Close()
			os.Remove(file.Name())
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	if _, err := file.Write(data); err != nil {
		return err
	}
	if err := file.Chmod(perm); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := place(file.Name(), path); err != nil {
		return err
	}
	return syncFolder(folder)
}

// syncFolder makes a rename durable. Some file systems cannot sync a folder, and say so; there is nothing more to do then.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	defer folder.Close()
	if err := folder.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrInvalid) {
		return err
	}
	return nil
}
