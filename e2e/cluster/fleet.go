package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// Config says what a fleet is made of. The zero value is a fleet without clusters, for [Fleet.Add].
type Config struct {
	// Clusters are started at once.
	Clusters []Spec
	// Dir is where logs, credentials and data go. It is created; if it exists it must be empty. It is kept
	// after Stop. By default a temporary folder is used, and removed by Stop.
	Dir string
	// Durable has etcd sync its writes to disk. By default it does not, which is faster and loses what was
	// written last only if the machine itself goes down.
	Durable bool
	// Bin are the programs to run: by default those that Binaries finds or builds.
	Bin *Bin
	// Progress is told what takes long, in lines for people. Default: nobody.
	Progress io.Writer
}

// Fleet is a number of clusters that share one etcd. Its methods may be called concurrently.
type Fleet struct {
	bin       *Bin
	dir       string
	temporary bool
	etcd      *etcd

	mu       sync.Mutex // guards clusters, stopped
	clusters []*Cluster
	stopped  bool
}

// Start starts etcd and the configured clusters, and returns when all of them are ready. If one does not
// become ready, all are stopped and the error holds the end of its log. The context bounds the start
// (and a build of the programs, see Binaries) only: the fleet runs until Stop, or this process's death.
func Start(ctx context.Context, config Config) (_ *Fleet, err error) {
	f := &Fleet{bin: config.Bin, dir: config.Dir}
	if f.bin == nil {
		if f.bin, err = Binaries(ctx, config.Progress); err != nil {
			return nil, err
		}
	}
	if f.dir == "" {
		f.temporary = true
		f.dir, err = os.MkdirTemp("", "yardarm-fleet-")
	} else {
		f.dir, err = emptyDir(f.dir)
	}
	if err != nil {
		return nil, fmt.Errorf("make the fleet's folder: %w", err)
	}
	f.etcd, err = startEtcd(ctx, f.bin, filepath.Join(f.dir, "etcd"), config.Durable)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start a fleet: %w", err), f.removeDir())
	}
	if err := f.addAll(ctx, config.Clusters); err != nil {
		return nil, errors.Join(err, f.Stop())
	}
	return f, nil
}

// emptyDir makes sure that a folder exists and is empty, and returns its absolute path.
func emptyDir(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("%s is not empty", dir)
	}
	return dir, err
}

// addAll adds clusters side by side. Their order in f.clusters is that of the specs.
func (f *Fleet) addAll(ctx context.Context, specs []Spec) error {
	failures := make([]error, len(specs))
	var group sync.WaitGroup
	for i, spec := range specs {
		c, err := f.register(spec)
		if err != nil {
			failures[i] = err
			break
		}
		group.Go(func() { failures[i] = c.start(ctx) })
	}
	group.Wait()
	return errors.Join(failures...)
}

// Add starts one more cluster, and returns when it is ready. One that does not start is not part of the
// fleet; its logs stay in the folder.
func (f *Fleet) Add(ctx context.Context, spec Spec) (*Cluster, error) {
	c, err := f.register(spec)
	if err != nil {
		return nil, err
	}
	if err := c.start(ctx); err != nil {
		err = errors.Join(err, c.Stop())
		f.mu.Lock()
		defer f.mu.Unlock()
		f.clusters = slices.DeleteFunc(f.clusters, func(other *Cluster) bool { return other == c })
		return nil, err
	}
	return c, nil
}

// register makes a cluster, not yet started, under a name of its own.
func (f *Fleet) register(spec Spec) (*Cluster, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopped {
		return nil, errors.New("add a cluster: the fleet is stopped")
	}
	if spec.Name == "" {
		spec.Name = fmt.Sprintf("cluster-%d", len(f.clusters)+1)
	}
	if slices.ContainsFunc(f.clusters, func(c *Cluster) bool { return c.Name() == spec.Name }) {
		return nil, fmt.Errorf("add cluster %s: there is one of this name", spec.Name)
	}
	c, err := newCluster(f, spec)
	if err != nil {
		return nil, fmt.Errorf("add cluster %s: %w", spec.Name, err)
	}
	f.clusters = append(f.clusters, c)
	return c, nil
}

// Clusters returns all clusters, in the order in which they were added.
func (f *Fleet) Clusters() []*Cluster {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.clusters)
}

// Cluster returns the cluster of a name, or nil.
func (f *Fleet) Cluster(name string) *Cluster {
	for _, c := range f.Clusters() {
		if c.Name() == name {
			return c
		}
	}
	return nil
}

// Dir is the fleet's folder: etcd and each cluster have one of their names in it, with their logs.
func (f *Fleet) Dir() string { return f.dir }

// Bin are the programs that the fleet runs.
func (f *Fleet) Bin() *Bin { return f.bin }

// Stop stops all programs, side by side, then etcd, and returns when none is left. It may be called again.
func (f *Fleet) Stop() error {
	f.mu.Lock()
	first := !f.stopped
	f.stopped = true
	f.mu.Unlock()

	clusters := f.Clusters()
	failures := make([]error, len(clusters))
	var group sync.WaitGroup
	for i, c := range clusters {
		group.Go(func() { failures[i] = c.Stop() })
	}
	group.Wait()
	if first {
		failures = append(failures, f.etcd.stop(), f.removeDir())
	}
	return errors.Join(failures...)
}

// removeDir removes a temporary folder.
func (f *Fleet) removeDir() error {
	if !f.temporary {
		return nil
	}
	return os.RemoveAll(f.dir)
}
