package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// slow is how long a test takes that is worth a line when it passes.
	slow = 2 * time.Second
	// maxLine bounds a line of go test -json: one line of a test's output, escaped.
	maxLine = 16 << 20
)

// test is a step that runs go test on those packages for which in answers true, and once more, by themselves, on those that fail,
// if they are at most again.
func (c commands) test(args []string, in func(pkg string) bool, again int) func(context.Context, io.Writer) (tally, error) {
	return func(ctx context.Context, out io.Writer) (tally, error) {
		list, err := c.output(ctx, "go", "list", "./...")
		if err != nil {
			return tally{}, err
		}
		packages := slices.DeleteFunc(strings.Fields(list), func(p string) bool { return !in(p) })
		slices.SortStableFunc(packages, func(a, b string) int { return cmp.Compare(turn(a), turn(b)) })
		if len(packages) == 0 {
			return tally{}, errors.New("there are no packages to test")
		}
		out = &shared{to: out}
		fmt.Fprintf(out, "$ go test %s (%d packages)\n", strings.Join(args, " "), len(packages))
		read, err := c.goTest(ctx, out, args, packages)
		if failed := read.failedPackages(); err != nil && 0 < len(failed) && len(failed) <= again {
			alone := slices.Concat(args, []string{"-p=1"})
			fmt.Fprintf(out, "$ go test %s %s # again\n", strings.Join(alone, " "), strings.Join(failed, " "))
			var second *reader
			second, err = c.goTest(ctx, out, alone, failed)
			read.replace(second)
		}
		return read.verdict(err)
	}
}

// goTest runs go test once; the error is how it ended, or that it could not be read.
func (c commands) goTest(ctx context.Context, out io.Writer, args, packages []string) (*reader, error) {
	read := newReader(out)
	cmd := c.command(ctx, "go", slices.Concat([]string{"test", "-json"}, args, packages)...)
	cmd.Env = append(cmd.Env, "CGO_ENABLED=1") // the race detector needs it; without a C compiler this says so
	cmd.Stderr = out
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return read, failure("go test", err)
	}
	if err := cmd.Start(); err != nil {
		return read, failure("go test", err)
	}
	readErr := read.all(stdout)
	return read, errors.Join(readErr, failure("go test", cmd.Wait()))
}

// shared lets the go command's stderr and what is read of its answers be written to one place.
type shared struct {
	mu sync.Mutex
	to io.Writer // under mu
}

func (s *shared) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.to.Write(b)
}

// event is a line of go test -json; see go doc test2json.
type event struct {
	Action     string
	Package    string
	Test       string
	Elapsed    float64
	Output     string
	ImportPath string // of build-output and build-fail, in place of Package
}

// reader reads go test's answers: it counts, shows what failed in full, and of the rest one line for each package and each
// slow test.
type reader struct {
	out io.Writer
	// packages are those that were heard of, in that order, and tallies what came of each.
	packages []string
	tallies  map[string]*tally
	// said is what tests, and packages under an empty test, have said and that is not shown yet.
	said map[[2]string]*bytes.Buffer
	// inputs are those of each fuzz test.
	inputs map[[2]string]*inputs
	// allowed are the skips that are no failures.
	allowed []allowedSkip
}

// inputs counts a fuzz test's inputs.
type inputs struct{ run, skipped int }

func newReader(out io.Writer) *reader {
	return &reader{out: out, tallies: map[string]*tally{}, said: map[[2]string]*bytes.Buffer{}, inputs: map[[2]string]*inputs{}, allowed: allowedSkips}
}

// all reads until the end.
func (r *reader) all(in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintf(r.out, "%s\n", lines.Bytes()) // what the go command says itself
			continue
		}
		r.take(e)
	}
	if err := lines.Err(); err != nil {
		_, _ = io.Copy(io.Discard, in) // go test would wait for us
		return fmt.Errorf("read go test's answers: %w", err)
	}
	return nil
}

func (r *reader) take(e event) {
	key := [2]string{e.Package, e.Test}
	took := time.Duration(e.Elapsed * float64(time.Second))
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "output":
		if r.said[key] == nil {
			r.said[key] = &bytes.Buffer{}
		}
		r.said[key].WriteString(e.Output)
	case "pass":
		if e.Test == "" {
			r.endPackage(e.Package, false)
			break
		}
		r.pass(e.Package, e.Test)
		if took >= slow && !strings.Contains(e.Test, "/") {
			fmt.Fprintf(r.out, "      %s %s (%s)\n", local(e.Package), e.Test, short(took))
		}
		delete(r.said, key)
	case "skip":
		if e.Test != "" { // otherwise it has no tests
			r.skip(e.Package, e.Test)
		}
		delete(r.said, key)
	case "fail":
		if e.Test == "" {
			r.endPackage(e.Package, true)
			break
		}
		r.fail(e.Package, e.Test)
		r.show(key)
	}
}

