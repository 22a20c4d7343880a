package cluster

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
	// stopGrace is how long a program may take to end by itself after SIGTERM. None has anything to save:
	// what an API server has answered is in etcd, and etcd's log is written. Most end in 0.1 s, but an API
	// server with open watches takes a minute.
	stopGrace = time.Second
	// killWait is how long the kernel may take to end a program that is killed.
	killWait = 10 * time.Second
	// logTail is how many bytes of a program's log go into an error: some 20 lines.
	logTail = 4 << 10
)

// program says how to run one of the control plane's programs.
type program struct {
	Path string   // the executable
	Args []string // without argv[0]
	Env  []string // in addition to the environment that all programs get
	Dir  string   // its log goes to Dir/<base name of Path>.log, and Dir is its home and working folder
}

// process is a running program. Its fields are written before startProcess returns, except err, which
// is valid once done is closed.
type process struct {
	name    string
	log     string // path
	command *exec.Cmd
	done    chan struct{}
	err     error
}

// startProcess starts a program, appending its output to its log.
func startProcess(prog program) (*process, error) {
	name := filepath.Base(prog.Path)
	p := &process{
		name:    name,
		log:     filepath.Join(prog.Dir, name+".log"),
		command: exec.Command(prog.Path, prog.Args...),
		done:    make(chan struct{}),
	}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	// Nothing of the user's environment reaches the programs: no proxy, no kubeconfig, no ~/.kwok.
	p.command.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + prog.Dir, "TMPDIR=" + os.TempDir()}, prog.Env...)
	p.command.Dir = prog.Dir
	p.command.Stdout, p.command.Stderr = out, out
	p.command.SysProcAttr = childAttr()

	started := make(chan error)
	go p.run(out, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// run starts the program and waits for its end, on a thread that it keeps to itself: the kernel kills
// the child when the thread that started it ends, and Go ends threads that it does not need.
func (p *process) run(out io.Closer, started chan<- error) {
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

// pid is the program's process id.
func (p *process) pid() int { return p.command.Process.Pid }

// exited says whether the program has ended.
func (p *process) exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop ends the program: SIGTERM, and SIGKILL after the grace. It returns when the program has ended,
// which it may have done before, and fails only if it does not end at all.
func (p *process) stop() error {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return nil
	case <-time.After(stopGrace):
	}
	p.signal(syscall.SIGKILL)
	select {
	case <-p.done:
		return nil
	case <-time.After(killWait):
		return fmt.Errorf("stop %s: process %d does not end", p.name, p.pid())
	}
}

// signal signals the program's process group, unless it has ended.
func (p *process) signal(s syscall.Signal) {
	if !p.exited() {
		_ = syscall.Kill(-p.pid(), s) // fails only if it ended just now
	}
}

// fail adds the end of the program's log to an error about it.
func (p *process) fail(err error) error {
	if p.exited() {
		err = fmt.Errorf("%w (it exited: %v)", err, p.err)
	}
	tail, readErr := tailOf(p.log)
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	return fmt.Errorf("%s: %w; the end of %s:\n%s", p.name, err, p.log, tail)
}

// tailOf returns the last lines of a file, indented.
func tailOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > logTail {
		if _, err := f.Seek(-logTail, io.SeekEnd); err != nil {
			return "", err
		}
	}
	content, err := io.ReadAll(io.LimitReader(f, logTail))
	if err != nil {
		return "", err
	}
	if len(content) == logTail { // begins in the middle of a line
		_, content, _ = bytes.Cut(content, []byte("\n"))
	}
	return "\t" + strings.ReplaceAll(strings.TrimSpace(string(content)), "\n", "\n\t"), nil
}
