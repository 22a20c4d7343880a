package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// module writes a module with one test file in each named package, and answers how to run commands in it.
func module(t *testing.T, tests map[string]string) commands {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "go.mod", "module example.com/yardarm\n\ngo 1.24\n")
	for pkg, body := range tests {
		write(t, dir, pkg+"/a.go", "package a\n")
		write(t, dir, pkg+"/a_test.go", "package a\n\nimport \"testing\"\n\n"+body)
	}
	return commands{dir: dir}
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	name = filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestGoTest(t *testing.T) {
	all := func(string) bool { return true }
	for _, c := range []struct {
		name, body              string
		passed, failed, skipped int
		failures, shows         []string
		err                     string
	}{
		{
			name:   "passing tests are counted",
			body:   "func TestA(t *testing.T) { t.Run(\"sub\", func(*testing.T) {}) }\nfunc TestB(t *testing.T) { t.Log(\"chatter\") }",
			passed: 3, shows: []string{"ok "},
		},
		{
			name:   "a failing test is shown",
			body:   "func TestA(t *testing.T) { t.Fatal(\"the reason\") }\nfunc TestB(t *testing.T) { t.Log(\"chatter\") }",
			passed: 1, failed: 1, failures: []string{"x TestA"}, shows: []string{"the reason", "FAIL"}, err: "1 failed",
		},
		{
			name:   "a skipped test is a failure",
			body:   "func TestA(t *testing.T) { t.Skip(\"no such thing here\") }\nfunc TestB(t *testing.T) {}",
			passed: 1, failed: 1, failures: []string{"x TestA was skipped, and skips.go does not name it"},
			shows: []string{"no such thing here"}, err: "1 failed",
		},
		{
			name:   "a crash is a failure",
			body:   "func TestA(t *testing.T) {}\nfunc TestB(t *testing.T) { panic(\"the crash\") }",
			passed: 1, failed: 1, failures: []string{"x TestB"}, shows: []string{"the crash"}, err: "1 failed",
		},
		{
			name:   "leaving early is a failure",
			body:   "import \"os\"\nfunc TestA(t *testing.T) { os.Exit(3) }",
			failed: 1, failures: []string{"x TestA did not end"}, shows: []string{"=== RUN   TestA"}, err: "1 failed",
		},
		{
			name:   "what does not compile is a failure",
			body:   "func TestA(t *testing.T) { undefinedName() }",
			failed: 1, failures: []string{"x (the package itself)"}, shows: []string{"undefinedName"}, err: "1 failed",
		},
		{
			name: "nothing is not a success",
			body: "func help(t *testing.T) {}\nvar _ = help",
			err:  "no test was run",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := c.body
			if rest, ok := strings.CutPrefix(body, "import \"os\"\n"); ok {
				body = rest + "\nvar _ = os.Args\n"
			}
			repo := module(t, map[string]string{"x": body})
			if body != c.body {
				write(t, repo.dir, "x/a_test.go", "package a\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\n"+body)
			}
			var out bytes.Buffer
			got, err := repo.test([]string{"-vet=off"}, all, 0)(t.Context(), &out)
			if got.passed != c.passed || got.failed != c.failed || got.skipped != c.skipped {
				t.Errorf("got %d passed, %d failed, %d skipped", got.passed, got.failed, got.skipped)
			}
			if !slices.Equal(got.failures, c.failures) {
				t.Errorf("got failures %q", got.failures)
			}
			for _, want := range c.shows {
				if !strings.Contains(out.String(), want) {
					t.Errorf("does not show %q", want)
				}
			}
			if strings.Contains(out.String(), "chatter") {
				t.Error("shows what a passing test said")
			}
			if message := errorText(err); message != c.err {
				t.Errorf("got the error %q, want %q", message, c.err)
			}
			if t.Failed() {
				t.Log(out.String())
			}
		})
	}
}

