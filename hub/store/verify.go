package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"

	"go.etcd.io/bbolt"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// verify looks at the whole of a database file before it is opened for writing: bbolt trusts its pages, and would die, or write over good ones. It
// checks that the file is as long as its pages say, that the buckets are those of the format, that every key is where a search for it ends, and every
// checksum; those of contents, which can be many gigabytes, only if it is told to, and otherwise when a content is read.
func verify(path string, openFile openFileFunc, contents bool) (m *storev1.Meta, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() == 0 {
		return nil, &CorruptError{File: path, Detail: "the file is empty"}
	}
	db, err := openDatabase(path, openFile, true)
	if err != nil {
		return nil, err
	}
	err = guard(path, func() error {
		return db.View(func(tx *bbolt.Tx) error {
			if tx.Size() > info.Size() {
				return &CorruptError{File: path, Detail: fmt.Sprintf("the file has %d bytes, and its pages need %d: it has been cut off", info.Size(), tx.Size())}
			}
			if m, err = getMeta(tx, path); err != nil {
				return err
			}
			return verifyBuckets(tx, path, m.Format == Format, contents)
		})
	})
	return m, errors.Join(err, guard(path, db.Close))
}

// verifyBuckets checks all buckets; current says that they must be those of this format.
func verifyBuckets(tx *bbolt.Tx, path string, current, contents bool) error {
	missing := bucketNames()
	err := tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
		if b == nil {
			return &CorruptError{File: path, Key: string(name), Detail: "a row outside of any table"}
		}
		i := slices.Index(missing, string(name))
		if i < 0 && current {
			return &CorruptError{File: path, Table: string(name), Detail: "unknown table"}
		}
		if i >= 0 {
			missing = slices.Delete(missing, i, i+1)
		}
		return verifyBucket(b, path, string(name), contents || string(name) != contentsTable)
	})
	if err == nil && current && len(missing) > 0 {
		err = &CorruptError{File: path, Table: missing[0], Detail: "the table is missing"}
	}
	return err
}

func verifyBucket(b *bbolt.Bucket, path, table string, values bool) error {
	corrupt := func(key []byte, detail string) error {
		return &CorruptError{File: path, Table: table, Key: string(key), Detail: detail}
	}
	search := b.Cursor()
	var last []byte
	return b.ForEach(func(k, v []byte) error {
		if last != nil && bytes.Compare(last, k) >= 0 {
			return corrupt(k, "the keys are not in order")
		}
		last = append(last[:0], k...)
		if v == nil {
			return corrupt(k, "a table within a table")
		}
		if found, _ := search.Seek(k); !bytes.Equal(found, k) {
			return corrupt(k, "a search for the key does not find it")
		}
		if values {
			if _, err := unseal(table, k, v); err != nil {
				return corrupt(k, err.Error())
			}
		}
		return nil
	})
}
