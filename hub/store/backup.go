package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/types/known/timestamppb"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// Backup writes a consistent copy of the database, as of some moment between call and return, while the store goes on. Enrolment tokens and secrets that
// begin with [TransientSecretPrefix] are not in it; all else is, the sealed secrets among it, so it is to be kept like the data directory itself. Its form is
// that of the database, and [Restore] reads it. It needs as much free space in the data directory as the copy takes; the error is a [*DiskFullError] if
// there is too little.
func (s *Store) Backup(ctx context.Context, w io.Writer) error {
	now := timestamppb.New(s.config.Clock())
	if err := s.log.Backup(ctx, w, func(m *storev1.Meta) { m.BackupTime = now }, kept); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}

// Backup implements Log. The copy is made on disk first, so that a slow reader of it does not hold on to the database, which could free no pages
// meanwhile.
func (l *boltLog) Backup(ctx context.Context, w io.Writer, change func(*storev1.Meta), keep func(table, key string) bool) (err error) {
	f, err := os.CreateTemp(l.dir, backupPattern)
	if err != nil {
		return diskError(l.dir, err)
	}
	path := f.Name()
	defer func() { err = errors.Join(err, ignoreMissing(os.Remove(path))) }()
	if err := f.Close(); err != nil {
		return diskError(l.dir, err)
	}
	err = l.view(func(tx *bbolt.Tx) error {
		m, err := getMeta(tx, l.path)
		if err != nil {
			return err
		}
		change(m)
		return copyDatabase(ctx, tx, path, m, keep)
	})
	if err != nil {
		return diskError(l.dir, err)
	}
	if f, err = os.Open(path); err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, &contextReader{ctx, f})
	return err
}

// contextReader reads until its context ends.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r *contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
