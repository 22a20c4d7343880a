package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"time"
)

// fuzzTest finds fuzz tests in sources.
var fuzzTest = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(\w+ \*testing\.F\)`)

// fuzz is the part that looks for new inputs, for a while with each fuzz test. What it finds is written beside the test, to be
// committed: it is a seed from then on.
func fuzz(root string, each time.Duration) part {
	p := part{name: "fuzz", about: "look for inputs that break something; only when asked for"}
	tests, err := fuzzTests(os.DirFS(root))
	if err == nil && len(tests) == 0 {
		err = errors.New("there are none")
	}
	if err != nil {
		p.steps = []step{{name: "find", run: func(context.Context, io.Writer) (tally, error) {
			return tally{}, fmt.Errorf("find fuzz tests: %w", err)
		}}}
	}
	for _, t := range tests {
		p.steps = append(p.steps, step{name: t.folder + " " + t.name, run: commands{dir: root}.step("go", "test", "-run=^$",
			"-fuzz=^"+t.name+"$", "-fuzztime="+each.String(), "./"+t.folder)})
	}
	return p
}

type foundTest struct{ folder, name string }

// fuzzTests finds all in a tree, in order.
func fuzzTests(tree fs.FS) ([]foundTest, error) {
	var found []foundTest
	err := fs.WalkDir(tree, ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && name != "." && (strings.HasPrefix(e.Name(), ".") || e.Name() == "node_modules"):
			return fs.SkipDir
		case e.IsDir() || !strings.HasSuffix(name, "_test.go"):
			return nil
		}
		content, err := fs.ReadFile(tree, name)
		for _, m := range fuzzTest.FindAllSubmatch(content, -1) {
			found = append(found, foundTest{path.Dir(name), string(m[1])})
		}
		return err
	})
	return found, err
}
