package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// steps shows what is being done, and how long it took. On a terminal a step's line is replaced when it ends; elsewhere each
// step is one plain line.
type steps struct {
	out      io.Writer
	terminal bool
	n        int
}

func newSteps(out *os.File) *steps {
	return &steps{out: out, terminal: term.IsTerminal(int(out.Fd())) && os.Getenv("TERM") != "dumb"}
}

// do runs one step.
func (s *steps) do(what string, fn func() error) error {
	s.n++
	if s.terminal {
		fmt.Fprintf(s.out, "%3d … %s", s.n, what)
	}
	began := time.Now()
	err := fn()
	mark := "✓"
	if err != nil {
		mark = "✗"
	}
	if s.terminal {
		fmt.Fprint(s.out, "\r\x1b[K")
	}
	fmt.Fprintf(s.out, "%3d %s %-66s %6.1fs\n", s.n, mark, what, time.Since(began).Seconds())
	if err != nil {
		return fmt.Errorf("step %d (%s): %w", s.n, what, err)
	}
	return nil
}

// Write shows the progress of a long step, below its line.
func (s *steps) Write(p []byte) (int, error) {
	if s.terminal {
		fmt.Fprint(s.out, "\r\x1b[K")
	}
	for line := range strings.Lines(string(p)) {
		fmt.Fprintf(s.out, "      %s", line)
	}
	return len(p), nil
}

// show prints a command and what it answered, the way a person would see it.
func (s *steps) show(command, output string) {
	fmt.Fprintf(s.out, "\n      $ %s\n", command)
	for line := range strings.Lines(output) {
		fmt.Fprintf(s.out, "      %s", line)
	}
	fmt.Fprintln(s.out)
}
