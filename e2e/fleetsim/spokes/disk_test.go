package spokes

import (
	"errors"
	"io/fs"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/yardarm-dev/yardarm/spoke/state"
)

func TestDisk(t *testing.T) {
	shared := newSharedContents()
	a, b := newDisk(shared), newDisk(shared)
	for _, d := range []*disk{a, b} {
		if err := d.Write(t.Context(), []state.Write{{Key: "artifact/1", Value: []byte("content")}, {Key: "cursor", Value: []byte("x")}, {Key: "cursor"}}); err != nil {
			t.Fatal(err)
		}
	}
	one, err := a.Read(t.Context(), "artifact/1")
	if err != nil {
		t.Fatal(err)
	}
	other, err := b.Read(t.Context(), "artifact/1")
	if err != nil || &one[0] != &other[0] {
		t.Errorf("two spokes have copies of their own of one artifact (%v)", err)
	}
	if _, err := a.Read(t.Context(), "cursor"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a deleted key: %v", err)
	}
	if keys, err := a.List(t.Context()); err != nil || !slices.Equal(keys, []string{"artifact/1"}) {
		t.Errorf("got %q, %v", keys, err)
	}
	// Another content under the same key is not mistaken for it, and what is shared stays bounded.
	if err := b.Write(t.Context(), []state.Write{{Key: "artifact/1", Value: []byte("other")}}); err != nil {
		t.Fatal(err)
	}
	if value, _ := b.Read(t.Context(), "artifact/1"); string(value) != "other" {
		t.Errorf("got %q", value)
	}
	for i := range 3 * maxShared {
		shared.intern("artifact/"+string(rune('a'+i)), []byte{1})
	}
	if len(shared.values) > maxShared {
		t.Errorf("%d contents are remembered, more than %d", len(shared.values), maxShared)
	}
}

func TestWaits(t *testing.T) {
	var w waits
	logger := slog.New(&w).With("cluster", "a")
	logger.Info("not heard", "retry_in", time.Hour)
	logger.Warn("ended", "retry_in", 2*time.Second, "error", errors.New("gone"))
	logger.Warn("ended", "retry_in", time.Second, "error", errors.New("refused"))
	if longest, last := w.take(); longest != 2*time.Second || last != "ended: refused" {
		t.Errorf("got %v, %q", longest, last)
	}
	if longest, last := w.take(); longest != 0 || last != "" {
		t.Errorf("the second time: got %v, %q", longest, last)
	}
}
