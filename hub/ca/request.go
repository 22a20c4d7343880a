package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"fmt"

	"github.com/yardarm-dev/yardarm/pkg/certs"
)

const (
	// maxRequest bounds a certificate request, in bytes: one with an RSA key of 8192 bits has about 2 KiB.
	maxRequest = 16 << 10
	// Bits of RSA keys: below 2048 they are weak, and beyond 8192 a signature takes long to check.
	minRSABits, maxRSABits = 2048, 8192
	// maxKubeUID bounds the uid of a namespace, in bytes: Kubernetes makes UUIDs of 36.
	maxKubeUID = 128
)

// request is what the hub takes of a certificate request: the key. It has no room for anything else that one may ask for.
type request struct {
	public  crypto.PublicKey
	keyHash []byte
}

// parseRequest reads a PKCS#10 request (DER). Its signature proves that the sender has the key. All errors are [ErrBadCSR].
func parseRequest(der []byte) (*request, error) {
	if len(der) > maxRequest {
		return nil, fmt.Errorf("%w: it has %d bytes, the limit is %d", ErrBadCSR, len(der), maxRequest)
	}
	parsed, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("%w: it is no PKCS#10 in DER: %w", ErrBadCSR, err)
	}
	if err := checkKey(parsed.PublicKey); err != nil {
		return nil, err
	}
	if err := parsed.CheckSignature(); err != nil {
		return nil, fmt.Errorf("%w: its signature is wrong: %w", ErrBadCSR, err)
	}
	hash, err := certs.KeyHash(parsed.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadCSR, err)
	}
	return &request{public: parsed.PublicKey, keyHash: hash}, nil
}

func checkKey(public crypto.PublicKey) error {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() || key.Curve == elliptic.P384() {
			return nil
		}
		return fmt.Errorf("%w: ECDSA keys are to be on P-256 or P-384, not %s", ErrBadCSR, key.Curve.Params().Name)
	case ed25519.PublicKey:
		return nil
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return fmt.Errorf("%w: RSA keys are to have %d to %d bits, not %d", ErrBadCSR, minRSABits, maxRSABits, bits)
		}
		return nil
	default:
		return fmt.Errorf("%w: keys are to be ECDSA, Ed25519 or RSA, not %T", ErrBadCSR, public)
	}
}

// checkKubeUID keeps what is stored and shown in errors to what Kubernetes could have made.
func checkKubeUID(uid string) error {
	if uid == "" || len(uid) > maxKubeUID {
		return fmt.Errorf("%w: the uid of the kube-system namespace is to have 1 to %d characters, not %d", ErrBadCSR, maxKubeUID, len(uid))
	}
	for _, c := range uid {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return fmt.Errorf("%w: the uid of the kube-system namespace has a character that no uid has", ErrBadCSR)
		}
	}
	return nil
}
