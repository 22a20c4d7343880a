package store

import (
	"errors"
	"slices"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// verified is what a look at a database file has found.
type verified struct {
	meta *storev1.Meta
	sums tableSums
	// halved: one of the two meta pages is damaged. bbolt takes the other one, which may be that of the last commit or of the one before.
	halved bool
	// ahead: not all that was acknowledged is in the file: it names a write-ahead log.
	ahead bool
}

// verify looks at a database file before bbolt does, which trusts what it finds: it would die on it, or write over good rows. It checks all pages in
// use, that the tables are those of the format, that no row is missing, and the checksums of all rows. Those of contents, which can be many gigabytes, are
// checked only if it is told to, and otherwise when a content is read.
func verify(path string, contents bool) (*verified, error) {
	p, err := openPages(path)
	if err != nil {
		return nil, err
	}
	v := &verified{halved: p.halved}
	return v, joinClose(guard(path, func() error { return v.check(p, path, contents) }), p)
}

func (v *verified) check(p *pageFile, path string, contents bool) error {
	names, roots, err := p.buckets()
	if err != nil {
		return asCorrupt(path, err)
	}
	if err := v.checkMeta(p, path, roots[meta.String()]); err != nil {
		return err
	}
	found := tableSums{}
	for _, name := range names {
		if name == meta.String() {
			continue
		}
		err := p.bucket(roots[name], func(key, value []byte) error {
			if len(value) < checksumSize {
				return corruptRow(path, name, key, errTooShort)
			}
			found.add(name, value)
			if name == contentsTable && !contents {
				return nil
			}
			if _, err := unseal(name, key, value); err != nil {
				return corruptRow(path, name, key, err)
			}
			return nil
		})
		if err == nil {
			err = v.sums.check(name, found)
		}
		if err != nil {
			return corruptTable(path, name, err)
		}
	}
	if v.meta.Format != Format {
		return nil // a migration knows which tables there should be
	}
	for _, name := range bucketNames() {
		if !slices.Contains(names, name) {
			return corruptTable(path, name, errors.New("the table is missing"))
		}
	}
	for _, name := range names {
		if !slices.Contains(bucketNames(), name) {
			return corruptTable(path, name, errors.New("there should be no such table"))
		}
	}
	return nil
}

// checkMeta reads the rows about the database itself, the first of which tells whether the rest can be understood.
func (v *verified) checkMeta(p *pageFile, path string, root []byte) error {
	rows := map[string][]byte{}
	if root != nil {
		err := p.bucket(root, func(key, value []byte) error {
			rows[string(key)] = value
			return nil
		})
		if err != nil {
			return corruptTable(path, meta.String(), err)
		}
	}
	var err error
	if v.meta, err = decodeMeta(path, rows[metaKey]); err != nil {
		return err
	}
	v.ahead = rows[aheadKey] != nil
	if v.sums, err = decodeSums(rows[sumsKey]); err != nil {
		return corruptRow(path, meta.String(), []byte(sumsKey), err)
	}
	return nil
}

func corruptRow(path, table string, key []byte, err error) error {
	return &CorruptError{File: path, Table: table, Key: string(key), Detail: err.Error()}
}

func corruptTable(path, table string, err error) error {
	if errors.As(err, new(*CorruptError)) {
		return err
	}
	return &CorruptError{File: path, Table: table, Detail: err.Error()}
}

// asCorrupt makes an error about a file's content a [*CorruptError], unless it is one.
func asCorrupt(path string, err error) error {
	if err == nil || errors.As(err, new(*CorruptError)) {
		return err
	}
	return &CorruptError{File: path, Detail: err.Error()}
}

// joinClose closes c, and returns err with the error of that, if there is one.
func joinClose(err error, c interface{ Close() error }) error {
	if closeErr := c.Close(); closeErr != nil {
		return errors.Join(err, closeErr)
	}
	return err
}
