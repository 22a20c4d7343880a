package hub

import (
	"context"
	"slices"
	"testing"

	"github.com/yardarm-dev/yardarm/hub/seal"
	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// TestOpened: it is told once that the database is in memory, how many clusters are in it, and before anything uses it.
func TestOpened(t *testing.T) {
	var told []int
	config := Config{DataDir: t.TempDir(), Opened: func(clusters int) { told = append(told, clusters) }}
	for _, want := range [][]int{{0}, {0, 1}} {
		h, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		var before []int
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
