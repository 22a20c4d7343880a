package hub

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestGivenCertificateIsReadAgain: the API shows the one that is in the files now, or while they are half replaced the one of before, and /readyz says so.
func TestGivenCertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	h, err := New(Config{DataDir: dir, TLSCert: cert, TLSKey: key, ReadAgain: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Check(); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("no files: %v", err)
	}
	writeCertificate(t, cert, key, "first")
	f, err := h.files()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.followed[0].Run(ctx) }()
	config := &tls.Config{}
	f.serve(config)
	shows := func(want string, good bool) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
			got, err := config.GetCertificate(nil)
			if err != nil {
				t.Fatal(err)
			}
			name, check := got.Leaf.Subject.CommonName, f.checks()[0]
			if name == want && check.Name == "tls-cert" && (check.Ready() == nil) == good && f.expires().Equal(got.Leaf.NotAfter) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("it shows %s, want %s; %s: %v", name, want, check.Name, check.Ready())
			}
		}
	}
	shows("first", true)
	writeCertificate(t, cert, key, "second")
	shows("second", true)
	if err := os.WriteFile(key, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	shows("second", false)
	writeCertificate(t, cert, key, "third")
	shows("third", true)
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestCheckReadsClientCA tells what is wrong with it.
func TestCheckReadsClientCA(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "people.pem")
	for text, want := range map[string]string{
		"": "no certificate in PEM", "-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n": "certificate 1",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		h, err := New(Config{DataDir: dir, ClientCA: file})
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Check(); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), file) {
			t.Errorf("with %q: %v", text, err)
		}
	}
}

// writeCertificate writes a certificate of its own, and its key.
func writeCertificate(t *testing.T, cert, key, name string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(
		os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text}), 0o600),
	); err != nil {
		t.Fatal(err)
	}
}
