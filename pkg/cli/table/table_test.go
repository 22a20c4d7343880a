package table

import (
	"strings"
	"testing"
	"time"
)

func TestTable(t *testing.T) {
	tab := New("NAME", "PHASE", "WHY")
	tab.Add(Text("eu-1"), Cell{"Ready", Green}, Text("-"))
	tab.Add(Text("größer-als"), Cell{"Failed", Red})
	var b strings.Builder
	if _, err := tab.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	want := "NAME         PHASE    WHY\n" +
		"eu-1         Ready    -\n" +
		"größer-als   Failed   <none>\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
	// Later rows come without a header, in the same columns.
	b.Reset()
	tab.Add(Text("x"), Text("y"), Text("z"))
	if _, err := tab.WriteTo(&b); err != nil || b.String() != "x            y        z\n" {
		t.Errorf("got %q, %v", b.String(), err)
	}
}

// Colours do not move columns.
func TestTableColors(t *testing.T) {
	tab := New("A", "B")
	tab.Colors = true
	tab.Add(Cell{"Ready", Green}, Text("x"))
	var b strings.Builder
	if _, err := tab.WriteTo(&b); err != nil || b.String() != "A       B\n\x1b[32mReady\x1b[0m   x\n" {
		t.Errorf("got %q, %v", b.String(), err)
	}
}

func TestClean(t *testing.T) {
	for text, want := range map[string]string{
		"plain ünïcode 漢字":              "plain ünïcode 漢字",
		"two\nlines\tand\r\n":           "two lines and  ",
		"\x1b[31mred\x07\x00":           "\uFFFD[31mred\uFFFD\uFFFD",
		"right\u202eto left\u2066":      "right\uFFFDto left\uFFFD",
		"\u009b2J":                      "\uFFFD2J",
		"not \xff utf-8":                "not \uFFFD utf-8",
		"line\u2028separator\u0085next": "line separator next",
		"\u200fmark":                    "\uFFFDmark",
	} {
		if got := Clean(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("\x1b[2Jtext")
	f.Fuzz(func(t *testing.T, text string) {
		got := Clean(text)
		for _, r := range got {
			if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
				t.Fatalf("%q lets %q through", text, r)
			}
		}
		if Clean(got) != got {
			t.Fatalf("%q is not clean after cleaning", text)
		}
	})
}

func TestDuration(t *testing.T) {
	for _, tc := range []struct {
		d    time.Duration
		want string
	}{
		{-time.Minute, "0s"}, {0, "0s"}, {1999 * time.Millisecond, "1s"}, {119 * time.Second, "119s"}, {2 * time.Minute, "2m"}, {200 * time.Second, "3m20s"},
		{10 * time.Minute, "10m"}, {179 * time.Minute, "179m"}, {3 * time.Hour, "3h"}, {3*time.Hour + 5*time.Minute, "3h5m"}, {8 * time.Hour, "8h"},
		{47 * time.Hour, "47h"}, {48 * time.Hour, "2d"}, {51 * time.Hour, "2d3h"}, {8 * day, "8d"}, {400 * day, "400d"}, {800 * day, "2y70d"},
	} {
		if got := Duration(tc.d); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.d, got, tc.want)
		}
	}
}

func TestLeft(t *testing.T) {
	for _, tc := range []struct {
		d    time.Duration
		want string
	}{
		{-time.Minute, "0s"}, {1600 * time.Millisecond, "2s"}, {time.Hour - 2*time.Second, "60m"}, {8*time.Hour - time.Second, "8h"}, {15*time.Minute - 40*time.Second, "14m"},
		{3*day - time.Second, "3d"}, {30*day - time.Hour, "30d"},
	} {
		if got := Left(tc.d); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.d, got, tc.want)
		}
	}
}
