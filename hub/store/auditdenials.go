package store

import (
	"context"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// AuditDenials adds one entry to the audit log, if one is kept, of calls that were denied; more is how many there were beside those. Each entry is a commit, so
// callers count before they tell. The errors are those of [Store.Update].
func (s *Store) AuditDenials(ctx context.Context, denials []*storev1.AuditDenial, more uint64) error {
	_, err := s.Update(ctx, func(tx *Tx) error {
		tx.denials, tx.moreDenied = denials, more
		return nil
	})
	return err
}
