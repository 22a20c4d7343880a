package enroll

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/yardarm-dev/yardarm/pkg/atomicfile"
)

const (
	// identityFile holds the Kept, as Encode writes it, for its owner only.
	identityFile = "identity.json"
	// lockFile is locked by the process that acts as this spoke. It is empty.
	lockFile = "identity.lock"
	// maxKept bounds what is read, in bytes: an identity has some 5 KiB.
	maxKept = 1 << 20
)

// Dir is a [Keep] in a folder. One process at a time can claim it; the claim ends with the process, however it ends.
type Dir struct {
	path string

	// mu guards lock, which is nil until claimed.
	mu   sync.Mutex
	lock *os.File
}

// OpenDir makes the folder if need be.
func OpenDir(path string) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("make the identity's folder: %w", err)
	}
	return &Dir{path: path}, nil
}

// Claim is refused while another process has the folder.
func (d *Dir) Claim(context.Context, string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lock != nil {
		return nil
	}
	file, err := os.OpenFile(filepath.Join(d.path, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("claim %s: %w", d, err)
	}
	if err := lock(file); err != nil {
		return errors.Join(fmt.Errorf("claim %s: %w", d, err), file.Close())
	}
	d.lock = file
	return nil
}

// Check is always nil once claimed: nobody can take a lock away.
func (d *Dir) Check(context.Context) error { return nil }

// Load reads the file. One that others can read is refused: its key may be known.
func (d *Dir) Load(context.Context) (*Kept, error) {
	path := filepath.Join(d.path, identityFile)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the identity: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("read the identity: others than its owner may read %s (mode %04o): chmod 600 %s, or remove it and enrol anew", path, mode, path)
	}
	if info.Size() > maxKept {
		return nil, fmt.Errorf("read the identity: %s has %d bytes, which no identity has", path, info.Size())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the identity: %w", err)
	}
	kept, err := DecodeKept(data)
	if err != nil {
		return nil, fmt.Errorf("read the identity from %s: %w", path, err)
	}
	return kept, nil
}

// Save replaces the file.
func (d *Dir) Save(_ context.Context, kept *Kept) error {
	data, err := kept.Encode()
	if err != nil {
		return err
	}
	if err := atomicfile.Write(filepath.Join(d.path, identityFile), data, 0o600); err != nil {
		return fmt.Errorf("keep the identity: %w", err)
	}
	return nil
}

// Close ends the claim.
func (d *Dir) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lock == nil {
		return nil
	}
	err := d.lock.Close()
	d.lock = nil
	return err
}

// String says where it is.
func (d *Dir) String() string { return "folder " + d.path }