// endPackage shows a package's last line, or if it failed all that it said. A package that fails although none of its tests
// did, as one that does not compile, is one failure.
func (r *reader) endPackage(pkg string, failed bool) {
	if failed {
		// Tests that have not ended: the package crashed, or was killed.
		for key := range r.said {
			if key[0] == pkg && key[1] != "" {
				r.fail(pkg, key[1]+" did not end")
				r.show(key)
			}
		}
		if r.of(pkg).failed == 0 {
			r.fail(pkg, "(the package itself)")
		}
		r.show([2]string{pkg, ""})
		return
	}
	if said := r.said[[2]string{pkg, ""}]; said != nil {
		for line := range strings.Lines(said.String()) {
			if strings.HasPrefix(line, "ok ") {
				fmt.Fprint(r.out, line)
			}
		}
	}
	delete(r.said, [2]string{pkg, ""})
}

// of is what has come of a package so far.
func (r *reader) of(pkg string) *tally {
	if r.tallies[pkg] == nil {
		r.packages = append(r.packages, pkg)
		r.tallies[pkg] = &tally{}
	}
	return r.tallies[pkg]
}

func (r *reader) fail(pkg, what string) {
	t := r.of(pkg)
	t.failed++
	t.failures = append(t.failures, local(pkg)+" "+what)
}

func (r *reader) pass(pkg, test string) {
	if in := r.inputsOf(pkg, test); in != nil {
		in.run++
	}
	if in := r.inputs[[2]string{pkg, test}]; in != nil && in.skipped > 0 {
		if in.run == 0 {
			r.fail(pkg, test+" skipped all of its inputs")
			return
		}
		r.of(pkg).skips = append(r.of(pkg).skips, fmt.Sprintf("%s %s: %d of %d inputs", local(pkg), test, in.skipped, in.skipped+in.run))
	}
	r.of(pkg).passed++
}

func (r *reader) skip(pkg, test string) {
	if in := r.inputsOf(pkg, test); in != nil {
		in.skipped++
		r.of(pkg).skipped++
		return
	}
	for _, a := range r.allowed {
		if a.matches(local(pkg), test) {
			r.of(pkg).skipped++
			r.of(pkg).skips = append(r.of(pkg).skips, local(pkg)+" "+test+": "+a.why)
			return
		}
	}
	r.fail(pkg, test+" was skipped, and skips.go does not name it")
	r.show([2]string{pkg, test})
}

// inputsOf are the inputs of the fuzz test that a test is an input of; nil if it is none.
func (r *reader) inputsOf(pkg, test string) *inputs {
	of, ok := fuzzInput(test)
	if !ok {
		return nil
	}
	key := [2]string{pkg, of}
	if r.inputs[key] == nil {
		r.inputs[key] = &inputs{}
	}
	return r.inputs[key]
}

// show prints what a test has said.
func (r *reader) show(key [2]string) {
	if said := r.said[key]; said != nil {
		_, _ = r.out.Write(said.Bytes())
	}
	delete(r.said, key)
}

// failedPackages are those of which something failed.
func (r *reader) failedPackages() []string {
	return slices.DeleteFunc(slices.Clone(r.packages), func(p string) bool { return r.tallies[p].failed == 0 })
}

// replace takes what came of packages the second time. One that passed then is named all the same: its test, or what it tests,
// depends on something that nobody meant.
func (r *reader) replace(second *reader) {
	for _, pkg := range second.packages {
		t := second.tallies[pkg]
		if t.failed == 0 {
			t.flaky = r.of(pkg).failures
		}
		r.tallies[pkg] = t
	}
}

// verdict is what came of it; err is how go test ended.
func (r *reader) verdict(err error) (tally, error) {
	var sum tally
	for _, pkg := range r.packages {
		sum.add(*r.tallies[pkg])
	}
	switch {
	case sum.failed > 0:
		// go test's own status says no more.
		err = fmt.Errorf("%d failed", sum.failed)
	case err == nil && sum.passed == 0:
		err = errors.New("no test was run")
	}
	return sum, err
}

// local is a package's folder in the repository.
func local(pkg string) string {
	_, folder, _ := strings.Cut(pkg, "/yardarm/")
	return cmp.Or(folder, pkg)
}
