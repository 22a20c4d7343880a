package ca

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/yardarm-dev/yardarm/pkg/certs"
)

// maxRoots is the new one and the one that it replaces: a second rotation has to wait for the first to end.
const maxRoots = 2

// roots are the CA's certificates with their keys, the newest first: one, or two while it is rotated. The newest issues for clusters. The oldest
// stands behind the hub's own certificate and the pin in tokens, since it is the one that everybody knows. Immutable.
type roots struct {
	all    []root
	bundle [][]byte
	pool   *x509.CertPool
	// replaced is closed when others have taken their place.
	replaced chan struct{}
}

// root is one of them. text is both in PEM, as in the store.
type root struct {
	certificate *x509.Certificate
	key         crypto.Signer
	pin         certs.Pin
	text        []byte
}

func newRoots(all ...root) *roots {
	r := &roots{all: all, pool: x509.NewCertPool(), replaced: make(chan struct{})}
	for _, root := range all {
		r.bundle = append(r.bundle, root.certificate.Raw)
		r.pool.AddCert(root.certificate)
	}
	return r
}

func (r *roots) issuing() root { return r.all[0] }
func (r *roots) serving() root { return r.all[len(r.all)-1] }

// judge says whether one of the roots has issued a cluster's certificate. That of a resumed session comes from a ticket that the hub has sealed, with keys of its own,
// after it had verified it: so its issuer is who it names, and what is left to ask, at the price of no signature, is whether that is still one of the roots.
func (r *roots) judge(leaf *x509.Certificate, at time.Time, resumed bool) error {
	if resumed && slices.ContainsFunc(r.all, func(by root) bool { return bytes.Equal(by.certificate.SubjectKeyId, leaf.AuthorityKeyId) }) {
		return nil
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: r.pool, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return err
}

// encode is what is kept in the store.
func (r *roots) encode() []byte {
	var text []byte
	for _, root := range r.all {
		text = append(text, root.text...)
	}
	return text
}

// decodeRoots reads what encode, or makeRoot, has written: certificate and key by turns.
func (c *CA) decodeRoots(text []byte) (*roots, error) {
	var all []root
	for len(text) > 0 {
		start := text
		certificate, rest := pem.Decode(text)
		key, rest := pem.Decode(rest)
		if certificate == nil || key == nil || len(all) == maxRoots {
			return nil, errors.New("the CA's certificate in the database is damaged: restore a backup")
		}
		text = rest
		r, err := c.decodeRoot(certificate, key)
		if err != nil {
			return nil, err
		}
		r.text = start[:len(start)-len(rest)]
		all = append(all, r)
	}
	if len(all) == 0 {
		return nil, errors.New("the CA's certificate in the database is damaged: restore a backup")
	}
	return newRoots(all...), nil
}

func (c *CA) decodeRoot(certificate, key *pem.Block) (r root, err error) {
	parsed, err := certs.Parse([][]byte{certificate.Bytes})
	if err != nil || len(parsed) != 1 {
		return root{}, errors.New("the CA's certificate in the database is damaged: restore a backup")
	}
	r.certificate, r.pin = parsed[0], certs.PinOf(parsed[0])
	if r.key, err = certs.ParseKey(pem.EncodeToMemory(key)); err != nil {
		return root{}, fmt.Errorf("the CA's key in the database is damaged: restore a backup: %w", err)
	}
	if _, err := certs.Certificate([][]byte{certificate.Bytes}, r.key); err != nil {
		return root{}, fmt.Errorf("the CA's key in the database is damaged: restore a backup: %w", err)
	}
	if now := c.now(); now.After(r.certificate.NotAfter) {
		return root{}, fmt.Errorf("the CA's certificate expired on %s; is the hub's clock right (%s)?",
			r.certificate.NotAfter.UTC().Format(time.DateOnly), now.UTC().Format(time.RFC3339))
	}
	return r, nil
}
