package scenarios

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"

	"github.com/yardarm-dev/yardarm/e2e/fleet"
)

// What a hub cannot start with, it refuses at once and by name, and touches nothing; put right, all is as it was.
func TestHubThatCannotStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrol(tokyo)
	w.group("all")
	w.ready("web", w.publish("web", "all", namespace, settings("one", "1")))
	dir := w.hub.DataDir()
	run := func() fleet.Result {
		ctx, cancel := context.WithTimeout(w.ctx, patience) // one that starts would run on
		defer cancel()
		return w.hub.Run(ctx, "run", "--data-dir", dir, "--listen", "127.0.0.1:0", "--spoke-listen", "127.0.0.1:0")
	}

	w.said(run(), 1, dir, "is in use by process", "stop it first")
	if w.hub.Process().Exited() {
		t.Fatal("the first hub has ended")
	}
	w.ready("web", 1)
	w.must(w.hub.Stop())

	key := filepath.Join(dir, "hub.key")
	text := w.read(key)
	other := make([]byte, 32)
	_, _ = rand.Read(other)
	w.must(os.WriteFile(key, []byte(base64.StdEncoding.EncodeToString(other)), 0o600))
	w.said(run(), 1, key, "does not fit")
	w.must(os.Remove(key))
	w.said(run(), 1, "hub.key")
	w.must(os.WriteFile(key, []byte(text), 0o600))

	whole := []byte(w.read(w.database()))
	for _, damage := range []struct {
		name    string
		content []byte
	}{
		{"no database", bytes.Repeat([]byte("nonsense"), 4096)},
		{"cut short", whole[:3*os.Getpagesize()]},
		{"empty pages", append(append([]byte{}, whole[:2*os.Getpagesize()]...), make([]byte, len(whole)-2*os.Getpagesize())...)},
	} {
		w.must(os.WriteFile(w.database(), damage.content, 0o600))
		t.Run(damage.name, func(t *testing.T) {
			v := *w
			v.t = t
			v.said(run(), 1, v.database(), "restore")
			if !bytes.Equal([]byte(v.read(v.database())), damage.content) {
				t.Error("the file was written to")
			}
		})
	}
	w.must(os.WriteFile(w.database(), whole, 0o600))
	w.must(w.hub.Start(w.ctx))
	w.ready("web", w.publish("web", "all", namespace, settings("one", "2")))
	w.holds("one", "value", "2", tokyo)
}
