// Package process runs the programs that tests, the demo and benchmarks are made of: each in a process group of its own, with
// its output in a log, and none outliving its parent. It knows nothing of what the programs do.
package process

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const (
	// DefaultGrace is how long a program may take to end by itself after SIGTERM.
	DefaultGrace = time.Second
	// killWait is how long the kernel may take to end a program that is killed.
	killWait = 10 * time.Second
	// LogTail is how many bytes of a program's log go into an error: some 20 lines.
	LogTail = 4 << 10
)

// Program says how to run a program.
type Program struct {
	Path string   // the executable
	Args []string // without argv[0]
	Env  []string // in addition to PATH, HOME and TMPDIR
	Dir  string   // its log goes to Dir/<base name of Path>.log, and Dir is its home and working folder
	// Netns is the network namespace, of those that ip-netns(8) knows by name, to run in. Default: this process's. It takes root, and the
	// program ip.
	Netns string
	// Grace is how long it may take to end by itself when stopped. Default: DefaultGrace.
	Grace time.Duration
}

// Process is a program that was started. Its fields are written before Start returns, except err, which
// is valid once done is closed.
type Process struct {
	name    string
	log     string // path
	command *exec.Cmd
	grace   time.Duration
	done    chan struct{}
	err     error
}

// Start starts a program, appending its output to its log.
func Start(prog Program) (*Process, error) {
	name := filepath.Base(prog.Path)
	p := &Process{
		name:    name,
		log:     filepath.Join(prog.Dir, name+".log"),
		command: exec.Command(prog.Path, prog.Args...),
		grace:   prog.Grace,
		done:    make(chan struct{}),
	}
	if prog.Netns != "" {
		// It becomes the program: the process is the same.
		p.command = exec.Command("ip", append([]string{"netns", "exec", prog.Netns, prog.Path}, prog.Args...)...)
	}
	if p.grace == 0 {
		p.grace = DefaultGrace
	}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	// Nothing of the user's environment reaches the programs: no proxy, no kubeconfig, no ~/.kwok.
	p.command.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + prog.Dir, "TMPDIR=" + os.TempDir()}, prog.Env...)
	p.command.Dir = prog.Dir
	p.command.Stdout, p.command.Stderr = out, out
	p.command.SysProcAttr = Attr()

	started := make(chan error)
	go p.run(out, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// run starts the program and waits for its end, on a thread that it keeps to itself: the kernel kills
// the child when the thread that started it ends, and Go ends threads that it does not need.
func (p *Process) run(out io.Closer, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer out.Close()
	if err := p.command.Start(); err != nil {
		started <- err
		return
	}
	started <- nil
	p.err = p.command.Wait()
	close(p.done)
}

// Name is the base name of the program.
func (p *Process) Name() string { return p.name }

// Log is the path of its log.
func (p *Process) Log() string { return p.log }

// PID is the program's process id.
func (p *Process) PID() int { return p.command.Process.Pid }

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// ExitCode is what the program has exited with; -1 if a signal ended it. It is called after Done.
func (p *Process) ExitCode() int { return p.command.ProcessState.ExitCode() }

// Exited says whether the program has ended.
func (p *Process) Exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Stop ends the program: SIGTERM, and SIGKILL after the grace. It returns when the program has ended,
// which it may have done before, and fails only if it does not end at all.
func (p *Process) Stop() error {
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return nil
	case <-time.After(p.grace):
	}
	return p.Kill()
}

// Kill ends the program without warning, and returns when it has ended.
func (p *Process) Kill() error {
	p.Signal(syscall.SIGKILL)
	select {
	case <-p.done:
		return nil
	case <-time.After(killWait):
		return fmt.Errorf("stop %s: process %d does not end", p.name, p.PID())
	}
}

// Signal signals the program's process group, unless it has ended.
func (p *Process) Signal(s syscall.Signal) {
	if !p.Exited() {
		_ = syscall.Kill(-p.PID(), s) // fails only if it ended just now
	}
}

// Fail adds the end of the program's log to an error about it.
func (p *Process) Fail(err error) error {
	if p.Exited() {
		err = fmt.Errorf("%w (it exited: %v)", err, p.err)
	}
	tail, readErr := Tail(p.log)
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	return fmt.Errorf("%s: %w; the end of %s:\n%s", p.name, err, p.log, tail)
}

// Tail returns the last lines of a file, indented.
func Tail(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > LogTail {
		if _, err := f.Seek(-LogTail, io.SeekEnd); err != nil {
			return "", err
		}
	}
	content, err := io.ReadAll(io.LimitReader(f, LogTail))
	if err != nil {
		return "", err
	}
	if len(content) == LogTail { // begins in the middle of a line
		_, content, _ = bytes.Cut(content, []byte("\n"))
	}
	return "\t" + strings.ReplaceAll(strings.TrimSpace(string(content)), "\n", "\n\t"), nil
}
