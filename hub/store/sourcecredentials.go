package store

import (
	"iter"
	"slices"

	"google.golang.org/protobuf/proto"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

var sourceCredentials = durable(SourceCredentials, hard, func(c *storev1.SourceCredentials) string { return c.GetCredentials().GetMetadata().GetName() })

// SourceCredentials returns the source credentials with the name, or nil.
func (tx *ReadTx) SourceCredentials(name string) *storev1.SourceCredentials {
	return sourceCredentials.get(tx, name)
}

// AllSourceCredentials yields all source credentials by name.
func (tx *ReadTx) AllSourceCredentials() iter.Seq[*storev1.SourceCredentials] {
	return sourceCredentials.scan(tx, idIndex, "")
}

// PutSourceCredentials inserts or replaces source credentials and sets their resource version.
func (tx *Tx) PutSourceCredentials(c *storev1.SourceCredentials) error {
	if err := tx.stamp(c.GetCredentials().GetMetadata()); err != nil {
		return err
	}
	_, err := sourceCredentials.put(tx, c)
	return err
}

// DeleteSourceCredentials deletes source credentials, if there are some with the name.
func (tx *Tx) DeleteSourceCredentials(name string) error {
	_, err := sourceCredentials.remove(tx, name)
	return err
}

// scopeCredentials is a migration: it gives the source credentials of before they had scopes to the bundles that name them, and to no others.
func scopeCredentials(log Log) (ops []Op, err error) {
	var rows []*storev1.SourceCredentials
	users := make(map[string][]string)
	err = log.Load(func(table, _ string, value []byte) error {
		switch table {
		case Bundles.String():
			b := &yardarmv1.Bundle{}
			if err := proto.Unmarshal(value, b); err != nil {
				return err
			}
			if from := b.GetSpec().GetSource().Origin(); from != nil {
				users[from.GetCredentials()] = append(users[from.GetCredentials()], b.GetMetadata().GetName())
			}
		case SourceCredentials.String():
			row := &storev1.SourceCredentials{}
			if err := proto.Unmarshal(value, row); err != nil {
				return err
			}
			rows = append(rows, row)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		name := row.GetCredentials().GetMetadata().GetName()
		if len(users[name]) == 0 {
			continue
		}
		slices.Sort(users[name])
		row.Credentials.Spec.Bundles = &yardarmv1.Scope{Names: users[name]}
		value, err := proto.Marshal(row)
		if err != nil {
			return nil, err
		}
		ops = append(ops, Op{Table: SourceCredentials.String(), Key: name, Value: value})
	}
	return ops, nil
}
