package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/yardarm-dev/yardarm/pkg/certs"
	"github.com/yardarm-dev/yardarm/pkg/clientconfig"
)

// call runs a command line, and answers what it says.
func call(ctx context.Context, args ...string) (string, error) {
	c := root()
	var out bytes.Buffer
	c.SetOut(&out)
	c.SetArgs(args)
	err := c.ExecuteContext(ctx)
	return out.String(), err
}

// address is one of this machine that no other test has: all of 127.0.0.0/8 is, and the process id keeps tests apart.
func address(n int) string {
	return fmt.Sprintf("127.%d.%d.%d", 220+os.Getpid()/250%30, 1+os.Getpid()%250, n)
}

// serve runs a hub until the test's end, and returns once it serves, at the usual ports of an address.
func serve(t *testing.T, ip string, args ...string) {
	t.Helper()
	args = append(args, "--listen", ip+":7443", "--spoke-listen", ip+":7444", "--metrics-listen", ip+":7445")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := call(ctx, args...)
		ended <- err
		close(ended)
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		response, err := http.Get("http://" + ip + ":7445/livez")
		if err == nil {
			response.Body.Close()
			return
		}
		select {
		case err := <-ended:
			t.Fatalf("the hub has ended: %v", err)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// shown is the certificate that a port shows.
func shown(t *testing.T, address string, config *tls.Config) *x509.Certificate {
	t.Helper()
	connection, err := tls.Dial("tcp", address, config)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	return connection.ConnectionState().PeerCertificates[0]
}

// TestGivenCertificate runs a hub behind another address, with a certificate that somebody else issued, as its chart does.
func TestGivenCertificate(t *testing.T) {
	dir := t.TempDir()
	data, backups := filepath.Join(dir, "hub"), filepath.Join(dir, "backups")
	ip := address(1)
	files := issue(t, dir, "hub.example.com", ip)
	serve(t, ip, "run", "--data-dir", data, "--address", ip, "--api-address", "hub.example.com:443",
		"--tls-cert", files.cert, "--tls-key", files.key, "--tls-ca", files.ca, "--log-level", "error")
	if api := shown(t, ip+":7443", &tls.Config{ServerName: "hub.example.com", RootCAs: files.pool}); api.Issuer.CommonName != "somebody" {
		t.Errorf("the API's certificate is by %s", api.Issuer)
	}
	if spokes := shown(t, ip+":7444", &tls.Config{InsecureSkipVerify: true}); !strings.HasPrefix(spokes.Issuer.CommonName, "Yardarm CA") {
		t.Errorf("spokes meet a certificate by %s, which no token pins", spokes.Issuer)
	}

	text, err := call(t.Context(), "admin-credential", "--data-dir", data)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "admin.yaml")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	loaded, err := clientconfig.Load(config)
	if err != nil {
		t.Fatal(err)
	}
	where, err := loaded.Context("")
	if err != nil || where.Server != "https://hub.example.com:443" || !strings.Contains(where.CA, "BEGIN CERTIFICATE") || where.Token == "" {
		t.Errorf("the administrator's file is for %q, %v", where.Server, err)
	}

	if err := os.Mkdir(backups, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := call(t.Context(), "backup", "--data-dir", data, "--into", backups, "--server", "https://"+ip+":7443"); err != nil || !strings.Contains(out, backups) {
		t.Errorf("backup says %q, %v", out, err)
	}
	if left, err := filepath.Glob(filepath.Join(backups, "yardarm-*.backup")); err != nil || len(left) != 1 {
		t.Errorf("backups: %v, %v", left, err)
	}
	if _, err := call(t.Context(), "backup", "--into", backups, "--keep", "0"); err == nil || !strings.Contains(err.Error(), "--keep") {
		t.Errorf("--keep 0: %v", err)
	}
}

func TestUnknownFlag(t *testing.T) {
	if _, err := call(t.Context(), "run", "--data-dri", t.TempDir()); err == nil || err.Error() != "unknown flag: --data-dri; 'yardarm-hub run --help' lists them" {
		t.Errorf("it says %v", err)
	}
}

func TestHalfACertificate(t *testing.T) {
	for _, args := range []string{"--tls-cert a", "--tls-key a", "--tls-ca a", "--api-address hub.example.com"} {
		if _, err := call(t.Context(), append([]string{"run", "--data-dir", t.TempDir()}, strings.Fields(args)...)...); err == nil || !strings.Contains(err.Error(), "configure hub") {
			t.Errorf("%s: %v", args, err)
		}
	}
}

type issued struct {
	cert, key, ca string
	pool          *x509.CertPool
}

// issue writes a certificate for a name and an IP, and the CA that issued it.
func issue(t *testing.T, dir, name, ip string) issued {
	t.Helper()
	key, err := certs.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "somebody"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour), DNSNames: []string{name}, IPAddresses: []net.IP{net.ParseIP(ip)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyText, err := certs.EncodeKey(key)
	if err != nil {
		t.Fatal(err)
	}
	out := issued{filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"), filepath.Join(dir, "ca.crt"), x509.NewCertPool()}
	caText := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER})
	out.pool.AppendCertsFromPEM(caText)
	if err := errors.Join(
		os.WriteFile(out.cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leafDER}), 0o600),
		os.WriteFile(out.key, keyText, 0o600), os.WriteFile(out.ca, caText, 0o600),
	); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestUnit runs the hub as the systemd unit does, with the variables that systemd and the operator set.
func TestUnit(t *testing.T) {
	unit, err := os.ReadFile(filepath.Join("..", "..", "..", "deploy", "systemd", "yardarm-hub.service"))
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(unit), "\nExecStart=/usr/local/bin/yardarm-hub ")
	line, _, ok := strings.Cut(line, "\n")
	if !ok {
		t.Fatal("the unit does not start the hub")
	}
	ip := address(2)
	line = os.Expand(line, func(name string) string {
		return map[string]string{"STATE_DIRECTORY": t.TempDir(), "ADDRESS": ip}[name]
	})
	serve(t, ip, strings.Fields(line)...)
	response, err := http.Get("http://" + ip + ":7445/readyz")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("/readyz answers %s", response.Status)
	}
}
