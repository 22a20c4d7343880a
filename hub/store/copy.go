package store

import (
	"context"
	"errors"
	"os"

	"go.etcd.io/bbolt"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// copyBatch is how many bytes of rows a copy writes in one transaction: it has them all in memory.
const copyBatch = 16 << 20

// copyDatabase writes the rows of a snapshot into a new file, which is on disk when it returns. It copies row by row, so that nothing that has been deleted or
// is not to be kept can be in a page that is not in use. The meta row becomes m; what keep accepts of those beside it stays. If it fails, there is no file.
func copyDatabase(ctx context.Context, from *bbolt.Tx, path string, m *storev1.Meta, keep func(table, key string) bool) (err error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, NoSync: true})
	if err != nil {
		return err
	}
	defer func() {
		if db != nil {
			err = errors.Join(err, db.Close())
		}
		if err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()

	tx, err := db.Begin(true)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after Commit, it does nothing
	pending := 0
	sums := tableSums{}
	put := func(table string, k, v []byte) error {
		if pending > copyBatch {
			if err := errors.Join(tx.Commit(), ctx.Err()); err != nil {
				return err
			}
			pending = 0
			if tx, err = db.Begin(true); err != nil {
				return err
			}
		}
		b := tx.Bucket([]byte(table))
		b.FillPercent = 1 // rows come in order, and few will be added
		pending += len(k) + len(v)
		sums.add(table, v)
		return b.Put(k, v)
	}
	err = from.ForEach(func(name []byte, b *bbolt.Bucket) error {
		table := string(name)
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
		if table == meta.String() {
			err := putMeta(tx, m)
			for _, key := range []string{auditHeadKey, aheadKey} {
				if row := b.Get([]byte(key)); row != nil && keep(table, key) {
					err = errors.Join(err, tx.Bucket(name).Put([]byte(key), row))
				}
			}
			return err
		}
		return b.ForEach(func(k, v []byte) error {
			if !keep(table, string(k)) {
				return nil
			}
			return put(table, k, v)
		})
	})
	if err != nil {
		return err
	}
	if err := sums.write(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	var size int64
	if err := db.View(func(tx *bbolt.Tx) error { size = tx.Size(); return nil }); err != nil {
		return err
	}
	closing := db
	db = nil
	if err := closing.Close(); err != nil {
		return err
	}
	return cutAndSync(path, size)
}

// cutAndSync cuts off what bbolt has reserved for growth.
func cutAndSync(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Sync(), f.Close())
}

// kept tells which rows a backup has. Tokens are short-lived secrets; they would be valid again after a restore, also those that were used. Answers hold
// such, and are for whoever waits for one now.
func kept(table, key string) bool {
	switch table {
	case Tokens.String(), Answers.String():
		return false
	case Secrets.String():
		return !isTransient(key)
	case meta.String():
		return key != aheadKey // a copy has all that the log had
	default:
		return true
	}
}
