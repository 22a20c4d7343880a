package signin

import (
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/yardarm-dev/yardarm/pkg/cli"
	"github.com/yardarm-dev/yardarm/pkg/clientconfig"
)

// said checks what a command has come to, and that it says all of these.
func said(t *testing.T, r result, code int, words ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d:\n%s%s", r.code, code, r.out, r.err)
	}
	for _, word := range words {
		if !strings.Contains(r.out+r.err, word) {
			t.Errorf("it does not say %q:\n%s%s", word, r.out, r.err)
		}
	}
}

// TestBrowser: a person signs in with a browser, is what bindings make of them and their groups, stays signed in beyond the ID token's end, and signs out.
func TestBrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	said(t, w.me("login"), cli.ExitNo, "--server")
	ann := newBrowser(t, w.Provider)
	inBrowser := func(said func(string) string) {
		page := ann.visit(said(w.Issuer+"/auth?"), "ann+ops", "")
		if !strings.Contains(page, "You are signed in") {
			t.Errorf("the last page is %s", page)
		}
	}
	w.Do("ttl 20") // so every command below finds that its token is about to end
	said(t, w.signIn(inBrowser, "--server", w.server, "--ca", w.ca, "--context", "office"), 0, `context "office"`, "user/corp:ann+ops", "no rolebinding")
	if info, err := os.Stat(w.config); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info.Mode(), err)
	}
	said(t, w.me("get", "bundles"), cli.ExitError, `user "corp:ann+ops" may not get bundles`)
	w.bind("ops", "viewer", "Group", "corp:ops")
	said(t, w.me("auth", "whoami"), 0, "user/corp:ann+ops", "corp:ops", "viewer", "rolebinding/ops")
	said(t, w.me("auth", "can-i", "get", "bundles"), 0, "yes")
	said(t, w.me("auth", "can-i", "publish", "bundles"), cli.ExitNo, "no")

	before := w.login()
	w.Do("clock 5") // two tokens of one second are the same
	var all sync.WaitGroup
	for range 4 { // the provider takes a refresh token once, and ends the sign-in if it sees it again
		all.Go(func() { said(t, w.me("get", "bundles"), 0) })
	}
	all.Wait()
	after := w.login()
	if before.IDToken == after.IDToken || before.RefreshToken == after.RefreshToken {
		t.Error("the tokens are the same as before")
	}
	shown := w.me("config", "view")
	said(t, shown, 0, "REDACTED", w.Issuer)
	if strings.Contains(shown.out, after.IDToken) || strings.Contains(shown.out, after.RefreshToken) {
		t.Error("the file is shown with its tokens")
	}

	said(t, w.me("logout"), 0, `signed out of context "office"`)
	said(t, w.me("get", "bundles"), cli.ExitError, "credential is needed")
	if w.login() != nil {
		t.Error("the sign-in is kept")
	}
	// The refresh token has ended at the provider, too.
	w.keep(after)
	said(t, w.me("get", "bundles"), cli.ExitError, "sign-in of context \"office\" has ended", "yardarm login")
}

// login is what the person's file keeps of the sign-in.
func (w *world) login() *clientconfig.Login {
	w.t.Helper()
	file, err := clientconfig.Load(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	return file.Contexts[0].Login
}

func (w *world) keep(l *clientconfig.Login) {
	w.t.Helper()
	if err := clientconfig.Edit(w.config, func(c *clientconfig.Config) error { c.Contexts[0].Login = l; return nil }); err != nil {
		w.t.Fatal(err)
	}
}

// TestDevice: a person signs in on another device, by the code that the command shows.
func TestDevice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.bind("bob", "operator", "User", "corp:bob")
	onPhone := func(said func(string) string) {
		complete := said(w.Issuer + "/device?user_code=")
		_, code, _ := strings.Cut(complete, "user_code=")
		if page := newBrowser(t, w.Provider).visit(w.Issuer+"/device", "bob", code); !strings.Contains(page, "Sign-in Success") {
			t.Errorf("the last page is %s", page)
		}
	}
	said(t, w.signIn(onPhone, "--device", "--server", w.server, "--ca", w.ca), 0, "type in the code", "user/corp:bob")
	said(t, w.me("auth", "can-i", "publish", "bundles"), 0, "yes")
	// A client of the same provider that this hub does not know: its tokens are for others.
	other := func(said func(string) string) { newBrowser(t, w.Provider).visit(said(w.Issuer+"/auth?"), "bob", "") }
	said(t, w.signIn(other, "--issuer", w.Issuer, "--client-id", "another", "--issuer-ca", w.CA), cli.ExitError, `audience "another"`)
	said(t, w.me("login", "--provider", "github"), cli.ExitNo, `no identity provider "github"`)
}

// TestJobs: a CI job calls with its platform's ID token and nothing else. New keys of the provider count at once, an expired token and one for others do not.
func TestJobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.bind("web", "publisher", "Group", "repo:acme/web")
	job := func(token string, args ...string) result {
		return w.as("/nonexistent", map[string]string{"YARDARM_SERVER": w.server, "YARDARM_CA": w.ca, "YARDARM_TOKEN": token}, args...)
	}
	token := w.Job("acme/web", audience)
	said(t, job(token, "auth", "whoami"), 0, "user/corp:acme/web", "repo:acme/web", "publisher")
	said(t, job(token, "get", "bundles"), 0)
	said(t, job(w.Job("mallory/web", audience), "get", "bundles"), cli.ExitError, `user "corp:mallory/web" may not get bundles`)
	said(t, job(w.Job("acme/web", "https://another.example.com"), "get", "bundles"), cli.ExitError, `audience "https://another.example.com"`, audience)
	w.Do("rotate")
	await(t, "a token by the new key counts", func() bool { return job(w.Job("acme/web", audience), "get", "bundles").code == 0 })
	w.Do("clock -7200")
	old := job(w.Job("acme/web", audience), "get", "bundles")
	said(t, old, cli.ExitError, "lets nobody in", "expired at")
	w.Do("clock 7200")
	said(t, job(w.Job("acme/web", audience), "get", "bundles"), cli.ExitError, "not valid yet")
	said(t, job("eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2V2aWwuZXhhbXBsZSJ9.c2ln", "get", "bundles"), cli.ExitError, "evil.example", "no identity provider of this hub")
}

// TestClientCertificate: a context with one is the user that it names.
func TestClientCertificate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	said(t, w.me("config", "set-context", "office", "--server", w.server, "--ca", w.ca, "--client-cert", w.cert, "--client-key", w.key), 0)
	said(t, w.me("get", "bundles"), cli.ExitError, `user "ann" may not get bundles`)
	w.bind("ops", "viewer", "Group", "ops")
	said(t, w.me("get", "bundles"), 0)
	said(t, w.me("auth", "whoami"), 0, "user/ann", "ops", "viewer")
	if shown := w.me("config", "view"); strings.Contains(shown.out, "PRIVATE KEY") {
		t.Errorf("the key is shown:\n%s", shown.out)
	}
}
