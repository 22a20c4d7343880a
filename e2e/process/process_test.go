package process

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	for _, test := range []struct{ name, content, want string }{
		{"empty", "", "\t"},
		{"short", "one\ntwo\n", "\tone\n\ttwo"},
		{"long", strings.Repeat("x", 2*LogTail) + "\nlast\n", "\tlast"},
	} {
		if err := os.WriteFile(path, []byte(test.content), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := Tail(path); err != nil || got != test.want {
			t.Errorf("%s: got %q, %v, want %q", test.name, got, err, test.want)
		}
	}
}
