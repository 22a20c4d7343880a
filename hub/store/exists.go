package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Exists tells whether a data directory has a database.
func Exists(dir string) (bool, error) {
	_, err := os.Stat(filepath.Join(dir, databaseName))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
