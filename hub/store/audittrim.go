package store

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// TrimAudit drops the entries of the audit log that were made before a time, some hundred in each commit, and returns how many. What it is to drop it verifies first: the
// error is an [*AuditError], and nothing is dropped, where that is not what the hub wrote, since to drop it would hide that. The others are those of [Store.Update].
func (s *Store) TrimAudit(ctx context.Context, before time.Time) (dropped int, err error) {
	if s.audit == nil {
		return 0, nil
	}
	// The slack is for those who are to overlook nothing. Here, nothing that is newer is to be dropped.
	until, err := s.AuditBefore(before.Add(-clockSlack))
	if err != nil || until == 0 {
		return 0, err
	}
	for _, err := range s.AuditEntries(until) {
		if err := cmp.Or(err, ctx.Err()); err != nil {
			return 0, fmt.Errorf("drop entries before %d of the audit log: %w", until, err)
		}
	}
	for {
		var n int
		_, err := s.Update(ctx, func(tx *Tx) error {
			if first := tx.state.audit.first; first < until {
				tx.auditUntil = min(until, first+maxAuditCut)
				n = int(tx.auditUntil - first)
			}
			return nil
		})
		if err != nil || n == 0 {
			return dropped, err
		}
		dropped += n
	}
}
