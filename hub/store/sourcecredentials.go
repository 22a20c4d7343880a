package store

import (
	"iter"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
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
