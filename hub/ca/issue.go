package ca

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net/url"
	"time"

	"github.com/yardarm-dev/yardarm/pkg/certs"
)

// serialSize is the size of a serial number in bytes: with 128 random bits no two certificates share one.
const serialSize = 16

// IssueCluster returns a certificate (DER, a chain of one) for a cluster's key, and its end. Every field is the hub's: the name, the URI, the
// usage (client only), the time (from five minutes ago, for ClusterLife). The caller has judged that the key may have it.
func (c *CA) IssueCluster(public crypto.PublicKey, clusterUID, name string) ([][]byte, time.Time, error) {
	return c.issueCluster(c.roots.Load().issuing(), public, clusterUID, name)
}

func (c *CA) issueCluster(by root, public crypto.PublicKey, clusterUID, name string) ([][]byte, time.Time, error) {
	uri, err := certs.ClusterURI(c.fleet, clusterUID)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("issue a certificate for cluster %s: %w", name, err)
	}
	certificate, err := c.issue(by, public, c.life, &x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		URIs:        []*url.URL{uri},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("issue a certificate for cluster %s: %w", name, err)
	}
	return [][]byte{certificate.Raw}, certificate.NotAfter, nil
}

// issue has a root sign a leaf. The template says who and for what; the rest is the same for all.
func (c *CA) issue(by root, public crypto.PublicKey, life time.Duration, template *x509.Certificate) (*x509.Certificate, error) {
	serial, err := c.serial()
	if err != nil {
		return nil, err
	}
	now := c.now()
	template.SerialNumber = serial
	template.NotBefore = now.Add(-certs.Backdate)
	template.NotAfter = now.Add(life)
	if template.NotAfter.After(by.certificate.NotAfter) {
		template.NotAfter = by.certificate.NotAfter
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.BasicConstraintsValid = true
	der, err := x509.CreateCertificate(rand.Reader, template, by.certificate, public, by.key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func (c *CA) serial() (*big.Int, error) {
	random := make([]byte, serialSize)
	if _, err := io.ReadFull(c.random, random); err != nil {
		return nil, fmt.Errorf("draw a serial number: %w", err)
	}
	// Positive, and with no leading zero bits that would make it short.
	random[0] = random[0]&0x7f | 0x40
	return new(big.Int).SetBytes(random), nil
}
