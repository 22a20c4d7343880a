package ca

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/yardarm-dev/yardarm/pkg/certs"
)

// What a request asks for changes nothing: the hub sets every field.
func TestRequestGivesItsKeyAndNothingElse(t *testing.T) {
	h := newHub(t)
	h.cluster("prod-1")
	evil, _ := url.Parse("yardarm://" + h.fleet + "/cluster/prod-2-uid")
	constraints, err := asn1.Marshal(struct {
		IsCA bool
	}{true})
	if err != nil {
		t.Fatal(err)
	}
	usage, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 1}, {2, 5, 29, 37, 0}})
	if err != nil {
		t.Fatal(err)
	}
	key := newKey(t)
	request := csr(t, key, &x509.CertificateRequest{
		Subject:        pkix.Name{CommonName: "prod-2", Organization: []string{"system:masters"}},
		DNSNames:       []string{"hub.example"},
		IPAddresses:    []net.IP{net.IPv4(127, 0, 0, 1)},
		EmailAddresses: []string{"a@example.com"},
		URIs:           []*url.URL{evil},
		ExtraExtensions: []pkix.Extension{
			{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Critical: true, Value: constraints},
			{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Value: usage},
			{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}},
		},
	})
	identity, err := h.Redeem(context.Background(), h.mint("prod-1", 0), request, "kube")
	if err != nil {
		t.Fatal(err)
	}
	got := leaf(t, identity)
	want, _ := url.Parse("yardarm://" + h.fleet + "/cluster/prod-1-uid")
	switch {
	case got.Subject.String() != "CN=prod-1":
		t.Errorf("subject %s", got.Subject)
	case len(got.URIs) != 1 || got.URIs[0].String() != want.String():
		t.Errorf("URIs %v, want %s", got.URIs, want)
	case len(got.DNSNames)+len(got.IPAddresses)+len(got.EmailAddresses) != 0:
		t.Errorf("names %v %v %v", got.DNSNames, got.IPAddresses, got.EmailAddresses)
	case got.IsCA || !got.BasicConstraintsValid:
		t.Error("the certificate is a CA, or does not say that it is none")
	case got.KeyUsage != x509.KeyUsageDigitalSignature:
		t.Errorf("key usage %b", got.KeyUsage)
	case len(got.ExtKeyUsage) != 1 || got.ExtKeyUsage[0] != x509.ExtKeyUsageClientAuth || len(got.UnknownExtKeyUsage) != 0:
		t.Errorf("usages %v %v, want client only", got.ExtKeyUsage, got.UnknownExtKeyUsage)
	case !got.NotBefore.Equal(h.now().Add(-certs.Backdate)) || !got.NotAfter.Equal(h.now().Add(24*time.Hour)):
		t.Errorf("from %v to %v", got.NotBefore, got.NotAfter)
	case got.SerialNumber.BitLen() < 120:
		t.Errorf("serial number of %d bits", got.SerialNumber.BitLen())
	}
	for _, extension := range got.Extensions {
		switch extension.Id.String() {
		case "2.5.29.15", "2.5.29.37", "2.5.29.19", "2.5.29.14", "2.5.29.35", "2.5.29.17": // usages, constraints, key ids, the URI
		default:
			t.Errorf("extension %s", extension.Id)
		}
	}
	if public := got.PublicKey.(*ecdsa.PublicKey); !public.Equal(key.Public()) {
		t.Error("the key is not the request's")
	}
	if err := got.CheckSignatureFrom(h.Standing().Roots[0]); err != nil {
		t.Error(err)
	}
}

func TestKeysOfRequests(t *testing.T) {
	h := newHub(t)
	for name, c := range map[string]struct {
		key  func() (crypto.Signer, error)
		says string
	}{
		"P-256":    {func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }, ""},
		"P-384":    {func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P384(), rand.Reader) }, ""},
		"Ed25519":  {func() (crypto.Signer, error) { _, key, err := ed25519.GenerateKey(rand.Reader); return key, err }, ""},
		"RSA 2048": {func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) }, ""},
		"P-521":    {func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P521(), rand.Reader) }, "P-521"},
		"P-224":    {func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P224(), rand.Reader) }, "P-224"},
		"RSA 1024": {func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 1024) }, "1024"},
	} {
		t.Run(strings.ToLower(name), func(t *testing.T) {
			if strings.HasSuffix(name, "1024") {
				t.Setenv("GODEBUG", "rsa1024min=0")
			}
			key, err := c.key()
			if err != nil {
				t.Fatal(err)
			}
			cluster := strings.ReplaceAll(strings.ToLower(name), " ", "-")
			h.cluster(cluster)
			identity, err := h.Redeem(context.Background(), h.mint(cluster, 0), csr(t, key, nil), cluster)
			if c.says != "" {
				if !errors.Is(err, ErrBadCSR) || !strings.Contains(err.Error(), c.says) {
					t.Fatalf("error %v, want ErrBadCSR saying %q", err, c.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			// It is usable: a whole certificate that the hub takes back.
			if _, err := h.ClusterFromState(stateOf(leaf(t, identity))); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestRequestMustBeSignedByItsKey(t *testing.T) {
	good := csr(t, newKey(t), nil)
	if _, err := parseRequest(good); err != nil {
		t.Fatal(err)
	}
	forged := append([]byte(nil), good...)
	forged[len(forged)-1] ^= 1
	for says, der := range map[string][]byte{
		"signature is wrong": forged,
		"trailing data":      append(append([]byte(nil), good...), 0),
		"the limit is 16384": csr(t, newKey(t), &x509.CertificateRequest{DNSNames: []string{strings.Repeat("a", maxRequest)}}),
		"no PKCS#10 in DER":  nil,
	} {
		if _, err := parseRequest(der); !errors.Is(err, ErrBadCSR) || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want ErrBadCSR that says %q", err, says)
		}
	}
}

func TestClusterLifeIsConfigurable(t *testing.T) {
	h := newHub(t)
	short, err := New(Config{Store: h.store, Sealer: h.sealer, Clock: h.clock.now, ClusterLife: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	_, notAfter, err := short.IssueCluster(newKey(t).Public(), "uid", "prod-1")
	if err != nil || !notAfter.Equal(h.now().Add(time.Minute)) {
		t.Fatalf("ends %v, %v; want in a minute", notAfter, err)
	}
	// No certificate outlives the root.
	h.clock.pass(h.Standing().Roots[0].NotAfter.Sub(h.now()) - time.Hour)
	if _, notAfter, err = h.IssueCluster(newKey(t).Public(), "uid", "prod-1"); err != nil || !notAfter.Equal(h.Standing().Roots[0].NotAfter) {
		t.Fatalf("ends %v, %v; want with the root", notAfter, err)
	}
}

func FuzzParseRequest(f *testing.F) {
	good := csr(f, newKey(f), nil)
	f.Add(good)
	f.Add(csr(f, newKey(f), &x509.CertificateRequest{Subject: pkix.Name{CommonName: "a"}, DNSNames: []string{"b"}}))
	f.Add(good[:len(good)/2])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, der []byte) {
		request, err := parseRequest(der)
		if err != nil {
			if !errors.Is(err, ErrBadCSR) || request != nil {
				t.Fatalf("%v, %v: want ErrBadCSR and nothing else", request, err)
			}
			return
		}
		// What is taken is a key that can be hashed and be put into a certificate.
		if hash, err := certs.KeyHash(request.public); err != nil || string(hash) != string(request.keyHash) {
			t.Fatalf("hash %x, %v", hash, err)
		}
	})
}
