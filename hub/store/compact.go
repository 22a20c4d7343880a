package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

const (
	// compactLeast is how much of the file has to be free for a compaction, in bytes: less is soon used again.
	compactLeast = 64 << 20
	// compactShare is one over which share of the file that has to be: to write up to half of it anew is a fair price for the other half.
	compactShare = 2
)

// Compact gives the space of what has been deleted back to the disk, if at least half of the file and 64 MiB of it is free, and answers how many bytes that
// was. Updates wait meanwhile, about a second for each 200 MB of rows and contents that stay, and for the copy of a backup that
// is being made; reads do not. It needs as much free space as those take, and
// changes nothing if there is too little, which is a [*DiskFullError].
func (s *Store) Compact(ctx context.Context) (freed int64, err error) {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { <-s.turn }()
	if err := s.usable(); err != nil {
		return 0, err
	}
	freed, err = s.log.Compact(ctx)
	if errors.Is(err, errUnsure) {
		s.failure = &FailedError{Dir: s.config.Dir, Err: err}
		close(s.failed)
		return 0, s.failure
	}
	if err != nil {
		return 0, fmt.Errorf("compact the database: %w", err)
	}
	return freed, nil
}

// errUnsure means that nobody knows which of two files the database is after a power cut.
var errUnsure = errors.New("the database's new file may not be there after a power cut")

// Compact implements Log. The copy is complete, checked and on disk before it takes the place of the file, which it does at once or not at all.
func (l *boltLog) Compact(ctx context.Context) (freed int64, err error) {
	worth, err := l.worthCompacting()
	if err != nil || !worth {
		return 0, err
	}
	before := l.Size()
	temporary := l.path + newSuffix
	err = l.view(func(tx *bbolt.Tx) error {
		m, err := getMeta(tx, l.path)
		if err != nil {
			return err
		}
		return copyDatabase(ctx, tx, temporary, m, func(_, _ string) bool { return true })
	})
	if err != nil {
		return 0, diskError(l.dir, err)
	}
	db, err := l.openCopy(temporary)
	if err != nil {
		return 0, errors.Join(diskError(l.dir, err), ignoreMissing(os.Remove(temporary)))
	}
	if err := os.Rename(temporary, l.path); err != nil {
		return 0, errors.Join(err, db.Close(), ignoreMissing(os.Remove(temporary)))
	}
	l.swapping.Lock()
	old := l.db
	l.db = db
	l.swapping.Unlock()
	// What is written from now on is in the new file alone, so it has to be found under its name.
	if err := syncDir(filepath.Dir(l.path)); err != nil {
		return 0, errors.Join(errUnsure, err, old.Close())
	}
	if err := old.Close(); err != nil { // waits for those who still read it
		return 0, err
	}
	return before - l.Size(), nil
}

// worthCompacting tells whether enough of the file is free. What bbolt has reserved behind its last page does not count.
func (l *boltLog) worthCompacting() (worth bool, err error) {
	err = l.view(func(tx *bbolt.Tx) error {
		pages := l.db.Stats()
		free := int64(pages.FreePageN+pages.PendingPageN) * int64(l.db.Info().PageSize)
		worth = free >= l.least && free*compactShare >= tx.Size()
		return nil
	})
	return worth, err
}

// openCopy opens a copy of the database, and makes sure that it has all rows.
func (l *boltLog) openCopy(path string) (*bbolt.DB, error) {
	db, err := openDatabase(path, l.openFile, false)
	if err != nil {
		return nil, err
	}
	err = db.View(func(tx *bbolt.Tx) error {
		sums, err := decodeSums(tx.Bucket([]byte(meta.String())).Get([]byte(sumsKey)))
		if err != nil {
			return err
		}
		for _, table := range bucketNames() {
			if err := l.sums.check(table, sums); err != nil {
				return corruptTable(path, table, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}
