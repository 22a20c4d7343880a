package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/yardarm-dev/yardarm/e2e/process"
)

const (
	// kubernetesVersion is what the API server says it is. It has to be told when it is linked; the code
	// itself comes from controlplane/go.mod, and a test keeps the two the same.
	kubernetesVersion = "v1.36.3"
	// progressEvery is how often a build says that it goes on.
	progressEvery = 15 * time.Second
	// lockPoll is how often a process looks whether another one has finished its build.
	lockPoll = 500 * time.Millisecond
)

// programs are the names under which the multi-call program is called.
var programs = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kwok"}

// Bin is a folder with the built programs: etcd, kube-apiserver, kube-controller-manager, kube-scheduler,
// kubectl and kwok. It can be put in PATH.
type Bin struct {
	Dir string
	// KubernetesVersion is the version that the API server reports, like "v1.36.3".
	KubernetesVersion string
}

// Path returns the path of one of the programs.
func (b *Bin) Path(program string) string { return filepath.Join(b.Dir, program) }

// Binaries returns the programs from the user's cache folder, building them there first if they are not.
//
// A build takes minutes and fetches modules; it says so, and how it goes on, to progress (nil: nowhere).
// One process builds at a time, the others wait for it. It is found again under a key of all that goes
// into it: the module's files, the Go version, the platform.
func Binaries(ctx context.Context, progress io.Writer) (*Bin, error) {
	if progress == nil {
		progress = io.Discard
	}
	source, err := moduleDir()
	if err != nil {
		return nil, err
	}
	key, err := buildKey(source)
	if err != nil {
		return nil, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("find the cache folder: %w", err)
	}
	root := filepath.Join(cache, "yardarm", "controlplane")
	bin := &Bin{Dir: filepath.Join(root, key), KubernetesVersion: kubernetesVersion}
	if bin.complete() {
		return bin, nil
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, fmt.Errorf("make the cache folder: %w", err)
	}
	unlock, err := lock(ctx, filepath.Join(root, "lock"), progress)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if bin.complete() { // by the process we waited for
		return bin, nil
	}
	if err := build(ctx, source, bin.Dir, progress); err != nil {
		return nil, fmt.Errorf("build the control plane: %w", err)
	}
	return bin, nil
}

// complete says whether the programs are there. The folder appears whole, so one of them stands for all.
func (b *Bin) complete() bool {
	_, err := os.Stat(b.Path(programs[0]))
	return err == nil
}

// moduleDir finds the sources of the multi-call program: beside this file, or, if this program was built
// with -trimpath, in the repository that holds the working folder.
func moduleDir() (string, error) {
	const mod = "go.mod"
	if _, file, _, ok := runtime.Caller(0); ok {
		dir := filepath.Join(filepath.Dir(file), "controlplane")
		if _, err := os.Stat(filepath.Join(dir, mod)); err == nil {
			return dir, nil
		}
	}
	at, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the sources of the control plane: %w", err)
	}
	for {
		dir := filepath.Join(at, "e2e", "cluster", "controlplane")
		if _, err := os.Stat(filepath.Join(dir, mod)); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(at)
		if parent == at {
			return "", errors.New("find the sources of the control plane: run inside the repository")
		}
		at = parent
	}
}

// buildArgs are the arguments of go build, except the output and the package.
func buildArgs() []string {
	const version = "k8s.io/component-base/version."
	major, minor, _ := strings.Cut(strings.TrimPrefix(kubernetesVersion, "v"), ".")
	minor, _, _ = strings.Cut(minor, ".")
	return []string{"build", "-v", "-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags=-s -w" +
		" -X " + version + "gitVersion=" + kubernetesVersion +
		" -X " + version + "gitMajor=" + major +
		" -X " + version + "gitMinor=" + minor}
}

// buildKey names a build by all that goes into it.
func buildKey(source string) (string, error) {
	hash := sha256.New()
	fmt.Fprintln(hash, runtime.Version(), runtime.GOOS, runtime.GOARCH, buildArgs())
	for _, name := range []string{"go.mod", "go.sum", "main.go"} {
		content, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			return "", fmt.Errorf("read the sources of the control plane: %w", err)
		}
		fmt.Fprintf(hash, "%s %d\n", name, len(content))
		hash.Write(content)
	}
	return kubernetesVersion + "-" + hex.EncodeToString(hash.Sum(nil))[:16], nil
}

// build builds into a folder beside dir and renames it, so that dir is never there half done.
func build(ctx context.Context, source, dir string, progress io.Writer) (err error) {
	temp, err := os.MkdirTemp(filepath.Dir(dir), "building-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	if err := os.Chmod(temp, 0o755); err != nil {
		return err
	}
	fmt.Fprintf(progress, "building Kubernetes %s (API server, controller manager, scheduler, etcd, kwok, kubectl) from source; "+
		"once, about 5 minutes on 2 cores\n", kubernetesVersion)
	began := time.Now()

	const main = "controlplane"
	output := new(buildOutput)
	command := exec.CommandContext(ctx, "go", append(buildArgs(), "-o", filepath.Join(temp, main), ".")...)
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

	for _, name := range programs {
		if err := os.Symlink(main, filepath.Join(temp, name)); err != nil {
			return err
		}
	}
	if err := os.Rename(temp, dir); err != nil {
		return err
	}
	fmt.Fprintf(progress, "built Kubernetes %s in %v: %s\n", kubernetesVersion, time.Since(began).Round(time.Second), dir)
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
		return nil, fmt.Errorf("lock the control plane's build: %w", err)
	}
	said := false
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock the control plane's build: %w", err)
		}
		if !said {
			fmt.Fprintln(progress, "waiting for another process, which is building the Kubernetes control plane")
			said = true
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("wait for another process's build of the control plane: %w", ctx.Err())
		case <-time.After(lockPoll):
		}
	}
}
