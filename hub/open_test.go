package hub

import (
	"context"
	"slices"
	"testing"

	"github.com/yardarm-dev/yardarm/hub/seal"
	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// TestOpened: it is told once that the database is in memory, whether there is a fleet in it, and before anything uses it.
func TestOpened(t *testing.T) {
	var told []bool
	config := Config{DataDir: t.TempDir(), Opened: func(fleet bool) { told = append(told, fleet) }}
	for _, want := range [][]bool{{false}, {false, true}} {
		h, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		var before []bool
		if err := h.withStore(t.Context(), func(ctx context.Context, s *store.Store, _ *seal.Sealer) error {
			before = slices.Clone(told)
			_, err := s.Update(ctx, func(tx *store.Tx) error {
				return tx.PutCluster(&yardarmv1.Cluster{Metadata: &yardarmv1.ObjectMeta{Name: "a", Uid: "a"}})
			})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(before, want) || !slices.Equal(told, want) {
			t.Errorf("told %v before the store was used, and %v in all, want %v", before, told, want)
		}
	}
}
