package requestid

import (
	"bytes"
	"strings"
	"testing"
)

func TestOf(t *testing.T) {
	for given, own := range map[string]bool{"a-1.b_2": true, strings.Repeat("x", 64): true, strings.Repeat("x", 65): false, "": false, "a b": false, "a\nb": false, "ä": false} {
		if got := Of([]string{given}, bytes.NewReader(make([]byte, 8))); own && got != given || !own && got != "0000000000000000" {
			t.Errorf("given %q, got %q", given, got)
		}
	}
	if got := Of([]string{"a", "b"}, strings.NewReader("")); got != "unknown" {
		t.Errorf("without randomness: %q", got)
	}
}
