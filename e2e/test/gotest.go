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

// test is a step that runs go test on those packages for which in answers true. Of packages in which something fails, if they are at most again, the tests
// that failed are run once more by themselves.
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
			err = nil
			for _, pkg := range failed {
				alone := slices.Clone(args)
				if tests := read.failedTests(pkg); len(tests) > 0 {
					alone = append(alone, "-run=^("+strings.Join(tests, "|")+")$")
				}
				fmt.Fprintf(out, "$ go test %s %s # again\n", strings.Join(alone, " "), pkg)
				second, secondErr := c.goTest(ctx, out, alone, []string{pkg})
				read.replace(pkg, second)
				err = errors.Join(err, secondErr)
			}
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
	// heard are the tests, without their parts, that were heard of, in that order, by package; "" is what is none's. tallies are what came of each.
	heard   [][2]string
	tallies map[[2]string]*tally
	// ended are packages whose tests were all run, whatever came of them.
	ended map[string]bool
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
	return &reader{out: out, tallies: map[[2]string]*tally{}, ended: map[string]bool{}, said: map[[2]string]*bytes.Buffer{}, inputs: map[[2]string]*inputs{}, allowed: allowedSkips}
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
		// The test binary says so after its last test, and no crash does.
		if e.Test == "" && e.Output == "FAIL\n" {
			r.ended[e.Package] = true
		}
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
		r.fail(e.Package, e.Test, e.Test)
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
				r.ended[pkg] = false
				r.fail(pkg, key[1], key[1]+" did not end")
				r.show(key)
			}
		}
		if !slices.Contains(r.failedPackages(), pkg) {
			r.ended[pkg] = false
			r.fail(pkg, "", "(the package itself)")
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

// of is what has come so far of a test with its parts.
func (r *reader) of(pkg, test string) *tally {
	test, _, _ = strings.Cut(test, "/")
	key := [2]string{pkg, test}
	if r.tallies[key] == nil {
		r.heard = append(r.heard, key)
		r.tallies[key] = &tally{}
	}
	return r.tallies[key]
}

func (r *reader) fail(pkg, test, what string) {
	t := r.of(pkg, test)
	t.failed++
	t.failures = append(t.failures, local(pkg)+" "+what)
}

func (r *reader) pass(pkg, test string) {
	if in := r.inputsOf(pkg, test); in != nil {
		in.run++
	}
	if in := r.inputs[[2]string{pkg, test}]; in != nil && in.skipped > 0 {
		if in.run == 0 {
			r.fail(pkg, test, test+" skipped all of its inputs")
			return
		}
		r.of(pkg, test).skips = append(r.of(pkg, test).skips, fmt.Sprintf("%s %s: %d of %d inputs", local(pkg), test, in.skipped, in.skipped+in.run))
	}
	r.of(pkg, test).passed++
}

func (r *reader) skip(pkg, test string) {
	if in := r.inputsOf(pkg, test); in != nil {
		in.skipped++
		r.of(pkg, test).skipped++
		return
	}
	for _, a := range r.allowed {
		if a.matches(local(pkg), test) {
			t := r.of(pkg, test)
			t.skipped++
			t.skips = append(t.skips, local(pkg)+" "+test+": "+a.why)
			return
		}
	}
	r.fail(pkg, test, test+" was skipped, and skips.go does not name it")
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
	var pkgs []string
	for _, key := range r.heard {
		if r.tallies[key].failed > 0 && !slices.Contains(pkgs, key[0]) {
			pkgs = append(pkgs, key[0])
		}
	}
	return pkgs
}

// failedTests are those of a package that failed; none if it ended before its tests did, so that it is not known what the others would have said.
func (r *reader) failedTests(pkg string) []string {
	if !r.ended[pkg] {
		return nil
	}
	var tests []string
	for _, key := range r.heard {
		if key[0] == pkg && r.tallies[key].failed > 0 {
			tests = append(tests, key[1])
		}
	}
	return tests
}

// replace takes what came the second time of what had failed of a package. What passed then is named all the same: the test, or what it tests, depends on
// something that nobody meant. What was not heard of again has failed.
func (r *reader) replace(pkg string, second *reader) {
	for _, key := range second.heard {
		t := second.tallies[key]
		if first := r.of(key[0], key[1]); t.failed == 0 {
			t.flaky = first.failures
		}
		r.tallies[key] = t
	}
	// Nothing is left of a failure that was no test's when the package passes.
	if own := r.tallies[[2]string{pkg, ""}]; own != nil && len(second.failedPackages()) == 0 && len(second.heard) > 0 {
		*own = tally{flaky: own.failures}
	}
}

// verdict is what came of it; err is how go test ended.
func (r *reader) verdict(err error) (tally, error) {
	var sum tally
	for _, key := range r.heard {
		sum.add(*r.tallies[key])
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
