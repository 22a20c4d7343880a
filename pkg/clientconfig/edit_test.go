package clientconfig

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestEdit: of edits at one moment, each sees what those before it have made; one that fails leaves the file as it was.
func TestEdit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := Edit(path, func(*Config) error { return nil }); err == nil {
		t.Error("a file that is not there is edited")
	}
	c := New()
	c.Put(Context{Name: "a", Server: "https://a:1"})
	if err := c.Save(path); err != nil {
		t.Fatal(err)
	}
	const edits = 20
	var all sync.WaitGroup
	for range edits {
		all.Go(func() {
			if err := Edit(path, func(c *Config) error { c.Contexts[0].Token += "x"; return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	failed := errors.New("no")
	if err := Edit(path, func(c *Config) error { c.Contexts[0].Token = ""; return failed }); !errors.Is(err, failed) {
		t.Errorf("error %v", err)
	}
	got, err := Load(path)
	if err != nil || len(got.Contexts[0].Token) != edits {
		t.Errorf("%d edits have made %q, %v", edits, got.Contexts[0].Token, err)
	}
}

func TestMasked(t *testing.T) {
	whole := Context{Name: "a", Token: "secret-1", ClientKey: "secret-2", Login: &Login{Issuer: "https://a", IDToken: "secret-3", RefreshToken: "secret-4"}}
	masked := whole.Masked("***")
	if text := fmt.Sprintf("%+v %+v", masked.Login, []string{masked.Token, masked.ClientKey}); strings.Contains(text, "secret") || strings.Count(text, "***") != 4 {
		t.Errorf("it shows %s", text)
	}
	if whole.Login.IDToken != "secret-3" {
		t.Error("the original is changed")
	}
	if empty := (Context{Name: "a"}).Masked("***"); empty.Token != "" || empty.HasSecrets() || !whole.HasSecrets() {
		t.Errorf("it is %+v", empty)
	}
}
