package hub

import (
	"context"
	"testing"

	"github.com/yardarm-dev/yardarm/hub/seal"
	"github.com/yardarm-dev/yardarm/hub/store"
)

// TestOpened: it is told once that the database is in memory, and before anything uses it.
func TestOpened(t *testing.T) {
	calls := 0
	h, err := New(Config{DataDir: t.TempDir(), Opened: func() { calls++ }})
	if err != nil {
		t.Fatal(err)
	}
	before := 0
	if err := h.withStore(t.Context(), func(context.Context, *store.Store, *seal.Sealer) error {
		before = calls
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if before != 1 || calls != 1 {
		t.Errorf("called %d times, %d of them before the store was used", calls, before)
	}
}
