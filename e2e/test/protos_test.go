package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// repo makes a repository and answers what runs git in it. Each commit changes a file, so that none is empty.
func repo(t *testing.T) (dir string, git func(args ...string) string) {
	t.Helper()
	dir = t.TempDir()
	git = func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.com"}, args...)...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "-q", "-b", "main")
	return dir, git
}

func TestBase(t *testing.T) {
	dir, git := repo(t)
	commit := func(name, content string) string {
		t.Helper()
		write(t, dir, name, content)
		git("add", ".")
		git("commit", "-q", "-m", name+": "+content)
		return git("rev-parse", "HEAD")
	}
	expect := func(p protos, want, reason string) {
		t.Helper()
		got, why, err := p.base(t.Context())
		if err != nil || got != want || !strings.Contains(why, reason) {
			t.Errorf("got %.8s (%s), %v; want %.8s (%s)", got, why, err, want, reason)
		}
	}
	p := protos{commands: commands{dir: dir}}

	if _, _, err := p.base(t.Context()); err == nil {
		t.Error("no commit at all: no error")
	}
	commit("README.md", "1")
	first := commit("proto/a/a.proto", "1")
	expect(p, first, "no earlier one")
	commit("README.md", "2")
	second := commit("proto/a/a.proto", "2")
	expect(p, git("rev-parse", "HEAD^"), "before the last change")
	last := commit("README.md", "3")
	expect(p, git("rev-parse", "HEAD^^"), "before the last change")

	write(t, dir, "proto/a/a.proto", "3")
	expect(p, last, "have changed since")
	git("checkout", "-q", "proto")
	write(t, dir, "proto/b/b.proto", "new")
	expect(p, last, "have changed since")
	git("checkout", "-q", "-b", "branch")
	commit("proto/a/a.proto", "4")
	commit("proto/a/a.proto", "5")
	expect(p, last, "left main")

	expect(protos{commands: p.commands, against: second[:10]}, second, "as asked")
	if _, _, err := (protos{commands: p.commands, against: "nothing"}).base(t.Context()); err == nil {
		t.Error("an unknown commit: no error")
	}

	// A clone without history, as CI makes it.
	shallow := filepath.Join(t.TempDir(), "clone")
	git("clone", "-q", "--depth=1", "--branch=main", "file://"+dir, shallow)
	expect(protos{commands: commands{dir: shallow}}, last, "no earlier one")
	// A clone that has main, and is on it.
	full := filepath.Join(t.TempDir(), "clone")
	git("clone", "-q", "--branch=main", "file://"+dir, full)
	expect(protos{commands: commands{dir: full}}, git("rev-parse", second+"^"), "before the last change")
}

// TestBreaking runs buf itself, on a copy of the messages in a repository of its own.
func TestBreaking(t *testing.T) {
	root, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	dir, git := repo(t)
	for _, name := range []string{"buf.yaml", "proto/tools/go.mod", "proto/tools/go.sum"} {
		content, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, name, string(content))
	}
	const message = "syntax = \"proto3\";\npackage yardarm.a.v1;\nmessage A {\n  string name = 1;\n"
	write(t, dir, "go.mod", "module example.com/yardarm\n\ngo 1.24\n")
	write(t, dir, "proto/yardarm/a/v1/a.proto", message+"}\n")
	git("add", ".")
	git("commit", "-q", "-m", "first")
	p := protos{commands: commands{dir: dir}}
	var out bytes.Buffer

	write(t, dir, "proto/yardarm/a/v1/a.proto", message+"  string more = 2;\n}\n")
	if _, err := p.breaking(t.Context(), &out); err != nil {
		t.Errorf("a field more: %v\n%s", err, out.String())
	}
	out.Reset()
	write(t, dir, "proto/yardarm/a/v1/a.proto", strings.Replace(message, "string name", "int64 name", 1)+"}\n")
	if _, err := p.breaking(t.Context(), &out); err == nil || !strings.Contains(out.String(), "changed type") {
		t.Errorf("another type: got %v\n%s", err, out.String())
	}
	git("commit", "-q", "-a", "-m", "break it, and commit that")
	if _, err := p.breaking(t.Context(), &out); err == nil {
		t.Error("another type, committed: no error")
	}
}

func TestDiffer(t *testing.T) {
	fresh, tree := t.TempDir(), t.TempDir()
	if _, err := differ(fresh, tree); err == nil {
		t.Error("nothing was generated: no error")
	}
	for _, name := range []string{"a/same.pb.go", "a/changed.pb.go", "a/new.pb.gw.go"} {
		write(t, fresh, name, "fresh "+name)
	}
	write(t, tree, "a/same.pb.go", "fresh a/same.pb.go")
	write(t, tree, "a/changed.pb.go", "old")
	write(t, tree, "a/gone.swagger.json", "old")
	write(t, tree, "a/a.proto", "source")
	got, err := differ(fresh, tree)
	want := []string{"proto/a/changed.pb.go is not current", "proto/a/gone.swagger.json has no source", "proto/a/new.pb.gw.go is missing"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestFuzzTests(t *testing.T) {
	found, err := fuzzTests(fstest.MapFS{
		"hub/a_test.go":        {Data: []byte("package a\n\nfunc FuzzA(f *testing.F) {\n}\n\nfunc FuzzB(f *testing.F) {}\n")},
		"hub/b/a_test.go":      {Data: []byte("package b\n\n// func FuzzNot(f *testing.F)\nfunc TestC(t *testing.T) {}\n")},
		"hub/c/a.go":           {Data: []byte("package c\n\nfunc FuzzNot(f *testing.F) {}\n")},
		".git/hub/a_test.go":   {Data: []byte("func FuzzNot(f *testing.F) {}\n")},
		"spoke/d/fz_test.go":   {Data: []byte("func FuzzD(fuzz *testing.F) {}\n")},
		"spoke/d/help_test.go": {Data: []byte("func FuzzHelp(t *testing.T) {}\n")},
	})
	want := []foundTest{{"hub", "FuzzA"}, {"hub", "FuzzB"}, {"spoke/d", "FuzzD"}}
	if err != nil || !slices.Equal(found, want) {
		t.Errorf("got %v, %v", found, err)
	}
}
