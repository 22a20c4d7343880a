package seal

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

func TestKeyIsMadeOnceAndKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "hub.key")
	first := must(t, Config{File: path, Create: true})
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the key file has mode %v, %v; want 0600", info.Mode(), err)
	}
	sealed, err := first.Seal("ca/root", []byte("the CA's key"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed.GetCiphertext(), []byte("CA")) {
		t.Fatal("the secret is readable in its row")
	}
	again := must(t, Config{File: path, Create: true})
	plaintext, err := again.Open("ca/root", sealed)
	if err != nil || string(plaintext) != "the CA's key" {
		t.Fatalf("opened %q, %v", plaintext, err)
	}
}

func TestSameSecretSealsDifferently(t *testing.T) {
	sealer := must(t, Config{Key: key(1)})
	first, err1 := sealer.Seal("a", []byte("secret"))
	second, err2 := sealer.Seal("a", []byte("secret"))
	if err1 != nil || err2 != nil || bytes.Equal(first.GetNonce(), second.GetNonce()) {
		t.Fatalf("a nonce was used twice (%v, %v)", err1, err2)
	}
}

func TestWrongKeyNamesItsSource(t *testing.T) {
	sealed, err := must(t, Config{Key: key(1)}).Seal("ca/root", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "hub.key")
	cases := map[string]Config{
		EnvKey: {Key: key(2), File: path},
		path:   {File: path, Create: true},
	}
	for source, config := range cases {
		_, err := must(t, config).Open("ca/root", sealed)
		if !errors.Is(err, ErrWrongKey) || !strings.Contains(err.Error(), source) {
			t.Errorf("error %v, want ErrWrongKey naming %s", err, source)
		}
	}
}

func TestRowOpensUnderItsNameOnlyAndUnchanged(t *testing.T) {
	sealer := must(t, Config{Key: key(1)})
	sealed, err := sealer.Seal("ticket/keys", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sealer.Open("ca/root", sealed); !errors.Is(err, ErrWrongKey) {
		t.Errorf("under another name: error %v, want ErrWrongKey", err)
	}
	changed := proto.CloneOf(sealed)
	changed.Ciphertext[0] ^= 1
	if _, err := sealer.Open("ticket/keys", changed); !errors.Is(err, ErrWrongKey) {
		t.Errorf("changed: error %v, want ErrWrongKey", err)
	}
	for _, damaged := range []*storev1.SealedSecret{nil, {Name: "ticket/keys"}, {Nonce: sealed.GetNonce()}} {
		if _, err := sealer.Open("ticket/keys", damaged); !errors.Is(err, ErrWrongKey) {
			t.Errorf("damaged: error %v, want ErrWrongKey", err)
		}
	}
}

func TestRefusals(t *testing.T) {
	folder := t.TempDir()
	file := func(name string, data string, mode os.FileMode) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(data), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	secret := key(7)
	cases := map[string]struct {
		config Config
		want   string
	}{
		"no key beside a database": {Config{File: filepath.Join(folder, "absent")}, "does not exist"},
		"world-readable":           {Config{File: file("world", secret, 0o604), Create: true}, "chmod 600"},
		"group-readable":           {Config{File: file("group", secret, 0o640), Create: true}, "chmod 600"},
		"short":                    {Config{File: file("short", secret[:20], 0o600), Create: true}, "32 random bytes"},
		"empty":                    {Config{File: file("empty", "", 0o600), Create: true}, "32 random bytes"},
		"a folder":                 {Config{File: folder, Create: true}, "is no file"},
		"bad variable":             {Config{Key: secret[:30]}, EnvKey},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := New(c.config)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want one with %q", err, c.want)
			}
			if strings.Contains(err.Error(), secret[:16]) {
				t.Fatalf("the error shows the key: %v", err)
			}
		})
	}
	if _, err := New(cases["no key beside a database"].config); !errors.Is(err, ErrNoKey) {
		t.Errorf("error %v, want ErrNoKey", err)
	}
}

func TestBareBytesAreAKeyToo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.key")
	bare := bytes.Repeat([]byte{'\n'}, KeySize)
	if err := os.WriteFile(path, bare, 0o600); err != nil {
		t.Fatal(err)
	}
	sealed, err := must(t, Config{File: path}).Seal("a", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	text := base64.StdEncoding.EncodeToString(bare)
	if _, err := must(t, Config{Key: text}).Open("a", sealed); err != nil {
		t.Fatalf("the same key as text does not fit: %v", err)
	}
}

func key(fill byte) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{fill}, KeySize))
}

func must(t *testing.T, config Config) *Sealer {
	t.Helper()
	sealer, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return sealer
}
