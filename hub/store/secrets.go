package store

import (
	"iter"
	"strings"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// TransientSecretPrefix begins the names of secrets that are in no backup, such as TLS ticket keys: whoever restores one makes new ones.
const TransientSecretPrefix = "transient."

var secrets = durable(Secrets, hard, func(s *storev1.SealedSecret) string { return s.GetName() })

// Secret returns the sealed secret with the name, or nil.
func (tx *ReadTx) Secret(name string) *storev1.SealedSecret { return secrets.get(tx, name) }

// Secrets yields all sealed secrets by name.
func (tx *ReadTx) Secrets() iter.Seq[*storev1.SealedSecret] { return secrets.scan(tx, idIndex, "") }

// PutSecret inserts or replaces a sealed secret.
func (tx *Tx) PutSecret(s *storev1.SealedSecret) error {
	_, err := secrets.put(tx, s)
	return err
}

// DeleteSecret deletes a sealed secret, if there is one with the name.
func (tx *Tx) DeleteSecret(name string) error {
	_, err := secrets.remove(tx, name)
	return err
}

func isTransient(name string) bool { return strings.HasPrefix(name, TransientSecretPrefix) }
