package provider

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/yardarm-dev/yardarm/e2e/built"
	"github.com/yardarm-dev/yardarm/e2e/process"
	"github.com/yardarm-dev/yardarm/pkg/certs"
)

// installed is the folder of this package, with the packages that it needs, once for all tests of one program.
var installed = sync.OnceValues(install)

// Provider is a running oidc-provider.
type Provider struct {
	t *testing.T
	// Issuer is its URL.
	Issuer string
	// CA is the file with its certificate, and TLS how to know it by that.
	CA      string
	TLS     *tls.Config
	stdin   io.Writer
	answers *bufio.Scanner
}

// install brings what package-lock.json names, unless it is there.
func install() (string, error) {
	root, err := built.Root()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(root, "e2e", "provider")
	lock, err := os.Stat(filepath.Join(folder, "package-lock.json"))
	if err != nil {
		return "", err
	}
	if there, err := os.Stat(filepath.Join(folder, "node_modules", ".package-lock.json")); err == nil && !there.ModTime().Before(lock.ModTime()) {
		return folder, nil
	}
	command := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	command.Dir = folder
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci (.ci/tools installs npm): %w\n%s", err, out)
	}
	return folder, nil
}

// Start starts one for as long as a test runs.
func Start(t *testing.T) *Provider {
	t.Helper()
	folder, err := installed()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p := &Provider{t: t, CA: filepath.Join(dir, "ca.pem"), TLS: &tls.Config{RootCAs: x509.NewCertPool()}}
	cert, key := Certificate(t, pkix.Name{CommonName: "provider"})
	write(t, p.CA, cert)
	write(t, filepath.Join(dir, "key.pem"), key)
	p.TLS.RootCAs.AppendCertsFromPEM(cert)
	program := exec.CommandContext(t.Context(), "node", "provider.mjs", p.CA, filepath.Join(dir, "key.pem"))
	program.Dir = folder
	program.SysProcAttr = process.Attr()
	var said bytes.Buffer
	program.Stderr = &said
	stdin, err := program.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := program.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		_ = program.Wait() // it is ended by its stdin, or by the test's end
	})
	p.stdin, p.answers = stdin, bufio.NewScanner(stdout)
	if !p.answers.Scan() {
		_ = program.Wait()
		t.Fatalf("the provider does not start:\n%s", &said)
	}
	p.Issuer = p.answers.Text()
	return p
}

// Do has the provider do something; see provider.mjs.
func (p *Provider) Do(command string) {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.stdin, command); err != nil || !p.answers.Scan() {
		p.t.Fatalf("%s: the provider has gone: %v", command, err)
	}
}

// Job answers the ID token that a job of a repository gets.
func (p *Provider) Job(repository, audience string) string {
	p.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "resource": {audience}}
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.Issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(repository), "job")
	transport := &http.Transport{TLSClientConfig: p.TLS}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Token == "" {
		p.t.Fatalf("no token for a job: %s, %v", resp.Status, err)
	}
	return answer.Token
}

// Certificate makes a certificate for the loopback address, which is its own CA.
func Certificate(t *testing.T, subject pkix.Name) (cert, keyText []byte) {
	t.Helper()
	key, err := certs.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: subject, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if keyText, err = certs.EncodeKey(key); err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), keyText
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
