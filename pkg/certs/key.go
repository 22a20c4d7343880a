package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

const (
	blockKey         = "PRIVATE KEY"
	blockCertificate = "CERTIFICATE"
)

// NewKey makes a private key: ECDSA over P-256, which every TLS stack takes and whose signatures are small.
func NewKey() (crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	return key, nil
}

// EncodeKey writes a private key as PEM (PKCS#8).
func EncodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: blockKey, Bytes: der}), nil
}

// ParseKey reads what EncodeKey writes. Its errors hold nothing of the key.
func ParseKey(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != blockKey {
		return nil, fmt.Errorf("no PEM block %q", blockKey)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("the private key is damaged")
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of type %T cannot sign", parsed)
	}
	return key, nil
}

// KeyHash returns the SHA-256 of a public key (SubjectPublicKeyInfo, DER): what an enrolled identity is bound to. The key is marshalled
// anew, so that one key has one hash however a request has written it.
func KeyHash(public crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("hash a public key: %w", err)
	}
	hash := sha256.Sum256(der)
	return hash[:], nil
}
