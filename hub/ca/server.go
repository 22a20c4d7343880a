package ca

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/yardarm-dev/yardarm/pkg/certs"
)

const (
	// serverLife is how long the hub's own certificates live. They are made in the process and never leave it.
	serverLife = 30 * 24 * time.Hour
	// serverRenewal is how long before its end one is replaced, so that no client meets one that is about to expire.
	serverRenewal = 10 * 24 * time.Hour
)

// ServerCertificate is the hub's certificate for its listeners. It is made anew as its end comes near, without a restart.
// Safe for concurrent use.
type ServerCertificate struct {
	ca    *CA
	hosts []string

	// mu guards current, and the pin of the root by which it was issued.
	mu      sync.Mutex
	current *tls.Certificate
	by      certs.Pin
}

// ServerCertificate returns a certificate for the names and IP addresses by which clients dial the hub. The chain holds the root too, so that
// a spoke that knows nothing but the pin can verify it.
func (c *CA) ServerCertificate(hosts []string) (*ServerCertificate, error) {
	if len(hosts) == 0 {
		return nil, errors.New("a server certificate needs at least one host name or IP address by which the hub is dialled")
	}
	for _, host := range hosts {
		if host == "" || net.ParseIP(host) == nil && strings.ContainsAny(host, ":/ ") {
			return nil, fmt.Errorf("%q is neither a host name nor an IP address", host)
		}
	}
	s := &ServerCertificate{ca: c, hosts: slices.Clone(hosts)}
	if _, err := s.GetCertificate(nil); err != nil {
		return nil, err
	}
	return s, nil
}

// GetCertificate is for [tls.Config]. It ignores which name the client asks for: there is one certificate for all.
func (s *ServerCertificate) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.ca.now()
	by := s.ca.roots.Load().serving()
	if s.current != nil && now.Before(s.current.Leaf.NotAfter.Add(-serverRenewal)) && !now.Before(s.current.Leaf.NotBefore) && s.by == by.pin {
		return s.current, nil
	}
	key, err := certs.NewKey()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "Yardarm hub"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, host := range s.hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	leaf, err := s.ca.issue(by, key.Public(), serverLife, template)
	if err != nil {
		return nil, fmt.Errorf("issue the hub's certificate for %s: %w", strings.Join(s.hosts, ", "), err)
	}
	s.current = &tls.Certificate{Certificate: [][]byte{leaf.Raw, by.certificate.Raw}, PrivateKey: key, Leaf: leaf}
	s.by = by.pin
	s.ca.log.Info("issued the hub's certificate", "hosts", s.hosts, "expires", leaf.NotAfter)
	return s.current, nil
}

// ServerTLS returns the configuration of the listener for people, which takes no client certificates.
func (c *CA) ServerTLS(hosts []string) (*tls.Config, error) {
	certificate, err := c.ServerCertificate(hosts)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		// 1.2 for the older clients of pipelines and corporate proxies.
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		Time:           c.now,
		GetCertificate: certificate.GetCertificate,
	}, nil
}
