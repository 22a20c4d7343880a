package store

import (
	"context"
	"io"
)

// Backup writes a consistent copy of the database, as of some moment between call and return, while the store goes on. Enrolment tokens and transient secrets are not
// in it. It needs as much space in the data directory as the copy takes.
func (s *Store) Backup(ctx context.Context, w io.Writer) error {
	return s.log.Backup(ctx, w, nil, nil)
}
