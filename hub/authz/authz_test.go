package authz

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/clientconfig"
)

type hub struct {
	*Authz
	t     *testing.T
	dir   string
	store *store.Store
	admin Admin
}

func newHub(t *testing.T) *hub {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open(store.Config{Dir: filepath.Join(dir, "data")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	a, err := New(Config{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	return &hub{Authz: a, t: t, dir: dir, store: s, admin: Admin{Path: filepath.Join(dir, "admin", "config.yaml"), Server: "https://127.0.0.1:8443"}}
}

func (h *hub) ensure() Outcome {
	h.t.Helper()
	outcome, err := h.EnsureLocalAdmin(context.Background(), h.admin)
	if err != nil {
		h.t.Fatal(err)
	}
	return outcome
}

// token is the one in the file.
func (h *hub) token() string {
	h.t.Helper()
	config, err := clientconfig.Load(h.admin.Path)
	if err != nil {
		h.t.Fatal(err)
	}
	context, err := config.Context("")
	if err != nil {
		h.t.Fatal(err)
	}
	return context.Token
}

func (h *hub) admits(token string) bool {
	h.t.Helper()
	who, err := h.Authenticate(context.Background(), token)
	if err != nil && !errors.Is(err, ErrCredential) {
		h.t.Fatal(err)
	}
	if err == nil && who.Actor() != AdminName {
		h.t.Fatalf("the caller is %q", who)
	}
	return err == nil
}

func TestFirstStartMakesTheAdmin(t *testing.T) {
	h := newHub(t)
	if got := h.ensure(); got != AdminCreated {
		t.Fatalf("outcome %q", got)
	}
	info, err := os.Stat(h.admin.Path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v; want 0600", info.Mode(), err)
	}
	token := h.token()
	if !h.admits(token) {
		t.Fatal("the admin's credential does not let them in")
	}
	before, _ := os.ReadFile(h.admin.Path)
	if got := h.ensure(); got != AdminKept {
		t.Errorf("second start: %q, want kept", got)
	}
	if after, _ := os.ReadFile(h.admin.Path); !bytes.Equal(before, after) {
		t.Error("the second start has changed the file")
	}
	secret := token[strings.LastIndexByte(token, '_')-3:]
	entries, err := os.ReadDir(filepath.Join(h.dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if data, _ := os.ReadFile(filepath.Join(h.dir, "data", entry.Name())); bytes.Contains(data, []byte(secret)) {
			t.Errorf("%s holds the credential", entry.Name())
		}
	}
}

func TestOtherTokensLetNobodyIn(t *testing.T) {
	h := newHub(t)
	h.ensure()
	token := h.token()
	other := newHub(t)
	other.ensure()
	last := "A"
	if strings.HasSuffix(token, "A") {
		last = "E"
	}
	for name, bad := range map[string]string{
		"none":          "",
		"no prefix":     token[4:],
		"cut":           token[:len(token)-1],
		"longer":        token + "A",
		"another hub's": other.token(),
		"one letter":    token[:len(token)-1] + last,
		"another id":    strings.Replace(token, "_local_", "_other_", 1),
		"no id":         strings.Replace(token, "_local_", "__", 1),
		"no secret":     "yat_local_",
		"zero secret":   "yat_none_" + strings.Repeat("A", 43),
		"a line break":  token[:20] + "\n" + token[20:],
		"line breaks":   token[:20] + "\n" + token[21:],
		"huge":          "yat_" + strings.Repeat("a", 1<<20),
	} {
		if h.admits(bad) {
			t.Errorf("%s: lets in", name)
		}
	}
	if !h.admits(token) {
		t.Error("the right one does not let in")
	}
}

func TestMissingFileIsNotMadeAgain(t *testing.T) {
	h := newHub(t)
	h.ensure()
	old := h.token()
	if err := os.Remove(h.admin.Path); err != nil {
		t.Fatal(err)
	}
	if got := h.ensure(); got != AdminMissing {
		t.Fatalf("outcome %q, want missing", got)
	}
	if _, err := os.Stat(h.admin.Path); !os.IsNotExist(err) {
		t.Fatalf("the file is there again (%v)", err)
	}
	if !h.admits(old) {
		t.Fatal("the credential has ended with its file")
	}
	if err := h.ResetLocalAdmin(context.Background(), h.admin); err != nil {
		t.Fatal(err)
	}
	if h.admits(old) || !h.admits(h.token()) || h.token() == old {
		t.Fatal("after a reset the new credential lets in and the old one does not")
	}
}

func TestChangedAddressKeepsTheFile(t *testing.T) {
	h := newHub(t)
	h.ensure()
	before, _ := os.ReadFile(h.admin.Path)
	h.admin.Server = "https://127.0.0.1:9443"
	if got := h.ensure(); got != AdminOutdated {
		t.Errorf("outcome %q, want outdated", got)
	}
	if after, _ := os.ReadFile(h.admin.Path); !bytes.Equal(before, after) {
		t.Error("the file was changed")
	}
}

func TestOtherContextsOfTheFileAreKept(t *testing.T) {
	h := newHub(t)
	config := clientconfig.New()
	config.Put(clientconfig.Context{Name: "prod", Server: "https://hub.example", Token: "yat_x_y"})
	if err := config.Save(h.admin.Path); err != nil {
		t.Fatal(err)
	}
	h.ensure()
	got, err := clientconfig.Load(h.admin.Path)
	if err != nil || got.CurrentContext != "local" || len(got.Contexts) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	if prod, err := got.Context("prod"); err != nil || prod.Token != "yat_x_y" {
		t.Errorf("%v, %v", prod, err)
	}
}

// The file is written first, so that no credential exists that nobody knows.
func TestFailureLeavesAWayOn(t *testing.T) {
	h := newHub(t)
	h.store.SetReadOnly("test")
	if _, err := h.EnsureLocalAdmin(context.Background(), h.admin); !errors.Is(err, store.ErrReadOnly) {
		t.Fatalf("error %v, want ErrReadOnly", err)
	}
	vain := h.token()
	if h.admits(vain) {
		t.Fatal("a credential lets in that is not on disk")
	}
	h.store.SetReadOnly("")
	if got := h.ensure(); got != AdminCreated || !h.admits(h.token()) {
		t.Fatalf("the next start: %q", got)
	}
	// A file that cannot be written leaves the credential of before.
	good := h.token()
	h.admin.Path = filepath.Join(h.admin.Path, "a-file-is-no-folder")
	if err := h.ResetLocalAdmin(context.Background(), h.admin); err == nil {
		t.Fatal("no error")
	}
	if !h.admits(good) {
		t.Fatal("the old credential has ended, and there is no new one")
	}
	damaged := filepath.Join(h.dir, "damaged.yaml")
	if err := os.WriteFile(damaged, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.admin.Path = damaged
	if err := h.ResetLocalAdmin(context.Background(), h.admin); err == nil || !strings.Contains(err.Error(), damaged) {
		t.Errorf("a damaged file: error %v", err)
	}
}

func FuzzAuthenticate(f *testing.F) {
	f.Add("yat_local_" + strings.Repeat("A", 43))
	f.Add("yat__")
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		id, secret, ok := parse(token)
		if !ok {
			return
		}
		if len(secret) != secretSize || strings.Contains(id, "_") || format(id, secret) != token {
			t.Fatalf("%q reads as %q, %x", token, id, secret)
		}
	})
}
