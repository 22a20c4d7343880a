package certs

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
)

// EncodeChain writes certificates (DER) as PEM, in their order.
func EncodeChain(chain [][]byte) []byte {
	var text bytes.Buffer
	for _, der := range chain {
		// A bytes.Buffer takes every write.
		_ = pem.Encode(&text, &pem.Block{Type: blockCertificate, Bytes: der})
	}
	return text.Bytes()
}

// DecodeChain reads the certificates of a PEM text, which may hold other blocks as well. It answers none for a text without
// certificates; whether each is well-formed is for [Parse] to say.
func DecodeChain(text []byte) [][]byte {
	var chain [][]byte
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return chain
		}
		if block.Type == blockCertificate {
			chain = append(chain, block.Bytes)
		}
		text = rest
	}
}

// Parse parses certificates (DER), and fails for the first that is not one.
func Parse(chain [][]byte) ([]*x509.Certificate, error) {
	parsed := make([]*x509.Certificate, len(chain))
	for i, der := range chain {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("parse certificate %d of %d: %w", i+1, len(chain), err)
		}
		parsed[i] = certificate
	}
	return parsed, nil
}

// Pool returns CA certificates (DER) as the roots to verify by. An empty bundle is an error: a nil pool would mean the
// system's roots.
func Pool(bundle [][]byte) (*x509.CertPool, error) {
	if len(bundle) == 0 {
		return nil, errors.New("the trust bundle is empty")
	}
	parsed, err := Parse(bundle)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	for _, certificate := range parsed {
		if !certificate.BasicConstraintsValid || !certificate.IsCA {
			return nil, fmt.Errorf("certificate %q of the trust bundle is no CA", certificate.Subject.CommonName)
		}
		pool.AddCert(certificate)
	}
	return pool, nil
}

// Union returns first, then what only second has, each once. It is how a spoke keeps old and new trust.
func Union(first, second [][]byte) [][]byte {
	var union [][]byte
	for _, der := range slices.Concat(first, second) {
		if !Contains(union, der) {
			union = append(union, der)
		}
	}
	return union
}

// bundleHashSize is enough, in bytes, to tell a bundle from those that came before it.
const bundleHashSize = 16

// BundleHash tells trust bundles apart, also by their order: SHA-256, cut to 16 bytes. That of an empty one is empty.
func BundleHash(bundle [][]byte) []byte {
	if len(bundle) == 0 {
		return nil
	}
	h := sha256.New()
	for _, der := range bundle {
		one := sha256.Sum256(der)
		h.Write(one[:])
	}
	return h.Sum(nil)[:bundleHashSize]
}

// Contains says whether the bundle holds just this certificate.
func Contains(bundle [][]byte, der []byte) bool {
	return slices.ContainsFunc(bundle, func(other []byte) bool { return bytes.Equal(other, der) })
}

// Certificate joins a chain (DER, leaf first) and its key for crypto/tls. A key that is not the leaf's is an error.
func Certificate(chain [][]byte, key crypto.Signer) (*tls.Certificate, error) {
	parsed, err := Parse(chain)
	if err != nil {
		return nil, err
	}
	if len(parsed) == 0 {
		return nil, errors.New("the certificate chain is empty")
	}
	public, ok := parsed[0].PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(key.Public()) {
		return nil, errors.New("the certificate is not for this key")
	}
	return &tls.Certificate{Certificate: chain, PrivateKey: key, Leaf: parsed[0]}, nil
}
