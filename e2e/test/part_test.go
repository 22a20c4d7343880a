package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	good := func(context.Context, io.Writer) (tally, error) { return tally{}, nil }
	bad := func(context.Context, io.Writer) (tally, error) { return tally{}, errors.New("the reason") }
	tests := func(context.Context, io.Writer) (tally, error) { return tally{passed: 7}, nil }
	badTests := func(context.Context, io.Writer) (tally, error) {
		return tally{passed: 5, failed: 2, failures: []string{"hub/x TestA", "hub/x TestB"}}, errors.New("2 failed")
	}
	// One test passed, and then go test itself failed.
	broken := func(context.Context, io.Writer) (tally, error) { return tally{passed: 1}, errors.New("exit status 2") }
	for _, c := range []struct {
		name  string
		parts []part
		last  string
		shows []string
		fails bool
	}{
		{
			name:  "all is well",
			parts: []part{{name: "a", steps: []step{{"one", good}, {"two", good}}}, {name: "b", steps: []step{{"go test", tests}}}},
			last:  "9 passed, 0 failed",
			shows: []string{"7 passed, 0 failed, 0 skipped"},
		},
		{
			name:  "a step fails, and the others are run",
			parts: []part{{name: "a", steps: []step{{"one", bad}, {"two", good}}}, {name: "b", steps: []step{{"go test", tests}}}},
			last:  "8 passed, 1 failed",
			shows: []string{"FAILED: a: one: the reason"}, fails: true,
		},
		{
			name:  "tests fail",
			parts: []part{{name: "a", steps: []step{{"go test", badTests}}}},
			last:  "5 passed, 2 failed",
			shows: []string{"FAILED: a: hub/x TestA", "FAILED: a: hub/x TestB"}, fails: true,
		},
		{
			name:  "something beside the tests fails",
			parts: []part{{name: "a", steps: []step{{"go test", broken}}}},
			last:  "1 passed, 1 failed",
			shows: []string{"FAILED: a: go test: exit status 2"}, fails: true,
		},
		{
			name:  "what a part needs fails",
			parts: []part{{name: "a", steps: []step{{"one", bad}}}, {name: "b", needs: "a", steps: []step{{"go test", tests}}}},
			last:  "0 passed, 2 failed",
			shows: []string{"FAILED: b: not run, because a failed"}, fails: true,
		},
		{
			name:  "what a part needs was not asked for",
			parts: []part{{name: "b", needs: "a", steps: []step{{"go test", tests}}}},
			last:  "7 passed, 0 failed",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			err := report(&out, runParts(t.Context(), io.Discard, c.parts))
			if (err != nil) != c.fails {
				t.Errorf("got the error %v", err)
			}
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			if got := lines[len(lines)-1]; got != c.last {
				t.Errorf("ends with %q, want %q", got, c.last)
			}
			for _, want := range append(c.shows, "total") {
				if !strings.Contains(out.String(), want) {
					t.Errorf("does not show %q:\n%s", want, out.String())
				}
			}
			if got := strings.Contains(out.String(), "FAILED"); got != c.fails {
				t.Errorf("shows FAILED: %v\n%s", got, out.String())
			}
		})
	}
}

func TestChoose(t *testing.T) {
	all := parts(t.TempDir(), "")
	chosen, err := choose(all, []string{"unit", "lint"})
	if err != nil || len(chosen) != 2 || chosen[0].name != "lint" || chosen[1].name != "unit" {
		t.Errorf("got %v, %v", chosen, err)
	}
	if _, err := choose(all, []string{"unit", "uint"}); err == nil || !strings.Contains(err.Error(), `"uint"`) {
		t.Errorf("a misspelt part: got %v", err)
	}
}
