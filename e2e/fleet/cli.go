package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// CLI runs yardarm against one hub.
type CLI struct {
	Programs Programs
	// Config is the file with the contexts.
	Config string
}

// CLI answers a CLI of the hub's local administrator.
func (h *Hub) CLI() *CLI { return &CLI{Programs: h.config.Programs, Config: h.AdminConfig()} }

// Result of a program.
type Result struct {
	Command  string
	Stdout   string
	Stderr   string
	ExitCode int
	Elapsed  time.Duration
	err      error
}

// Err is nil if the program exited with 0, and otherwise says what it said.
func (r Result) Err() error {
	if r.err != nil {
		return fmt.Errorf("%s: %w", r.Command, r.err)
	}
	if r.ExitCode != 0 {
		return fmt.Errorf("%s: exit status %d\n%s%s", r.Command, r.ExitCode, r.Stdout, r.Stderr)
	}
	return nil
}

// Run runs the CLI with these arguments.
func (c *CLI) Run(ctx context.Context, args ...string) Result { return c.RunWith(ctx, "", args...) }

// RunWith gives it a text on stdin.
func (c *CLI) RunWith(ctx context.Context, stdin string, args ...string) Result {
	return run(ctx, c.Programs.Path("yardarm"), []string{"YARDARM_CONFIG=" + c.Config}, stdin, args)
}

// Exec runs any program.
func Exec(ctx context.Context, path string, args ...string) Result {
	return run(ctx, path, nil, "", args)
}

func run(ctx context.Context, path string, env []string, stdin string, args []string) Result {
	command := exec.CommandContext(ctx, path, args...)
	command.Env = append([]string{"PATH=/usr/bin:/bin", "HOME=/nonexistent"}, env...)
	command.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	began := time.Now()
	err := command.Run()
	r := Result{
		Command: strings.Join(append([]string{command.Path}, args...), " "),
		Stdout:  stdout.String(), Stderr: stderr.String(), Elapsed: time.Since(began),
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		r.ExitCode = exit.ExitCode()
	} else {
		r.err = err
	}
	return r
}
