package store

import (
	"fmt"
	"iter"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

var credentials = durable(Credentials, hard, func(c *storev1.Credential) string { return c.GetId() },
	uniqueBy(nameIndex, func(c *storev1.Credential) string { return c.GetName() }))

var credentialUses = durable(CredentialUses, soft, func(u *storev1.CredentialUse) string { return u.GetId() })

// Credential returns the credential with the id, or nil.
func (tx *ReadTx) Credential(id string) *storev1.Credential { return credentials.get(tx, id) }

// Credentials yields all credentials by id.
func (tx *ReadTx) Credentials() iter.Seq[*storev1.Credential] {
	return credentials.scan(tx, idIndex, "")
}

// CredentialByName returns the credential with the name, or nil.
func (tx *ReadTx) CredentialByName(name string) *storev1.Credential {
	return credentials.first(tx, nameIndex, name)
}

// CredentialUse returns when the credential with the id was last shown, or nil.
func (tx *ReadTx) CredentialUse(id string) *storev1.CredentialUse { return credentialUses.get(tx, id) }

// PutCredentialUse inserts or replaces when a credential was last shown; one that is no more leaves nothing.
func (tx *Tx) PutCredentialUse(u *storev1.CredentialUse) error {
	if tx.Credential(u.GetId()) == nil {
		return nil
	}
	_, err := credentialUses.put(tx, u)
	return err
}

// PutCredential inserts or replaces a credential. The error wraps [ErrNameTaken] if another credential has the name.
func (tx *Tx) PutCredential(c *storev1.Credential) error {
	if other := tx.CredentialByName(c.GetName()); other != nil && other.GetId() != c.GetId() {
		return tx.fail(fmt.Errorf("put credential %s: %w", c.GetName(), ErrNameTaken))
	}
	_, err := credentials.put(tx, c)
	return err
}

// DeleteCredential deletes a credential, if there is one with the id, and when it was last shown.
func (tx *Tx) DeleteCredential(id string) error {
	if _, err := credentials.remove(tx, id); err != nil {
		return err
	}
	_, err := credentialUses.remove(tx, id)
	return err
}
