package built

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yardarm-dev/yardarm/e2e/process"
)

var small = Source{Folder: "somewhere/small", About: "a small program", Took: "a second", Version: "v1", Links: []string{"one", "two"}}

func TestModuleDir(t *testing.T) {
	if _, err := moduleDir("e2e/cluster/controlplane"); err != nil {
		t.Error(err)
	}
	if _, err := moduleDir("e2e/nowhere"); err == nil || !strings.Contains(err.Error(), "e2e/nowhere") {
		t.Errorf("a folder that is not there: %v", err)
	}
}

func TestBuildKey(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	key := func() string {
		t.Helper()
		key, err := small.key(dir)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	if _, err := small.key(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no sources: got %v", err)
	}
	write("go.mod", "a")
	write("go.sum", "b")
	write("main.go", "c")
	first := key()
	if again := key(); again != first {
		t.Errorf("the same sources: %s, then %s", first, again)
	}
	seen := map[string]string{first: "nothing"}
	for _, name := range []string{"go.mod", "go.sum", "main.go"} {
		write(name, "changed")
		k := key()
		if other, ok := seen[k]; ok {
			t.Errorf("the key does not tell a change of %s from one of %s", name, other)
		}
		seen[k] = name
	}
	more := small
	more.Links = append(slices.Clone(small.Links), "three")
	if k, err := more.key(dir); err != nil || seen[k] != "" {
		t.Errorf("the key does not tell another program: %v", err)
	}
}

// TestBuild builds a program that is small enough to be built in a test.
func TestBuild(t *testing.T) {
	source, root := t.TempDir(), t.TempDir()
	for name, content := range map[string]string{
		"go.mod":  "module example.com/small\n\ngo 1.26\n",
		"main.go": "package main\n\nfunc main() { println(\"hello\") }\n",
	} {
		if err := os.WriteFile(filepath.Join(source, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var progress bytes.Buffer
	dir := filepath.Join(root, "key")
	if small.complete(dir) {
		t.Error("complete before it is built")
	}
	if err := small.build(t.Context(), source, dir, &progress); err != nil {
		t.Fatal(err)
	}
	if !small.complete(dir) {
		t.Error("not complete after it is built")
	}
	for _, name := range append(small.Links, small.name()) {
		if out, err := exec.Command(filepath.Join(dir, name)).CombinedOutput(); err != nil || string(out) != "hello\n" {
			t.Errorf("%s: got %q, %v", name, out, err)
		}
	}
	if !strings.HasPrefix(progress.String(), "building a small program from source") || !strings.Contains(progress.String(), "\nbuilt a small program in") {
		t.Errorf("progress: got %q", progress.String())
	}

	if err := os.WriteFile(filepath.Join(source, "main.go"), []byte("package main\n\nfunc main() { wrong() }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	err := small.build(t.Context(), source, filepath.Join(root, "other"), io.Discard)
	if err == nil || !strings.Contains(err.Error(), "undefined: wrong") {
		t.Errorf("sources that do not compile: got %v, want the compiler's words", err)
	}
	if entries, err := os.ReadDir(root); err != nil || len(entries) != 1 {
		t.Errorf("a failed build leaves something: %v, %v", entries, err)
	}
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lock(t.Context(), path, t.Output())
	if err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	var progress bytes.Buffer
	if _, err := lock(ctx, path, &progress); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("lock what is locked: got %v", err)
	}
	if !strings.Contains(progress.String(), "waiting for another process") {
		t.Errorf("the wait is not announced: %q", progress.String())
	}

	unlock()
	unlock, err = lock(t.Context(), path, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

func TestBuildOutput(t *testing.T) {
	var o buildOutput
	for range 1000 {
		if _, err := o.Write([]byte("k8s.io/one\nk8s.io/two\n")); err != nil {
			t.Fatal(err)
		}
	}
	if got := o.lines.Load(); got != 2000 {
		t.Errorf("lines: got %d", got)
	}
	if len(o.tail) != process.LogTail || !bytes.HasSuffix(o.tail, []byte("k8s.io/two\n")) {
		t.Errorf("tail: got %d bytes ending in %q", len(o.tail), o.tail[len(o.tail)-20:])
	}
}
