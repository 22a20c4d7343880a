package clientconfig

import (
	"fmt"
	"os"
	"path/filepath"
)

// Edit lets change read the file anew and change it, and saves it unless that fails, while no other Edit of it runs: a refresh token counts once, and of
// two commands that use it at one moment the second is to find what the first one got. The file has to be there.
func Edit(path string, change func(*Config) error) error {
	// A lock of its own, beside the file, which each save replaces.
	f, err := os.OpenFile(filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("lock configuration: %w", err)
	}
	defer f.Close() // which ends the lock
	if err := lock(f); err != nil {
		return fmt.Errorf("lock configuration %s: %w", path, err)
	}
	config, err := Load(path)
	if err != nil {
		return err
	}
	if err := change(config); err != nil {
		return err
	}
	return config.Save(path)
}
