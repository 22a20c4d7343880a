package archtest

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	// longest is the number of lines at which a file holds a second idea that deserves a file (style: most have 100–400).
	longest = 600
)

// topLevel is all that may lie at the top of the repository, what git ignores apart.
var topLevel = []string{
	".ci", ".git", ".gitignore", "Makefile", "README.md", "buf.yaml", "go.mod", "go.sum",
	"bench", "deploy", "docs", "e2e", "hub", "pkg", "proto", "spoke",
}

// written are the endings of files that people write line by line.
var written = []string{".go", ".proto", ".sh", ".js", ".ts", ".tsx", ".css", ".html"}

// vague are names that say nothing about what is in a file or folder.
var vague = []string{"util", "utils", "common", "helper", "helpers", "misc", "types"}

// generated marks a file that a program wrote, by Go's convention.
var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir(root(t))
	if err != nil {
		t.Fatal(err)
	}
	ignored, err := os.ReadFile(filepath.Join(root(t), ".gitignore"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !contains(topLevel, e.Name()) && !ignores(string(ignored), e.Name()) {
			t.Errorf("%s at the top level: name it in topLevel, or put it where it belongs", e.Name())
		}
	}
}

func TestFilesAreShort(t *testing.T) {
	for name, content := range sources(t) {
		if n := bytes.Count(content, []byte("\n")); n > longest && !generated.Match(content) {
			t.Errorf("%s has %d lines, more than %d: look for the second idea in it", name, n, longest)
		}
	}
}

func TestNamesSaySomething(t *testing.T) {
	for name := range sources(t) {
		for part := range strings.SplitSeq(name, "/") {
			stem, _, _ := strings.Cut(part, ".")
			if contains(vague, strings.TrimSuffix(stem, "_test")) {
				t.Errorf("%s: %q does not say what is in it", name, part)
			}
		}
	}
}

// TestOthersAreApart: a module's requirements reach everyone who requires it, and these are Kubernetes itself, and Helm.
func TestOthersAreApart(t *testing.T) {
	for _, folder := range []string{"e2e/cluster/controlplane", "e2e/node/agents", "e2e/charts/helm"} {
		if _, err := os.Stat(filepath.Join(root(t), folder, "go.mod")); err != nil {
			t.Errorf("%s is to be a module of its own: %v", folder, err)
		}
	}
	mod, err := os.ReadFile(filepath.Join(root(t), "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for _, apart := range []string{module + "/e2e/cluster/controlplane", "k8s.io/kubernetes ", "sigs.k8s.io/kwok ", "go.etcd.io/etcd/server/"} {
		if bytes.Contains(mod, []byte(apart)) {
			t.Errorf("go.mod names %s: only a module of its own may", strings.TrimSpace(apart))
		}
	}
	if _, err := os.Stat(filepath.Join(root(t), "go.work")); err == nil {
		t.Error("go.work joins modules that are apart")
	}
}

// root is the repository's folder.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("there is no go.mod above the working folder")
		}
		dir = filepath.Dir(dir)
	}
}

// sources are the files that people write, by their path in the repository.
func sources(t *testing.T) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	tree := os.DirFS(root(t))
	err := fs.WalkDir(tree, ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && name != "." && (strings.HasPrefix(e.Name(), ".") || contains([]string{"bin", "node_modules", "testdata", "dist"}, e.Name())):
			return fs.SkipDir
		case e.IsDir() || !slices.Contains(written, path.Ext(name)) && name != "go.mod":
			return nil
		}
		files[name], err = fs.ReadFile(tree, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("found no files")
	}
	return files
}

// ignores says whether one of the patterns of a .gitignore means a name at the top level.
func ignores(patterns, name string) bool {
	for line := range strings.Lines(patterns) {
		pattern := strings.Trim(strings.TrimSpace(line), "/")
		if ok, _ := path.Match(pattern, name); ok && pattern != "" {
			return true
		}
	}
	return false
}
