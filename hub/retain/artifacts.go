package retain

import (
	"context"

	"github.com/yardarm-dev/yardarm/hub/store"
)

// artifacts deletes those that no revision names and that no cluster holds.
func (r *Retainer) artifacts(ctx context.Context) (deleted int, err error) {
	tx := r.Store.Read()
	var spare []string
	for a := range tx.Artifacts() {
		if !named(tx, a.Digest) {
			spare = append(spare, a.Digest)
		}
	}
	if len(spare) == 0 {
		return 0, nil
	}
	holding := map[string]bool{}
	for c := range tx.Clusters() {
		for o := range tx.ObservedBundles(c.Metadata.Uid) {
			holding[o.Report.GetDigest()] = true
		}
	}
	for len(spare) > 0 {
		some := spare[:min(len(spare), atOnce)]
		spare = spare[len(some):]
		if _, err := r.Store.Update(ctx, func(tx *store.Tx) error {
			for _, digest := range some {
				// A revision may name it since.
				if holding[digest] || named(&tx.ReadTx, digest) {
					continue
				}
				if err := tx.DeleteArtifact(digest); err != nil {
					return err
				}
				deleted++
			}
			return nil
		}); err != nil {
			return deleted, err
		}
	}
	return deleted, nil
}

// named tells whether any revision names an artifact.
func named(tx *store.ReadTx, digest string) bool {
	for range tx.RevisionsWith(digest) {
		return true
	}
	return false
}
