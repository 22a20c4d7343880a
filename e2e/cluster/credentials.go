package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// certificateLife is how long a cluster's certificates are valid: longer than any demo.
const certificateLife = 365 * 24 * time.Hour

// users are who holds a token: a person, and the control plane's own parts. All are in system:masters;
// the names are there to tell them apart in audit logs and managed fields.
var users = []string{"admin", "system:kube-controller-manager", "system:kube-scheduler", "kwok", "node"}

// credentials are a cluster's secrets, in files in its folder:
//
//	ca.crt                        what clients trust
//	apiserver.crt, apiserver.key  the API server's certificate, signed by the CA
//	service-accounts.key          signs service account tokens, and verifies them
//	tokens.csv                    one static token per user
//	<user>.kubeconfig             colons in the user's name written as dashes
//
// The CA's key is kept nowhere.
type credentials struct {
	dir    string
	ca     []byte            // PEM
	tokens map[string]string // by user
}

// newCredentials makes a cluster's secrets and writes them to its folder, kubeconfigs aside. reach is another IP of the API server,
// or empty.
func newCredentials(dir, reach string) (*credentials, error) {
	c := &credentials{dir: dir, tokens: make(map[string]string)}
	var tokens strings.Builder
	for _, user := range users {
		c.tokens[user] = rand.Text()
		fmt.Fprintf(&tokens, "%s,%s,%s,system:masters\n", c.tokens[user], user, user)
	}
	ca, cert, key, err := newServingCertificate(reach)
	if err != nil {
		return nil, fmt.Errorf("make certificates: %w", err)
	}
	c.ca = ca
	_, serviceAccounts, err := newKey()
	if err != nil {
		return nil, fmt.Errorf("make a service account key: %w", err)
	}
	return c, errors.Join(
		c.write("ca.crt", ca),
		c.write("apiserver.crt", cert),
		c.write("apiserver.key", key),
		c.write("service-accounts.key", serviceAccounts),
		c.write("tokens.csv", []byte(tokens.String())),
	)
}

// path is where one of the files is.
func (c *credentials) path(name string) string { return filepath.Join(c.dir, name) }

func (c *credentials) write(name string, content []byte) error {
	return os.WriteFile(c.path(name), content, 0o600)
}

// writeKubeconfig writes a user's kubeconfig, with one context named for the cluster, and returns it and
// its path. JSON is YAML.
func (c *credentials) writeKubeconfig(cluster, server, user string) (content []byte, path string, err error) {
	type named = map[string]any
	content, err = json.MarshalIndent(named{
		"apiVersion":      "v1",
		"kind":            "Config",
		"current-context": cluster,
		"clusters": []named{{"name": cluster, "cluster": named{
			"server": server, "certificate-authority-data": base64.StdEncoding.EncodeToString(c.ca),
		}}},
		"users":    []named{{"name": user, "user": named{"token": c.tokens[user]}}},
		"contexts": []named{{"name": cluster, "context": named{"cluster": cluster, "user": user}}},
	}, "", "  ")
	if err != nil {
		return nil, "", err
	}
	content = append(content, '\n')
	name := strings.ReplaceAll(user, ":", "-") + ".kubeconfig"
	return content, c.path(name), c.write(name, content)
}

// newServingCertificate makes a CA and a certificate of an API server on this machine, all PEM.
func newServingCertificate(reach string) (ca, cert, key []byte, err error) {
	now := time.Now()
	caKey, _, err := newKey()
	if err != nil {
		return nil, nil, nil, err
	}
	authority := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "kubernetes"},
		NotBefore:             now.Add(-time.Minute),
		NotAfter:              now.Add(certificateLife),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, authority, authority, caKey.Public(), caKey)
	if err != nil {
		return nil, nil, nil, err
	}
	serverKey, key, err := newKey()
	if err != nil {
		return nil, nil, nil, err
	}
	ips := []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 96, 0, 1)}
	if ip := net.ParseIP(reach); ip != nil {
		ips = append(ips, ip)
	}
	certDER, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: "kube-apiserver"},
		NotBefore:    authority.NotBefore,
		NotAfter:     authority.NotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
		IPAddresses:  ips,
	}, authority, serverKey.Public(), caKey)
	if err != nil {
		return nil, nil, nil, err
	}
	return pemOf("CERTIFICATE", caDER), pemOf("CERTIFICATE", certDER), key, nil
}

// newKey makes a key, also as PEM.
func newKey() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return key, pemOf("EC PRIVATE KEY", der), nil
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
