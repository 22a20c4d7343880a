// Command test checks the whole repository; `make test` is `go run ./e2e/test`.
//
// It runs parts in order: machine, modules, pages, lint, controlplanes, unit, e2e. Names of parts as arguments run only those; fuzz and
// node are run only so.
// A part that fails does not keep the others from running, so that one run tells all that is wrong; the last lines name
// what failed, how long each part took, and how much passed. A test that is skipped counts as failed unless skips.go
// names it. Few tests that fail are run once more by themselves, and named as flaky if they pass then: a machine that is busy
// for a moment is no reason to refuse a change, and a test that minds is one to mend.
//
// It is a program rather than lines of a Makefile for the sake of that reading of go test's answers, and has no parts of its
// own: each command that it runs is printed and can be run by hand.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "test: interrupted")
		os.Exit(130)
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case errors.Is(err, errFailed):
		os.Exit(1)
	case err != nil:
		fmt.Fprintln(os.Stderr, "test:", err)
		os.Exit(1)
	}
}

// run does what the arguments say, and fails if anything did.
func run(ctx context.Context, args []string, out io.Writer) error {
	root, err := repository()
	if err != nil {
		return err
	}
	all, optional := parts(root, ""), []part{fuzz(root, 0), node(root)}
	flags := flag.NewFlagSet("test", flag.ContinueOnError)
	against := flags.String("against", "", "commit whose protos `REF` the protos have to be compatible with (default: see protos.go)")
	fuzzTime := flags.Duration("fuzztime", 10*time.Second, "how long each fuzz test runs, in the part fuzz")
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: go run ./e2e/test [flags] [PART...]")
		for _, p := range append(all, optional...) {
			fmt.Fprintf(flags.Output(), "  %-14s %s\n", p.name, p.about)
		}
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	all, optional = parts(root, *against), []part{fuzz(root, *fuzzTime), node(root)}
	chosen := all
	if flags.NArg() > 0 {
		if chosen, err = choose(append(all, optional...), flags.Args()); err != nil {
			return err
		}
	}
	// What package fleet builds for one package's tests serves the others', too.
	if os.Getenv(programsEnv) == "" {
		programs, err := os.MkdirTemp("", "yardarm-programs-")
		if err != nil {
			return fmt.Errorf("make a folder for programs: %w", err)
		}
		defer os.RemoveAll(programs)
		if err := os.Setenv(programsEnv, programs); err != nil {
			return err
		}
	}
	results := runParts(ctx, out, chosen)
	return report(out, results)
}

// programsEnv is that of package fleet.
const programsEnv = "YARDARM_PROGRAMS"

// again is of how many packages something may fail and be tried once more; where more do, something is broken.
const again = 3

// parts are what the whole test is made of, in order.
func parts(root, against string) []part {
	repo := commands{dir: root}
	return []part{
		{name: "machine", about: "what Go needs beside itself", steps: []step{
			{name: "tools", run: repo.step("bash", ".ci/tools")},
			{name: "browser", run: repo.step("bash", ".ci/tools", "browser")},
		}},
		{name: "modules", about: "download what is missing", steps: []step{
			{name: "program", run: repo.step("go", "mod", "download")},
			{name: "tools", run: repo.step("go", "mod", "download", "-modfile=proto/tools/go.mod")},
			{name: "browser", run: repo.step("npm", "ci", "--no-audit", "--no-fund", "--prefix", "e2e/browser")},
		}},
		{name: "pages", about: "build the dashboard's pages, which the hub embeds, and test their functions", steps: []step{
			{name: "modules", run: repo.step("npm", "ci", "--no-audit", "--no-fund", "--prefix", "hub/dashboard")},
			{name: "build", run: repo.step("npm", "run", "build", "--prefix", "hub/dashboard")},
			{name: "test", run: repo.step("npm", "test", "--prefix", "hub/dashboard")},
		}},
		lint(root, against),
		{name: "controlplanes", about: "build Kubernetes into the user's cache folder", steps: []step{
			{name: "build", run: repo.step("go", "run", "./e2e/cluster/cmd/controlplane", "-build-only")},
		}},
		{name: "unit", about: "tests of all packages but e2e, with the race detector and the fuzz tests' seeds", steps: []step{
			// Two at a time: one package's tests use one core, mostly. Go's cached results count.
			{name: "go test", run: repo.test([]string{"-race", linted, "-p=2"}, func(pkg string) bool { return !endToEnd(pkg) }, again)},
		}},
		// Never cached: they depend on programs that Go does not see.
		{name: "e2e", about: "tests on real API servers, with the race detector", needs: "controlplanes", steps: []step{
			{name: "in pairs", run: repo.test([]string{"-race", linted, "-p=2", "-count=1", "-timeout=20m"}, func(pkg string) bool { return endToEnd(pkg) && !runsAlone(pkg) && !onNodes(pkg) }, again)},
			// Each runs parts of its own beside each other.
			{name: "alone", run: repo.test([]string{"-race", linted, "-p=1", "-count=1", "-timeout=20m"}, runsAlone, again)},
		}},
	}
}

// node is the part that installs Yardarm on real nodes.
func node(root string) part {
	repo := commands{dir: root}
	return part{name: "node", about: "hub and spokes by their charts on real nodes, as root; only when asked for", steps: []step{
		{name: "tools", run: repo.step("bash", ".ci/tools", "node")},
		// Not with the race detector: what matters runs in containers, from the images that people get.
		{name: "go test", run: repo.test([]string{"-count=1", "-timeout=40m"}, onNodes, 0)},
	}}
}

// linted keeps go test from what go vet does in the part lint, for all packages and in full.
const linted = "-vet=off"

// onNodes says whether a package is the one whose tests need nodes.
func onNodes(pkg string) bool { return strings.HasSuffix(pkg, "/yardarm/e2e/node") }

// endToEnd says whether a package, by its import path, is below e2e.
func endToEnd(pkg string) bool {
	return strings.Contains(pkg+"/", "/yardarm/e2e/")
}

// choose finds the named parts, in their order.
func choose(all []part, names []string) ([]part, error) {
	wanted := map[string]bool{}
	for _, n := range names {
		wanted[n] = true
	}
	var chosen []part
	for _, p := range all {
		if wanted[p.name] {
			chosen = append(chosen, p)
			delete(wanted, p.name)
		}
	}
	for _, n := range names {
		if wanted[n] {
			return nil, fmt.Errorf("there is no part %q; -help lists them", n)
		}
	}
	return chosen, nil
}

// repository finds the top folder of the repository that holds the working folder.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "buf.yaml")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("find the repository: run inside it")
		}
		dir = filepath.Dir(dir)
	}
}
