package cli

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/yardarm-dev/yardarm/pkg/clientconfig"
)

// idToken is one that ends at a time, of nobody.
func idToken(expires time.Time) string {
	return "eyJhbGciOiJub25lIn0." + base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"exp":%d}`, expires.Unix())) + ".c2ln"
}

// TestGivenCredentials: a token for one command alone comes from a file, standard input or the environment, never from the command line, and with a server
// it needs no file of contexts.
func TestGivenCredentials(t *testing.T) {
	h := serve(t, exampleFleet())
	file, err := clientconfig.Load(h.config)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca, token, bad := write("ca", file.Contexts[0].CA), write("token", testToken+"\n"), write("bad", "yat_bad\n")
	nowhere := filepath.Join(dir, "nowhere.yaml")
	for name, c := range map[string]struct {
		config string
		args   string
		env    map[string]string
		in     string
		code   int
		err    string
	}{
		"all from the environment": {nowhere, "", map[string]string{"YARDARM_SERVER": h.address, "YARDARM_CA": ca, "YARDARM_TOKEN": testToken}, "", ExitYes, ""},
		"all from flags":           {nowhere, "--server " + h.address + " --ca " + ca + " --token-file " + token, nil, "", ExitYes, ""},
		"standard input":           {nowhere, "--server " + h.address + " --ca " + ca + " --token-file -", nil, testToken, ExitYes, ""},
		"beside a context":         {h.config, "--token-file " + bad, nil, "", ExitError, "the credential of context"},
		"without a context":        {nowhere, "--server " + h.address + " --ca " + ca + " --token-file " + bad, nil, "", ExitError, "does not accept the token"},
		"a server alone":           {nowhere, "", map[string]string{"YARDARM_SERVER": h.address}, "", ExitError, "there is no configuration"},
		"another server's context": {h.config, "", map[string]string{"YARDARM_SERVER": "elsewhere:1"}, "", ExitYes, ""},
		"no such file":             {h.config, "--token-file /nowhere", nil, "", ExitError, "/nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			env := map[string]string{clientconfig.EnvPath: c.config}
			for key, value := range c.env {
				env[key] = value
			}
			got := h.invoke(t, invocation{args: append([]string{"get", "clusters", "-o", "name"}, strings.Fields(c.args)...), env: env, in: c.in})
			if got.code != c.code || !strings.Contains(got.err, c.err) || strings.Contains(got.err, "yat_bad") {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestSignInOfAContext: its ID token is what is sent while it is good; beyond, a sign-in without a refresh token has ended, and is said to have.
func TestSignInOfAContext(t *testing.T) {
	h := serve(t, exampleFleet())
	keep := func(l *clientconfig.Login) {
		t.Helper()
		if err := clientconfig.Edit(h.config, func(c *clientconfig.Config) error {
			c.Contexts[0].Token, c.Contexts[0].Login = "", l
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	at := testTime
	keep(&clientconfig.Login{Issuer: "https://127.0.0.1:1", ClientID: "a", IDToken: idToken(at.Add(time.Hour))})
	got := h.run(t, "get", "clusters")
	if got.code != ExitError || !strings.Contains(got.err, `does not accept the sign-in of context "test"`) || !strings.Contains(got.err, "'yardarm login'") {
		t.Errorf("a hub that does not take it: %+v", got)
	}
	keep(&clientconfig.Login{Issuer: "https://127.0.0.1:1", ClientID: "a", IDToken: idToken(at.Add(renewal - time.Second))})
	if got := h.run(t, "get", "clusters"); got.code != ExitError || !strings.Contains(got.err, `the sign-in of context "test" has ended`) {
		t.Errorf("about to end: %+v", got)
	}
	keep(&clientconfig.Login{Issuer: "https://127.0.0.1:1", ClientID: "a", IDToken: "damaged", RefreshToken: "secret"})
	if got := h.run(t, "get", "clusters"); got.code != ExitError || !strings.Contains(got.err, "reach identity provider https://127.0.0.1:1") || strings.Contains(got.err, "secret") {
		t.Errorf("without its provider: %+v", got)
	}
	got = h.run(t, "logout")
	if got.code != ExitYes || !strings.Contains(got.err, `signed out of context "test"`) || !strings.Contains(got.err, "may still count") {
		t.Errorf("%+v", got)
	}
	if got := h.run(t, "logout"); got.code != ExitNo || !strings.Contains(got.err, "is not signed in") {
		t.Errorf("a second time: %+v", got)
	}
	if got := h.run(t, "login", "--issuer", "https://a"); got.code != ExitError || !strings.Contains(got.err, "--client-id") {
		t.Errorf("%+v", got)
	}
}
