package signin

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// page is a page of the hub's in somebody's browser.
type page struct {
	w    *world
	http *http.Client
}

func (w *world) newPage() *page {
	w.t.Helper()
	roots, err := os.ReadFile(w.ca)
	if err != nil {
		w.t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: x509.NewCertPool()}}
	transport.TLSClientConfig.RootCAs.AppendCertsFromPEM(roots)
	w.t.Cleanup(transport.CloseIdleConnections)
	return &page{w, &http.Client{Jar: jar, Transport: transport}}
}

// call makes a call as the hub's own pages do, and answers its status and body.
func (p *page) call(method, path, body string) (int, string) {
	p.w.t.Helper()
	req, err := http.NewRequestWithContext(p.w.t.Context(), method, "https://"+p.w.server+path, strings.NewReader(body))
	if err != nil {
		p.w.t.Fatal(err)
	}
	for name, value := range map[string]string{"X-Yardarm-Page": "1", "Origin": "https://" + p.w.server, "Sec-Fetch-Site": "same-origin"} {
		req.Header.Set(name, value)
	}
	resp, err := p.http.Do(req)
	if err != nil {
		p.w.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.w.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// signIn goes to the provider and comes back with its answer, and answers what the hub says to that.
func (p *page) signIn(who string) (int, string) {
	p.w.t.Helper()
	status, body := p.call(http.MethodPost, "/session/signin", `{"provider": "corp"}`)
	if status != http.StatusOK {
		return status, body
	}
	_, address, _ := strings.Cut(body, `"url":"`)
	address, _, _ = strings.Cut(address, `"`)
	var answer string
	person := newBrowser(p.w.t, p.w.Provider)
	person.http.CheckRedirect = func(req *http.Request, _ []*http.Request) error {
		if req.URL.Host != p.w.server {
			return nil
		}
		answer = req.URL.RawQuery
		return http.ErrUseLastResponse
	}
	person.visit(strings.ReplaceAll(address, `\u0026`, "&"), who, "")
	if _, err := url.ParseQuery(answer); err != nil || answer == "" {
		p.w.t.Fatalf("the provider sends nobody back: %q, %v", answer, err)
	}
	return p.call(http.MethodPost, "/session", fmt.Sprintf(`{"answer": %q}`, answer))
}

// TestConfidentialClient has people sign in to the pages by a client with a secret, and changes that, the client, and whether there is one, while the hub runs. A file that is
// broken changes nothing, and is told of. The secret is nowhere to be seen.
func TestConfidentialClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Do("pages https://" + w.server + "/signin")
	secret := filepath.Join(filepath.Dir(w.file), "pages.secret")
	write(t, secret, []byte("first\n"))
	var seen strings.Builder
	providers := func(list string) {
		write(t, w.file, []byte("apiVersion: yardarm.dev/v1\nkind: IdentityProviders\nproviders: ["+list+"]\n"))
	}
	corp := func(client string) string {
		return fmt.Sprintf("{name: corp, issuer: %q, ca: %q, groups: [{claim: groups}], pages: {clientID: %[3]s, tokenEndpointAuthMethod: %[3]s, clientSecretFile: pages.secret}}", w.Issuer, w.CA, client)
	}
	page := w.newPage()
	get := func(path string) (int, string) {
		status, body := page.call(http.MethodGet, path, "")
		seen.WriteString(body)
		return status, body
	}
	ready := func(word string) func() bool {
		return func() bool { _, body := get("/readyz?verbose"); return strings.Contains(body, word) }
	}
	signsIn := func() bool {
		status, body := page.signIn("ann+ops")
		seen.WriteString(body)
		_, me := get("/v1/whoami")
		return status == http.StatusNoContent && strings.Contains(me, "user/corp:ann+ops")
	}

	if _, body := get("/.well-known/yardarm"); strings.Contains(body, "pages") {
		t.Errorf("before there are any, these sign in to pages: %s", body)
	}
	providers(corp("client_secret_basic"))
	await(t, "the pages have a client", func() bool { _, body := get("/.well-known/yardarm"); return strings.Contains(body, `"pages":["corp"]`) })
	if !signsIn() {
		t.Fatalf("nobody signs in by the secret:\n%s\n%s", seen.String(), w.log)
	}

	w.Do("secret second")
	if status, body := w.newPage().signIn("ann+ops"); status != http.StatusUnauthorized || !strings.Contains(body, "invalid_client") {
		t.Errorf("by the secret of before: %d %s", status, body)
	}
	write(t, secret, []byte("second"))
	await(t, "the other secret counts", signsIn)

	providers("{name: corp, issuer: ")
	await(t, "the broken file is told of", ready("[-]oidc-config failed"))
	if !signsIn() {
		t.Error("a broken file has changed something")
	}
	if !strings.Contains(w.log.String(), w.file) {
		t.Errorf("the log does not say which file:\n%s", w.log)
	}
	providers(corp("client_secret_post"))
	await(t, "it is good again", ready("[+]oidc-config ok"))
	await(t, "the other client counts", signsIn)
	if status, body := page.call(http.MethodDelete, "/session", ""); status != http.StatusNoContent || strings.Contains(w.log.String(), "not at its identity provider") {
		t.Errorf("signing out: %d %s\n%s", status, body, w.log)
	}
	if !signsIn() {
		t.Error("nobody signs in again")
	}

	providers("")
	await(t, "nobody is known by a provider that is gone", func() bool { status, _ := get("/v1/whoami"); return status == http.StatusUnauthorized })
	for _, word := range []string{"first", "second"} {
		if strings.Contains(seen.String(), word) || strings.Contains(w.log.String(), word) {
			t.Errorf("the secret %q is shown:\n%s\n%s", word, seen.String(), w.log)
		}
	}
}
