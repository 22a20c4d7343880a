package main

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What takes longest begins first, though the go command lists packages by name.
func TestLongOnesBeginFirst(t *testing.T) {
	const body = "func TestA(t *testing.T) {}"
	repo := module(t, map[string]string{"a": body, "b": body, long[1]: body, long[0]: body})
	var out bytes.Buffer
	if _, err := repo.test([]string{"-vet=off", "-p=1"}, func(string) bool { return true }, 0)(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		if ok, rest, _ := strings.Cut(line, "\t"); strings.TrimSpace(ok) == "ok" {
			pkg, _, _ := strings.Cut(rest, "\t")
			got = append(got, local(pkg))
		}
	}
	if want := []string{long[0], long[1], "a", "b"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q:\n%s", got, want, &out)
	}
}

func TestOrderNamesPackages(t *testing.T) {
	root, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range slices.Concat(long, alone) {
		if tests, _ := filepath.Glob(filepath.Join(root, folder, "*_test.go")); len(tests) == 0 {
			t.Errorf("%s has no tests", folder)
		}
	}
	for _, folder := range alone {
		if !endToEnd("github.com/yardarm-dev/yardarm/" + folder) {
			t.Errorf("%s runs with others beside it", folder)
		}
	}
}