func TestGoTestTriesAgain(t *testing.T) {
	all := func(string) bool { return true }
	// TestA fails the first time, by what is said, and TestB passes.
	fails := func(by, mark string) string {
		return fmt.Sprintf("import \"os\"\nfunc TestA(t *testing.T) { if _, err := os.Stat(%q); err != nil { os.WriteFile(%q, nil, 0o600); %s } }\nfunc TestB(*testing.T) {}", mark, mark, by)
	}
	flaky := func(mark string) string { return fails(`t.Fatal("the reason")`, mark) }
	module := func(t *testing.T, bodies ...string) commands {
		repo := module(t, nil)
		for i, body := range bodies {
			pkg := fmt.Sprintf("p%d", i)
			write(t, repo.dir, pkg+"/a.go", "package a\n")
			imports, rest, found := strings.Cut(body, "\n")
			if !found {
				imports, rest = "", body
			}
			write(t, repo.dir, pkg+"/a_test.go", "package a\n\nimport \"testing\"\n"+imports+"\n"+rest)
		}
		return repo
	}
	const good, bad = "func TestC(*testing.T) {}", "func TestD(t *testing.T) { t.Fatal() }"

	var out bytes.Buffer
	got, err := module(t, good, flaky(filepath.Join(t.TempDir(), "mark"))).test([]string{"-vet=off"}, all, 1)(t.Context(), &out)
	if err != nil || got.passed != 3 || got.failed != 0 || len(got.failures) != 0 || !slices.Equal(got.flaky, []string{"p1 TestA"}) {
		t.Errorf("one that passes again: %+v, %v\n%s", got, err, &out)
	}
	for _, want := range []string{"the reason", "-run=^(TestA)$ "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("says nothing of %q:\n%s", want, &out)
		}
	}
	for _, by := range []string{`panic("the crash")`, "os.Exit(3)"} {
		got, err = module(t, fails(by, filepath.Join(t.TempDir(), "mark"))).test([]string{"-vet=off"}, all, 1)(t.Context(), &bytes.Buffer{})
		if err != nil || got.passed != 2 || got.failed != 0 || len(got.flaky) != 1 {
			t.Errorf("one whose package ends by %s before its other test, and passes again: %+v, %v", by, got, err)
		}
	}
	got, err = module(t, bad, good).test([]string{"-vet=off"}, all, 1)(t.Context(), &bytes.Buffer{})
	if errorText(err) != "1 failed" || got.passed != 1 || !slices.Equal(got.failures, []string{"p0 TestD"}) || len(got.flaky) != 0 {
		t.Errorf("one that fails twice: %+v, %v", got, err)
	}
	got, err = module(t, flaky(filepath.Join(t.TempDir(), "mark")), flaky(filepath.Join(t.TempDir(), "mark"))).test([]string{"-vet=off"}, all, 1)(t.Context(), &bytes.Buffer{})
	if errorText(err) != "2 failed" || len(got.flaky) != 0 {
		t.Errorf("more than may fail: %+v, %v", got, err)
	}
}

func TestGoTestChooses(t *testing.T) {
	repo := module(t, map[string]string{"hub": "func TestA(t *testing.T) {}", "e2e/x": "func TestB(t *testing.T) { t.Fatal() }"})
	got, err := repo.test(nil, func(pkg string) bool { return !endToEnd(pkg) }, 0)(t.Context(), &bytes.Buffer{})
	if err != nil || got.passed != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
	got, err = repo.test(nil, endToEnd, 0)(t.Context(), &bytes.Buffer{})
	if err == nil || got.failed != 1 || got.passed != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := repo.test(nil, func(string) bool { return false }, 0)(t.Context(), &bytes.Buffer{}); err == nil {
		t.Error("testing nothing is no error")
	}
}

func TestAllowedSkips(t *testing.T) {
	r := newReader(&bytes.Buffer{})
	r.allowed = []allowedSkip{{pkg: "pkg/x", test: "TestA", why: "a reason"}}
	var in strings.Builder
	for _, e := range [][2]string{
		{"skip", "TestA"}, {"skip", "TestB"},
		{"skip", "FuzzA/seed#0"}, {"pass", "FuzzA/seed#1"}, {"skip", "FuzzA/0123abcd"}, {"pass", "FuzzA"},
		{"skip", "FuzzB/seed#0"}, {"pass", "FuzzB"},
		{"pass", "FuzzC/seed#0"}, {"pass", "FuzzC"},
		{"skip", "FuzzD"},
	} {
		fmt.Fprintf(&in, `{"Action":%q,"Package":"example.com/yardarm/pkg/x","Test":%q}`+"\n", e[0], e[1])
	}
	if err := r.all(strings.NewReader(in.String())); err != nil {
		t.Fatal(err)
	}
	got, err := r.verdict(nil)
	if want := []string{"pkg/x TestA: a reason", "pkg/x FuzzA: 2 of 3 inputs"}; got.skipped != 4 || !slices.Equal(got.skips, want) {
		t.Errorf("got %d skipped: %q", got.skipped, got.skips)
	}
	want := []string{
		"pkg/x TestB was skipped, and skips.go does not name it",
		"pkg/x FuzzB skipped all of its inputs",
		"pkg/x FuzzD was skipped, and skips.go does not name it",
	}
	if errorText(err) != "3 failed" || got.passed != 4 || !slices.Equal(got.failures, want) {
		t.Errorf("got %d passed, failures %q, %v", got.passed, got.failures, err)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
