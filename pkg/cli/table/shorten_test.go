package table

import "testing"

func TestShorten(t *testing.T) {
	for _, tc := range []struct {
		text  string
		limit int
		want  string
	}{
		{"", 5, ""}, {"abcde", 5, "abcde"}, {"abcdefghij", 7, "abcd…ij"}, {"äöüßéè", 4, "äö…è"}, {"abc", 1, "…"}, {"abc", 0, "abc"},
	} {
		if got := Shorten(tc.text, tc.limit); got != tc.want {
			t.Errorf("%q in %d is %q, want %q", tc.text, tc.limit, got, tc.want)
		}
	}
}
