package measure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrNoStrace says that there is nothing to count with.
var ErrNoStrace = errors.New("strace is not installed")

// Syncs counts the fsyncs and fdatasyncs that a process makes while during runs: from outside, with strace, which slows the
// process. dir takes strace's output.
func Syncs(ctx context.Context, dir string, pid int, during func() error) (n int, err error) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		return 0, ErrNoStrace
	}
	out := filepath.Join(dir, "strace.out")
	var said bytes.Buffer
	command := exec.CommandContext(ctx, strace, "-f", "-e", "trace=fsync,fdatasync", "-e", "signal=none", "-o", out, "-p", strconv.Itoa(pid))
	command.Stderr = &said
	if err := command.Start(); err != nil {
		return 0, fmt.Errorf("count syncs: %w", err)
	}
	if err := attached(ctx, pid); err != nil {
		return 0, errors.Join(err, command.Process.Kill(), command.Wait())
	}
	duringErr := during()
	// It lets go of the process when interrupted, and says so by its exit status.
	if err := command.Process.Signal(syscall.SIGINT); err != nil {
		return 0, errors.Join(duringErr, fmt.Errorf("count syncs: %w: %s", err, said.String()))
	}
	_ = command.Wait()
	if duringErr != nil {
		return 0, duringErr
	}
	content, err := os.ReadFile(out)
	if err != nil {
		return 0, fmt.Errorf("count syncs: %w: %s", err, said.String())
	}
	return countSyncs(string(content)), nil
}

// attachTimeout bounds how long strace may take to take hold of all threads.
const attachTimeout = 10 * time.Second

// attached waits until all threads of a process are traced.
func attached(ctx context.Context, pid int) error {
	ctx, cancel := context.WithTimeout(ctx, attachTimeout)
	defer cancel()
	for {
		files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
		if err != nil {
			return err
		}
		all := len(files) > 0
		for _, file := range files {
			content, err := os.ReadFile(file)
			all = all && (err != nil || !strings.Contains(string(content), "TracerPid:\t0\n"))
		}
		if all {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("count syncs: strace does not take hold of process %d", pid)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// countSyncs counts calls, each once also where its line is in two parts.
func countSyncs(output string) (n int) {
	for line := range strings.Lines(output) {
		if strings.Contains(line, "sync(") && !strings.Contains(line, "resumed>") {
			n++
		}
	}
	return n
}
