package retain

import (
	"context"
	"slices"

	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// revisions deletes old revisions, bundle by bundle.
func (r *Retainer) revisions(ctx context.Context) (deleted int, err error) {
	for bundle := range r.Store.Read().Bundles() {
		uid := bundle.Metadata.Uid
		if len(r.spare(r.Store.Read(), uid)) == 0 {
			continue
		}
		if _, err := r.Store.Update(ctx, func(tx *store.Tx) error {
			// Judged anew, since somebody may have returned to one of them meanwhile.
			spare := r.spare(&tx.ReadTx, uid)
			spare = spare[:min(len(spare), atOnce)]
			for _, number := range spare {
				if err := tx.DeleteRevision(uid, number); err != nil {
					return err
				}
			}
			deleted += len(spare)
			return nil
		}); err != nil {
			return deleted, err
		}
	}
	return deleted, nil
}

// spare answers the numbers of those revisions of a bundle that are not needed: neither among the newest, nor what any cluster is
// to run, comes from or may return to by its rollout, nor what a kept one returned to, nor what any cluster holds by the last that was
// heard of it, however long ago.
func (r *Retainer) spare(tx *store.ReadTx, bundleUID string) []uint32 {
	var old []*yardarmv1.Revision
	bundle := tx.Bundle(bundleUID)
	needed := map[uint32]bool{placement.Settled(tx, bundle): true, bundle.GetStatus().GetLatestRevision(): true}
	n := 0
	for rev := range tx.Revisions(bundleUID) { // the newest first
		if n++; n <= r.Revisions {
			needed[rev.Spec.GetProvenance().GetUndoOf()] = true
			continue
		}
		old = append(old, rev)
	}
	if len(old) == 0 {
		return nil
	}
	for m := range tx.RolloutMembers(bundleUID) {
		needed[m.Runs], needed[m.From], needed[m.Good] = true, true, true
	}
	digests := map[string]bool{}
	for o := range tx.ObservedOfBundle(bundleUID) {
		needed[o.Report.GetRevision()] = true
		digests[o.Report.GetDigest()] = true
	}
	var spare []uint32
	for _, rev := range old {
		holds := slices.ContainsFunc(rev.Spec.Digests(), func(digest string) bool { return digests[digest] })
		if !needed[rev.Spec.Number] && !holds {
			spare = append(spare, rev.Spec.Number)
		}
	}
	return spare
}
