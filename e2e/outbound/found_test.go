//go:build linux

package outbound

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// TestSearchFinds puts a secret where it may be, in all the ways in which it may be written, and looks.
func TestSearchFinds(t *testing.T) {
	secret := []byte(rand.Text() + rand.Text())[:32]
	var s search
	s.add("it", secret)
	compressed := func(text []byte) []byte {
		w, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		return w.EncodeAll(text, nil)
	}
	texts := map[string][]byte{
		"raw": secret, "a part of it": secret[:window], "hex": []byte(hex.EncodeToString(secret)), "HEX": []byte(strings.ToUpper(hex.EncodeToString(secret))),
		"compressed": compressed(secret),
	}
	for _, before := range []string{"", "a", "ab", "abc"} {
		whole := append([]byte(before), secret...)
		whole = append(whole, "and more"...)
		texts["base64 after "+before] = []byte(base64.StdEncoding.EncodeToString(whole))
		texts["base64url after "+before] = []byte(base64.URLEncoding.EncodeToString(whole))
		texts["PEM after "+before] = pem.EncodeToMemory(&pem.Block{Type: "KEY", Bytes: append(bytes.Repeat([]byte("x"), 40), whole...)})
	}
	for name, text := range texts {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, bytes.Join([][]byte{[]byte("before"), text, []byte("after")}, nil), 0o600); err != nil {
			t.Fatal(err)
		}
		if found, err := s.file(path); err != nil || !found["it"] {
			t.Errorf("%s: not found (%v)", name, err)
		}
	}
	// Across the pieces that memory is read in.
	if found, err := s.stream(bytes.NewReader(append(make([]byte, piece-window/2), secret[:window]...))); err != nil || !found["it"] {
		t.Errorf("between two pieces: not found (%v)", err)
	}
	if found, err := s.stream(strings.NewReader(rand.Text() + rand.Text())); err != nil || len(found) > 0 {
		t.Errorf("found what is not there (%v)", err)
	}
}
