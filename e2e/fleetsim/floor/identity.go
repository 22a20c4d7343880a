package floor

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"time"

	"github.com/yardarm-dev/yardarm/pkg/certs"
)

// Identity is a CA and one certificate for both sides, of the kind that hub and spokes have: ECDSA over P-256, TLS 1.3.
// It travels to other processes as it is.
type Identity struct{ Root, Leaf, Key []byte }

// host is what the certificate is for.
const host = "floor"

// NewIdentity makes one.
func NewIdentity() (Identity, error) {
	rootKey, err := certs.NewKey()
	if err != nil {
		return Identity{}, err
	}
	leafKey, err := certs.NewKey()
	if err != nil {
		return Identity{}, err
	}
	now := time.Now()
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "floor CA"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: host}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		DNSNames: []string{host}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	var id Identity
	if id.Root, err = x509.CreateCertificate(rand.Reader, root, root, rootKey.Public(), rootKey); err != nil {
		return Identity{}, fmt.Errorf("issue the floor's CA: %w", err)
	}
	if id.Leaf, err = x509.CreateCertificate(rand.Reader, leaf, root, leafKey.Public(), rootKey); err != nil {
		return Identity{}, fmt.Errorf("issue the floor's certificate: %w", err)
	}
	id.Key, err = certs.EncodeKey(leafKey)
	return id, err
}

func (id Identity) load() (*x509.CertPool, tls.Certificate, error) {
	roots, err := certs.Pool([][]byte{id.Root})
	if err != nil {
		return nil, tls.Certificate{}, err
	}
	key, err := certs.ParseKey(id.Key)
	if err != nil {
		return nil, tls.Certificate{}, err
	}
	certificate, err := certs.Certificate([][]byte{id.Leaf}, key)
	if err != nil {
		return nil, tls.Certificate{}, err
	}
	return roots, *certificate, nil
}

func (id Identity) server() (*tls.Config, error) {
	roots, certificate, err := id.load()
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}, Certificates: []tls.Certificate{certificate},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots,
	}, err
}

// client answers a configuration that resumes sessions of the cache, or none if it is nil.
func (id Identity) client(sessions tls.ClientSessionCache) (*tls.Config, error) {
	roots, certificate, err := id.load()
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}, Certificates: []tls.Certificate{certificate},
		RootCAs: roots, ServerName: host, ClientSessionCache: sessions,
	}, err
}
