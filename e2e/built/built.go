// Package built builds programs of other projects from source, once, into the user's cache folder: a machine needs Go for tests on
// real Kubernetes, and nothing else. Each has a module of its own in this repository, whose requirements reach nobody else.
package built

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/yardarm-dev/yardarm/e2e/process"
)

const (
	// progressEvery is how often a build says that it goes on.
	progressEvery = 15 * time.Second
	// lockPoll is how often a process looks whether another one has finished its build.
	lockPoll = 500 * time.Millisecond
)

// Source is a module in this repository, and what is built by its requirements.
type Source struct {
	// Folder is where its go.mod is, below the repository's.
	Folder string
	// Packages are the programs, by their import paths. Default: the one in the folder, by its name.
	Packages []string
	// About says what it is, and Took how long it builds on two cores, for people who wait.
	About, Took string
	// Version is part of the key in the cache, and LDFlags tell the program its version.
	Version, LDFlags string
	// Links are other names under which the first program is called.
	Links []string
}

// name is that of the folder in the cache, and of the program in the folder.
func (s Source) name() string { return filepath.Base(s.Folder) }

// packages are what is built.
func (s Source) packages() []string {
	if len(s.Packages) == 0 {
		return []string{"."}
	}
	return s.Packages
}

// first is the name of the first program.
func (s Source) first() string {
	if len(s.Packages) == 0 {
		return s.name()
	}
	return path.Base(s.Packages[0])
}

// Programs returns the folder with the programs in the user's cache folder, building them there first if they are not.
//
// A build takes minutes and fetches modules; it says so, and how it goes on, to progress (nil: nowhere).
// One process builds at a time, the others wait for it. It is found again under a key of all that goes
// into it: the module's files, the Go version, the platform.
func Programs(ctx context.Context, s Source, progress io.Writer) (dir string, err error) {
	if progress == nil {
		progress = io.Discard
	}
	source, err := moduleDir(s.Folder)
	if err != nil {
		return "", err
	}
	key, err := s.key(source)
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder: %w", err)
	}
	root := filepath.Join(cache, "yardarm", s.name())
	dir = filepath.Join(root, key)
	if s.complete(dir) {
		return dir, nil
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", fmt.Errorf("make the cache folder: %w", err)
	}
	unlock, err := lock(ctx, filepath.Join(root, "lock"), progress)
	if err != nil {
		return "", err
	}
	defer unlock()
	if s.complete(dir) { // by the process we waited for
		return dir, nil
	}
	if err := s.build(ctx, source, dir, progress); err != nil {
		return "", fmt.Errorf("build %s: %w", s.About, err)
	}
	return dir, nil
}

// complete says whether the programs are there. The folder appears whole, so one of them stands for all.
func (s Source) complete(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, s.first()))
	return err == nil
}

// moduleDir finds a folder of the repository that is a module.
func moduleDir(folder string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, filepath.FromSlash(folder))
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		return "", fmt.Errorf("find the sources in %s: %w", folder, err)
	}
	return dir, nil
}

// Root is the repository's folder: that of this file, or, if this program was built with -trimpath, the one around the
// working folder.
func Root() (string, error) {
	here := func(root string) bool {
		_, err := os.Stat(filepath.Join(root, "e2e", "built", "built.go"))
		return err == nil
	}
	if _, file, _, ok := runtime.Caller(0); ok {
		if root := filepath.Dir(filepath.Dir(filepath.Dir(file))); here(root) {
			return root, nil
		}
	}
	at, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	for !here(at) {
		parent := filepath.Dir(at)
		if parent == at {
			return "", errors.New("find the repository: run inside it")
		}
		at = parent
	}
	return at, nil
}

// args are the arguments of go build, except the output and the package.
func (s Source) args() []string {
	return []string{"build", "-v", "-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags=-s -w" + s.LDFlags}
}

// key names a build by all that goes into it.
func (s Source) key(source string) (string, error) {
	hash := sha256.New()
	fmt.Fprintln(hash, runtime.Version(), runtime.GOOS, runtime.GOARCH, s.args(), s.packages(), s.Links)
	code, err := filepath.Glob(filepath.Join(source, "*.go"))
	if err != nil {
		return "", err
	}
	for _, file := range append([]string{filepath.Join(source, "go.mod"), filepath.Join(source, "go.sum")}, code...) {
		content, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("read the sources of %s: %w", s.About, err)
		}
		fmt.Fprintf(hash, "%s %d\n", filepath.Base(file), len(content))
		hash.Write(content)
	}
	return s.Version + "-" + hex.EncodeToString(hash.Sum(nil))[:16], nil
}

// build builds into a folder beside dir and renames it, so that dir is never there half done.
func (s Source) build(ctx context.Context, source, dir string, progress io.Writer) (err error) {
	temp, err := os.MkdirTemp(filepath.Dir(dir), "building-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	if err := os.Chmod(temp, 0o755); err != nil {
		return err
	}
	fmt.Fprintf(progress, "building %s from source; once, about %s on 2 cores\n", s.About, s.Took)
	began := time.Now()

	output := new(buildOutput)
	command := exec.CommandContext(ctx, "go", slices.Concat(s.args(), []string{"-o", temp + string(filepath.Separator)}, s.packages())...)
	command.Dir = source
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	command.Stdout, command.Stderr = output, output
	command.SysProcAttr = process.Attr()
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGTERM) }
	if err := runBuild(command, func() {
		fmt.Fprintf(progress, "  %v: %d packages compiled\n", time.Since(began).Round(time.Second), output.lines.Load())
	}); err != nil {
		return fmt.Errorf("%w\n%s", err, output.tail)
	}

	for _, name := range s.Links {
		if err := os.Symlink(s.first(), filepath.Join(temp, name)); err != nil {
			return err
		}
	}
	if err := os.Rename(temp, dir); err != nil {
		return err
	}
	fmt.Fprintf(progress, "built %s in %v: %s\n", s.About, time.Since(began).Round(time.Second), dir)
	return nil
}

// runBuild runs a command, calling tick every progressEvery until it ends. The thread that starts the
// command is kept until then, for the reason given at process.run.
func runBuild(command *exec.Cmd, tick func()) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		result <- command.Run()
	}()
	ticker := time.NewTicker(progressEvery)
	defer ticker.Stop()
	for {
		select {
		case err := <-result:
			return err
		case <-ticker.C:
			tick()
		}
	}
}

// buildOutput counts the lines that go build writes, one per package with -v, and keeps the last of
// them for an error. Write is called by one goroutine; tail is read after it has ended.
type buildOutput struct {
	lines atomic.Int64
	tail  []byte
}

func (o *buildOutput) Write(p []byte) (int, error) {
	o.lines.Add(int64(strings.Count(string(p), "\n")))
	o.tail = append(o.tail, p...)
	if over := len(o.tail) - process.LogTail; over > 0 {
		o.tail = append(o.tail[:0], o.tail[over:]...)
	}
	return len(p), nil
}

// lock takes a lock file, waiting for the process that holds it. The kernel drops the lock with its holder.
func lock(ctx context.Context, path string, progress io.Writer) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock a build: %w", err)
	}
	said := false
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock a build: %w", err)
		}
		if !said {
			fmt.Fprintln(progress, "waiting for another process, which is building the same")
			said = true
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("wait for another process's build: %w", ctx.Err())
		case <-time.After(lockPoll):
		}
	}
}
