// Package fleet runs Yardarm as its users do: the hub, spokes and the CLI as programs of their own, on addresses of this
// machine, against the clusters of e2e/cluster. Scenarios, the demo and benchmarks are made of it. It fakes nothing.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/yardarm-dev/yardarm/e2e/built"
)

// Programs are the built programs.
type Programs struct{ Dir string }

// Path of one: yardarm, yardarm-hub or yardarm-spoke.
func (p Programs) Path(name string) string { return filepath.Join(p.Dir, name) }

// programsEnv names a folder that outlives the caller, for the programs of all callers of one run of the suite: linking takes longer
// than some of their tests. The go command makes nothing anew there that is as the sources would have it. e2e/test sets it, and .ci/run.
const programsEnv = "YARDARM_PROGRAMS"

// Build builds the three programs from this source tree into dir, with the race detector if asked: what it finds ends the
// program with status 66 and a report in its log.
func Build(ctx context.Context, dir string, race bool, progress io.Writer) (Programs, error) {
	root, err := built.Root()
	if err != nil {
		return Programs{}, err
	}
	if shared := os.Getenv(programsEnv); shared != "" {
		dir = filepath.Join(shared, "plain")
		if race {
			dir = filepath.Join(shared, "race")
		}
	}
	return build(ctx, root, dir, race, progress)
}

// BuildCommit builds the programs as they were at a commit of this repository, without the race detector. They stay in the user's cache folder, since they
// are the same ever after.
func BuildCommit(ctx context.Context, commit string, progress io.Writer) (Programs, error) {
	root, err := built.Root()
	if err != nil {
		return Programs{}, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return Programs{}, err
	}
	dir := filepath.Join(cache, "yardarm", "commits", fmt.Sprintf("%s-%s-%s", commit, runtime.Version(), runtime.GOARCH))
	if _, err := os.Stat(dir); err == nil {
		return Programs{Dir: dir}, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return Programs{}, err
	}
	temp, err := os.MkdirTemp(filepath.Dir(dir), "building-")
	if err != nil {
		return Programs{}, err
	}
	defer os.RemoveAll(temp)
	source, programs := filepath.Join(temp, "source"), filepath.Join(temp, "programs")
	if err := os.Mkdir(source, 0o755); err != nil {
		return Programs{}, err
	}
	for _, args := range [][]string{
		{"git", "-C", root, "archive", "--output", source + ".tar", commit},
		{"tar", "-x", "-C", source, "-f", source + ".tar"},
	} {
		if out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
			return Programs{}, fmt.Errorf("get the source of commit %s, which needs a clone with its history: %w\n%s", commit, err, out)
		}
	}
	if _, err := build(ctx, source, programs, false, progress); err != nil {
		return Programs{}, err
	}
	// Whole, or not at all; another process may have been first.
	if err := os.Rename(programs, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return Programs{}, err
	}
	return Programs{Dir: dir}, nil
}

func build(ctx context.Context, root, dir string, race bool, progress io.Writer) (Programs, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Programs{}, err
	}
	args := []string{"build", "-o", dir + string(filepath.Separator)}
	if race {
		args = append(args, "-race")
	}
	command := exec.CommandContext(ctx, "go", append(args, "./hub/cmd/...", "./spoke/cmd/...")...)
	command.Dir = root
	began := time.Now()
	if out, err := command.CombinedOutput(); err != nil {
		return Programs{}, fmt.Errorf("build yardarm: %w\n%s", err, out)
	}
	fmt.Fprintf(progress, "built yardarm in %s\n", time.Since(began).Round(100*time.Millisecond))
	return Programs{Dir: dir}, nil
}

// Source answers the path of something in the source tree.
func Source(path string) (string, error) {
	root, err := built.Root()
	return filepath.Join(root, filepath.FromSlash(path)), err
}

// addresses counts the loopback addresses that this process has given out.
var addresses atomic.Uint32

// nextAddress is a loopback address that no other hub on this machine has, so that ports need not be searched for. All of
// 127.0.0.0/8 is this machine; the process id keeps test programs that run at the same time apart.
func nextAddress() string {
	pid, n := os.Getpid(), addresses.Add(1)
	return fmt.Sprintf("127.%d.%d.%d", 10+pid/250%200, 1+pid%250, 1+n%250)
}
