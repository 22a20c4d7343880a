// Package retain ends what nobody needs any more: old revisions, artifacts that nothing names, records of deletions that
// every spoke has heard of, histories of long ago, and entries of the audit log that are too old. Then it has the store give its space back. What is still needed it derives from the store alone, so
// that a hub that was away for a year, or restored, comes to the same answer.
package retain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/certs"
)

const (
	// DefaultRevisions is how many of the newest revisions of a bundle are kept.
	DefaultRevisions = 20
	// DefaultHistory is how long histories are kept, by default: what went wrong in one month is looked into in the next. Of 10,000 clusters that each get
	// three revisions a day, it is some 200 MB.
	DefaultHistory = 30 * 24 * time.Hour
	// every is how often one looks. An idle hub finds nothing, and writes nothing.
	every = time.Hour
	// atOnce is how many rows one update deletes: those of others wait for it, some milliseconds.
	atOnce = 256
	// deletionKept is how long the record of a deletion is kept at the least, beside the life of a certificate: for as long, a
	// spoke that was away can come back, and is told by it.
	deletionKept = certs.RenewalWindow
)

// Config of a Retainer. Store and Logger are needed.
type Config struct {
	Store  *store.Store
	Logger *slog.Logger
	// Revisions is how many of the newest ones of each bundle are kept. Default [DefaultRevisions].
	Revisions int
	// History is how long the histories of clusters and rollouts are kept. Default [DefaultHistory].
	History time.Duration
	// Audit is how long entries of the audit log are kept. Default: as long as there are not too many.
	Audit time.Duration
	// CertificateLife is that of clusters' certificates. Default 24 h.
	CertificateLife time.Duration
	// Clock is time.Now by default.
	Clock func() time.Time
}

// Retainer looks after one store.
type Retainer struct{ Config }

// New makes one; Run does the work.
func New(c Config) (*Retainer, error) {
	if c.Store == nil || c.Logger == nil {
		return nil, errors.New("retain: store and logger are needed")
	}
	if c.Revisions == 0 {
		c.Revisions = DefaultRevisions
	}
	if c.Revisions < 1 {
		return nil, fmt.Errorf("%d revisions of each bundle are to be kept; at least one is needed", c.Revisions)
	}
	if c.History == 0 {
		c.History = DefaultHistory
	}
	if c.History < every {
		return nil, fmt.Errorf("histories are to be kept for %s; at least %s is needed", c.History, every)
	}
	if c.Audit != 0 && c.Audit < every {
		return nil, fmt.Errorf("entries of the audit log are to be kept for %s; at least %s is needed", c.Audit, every)
	}
	if c.CertificateLife == 0 {
		c.CertificateLife = 24 * time.Hour
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return &Retainer{c}, nil
}

// Run looks at once, and then every hour, until ctx ends. It returns nil then: a failure is logged and tried again, since
// nothing but space is lost by it.
func (r *Retainer) Run(ctx context.Context) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if err := r.Collect(ctx); err != nil && ctx.Err() == nil {
			r.Logger.Warn("what nobody needs any more was not collected; it is tried again", "error", err, "retry_in", every)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Collect does once what Run does every hour.
func (r *Retainer) Collect(ctx context.Context) error {
	if r.Store.ReadOnly() != "" {
		return nil
	}
	revisions, err := r.revisions(ctx)
	if err != nil {
		return fmt.Errorf("collect revisions: %w", err)
	}
	artifacts, err := r.artifacts(ctx)
	if err != nil {
		return fmt.Errorf("collect artifacts: %w", err)
	}
	deletions, err := r.deletions(ctx)
	if err != nil {
		return fmt.Errorf("collect records of deletions: %w", err)
	}
	history, err := r.Store.TrimHistory(ctx, r.Clock().Add(-r.History))
	if err != nil {
		return fmt.Errorf("trim histories: %w", err)
	}
	audit, auditErr := r.audit(ctx)
	freed, err := r.Store.Compact(ctx)
	if err := errors.Join(auditErr, err); err != nil {
		return err
	}
	if revisions+artifacts+deletions+history+audit > 0 || freed > 0 {
		r.Logger.Info("collected what nobody needs any more", "revisions", revisions, "artifacts", artifacts, "deletions", deletions, "history", history, "audit", audit, "bytes", freed)
	}
	return nil
}

// audit drops entries of the audit log that are older than they are to be kept, or too many.
func (r *Retainer) audit(ctx context.Context) (int, error) {
	var before time.Time
	if r.Audit != 0 {
		before = r.Clock().Add(-r.Audit)
	}
	return r.Store.TrimAudit(ctx, before)
}
