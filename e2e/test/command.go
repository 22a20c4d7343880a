package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// grace is how long a command has to end after an interrupt, before it is killed: tests stop real control planes then.
const grace = 15 * time.Second

// commands run in the repository's folder, without anything to read, in a process group of their own that is ended as one.
type commands struct {
	dir string
}

// step is a step that is a command.
func (c commands) step(name string, args ...string) func(context.Context, io.Writer) (tally, error) {
	return func(ctx context.Context, out io.Writer) (tally, error) {
		return tally{}, c.run(ctx, out, name, args...)
	}
}

// run prints a command and what it says.
func (c commands) run(ctx context.Context, out io.Writer, name string, args ...string) error {
	fmt.Fprintf(out, "$ %s %s\n", name, strings.Join(args, " "))
	cmd := c.command(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = out, out
	return cmd.Run() // the command is in the line above
}

// output answers what a command says on stdout; its stderr goes into the error.
func (c commands) output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := c.command(ctx, name, args...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if said := strings.TrimSpace(stderr.String()); said != "" {
			return "", fmt.Errorf("%w: %s", failure(name+" "+strings.Join(args, " "), err), said)
		}
		return "", failure(name+" "+strings.Join(args, " "), err)
	}
	return strings.TrimSpace(stdout.String()), nil
}

// command prepares one.
func (c commands) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = c.dir
	cmd.Env = os.Environ()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		group := -cmd.Process.Pid
		// go test passes nothing on to the tests that it runs, so the group gets it.
		time.AfterFunc(grace, func() { _ = syscall.Kill(group, syscall.SIGKILL) })
		return syscall.Kill(group, syscall.SIGINT)
	}
	cmd.WaitDelay = grace
	return cmd
}

// tool is the go command's arguments that run a tool of proto/tools.
func tool(args ...string) []string {
	return append([]string{"tool", "-modfile=proto/tools/go.mod"}, args...)
}

func failure(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
