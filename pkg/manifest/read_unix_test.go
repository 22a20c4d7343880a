//go:build unix

package manifest

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"
)

// Opening a pipe would block until somebody writes to it.
func TestReadDirRefusesPipes(t *testing.T) {
	root := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(root, "x.yaml"), 0o600); err != nil {
		t.Skipf("no pipes here: %v", err)
	}
	if _, err := ReadDir(root, Limits{}); !errors.Is(err, ErrNotRegular) {
		t.Errorf("got %v, want ErrNotRegular", err)
	}
}
