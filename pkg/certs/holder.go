package certs

import (
	"crypto"
	"crypto/tls"
	"fmt"
	"sync/atomic"
)

// Holder holds the client certificate of the moment. Each handshake takes the newest; connections that are up are left alone.
// The zero Holder holds none, which in a handshake means no certificate. Safe for concurrent use.
type Holder struct {
	current atomic.Pointer[tls.Certificate]
}

// Set takes a certificate, to be used from the next handshake on.
func (h *Holder) Set(certificate *tls.Certificate) {
	h.current.Store(certificate)
}

// Get returns the newest certificate, or nil.
func (h *Holder) Get() *tls.Certificate {
	return h.current.Load()
}

// GetClientCertificate is for [tls.Config].
func (h *Holder) GetClientCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	if certificate := h.current.Load(); certificate != nil {
		return certificate, nil
	}
	// Not nil: crypto/tls asks for an empty one to mean none.
	return &tls.Certificate{}, nil
}

// Certificate joins a chain (DER, leaf first) and its key for crypto/tls. A key that is not the leaf's is an error.
func Certificate(chain [][]byte, key crypto.Signer) (*tls.Certificate, error) {
	parsed, err := Parse(chain)
	if err != nil {
		return nil, err
	}
	if len(parsed) == 0 {
		return nil, fmt.Errorf("the certificate chain is empty")
	}
	public, ok := parsed[0].PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(key.Public()) {
		return nil, fmt.Errorf("the certificate is not for this key")
	}
	return &tls.Certificate{Certificate: chain, PrivateKey: key, Leaf: parsed[0]}, nil
}
