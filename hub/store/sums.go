package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// sumsKey is the key of the row with the sums, in the table of the meta row.
const sumsKey = "sums"

// tableSums count the rows of each table, and add up their checksums: bbolt's pages have none, and one that has lost half of its rows looks as good as
// any other.
type tableSums map[string]tableSum

type tableSum struct {
	rows uint64
	sum  uint32
}

// add counts a row, and remove one that is no more; sealed is its value with its checksum, of which no more is looked at.
func (s tableSums) add(table string, sealed []byte) {
	t := s[table]
	s[table] = tableSum{t.rows + 1, t.sum + binary.BigEndian.Uint32(sealed)}
}

func (s tableSums) remove(table string, sealed []byte) {
	t := s[table]
	s[table] = tableSum{t.rows - 1, t.sum - binary.BigEndian.Uint32(sealed)}
}

// write puts the sums into the database.
func (s tableSums) write(tx *bbolt.Tx) error {
	row := &storev1.TableSums{}
	for _, table := range slices.Sorted(maps.Keys(s)) {
		row.Tables = append(row.Tables, &storev1.TableSum{Table: table, Rows: s[table].rows, Sum: s[table].sum})
	}
	value, err := proto.Marshal(row)
	if err != nil {
		return err
	}
	return tx.Bucket([]byte(meta.String())).Put([]byte(sumsKey), seal(meta.String(), sumsKey, value))
}

// decodeSums reads the sums' row.
func decodeSums(sealed []byte) (tableSums, error) {
	if sealed == nil {
		return nil, errors.New("the row is missing")
	}
	value, err := unseal(meta.String(), []byte(sumsKey), sealed)
	if err != nil {
		return nil, err
	}
	row := &storev1.TableSums{}
	if err := proto.Unmarshal(value, row); err != nil {
		return nil, err
	}
	sums := tableSums{}
	for _, t := range row.Tables {
		sums[t.Table] = tableSum{t.Rows, t.Sum}
	}
	return sums, nil
}

// check compares a table's sum with what has been found of it.
func (s tableSums) check(table string, found tableSums) error {
	switch want, got := s[table], found[table]; {
	case got.rows != want.rows:
		return fmt.Errorf("there are %d rows, and there should be %d", got.rows, want.rows)
	case got.sum != want.sum:
		return errors.New("the rows are not all those that should be there")
	}
	return nil
}
