package preflight

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yardarm-dev/yardarm/pkg/certs"
)

// authority is a CA.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := certs.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(20, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.certificate = sign(t, template, template, key.Public(), key)
	return a
}

func sign(t *testing.T, template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// serve answers the address of what shows a certificate of the authority's, for an IP.
func (a *authority) serve(t *testing.T, ip string) string {
	t.Helper()
	key, err := certs.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	leaf := sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "hub"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.ParseIP(ip)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, a.certificate, key.Public(), a.key)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		NextProtos: []string{"h2"}, Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw, a.certificate.Raw}, PrivateKey: key}},
	})
	if err != nil {
		t.Fatal(err)
	}
	accept(t, listener)
	return listener.Addr().String()
}

// accept reads from every connection until the test's end.
func accept(t *testing.T, listener net.Listener) {
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer connection.Close()
				_, _ = io.Copy(io.Discard, connection)
			}()
		}
	}()
}

func (a *authority) token() string {
	return certs.Token{
		ID: certs.TokenID(make([]byte, certs.TokenIDSize)), Secret: bytes.Repeat([]byte("s"), certs.TokenSecretSize), Pin: certs.PinOf(a.certificate),
	}.Text()
}

// passwordless is a proxy for a user who has no password.
func passwordless(proxy *url.URL) *url.URL {
	proxy.User = url.User("a")
	return proxy
}

// proxy passes CONNECT on to one address, and refuses others. It knows a user with a password and one without.
func proxy(t *testing.T, to string) *url.URL {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Host != to || !slices.Contains([]string{"Basic YTpi", "Basic YTo="}, r.Header.Get("Proxy-Authorization")) {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		out, err := net.Dial("tcp", to)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer out.Close()
		in, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer in.Close()
		_, _ = io.WriteString(in, "HTTP/1.1 200 OK\r\n\r\n")
		go func() {
			_, _ = io.Copy(out, in)
			out.Close()
		}()
		_, _ = io.Copy(in, out)
	}))
	t.Cleanup(server.Close)
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	at.User = url.UserPassword("a", "b")
	return at
}

func TestHub(t *testing.T) {
	ours, other := newAuthority(t), newAuthority(t)
	hub := ours.serve(t, "127.0.0.1")
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close) // after the parallel tests
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	direct := func(*url.URL) (*url.URL, error) { return nil, nil }
	by := func(p *url.URL) func(*url.URL) (*url.URL, error) {
		return func(*url.URL) (*url.URL, error) { return p, nil }
	}
	for _, c := range []struct {
		name  string
		hub   string
		token string
		proxy func(*url.URL) (*url.URL, error)
		later time.Duration
		grave bool
		want  []string // in what is said
	}{
		{"the hub", hub, ours.token(), direct, 0, false, []string{"ok      " + hub + ": connection", "the hub that made the token answers"}},
		{"no token", hub, "", direct, 0, false, []string{"note", `"hub" by "root"`, "YARDARM_TOKEN"}},
		{"cut token", hub, ours.token()[:40], direct, 0, true, []string{"FAILED  enrolment token", "copy the whole"}},
		{"intercepted", other.serve(t, "127.0.0.1"), ours.token(), direct, 0, true, []string{"not of the hub that made the token", "TLS is intercepted"}},
		{"another name", ours.serve(t, "127.0.0.2"), ours.token(), direct, 0, true, []string{"--address 127.0.0.1"}},
		{"a clock that is ahead", hub, ours.token(), direct, 48 * time.Hour, true, []string{"set the clocks"}},
		{"a clock that is behind", hub, ours.token(), direct, -48 * time.Hour, true, []string{"set the clocks"}},
		{"no TLS", plain.Listener.Addr().String(), ours.token(), direct, 0, true, []string{"not look like a TLS handshake", "speaks no TLS 1.3"}},
		{"nobody", nobody.Addr().String(), ours.token(), direct, 0, true, []string{"connection refused", "outbound"}},
		{"no name", "hub.invalid:7444", ours.token(), direct, 0, true, []string{"hub.invalid:7444: name", "hostAliases"}},
		{"no address", "https://hub.example.com", ours.token(), direct, 0, true, []string{"HOST:PORT", "without https://"}},
		{"by a proxy", hub, ours.token(), by(proxy(t, hub)), 0, false, []string{"HTTPS_PROXY", "reached by the proxy", "the hub that made the token answers"}},
		{"by a proxy without a password", hub, ours.token(), by(passwordless(proxy(t, hub))), 0, false, []string{"reached by the proxy"}},
		{"by a proxy that refuses", hub, ours.token(), by(proxy(t, "127.0.0.1:1")), 0, true, []string{"403 Forbidden", "CONNECT to " + hub}},
		{"by a proxy that is not there", hub, ours.token(), by(&url.URL{Scheme: "http", Host: nobody.Addr().String()}), 0, true, []string{"dial " + nobody.Addr().String()}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var said bytes.Buffer
			grave := Write(&said, Run(t.Context(), Config{
				HubAddresses: []string{c.hub}, Token: c.token, Proxy: c.proxy, Clock: func() time.Time { return time.Now().Add(c.later) },
			}))
			if (grave > 0) != c.grave {
				t.Errorf("%d grave", grave)
			}
			for _, want := range c.want {
				if !strings.Contains(said.String(), want) {
					t.Errorf("%q is not in:\n%s", want, said.String())
				}
			}
			if strings.Contains(said.String(), "c3Nzc3Nz") || c.grave && !strings.Contains(said.String(), "→") {
				t.Errorf("a secret, or no advice, in:\n%s", said.String())
			}
		})
	}
	if found := Run(t.Context(), Config{Proxy: direct}); len(found) != 1 || !strings.Contains(found[0].Advice, "--hub") {
		t.Errorf("without an address: %+v", found)
	}
}
