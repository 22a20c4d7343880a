package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// TrimAudit drops the entries of the audit log that were made before a time, zero for none, and those that are too many, some hundred in each commit; it returns how many. What
// it is to drop it verifies first: the error is an [*AuditError], and nothing is dropped, where that is not what the hub wrote, since to drop it would hide that. The others
// are those of [Store.Update].
func (s *Store) TrimAudit(ctx context.Context, before time.Time) (dropped int, err error) {
	if s.audit == nil {
		return 0, nil
	}
	first, last, err := s.AuditRange()
	if err != nil {
		return 0, err
	}
	until := first + s.audit.tooMany(auditState{first: first, last: last})
	if !before.IsZero() {
		// The slack is for those who are to overlook nothing. Here, nothing that is newer is to be dropped.
		old, err := s.AuditBefore(before.Add(-clockSlack))
		if err != nil {
			return 0, err
		}
		until = max(until, old)
	}
	if until == first {
		return 0, nil
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

// auditTooLong tells whether it is worth a commit to drop what is beyond Keep. The caller has the turn.
func (s *Store) auditTooLong() bool {
	return s.audit != nil && s.audit.tooMany(s.state.audit) >= maxAuditCut
}

// boundAudit drops what is beyond Keep, as Run has it done, and returns whether it can. A log that is not what the hub wrote grows instead, until somebody has looked at it:
// the warning is for them.
func (s *Store) boundAudit(ctx context.Context) bool {
	_, err := s.TrimAudit(ctx, time.Time{})
	if err == nil || ctx.Err() != nil || errors.Is(err, ErrReadOnly) {
		return true
	}
	s.config.Logger.Warn("the audit log is too long, and nothing of it is dropped; `yardarm-hub audit verify` tells more", "error", err)
	return false
}
