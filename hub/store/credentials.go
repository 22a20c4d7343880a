package store

import (
	"iter"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

var credentials = durable(Credentials, hard, func(c *storev1.Credential) string { return c.GetId() })

// Credential returns the credential with the id, or nil.
func (tx *ReadTx) Credential(id string) *storev1.Credential { return credentials.get(tx, id) }

// Credentials yields all credentials by id.
func (tx *ReadTx) Credentials() iter.Seq[*storev1.Credential] {
	return credentials.scan(tx, idIndex, "")
}

// PutCredential inserts or replaces a credential.
func (tx *Tx) PutCredential(c *storev1.Credential) error {
	_, err := credentials.put(tx, c)
	return err
}

// DeleteCredential deletes a credential, if there is one with the id.
func (tx *Tx) DeleteCredential(id string) error {
	_, err := credentials.remove(tx, id)
	return err
}
