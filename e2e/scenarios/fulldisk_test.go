package scenarios

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A hub whose disk is full takes no change and says why; its spokes stay connected and go on repairing drift; and it goes on
// by itself when there is space again.
func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounts a small file system, which takes root")
	}
	t.Parallel()
	dir := t.TempDir()
	// As large as a hub wants to have left before it says that it is ready, and some more.
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=192m"); err != nil {
		t.Fatalf("mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		// Detached, since a process that another test has just forked may still have a file of it open.
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount the small file system: %v", err)
		}
	})
	w := newWorldIn(t, filepath.Join(dir, "hub"))
	w.enrol(tokyo)
	w.group("all")
	w.ready("web", w.publish("web", "all", namespace, settings("one", "1")))

	ballast := filepath.Join(dir, "ballast")
	fill(t, ballast)
	// More than the free pages that the database may still have.
	big := make([]byte, 512<<10)
	_, _ = rand.Read(big)
	files := w.files(namespace, settings("one", "2"), settings("ballast", fmt.Sprintf("%x", big)))
	w.refused(1, []string{"publish", files, "--bundle", "web"}, "no space left", w.hub.DataDir(), "free some space")
	if w.hub.Process().Exited() {
		t.Fatal("the hub has ended")
	}
	w.eventually("the status says why the hub takes no changes", func() error {
		if text := w.cli.Run(w.ctx, "status").Stdout; !strings.Contains(text, "no space left") {
			return errors.New(text)
		}
		return nil
	})
	if c, err := w.cluster(tokyo); c.GetStatus().GetPresence() != "Connected" {
		t.Errorf("the cluster is %s (%v)", c.GetStatus().GetPresence(), err)
	}
	w.edit(tokyo, "one", "drifted")
	w.eventuallyHolds(tokyo, "one", "1")

	w.must(os.Remove(ballast))
	w.ready("web", w.publish("web", "all", namespace, settings("one", "2"), settings("ballast", fmt.Sprintf("%x", big))))
	w.holds("one", "value", "2", tokyo)
	if text := w.do("status"); strings.Contains(text, "no space left") {
		t.Errorf("the status still says:\n%s", text)
	}
}

// fill writes a file until its file system has no space left.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zeros, err := os.Open("/dev/zero")
	if err != nil {
		t.Fatal(err)
	}
	defer zeros.Close()
	if _, err := io.Copy(f, zeros); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("fill the disk: %v", err)
	}
}
