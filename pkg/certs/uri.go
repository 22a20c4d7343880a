package certs

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

const (
	uriScheme  = "yardarm"
	uriCluster = "cluster"
	// maxURIPart bounds a fleet's and a cluster's id, in bytes: both are minted by the hub and much shorter.
	maxURIPart = 128
)

// ErrNotCluster means that a certificate names no cluster.
var ErrNotCluster = errors.New("the certificate is not that of a cluster")

// ErrRefused means that a handshake has ended over a certificate that was shown and does not serve. Who has shown it gets a TLS alert, which
// says next to nothing, so that it is for the other side to tell.
var ErrRefused = errors.New("the certificate is refused")

// ClusterURI returns yardarm://FLEET/cluster/UID, which is who a cluster is: its certificate has it as the only alternative name.
func ClusterURI(fleet, uid string) (*url.URL, error) {
	if !isURIPart(fleet) {
		return nil, fmt.Errorf("fleet %q does not fit into a URI", fleet)
	}
	if !isURIPart(uid) {
		return nil, fmt.Errorf("cluster uid %q does not fit into a URI", uid)
	}
	return &url.URL{Scheme: uriScheme, Host: fleet, Path: "/" + uriCluster + "/" + uid}, nil
}

// ClusterOf reads the fleet and the cluster's uid from a certificate, whoever issued it: verifying is up to the caller.
// Anything beside the one URI, or a URI written in any other way than [ClusterURI] does, is [ErrNotCluster].
func ClusterOf(certificate *x509.Certificate) (fleet, uid string, err error) {
	if len(certificate.URIs) != 1 || len(certificate.DNSNames)+len(certificate.IPAddresses)+len(certificate.EmailAddresses) > 0 {
		return "", "", ErrNotCluster
	}
	uri := certificate.URIs[0]
	kind, uid, ok := strings.Cut(strings.TrimPrefix(uri.Path, "/"), "/")
	if !ok || kind != uriCluster {
		return "", "", ErrNotCluster
	}
	canonical, err := ClusterURI(uri.Host, uid)
	if err != nil || canonical.String() != uri.String() {
		return "", "", ErrNotCluster
	}
	return uri.Host, uid, nil
}

// isURIPart allows what hubs mint (lower-case letters, digits and dashes), so that no character needs escaping.
func isURIPart(part string) bool {
	if part == "" || len(part) > maxURIPart {
		return false
	}
	for _, c := range part {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
