package main

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestOldBackupsGo(t *testing.T) {
	dir := t.TempDir()
	all := []string{
		"yardarm-20310203T040506Z.backup", "yardarm-20310204T040506Z.backup", "yardarm-20310205T040506Z.backup",
		"yardarm-before-the-move.backup", "hub.key",
	}
	for _, name := range all {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := removeOldBackups(dir, 2, io.Discard); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	want := []string{"hub.key", "yardarm-20310204T040506Z.backup", "yardarm-20310205T040506Z.backup", "yardarm-before-the-move.backup"}
	if !slices.Equal(left, want) {
		t.Errorf("left: %v", left)
	}
}

// Who names a directory that is no hub's is told what that is.
func TestBackupOfNoHub(t *testing.T) {
	dir := t.TempDir()
	c := root()
	c.SetArgs([]string{"backup", "--data-dir", dir, filepath.Join(dir, "new.backup")})
	err := c.ExecuteContext(t.Context())
	if err == nil || !strings.Contains(err.Error(), "--data-dir says which directory is the hub's") || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v", err)
	}
}
