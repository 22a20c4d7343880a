package certs

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC)

// authority is a CA with a key.
type authority struct {
	*x509.Certificate
	key crypto.Signer
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key}
	a.Certificate = a.sign(t, key.Public(), &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// sign issues a certificate for a day around now. The first one is the authority's own.
func (a *authority) sign(t testing.TB, public crypto.PublicKey, template *x509.Certificate) *x509.Certificate {
	t.Helper()
	template.SerialNumber = big.NewInt(1)
	template.NotBefore, template.NotAfter = now.Add(-time.Hour), now.Add(24*time.Hour)
	template.BasicConstraintsValid = true
	parent := a.Certificate
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, a.key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func (a *authority) server(t testing.TB) *x509.Certificate {
	t.Helper()
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return a.sign(t, key.Public(), &x509.Certificate{
		DNSNames:    []string{"hub.example"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
}

func TestVerifyPinned(t *testing.T) {
	ca, other := newAuthority(t, "ca"), newAuthority(t, "other")
	leaf := ca.server(t)
	key, _ := NewKey()
	client := ca.sign(t, key.Public(), &x509.Certificate{DNSNames: []string{"hub.example"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	// Self-signed with the pinned key, which only its holder can do: no CA, though.
	self := &authority{key: ca.key}
	self.Certificate = self.sign(t, ca.key.Public(), &x509.Certificate{DNSNames: []string{"hub.example"}})
	chain := func(certificates ...*x509.Certificate) []*x509.Certificate { return certificates }

	for name, c := range map[string]struct {
		host  string
		at    time.Time
		chain []*x509.Certificate
		want  any // nil, an error, or what another error says
	}{
		"good":              {"hub.example", now, chain(leaf, ca.Certificate), nil},
		"by address":        {"127.0.0.1", now, chain(leaf, ca.Certificate), nil},
		"with another CA":   {"hub.example", now, chain(leaf, other.Certificate, ca.Certificate), nil},
		"without the CA":    {"hub.example", now, chain(leaf), ErrPin},
		"nothing":           {"hub.example", now, nil, ErrPin},
		"the CA alone":      {"hub.example", now, chain(ca.Certificate), ErrPin},
		"another hub":       {"hub.example", now, chain(other.server(t), other.Certificate), ErrPin},
		"the CA as a cloak": {"hub.example", now, chain(other.server(t), ca.Certificate), ErrPin},
		"a cloak in chain":  {"hub.example", now, chain(other.server(t), other.Certificate, ca.Certificate), ErrPin},
		"no CA":             {"hub.example", now, chain(self.Certificate, self.Certificate), ErrPin},
		"another host":      {"evil.example", now, chain(leaf, ca.Certificate), "not evil.example"},
		"expired":           {"hub.example", now.Add(25 * time.Hour), chain(leaf, ca.Certificate), "expired"},
		"a client's":        {"hub.example", now, chain(client, ca.Certificate), "key usage"},
	} {
		got, err := VerifyPinned(PinOf(ca.Certificate), c.host, c.at, c.chain)
		switch want := c.want.(type) {
		case nil:
			if err != nil || !got.Equal(ca.Certificate) {
				t.Errorf("%s: %v", name, err)
			}
		case error:
			if !errors.Is(err, want) {
				t.Errorf("%s: error %v, want %v", name, err, want)
			}
		case string:
			if err == nil || errors.Is(err, ErrPin) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want one that says %q", name, err, want)
			}
		}
	}
}

func TestPinText(t *testing.T) {
	pin := PinOf(newAuthority(t, "ca").Certificate)
	got, err := ParsePin(pin.String())
	if err != nil || got != pin || !strings.HasPrefix(pin.String(), "sha256:") {
		t.Fatalf("%v, %v; want %v", got, err, pin)
	}
	for _, text := range []string{"", "sha256:", pin.String()[7:], pin.String()[:70], pin.String() + "0", "sha256:" + strings.Repeat("x", 64)} {
		if _, err := ParsePin(text); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}

func TestClusterURI(t *testing.T) {
	uri, err := ClusterURI("0f", "a-1")
	if err != nil || uri.String() != "yardarm://0f/cluster/a-1" {
		t.Fatalf("%v, %v", uri, err)
	}
	for _, part := range []string{"", "a/b", "A", "a b", "a%2f", "a:1", "a@b", "ü", strings.Repeat("a", 129)} {
		if _, err := ClusterURI(part, "uid"); err == nil {
			t.Errorf("fleet %q: no error", part)
		}
		if _, err := ClusterURI("fleet", part); err == nil {
			t.Errorf("uid %q: no error", part)
		}
	}
}

func TestClusterOf(t *testing.T) {
	parse := func(texts ...string) (uris []*url.URL) {
		for _, text := range texts {
			uri, err := url.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			uris = append(uris, uri)
		}
		return uris
	}
	fleet, uid, err := ClusterOf(&x509.Certificate{URIs: parse("yardarm://0f/cluster/a-1")})
	if err != nil || fleet != "0f" || uid != "a-1" {
		t.Fatalf("%q, %q, %v", fleet, uid, err)
	}
	for name, certificate := range map[string]*x509.Certificate{
		"none":             {},
		"two":              {URIs: parse("yardarm://0f/cluster/a", "yardarm://0f/cluster/b")},
		"a DNS name":       {URIs: parse("yardarm://0f/cluster/a"), DNSNames: []string{"a"}},
		"an address":       {URIs: parse("yardarm://0f/cluster/a"), IPAddresses: []net.IP{{1, 2, 3, 4}}},
		"an email":         {URIs: parse("yardarm://0f/cluster/a"), EmailAddresses: []string{"a@b"}},
		"another scheme":   {URIs: parse("spiffe://0f/cluster/a")},
		"another kind":     {URIs: parse("yardarm://0f/hub/a")},
		"no uid":           {URIs: parse("yardarm://0f/cluster/")},
		"longer":           {URIs: parse("yardarm://0f/cluster/a/b")},
		"a query":          {URIs: parse("yardarm://0f/cluster/a?x")},
		"a fragment":       {URIs: parse("yardarm://0f/cluster/a#x")},
		"a user":           {URIs: parse("yardarm://u@0f/cluster/a")},
		"a port":           {URIs: parse("yardarm://0f:1/cluster/a")},
		"escaped":          {URIs: parse("yardarm://0f/cluster/%61")},
		"a slash too many": {URIs: parse("yardarm://0f//cluster/a")},
		"upper case":       {URIs: parse("yardarm://0f/cluster/A")},
		"no path":          {URIs: parse("yardarm:0f/cluster/a")},
	} {
		if fleet, uid, err := ClusterOf(certificate); !errors.Is(err, ErrNotCluster) || fleet+uid != "" {
			t.Errorf("%s: %q, %q, %v; want ErrNotCluster", name, fleet, uid, err)
		}
	}
}

func TestKeys(t *testing.T) {
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	text, err := EncodeKey(key)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseKey(text)
	if err != nil {
		t.Fatal(err)
	}
	first, err1 := KeyHash(key.Public())
	second, err2 := KeyHash(again.Public())
	if err1 != nil || err2 != nil || !bytes.Equal(first, second) || len(first) != 32 {
		t.Fatalf("hashes %x and %x (%v, %v)", first, second, err1, err2)
	}
	other, _ := NewKey()
	if third, _ := KeyHash(other.Public()); bytes.Equal(first, third) {
		t.Fatal("two keys have one hash")
	}
	damaged := bytes.Replace(text, text[40:48], []byte("AAAAAAAA"), 1)
	for _, bad := range [][]byte{nil, []byte("x"), damaged, []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")} {
		if _, err := ParseKey(bad); err == nil || strings.Contains(err.Error(), string(text[60:80])) {
			t.Errorf("%.20q: error %v", bad, err)
		}
	}
	if _, err := KeyHash("no key"); err == nil {
		t.Error("a text has a hash")
	}
}

func TestChains(t *testing.T) {
	ca := newAuthority(t, "ca")
	leaf := ca.server(t)
	chain := [][]byte{leaf.Raw, ca.Raw}
	key, _ := EncodeKey(ca.key)
	got := DecodeChain(append(append(key, EncodeChain(chain)...), "trailing"...))
	if len(got) != 2 || !bytes.Equal(got[0], leaf.Raw) || !bytes.Equal(got[1], ca.Raw) {
		t.Fatalf("%d certificates, want both in order", len(got))
	}
	if _, err := Parse(chain); err != nil {
		t.Error(err)
	}
	if _, err := Parse([][]byte{leaf.Raw, {1}}); err == nil || !strings.Contains(err.Error(), "2 of 2") {
		t.Errorf("error %v, want one naming the second", err)
	}
	if _, err := Pool([][]byte{ca.Raw}); err != nil {
		t.Error(err)
	}
	for name, bundle := range map[string][][]byte{"empty": nil, "a leaf": {leaf.Raw}, "garbage": {{1}}} {
		if pool, err := Pool(bundle); err == nil || pool != nil {
			t.Errorf("%s: no error", name)
		}
	}
	other := newAuthority(t, "other")
	all := Union([][]byte{other.Raw, ca.Raw}, [][]byte{ca.Raw, leaf.Raw})
	if len(all) != 3 || !bytes.Equal(all[0], other.Raw) || !bytes.Equal(all[2], leaf.Raw) {
		t.Errorf("the union has %d certificates, or another order", len(all))
	}
}

func TestBundleHash(t *testing.T) {
	bundle := func(all ...string) (out [][]byte) {
		for _, der := range all {
			out = append(out, []byte(der))
		}
		return out
	}
	seen := map[string][][]byte{}
	for _, b := range [][][]byte{nil, bundle("a"), bundle("b"), bundle("a", "b"), bundle("b", "a"), bundle("ab")} {
		hash := string(BundleHash(b))
		if other, there := seen[hash]; there {
			t.Errorf("%q and %q have one hash", other, b)
		}
		if seen[hash] = b; (hash == "") != (b == nil) {
			t.Errorf("%q has the hash %x", b, hash)
		}
	}
}

func TestCertificateAndKeyBelongTogether(t *testing.T) {
	ca := newAuthority(t, "ca")
	certificate, err := Certificate([][]byte{ca.Raw}, ca.key)
	if err != nil || !certificate.Leaf.Equal(ca.Certificate) {
		t.Fatal(err)
	}
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	other, _ := NewKey()
	for _, key := range []crypto.Signer{other, ed} {
		if _, err := Certificate([][]byte{ca.Raw}, key); err == nil {
			t.Errorf("%T: taken for the key of another's certificate", key)
		}
	}
	if _, err := Certificate(nil, ca.key); err == nil {
		t.Error("an empty chain is taken")
	}
}

func newToken(t testing.TB) Token {
	t.Helper()
	random := make([]byte, TokenIDSize+TokenSecretSize)
	if _, err := rand.Read(random); err != nil {
		t.Fatal(err)
	}
	return Token{ID: TokenID(random), Secret: random[TokenIDSize:], Pin: Pin(bytes.Repeat([]byte{9}, 32))}
}

func TestTokenText(t *testing.T) {
	token := newToken(t)
	for _, text := range []string{token.Text(), " " + token.Text() + "\n"} {
		got, err := ParseToken(text)
		if err != nil || got.ID != token.ID || !bytes.Equal(got.Secret, token.Secret) || got.Pin != token.Pin {
			t.Fatalf("%q reads as %v, %v", text, got, err)
		}
	}
	text := token.Text()
	parts := strings.Split(text, ".")
	for name, bad := range map[string]string{
		"empty":           "",
		"cut":             text[:len(text)-1],
		"longer":          text + "A",
		"another version": "ye2" + text[3:],
		"no pin":          strings.Join(parts[:3], "."),
		"five parts":      text + ".x",
		"line break":      strings.Replace(text, parts[2], parts[2][:20]+"\n"+parts[2][21:], 1),
		"one line break":  strings.Replace(text, parts[2], parts[2][:20]+"\n"+parts[2][20:], 1),
		"alphabet":        strings.Replace(text, parts[2], parts[2][:20]+"+"+parts[2][21:], 1),
		"loose bits":      text[:len(text)-1] + "l",
		"a credential":    "yat_local_" + parts[2],
	} {
		if _, err := ParseToken(bad); !errors.Is(err, ErrTokenFormat) || strings.Contains(err.Error(), parts[2][:16]) {
			t.Errorf("%s: error %v, want ErrTokenFormat and nothing of the text", name, err)
		}
	}
}

func TestTokenDoesNotPrint(t *testing.T) {
	token := newToken(t)
	secret := strings.Split(token.Text(), ".")[2]
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("token", "token", token, "pointer", &token)
	for _, text := range []string{fmt.Sprint(token, &token), fmt.Sprintf("%v %+v %#v %s %q", token, token, token, token, token), log.String()} {
		if strings.Contains(text, secret) || strings.Contains(text, "Secret") || !strings.Contains(text, token.ID) {
			t.Errorf("printed: %s", text)
		}
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add(newToken(f).Text())
	f.Add("ye1...")
	f.Add("ye1.AAAAAAAAAAAAAA." + strings.Repeat("A", 43) + "." + strings.Repeat("A", 43))
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := ParseToken(text)
		if err != nil {
			if err != ErrTokenFormat {
				t.Fatalf("error %v, want ErrTokenFormat itself", err)
			}
			return
		}
		// One token has one text, so nobody can make two of one.
		if token.Text() != strings.TrimSpace(text) {
			t.Fatalf("%q reads as the token of %q", text, token.Text())
		}
		if len(token.Secret) != TokenSecretSize {
			t.Fatalf("a secret of %d bytes", len(token.Secret))
		}
	})
}

func FuzzClusterOf(f *testing.F) {
	f.Add("yardarm://0f/cluster/a-1")
	f.Add("yardarm://u@0f:1/cluster/a%2f?x#y")
	f.Fuzz(func(t *testing.T, text string) {
		uri, err := url.Parse(text)
		if err != nil {
			return
		}
		fleet, uid, err := ClusterOf(&x509.Certificate{URIs: []*url.URL{uri}})
		if err != nil {
			return
		}
		if want, err := ClusterURI(fleet, uid); err != nil || want.String() != text {
			t.Fatalf("%q names %s of %s, whose URI is %s", text, uid, fleet, want)
		}
	})
}
