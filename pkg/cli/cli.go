// Package cli is the command line of Yardarm, with the habits of kubectl: verbs, TYPE/NAME, selectors, output formats, data on standard output and
// everything else on standard error.
//
// Its only collaborator is the hub's FleetService, through package client; what it knows of the fleet is what the hub says. One verb lives in one
// file. What decides rather than prints is apart from the commands and pure: [judge] for waiting, package resource for text, package table
// for columns. [Main] is for the program, [Run] for tests, which run the real commands on their own streams and clock.
package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"
)

// IO is all that a command sees of the process it runs in.
type IO struct {
	In       io.Reader
	Out, Err io.Writer
	// Whether these are terminals: questions are asked on the one, colours go to the other, and lines are rewritten on the third.
	InTerminal, OutTerminal, ErrTerminal bool
	// Width returns the width of the terminal behind Err, in columns; 0 when it is not known.
	Width func() int
	// Now is the clock by which ages are told; its location is the one that times are shown in.
	Now func() time.Time
	// After is time.After: it ends waits.
	After func(time.Duration) <-chan time.Time
	// Getenv reads the environment.
	Getenv func(string) string
}

// errInterrupted is the cause of a context that ends by a signal.
var errInterrupted = errors.New("interrupted")

// Main runs the command line of this process and returns its exit code. The first interrupt ends what is under way; the second ends the process.
func Main() int {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1) // one is enough: after the first, signals have their usual effect
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		signal.Stop(signals)
		cancel(errInterrupted)
	}()
	return Run(ctx, processIO(), os.Args[1:])
}

func processIO() IO {
	return IO{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		InTerminal:  term.IsTerminal(int(os.Stdin.Fd())),
		OutTerminal: term.IsTerminal(int(os.Stdout.Fd())),
		ErrTerminal: term.IsTerminal(int(os.Stderr.Fd())),
		Width: func() int {
			width, _, err := term.GetSize(int(os.Stderr.Fd()))
			if err != nil {
				return 0
			}
			return width
		},
		Now:    time.Now,
		After:  time.After,
		Getenv: os.Getenv,
	}
}

// Run runs one command line and returns its exit code. It leaves no goroutine behind, but for the reader of a question that was
// interrupted.
func Run(ctx context.Context, streams IO, args []string) int {
	a := &app{io: streams}
	defer a.close()
	root := a.root()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	return a.finish(ctx, cmd.CommandPath(), err)
}
