package oidc

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const head = "apiVersion: yardarm.dev/v1\nkind: IdentityProviders\n"

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "oidc.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoad(t *testing.T) {
	i := newIssuer(t)
	path := write(t, head+`providers:
- name: corp
  issuer: https://login.example.com
  ca: corp.pem
  username: {claim: email, prefix: ""}
  groups: [{claim: groups}]
  login: {clientID: yardarm}
  pages: {clientID: yardarm-pages, scopes: [email], clientSecretFile: corp.secret, tokenEndpointAuthMethod: client_secret_post}
- name: github
  issuer: https://token.actions.githubusercontent.com
  audiences: [https://hub.example.com]
  algorithms: [RS256]
  required: {repository_owner: [acme]}
`)
	const secret = "s3cr3t of the pages"
	for name, text := range map[string]string{"corp.pem": string(i.provider().roots), "corp.secret": secret + "\n"} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	corp, github := c.Providers[0], c.Providers[1]
	if *corp.Username.Prefix != "" || *corp.Groups[0].Prefix != "corp:" || strings.Join(corp.Audiences, " ") != "yardarm yardarm-pages" || len(corp.Algorithms) < 2 || corp.roots == nil {
		t.Errorf("corp is %+v", corp)
	}
	if github.Username.Claim != "sub" || *github.Username.Prefix != "github:" || len(github.Algorithms) != 1 || github.Login != nil {
		t.Errorf("github is %+v", github)
	}
	v, err := New(c, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	announced := v.Login()
	if len(announced) != 1 || announced[0].ClientID != "yardarm" || announced[0].CA != string(corp.roots) || strings.Join(announced[0].Scopes, " ") != "profile email offline_access" {
		t.Errorf("announced: %+v", announced)
	}
	if pages := v.Pages(); len(pages) != 1 || pages[0].Name != "corp" || pages[0].ClientID != "yardarm-pages" || strings.Join(pages[0].Scopes, " ") != "email" ||
		string(pages[0].Secret) != secret || !pages[0].SecretInBody {
		t.Errorf("for pages: %+v", pages)
	}
	announcement, err := json.Marshal(v.Pages())
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{string(announcement), fmt.Sprintf("%v %+v %#v", v.Pages(), v.Pages(), v.Pages()), fmt.Sprintf("%+v %#v", *corp.Pages, *corp.Pages)} {
		if strings.Contains(shown, "s3cr3t") {
			t.Errorf("the secret is shown: %s", shown)
		}
	}
	again, err := Load(path)
	if err != nil || !c.Same(again) {
		t.Errorf("read again it is another: %v", err)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "corp.secret"), []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	if again, err = Load(path); err != nil || c.Same(again) {
		t.Errorf("with another secret it is the same: %v", err)
	}
}

// TestBadSecrets: what is wrong with a file of a secret is told without what is in it.
func TestBadSecrets(t *testing.T) {
	for name, c := range map[string]struct{ field, content, want string }{
		"nothing in it":        {"pages", "\n", "one line"},
		"two lines":            {"pages", "s3cr3t\nsecond", "one line"},
		"too long":             {"pages", "s3cr3t" + strings.Repeat("x", maxSecret), "at most 1024 bytes"},
		"no file":              {"pages", "", "corp.secret"},
		"of people's machines": {"login", "s3cr3t", "keep no secret"},
	} {
		path := write(t, head+"providers: [{name: a, issuer: 'https://a', "+c.field+": {clientID: c, clientSecretFile: corp.secret}}]\n")
		if c.content != "" {
			if err := os.WriteFile(filepath.Join(filepath.Dir(path), "corp.secret"), []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := Load(path)
		if err == nil || !strings.Contains(err.Error(), "providers[0]."+c.field+".clientSecretFile") || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestBadFiles(t *testing.T) {
	provider := func(fields string) string { return head + "providers: [{" + fields + "}]\n" }
	const whole = "name: a, issuer: 'https://a', audiences: [b]"
	for name, c := range map[string]struct{ text, want string }{
		"another kind":         {"apiVersion: v1\nkind: Config\n", Kind},
		"unknown field":        {provider(whole + ", requiredClaims: {a: [b]}"), "requiredClaims"},
		"no name":              {provider("issuer: 'https://a', audiences: [b]"), "providers[0].name"},
		"no issuer":            {provider("name: a, audiences: [b]"), "providers[0].issuer"},
		"an issuer in clear":   {provider("name: a, issuer: 'http://a', audiences: [b]"), "providers[0].issuer"},
		"no audience":          {provider("name: a, issuer: 'https://a'"), "providers[0].audiences"},
		"an empty audience":    {provider("name: a, issuer: 'https://a', audiences: ['']"), "providers[0].audiences"},
		"a secret's algorithm": {provider(whole + ", algorithms: [HS256]"), "HS256"},
		"no algorithm":         {provider(whole + ", algorithms: [none]"), "none"},
		"pages of nobody":      {provider(whole + ", pages: {scopes: [email]}"), "pages.clientID"},
		"a method, no secret":  {provider(whole + ", pages: {clientID: c, tokenEndpointAuthMethod: client_secret_post}"), "pages.tokenEndpointAuthMethod"},
		"an unknown method":    {provider(whole + ", pages: {clientID: c, clientSecretFile: s, tokenEndpointAuthMethod: private_key_jwt}"), "private_key_jwt"},
		"a group of nothing":   {provider(whole + ", groups: [{prefix: x}]"), "groups[0].claim"},
		"required nothing":     {provider(whole + ", required: {repository: []}"), "repository"},
		"required one text":    {provider(whole + ", required: {repository: a}"), "required"},
		"no client":            {provider(whole + ", login: {}"), "login.clientID"},
		"no CA":                {provider(whole + ", ca: nowhere.pem"), "providers[0].ca"},
		"a name twice":         {head + "providers: [{" + whole + "}, {name: a, issuer: 'https://c', audiences: [b]}]", `providers[1].name: "a"`},
		"an issuer twice":      {head + "providers: [{" + whole + "}, {name: c, issuer: 'https://a', audiences: [b]}]", "providers[1].issuer: https://a"},
	} {
		path := write(t, c.text)
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want one with %q and the path", name, err, c.want)
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("a file that is not there is read")
	}
}
