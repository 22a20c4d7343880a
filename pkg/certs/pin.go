package certs

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Pin is the SHA-256 of a CA's public key (SubjectPublicKeyInfo, DER). Who holds it can know the hub without any other trust.
type Pin [sha256.Size]byte

const pinPrefix = "sha256:"

// ErrPin means that a server is not the one that the pin was taken of.
var ErrPin = errors.New("no certificate of the chain has the pinned key")

// PinOf returns the pin of a CA's certificate.
func PinOf(ca *x509.Certificate) Pin {
	return sha256.Sum256(ca.RawSubjectPublicKeyInfo)
}

// ParsePin reads what String writes.
func ParsePin(text string) (Pin, error) {
	var pin Pin
	digits, ok := strings.CutPrefix(text, pinPrefix)
	if !ok || len(digits) != hex.EncodedLen(len(pin)) {
		return Pin{}, fmt.Errorf("a pin is %q and %d hexadecimal digits", pinPrefix, hex.EncodedLen(len(pin)))
	}
	if _, err := hex.Decode(pin[:], []byte(digits)); err != nil {
		return Pin{}, fmt.Errorf("a pin is %q and %d hexadecimal digits: %w", pinPrefix, hex.EncodedLen(len(pin)), err)
	}
	return pin, nil
}

// String writes the pin as "sha256:" and 64 hexadecimal digits.
func (p Pin) String() string {
	return pinPrefix + hex.EncodeToString(p[:])
}

// VerifyPinned verifies a server's chain, leaf first, by a pin instead of a set of roots: the chain must hold a CA whose key has the
// pin, and the leaf must be a server certificate for host, a name or an IP address, that this CA has issued. It returns
// that CA. A chain without the CA is [ErrPin]; any other error means that the hub itself was met and its certificate does not serve.
func VerifyPinned(pin Pin, host string, now time.Time, chain []*x509.Certificate) (*x509.Certificate, error) {
	if len(chain) == 0 {
		return nil, ErrPin
	}
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	var ca *x509.Certificate
	for _, certificate := range chain[1:] {
		if certificate.BasicConstraintsValid && certificate.IsCA && PinOf(certificate) == pin {
			roots.AddCert(certificate)
			ca = certificate
		} else {
			intermediates.AddCert(certificate)
		}
	}
	if ca == nil {
		return nil, ErrPin
	}
	verified, err := chain[0].Verify(x509.VerifyOptions{
		DNSName:       host,
		Roots:         roots,
		Intermediates: intermediates,
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		// Anybody can show a public CA certificate. Only who has its key can show a leaf below it.
		if _, other := errors.AsType[x509.UnknownAuthorityError](err); other {
			return nil, fmt.Errorf("%w: the leaf is not issued by the CA beside it", ErrPin)
		}
		return nil, err
	}
	last := verified[0][len(verified[0])-1]
	if !bytes.Equal(last.Raw, ca.Raw) {
		ca = last
	}
	return ca, nil
}
