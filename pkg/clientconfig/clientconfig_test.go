package clientconfig

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/yardarm-dev/yardarm/pkg/certs"
)

func TestSaveAndLoad(t *testing.T) {
	ca := caPEM(t)
	config := New()
	config.Put(Context{Name: "local", Server: "https://127.0.0.1:8443", CA: ca, Token: "yat_local_secret"})
	config.Put(Context{Name: "prod", Server: "https://hub.example", Token: "yat_x_secret"})
	path := filepath.Join(t.TempDir(), "new", "folder", "config.yaml")
	if err := config.Save(path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v; want 0600", info.Mode(), err)
	}
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if got.CurrentContext != "local" || len(got.Contexts) != 2 || got.Contexts[0] != config.Contexts[0] || got.Contexts[1] != config.Contexts[1] {
		t.Fatalf("loaded %+v", got)
	}
	if warnings := got.Warnings(); len(warnings) != 0 {
		t.Errorf("warnings %v", warnings)
	}
	text, _ := os.ReadFile(path)
	for _, want := range []string{"apiVersion: yardarm.dev/v1\n", "kind: Config\n", "currentContext: local\n", "-----BEGIN CERTIFICATE-----\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the file lacks %q:\n%s", want, text)
		}
	}
}

func TestFileThatOthersReadIsWarnedOf(t *testing.T) {
	for name, c := range map[string]struct {
		token string
		mode  os.FileMode
		want  int
	}{
		"closed":            {"yat_a_b", 0o600, 0},
		"group":             {"yat_a_b", 0o640, 1},
		"world":             {"yat_a_b", 0o604, 1},
		"world, no secrets": {"", 0o644, 0},
	} {
		config := New()
		config.Put(Context{Name: "local", Server: "https://a:1", Token: c.token})
		path := filepath.Join(t.TempDir(), "config.yaml")
		if err := config.Save(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		got, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		warnings := got.Warnings()
		if len(warnings) != c.want || c.want > 0 && !strings.Contains(warnings[0], "chmod 600 "+path) {
			t.Errorf("%s: warnings %v, want %d", name, warnings, c.want)
		}
		// Saved again, it is closed.
		if err := got.Save(path); err != nil {
			t.Fatal(err)
		}
		if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v after saving", name, info.Mode())
		}
	}
}

func TestBadFiles(t *testing.T) {
	head := "apiVersion: yardarm.dev/v1\nkind: Config\n"
	for name, c := range map[string]struct{ text, want string }{
		"no YAML":             {"{", "yaml"},
		"another kind":        {"apiVersion: v1\nkind: Config\n", "yardarm.dev/v1"},
		"unknown field":       {head + "contexts:\n- name: a\n  sever: https://a:1\n", "sever"},
		"field twice":         {head + "currentContext: a\ncurrentContext: b\n", "currentContext"},
		"no name":             {head + "contexts:\n- server: https://a:1\n", "contexts[0].name"},
		"name twice":          {head + "contexts:\n- {name: a, server: 'https://a:1'}\n- {name: a, server: 'https://a:1'}\n", `contexts[1].name: "a"`},
		"plain HTTP":          {head + "contexts:\n- {name: a, server: 'http://a:1'}\n", "contexts[0].server"},
		"no host":             {head + "contexts:\n- {name: a, server: 'https://:1'}\n", "contexts[0].server"},
		"a path":              {head + "contexts:\n- {name: a, server: 'https://a:1/x'}\n", "contexts[0].server"},
		"a password":          {head + "contexts:\n- {name: a, server: 'https://u:yat_secret_x@a:1'}\n", "contexts[0].server"},
		"no certificate":      {head + "contexts:\n- {name: a, server: 'https://a:1', ca: x}\n", "contexts[0].ca"},
		"damaged certificate": {head + "contexts:\n- name: a\n  server: https://a:1\n  ca: |\n    -----BEGIN CERTIFICATE-----\n    AAAA\n    -----END CERTIFICATE-----\n", "contexts[0].ca"},
		"current is missing":  {head + "currentContext: b\ncontexts:\n- {name: a, server: 'https://a:1'}\n", `"b"`},
		"a token as a key":    {head + "contexts:\n- name: a\n  server: https://a:1\n  yat_secret_x: b\n", "unknown field"},
	} {
		path := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want one with %q and the path", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret_x") {
			t.Errorf("%s: the error shows a token: %v", name, err)
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: error %v", err)
	}
	huge := filepath.Join(t.TempDir(), "huge")
	if err := os.WriteFile(huge, make([]byte, maxSize+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(huge); err == nil || !strings.Contains(err.Error(), "right file") {
		t.Errorf("huge: error %v", err)
	}
	if err := (&Config{Contexts: []Context{{Name: "a", Server: "a"}}}).Save(filepath.Join(t.TempDir(), "x")); err == nil {
		t.Error("a file that would not load is saved")
	}
}

func TestContexts(t *testing.T) {
	config := New()
	if _, err := config.Context(""); !errors.Is(err, ErrNoContext) {
		t.Errorf("error %v, want ErrNoContext", err)
	}
	config.Put(Context{Name: "a", Server: "https://a:1"})
	config.Put(Context{Name: "b", Server: "https://b:1"})
	if got, err := config.Context(""); err != nil || got.Name != "a" {
		t.Errorf("current is %v, %v; want the first", got, err)
	}
	config.Put(Context{Name: "b", Server: "https://b:2"})
	if got, err := config.Context("b"); err != nil || got.Server != "https://b:2" || len(config.Contexts) != 2 {
		t.Errorf("replaced: %v, %v of %d", got, err, len(config.Contexts))
	}
	if _, err := config.Context("c"); !errors.Is(err, ErrNoContext) || !strings.Contains(err.Error(), "c") {
		t.Errorf("error %v, want ErrNoContext", err)
	}
	if config.Remove("c") || !config.Remove("a") || config.CurrentContext != "" || len(config.Contexts) != 1 {
		t.Errorf("after removing a: %+v", config)
	}
}

func TestHostAndTLS(t *testing.T) {
	for server, want := range map[string]string{"https://hub.example": "hub.example:443", "https://[::1]:8443/": "[::1]:8443", "https://[::1]": "[::1]:443"} {
		if got, err := (Context{Server: server}).Host(); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", server, got, err, want)
		}
	}
	config, err := Context{CA: caPEM(t)}.TLS()
	if err != nil || config.RootCAs == nil {
		t.Errorf("%v, %v; want the CA as the only root", config, err)
	}
	if config, err = (Context{}).TLS(); err != nil || config.RootCAs != nil {
		t.Errorf("%v, %v; want the system's roots", config, err)
	}
}

func TestDefaultPath(t *testing.T) {
	t.Setenv(EnvPath, "/a/b")
	if path, err := DefaultPath(); err != nil || path != "/a/b" {
		t.Errorf("%q, %v", path, err)
	}
	t.Setenv(EnvPath, "")
	t.Setenv("XDG_CONFIG_HOME", "/c")
	if path, err := DefaultPath(); err != nil || !strings.HasSuffix(path, filepath.Join("yardarm", "config.yaml")) {
		t.Errorf("%q, %v", path, err)
	}
}

func caPEM(t *testing.T) string {
	t.Helper()
	key, err := certs.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotAfter: time.Now().Add(time.Hour),
		BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(certs.EncodeChain([][]byte{der}))
}
