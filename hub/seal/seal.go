package seal

import (
	"errors"
	"fmt"
	"io"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// ErrWrongKey means that a secret does not open under this hub key, or is not the one that was sealed under its name.
var ErrWrongKey = errors.New("the hub key does not fit")

// Seal encrypts a secret under its name: a row that is moved to another name does not open there. Names are no secret.
func (s *Sealer) Seal(name string, plaintext []byte) (*storev1.SealedSecret, error) {
	// A random nonce of 96 bits: a hub seals a few secrets a day, and an answer for each call with an idempotency key; GCM bears 2^32 under one key.
	nonce := make([]byte, s.aead.NonceSize())
	if _, err := io.ReadFull(s.random, nonce); err != nil {
		return nil, fmt.Errorf("seal %s: %w", name, err)
	}
	return &storev1.SealedSecret{
		Name:       name,
		Nonce:      nonce,
		Ciphertext: s.aead.Seal(nil, nonce, plaintext, []byte(name)),
	}, nil
}

// Open decrypts what was sealed under name. A failure is [ErrWrongKey] and says where the key is from and what to do.
func (s *Sealer) Open(name string, secret *storev1.SealedSecret) ([]byte, error) {
	if len(secret.GetNonce()) != s.aead.NonceSize() {
		return nil, fmt.Errorf("open %s: %w: the row is damaged", name, ErrWrongKey)
	}
	plaintext, err := s.aead.Open(nil, secret.GetNonce(), secret.GetCiphertext(), []byte(name))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w: the key in %s is not the one that this database is sealed with: "+
			"put the key there that was backed up for this database, or the database that belongs to this key", name, ErrWrongKey, s.source)
	}
	return plaintext, nil
}
