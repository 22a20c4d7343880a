package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"

	"github.com/yardarm-dev/yardarm/e2e/process"
)

// Spec describes a cluster.
type Spec struct {
	// Name is a DNS label, the name of the kubeconfig's context. Default: cluster-<number>.
	Name string
	// Controllers runs a controller manager: namespaces and owned objects are deleted, service accounts and
	// their CA config maps appear, Deployments make ReplicaSets, and the cluster roles view, edit and admin
	// get their rules. Without it there is an API server only, which is enough to apply objects to.
	Controllers bool
	// Nodes is the number of simulated nodes. With any, a controller manager, a scheduler and kwok run too,
	// so that workloads become ready.
	Nodes int
	// NodeLabels are set on every node in addition to the usual ones.
	NodeLabels map[string]string
	// Provider is the scheme of the nodes' providerID, as clouds set it, like "aws". Default: "kwok".
	Provider string
	// Region is the nodes' topology.kubernetes.io/region; their zones are <Region>a, b and c. Default: "local".
	Region string
	// Reach is an IP of this machine by which nodes of other makers (see e2e/node) and their pods reach the API server, besides
	// 127.0.0.1. With it, a controller manager and a scheduler run too, as such nodes need them; there are no simulated ones beside.
	Reach string
	// APIServerFlags are added to the API server's. A flag with a single value overrides the one given before.
	APIServerFlags []string
}

// nameFormat is that of DNS labels.
var nameFormat = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// validate checks a spec and fills in its defaults.
func (s *Spec) validate() error {
	if !nameFormat.MatchString(s.Name) || s.Name == "etcd" {
		return fmt.Errorf("%q is no name for a cluster: want a DNS label, and not etcd", s.Name)
	}
	if s.Nodes < 0 {
		return fmt.Errorf("%d nodes", s.Nodes)
	}
	if s.Reach != "" && (s.Nodes > 0 || net.ParseIP(s.Reach) == nil) {
		return fmt.Errorf("reach %q and %d simulated nodes: want an IP, and none", s.Reach, s.Nodes)
	}
	s.Controllers = s.Controllers || s.Nodes > 0 || s.Reach != ""
	if s.Provider == "" {
		s.Provider = "kwok"
	}
	if s.Region == "" {
		s.Region = "local"
	}
	return nil
}

// Cluster is one control plane. Its methods may be called concurrently.
type Cluster struct {
	spec        Spec
	bin         *Bin
	etcdURL     string
	dir         string
	port        process.Port
	credentials *credentials
	kubeconfig  []byte
	path        string // of the kubeconfig
	admin       *client

	mu        sync.Mutex         // guards what follows; held while programs start and stop
	apiserver *process.Process   // nil while stopped
	others    []*process.Process // controller manager, scheduler, kwok
	stopped   bool
}

// newCluster makes a cluster's folder, port and credentials.
func newCluster(f *Fleet, spec Spec) (_ *Cluster, err error) {
	if err := spec.validate(); err != nil {
		return nil, err
	}
	c := &Cluster{spec: spec, bin: f.bin, etcdURL: f.etcd.url, dir: filepath.Join(f.dir, spec.Name)}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return nil, err
	}
	if c.credentials, err = newCredentials(c.dir, spec.Reach); err != nil {
		return nil, err
	}
	if c.port, err = process.ReservePort(); err != nil {
		return nil, err
	}
	if c.kubeconfig, c.path, err = c.credentials.writeKubeconfig(spec.Name, c.URL(), "admin"); err != nil {
		c.port.Release()
		return nil, err
	}
	c.admin = newClient(c.URL(), c.credentials.ca, c.credentials.tokens["admin"])
	return c, nil
}

// start starts the cluster's programs, and returns when all is ready.
func (c *Cluster) start(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.startAPIServer(ctx)
	if err == nil && c.spec.Controllers {
		err = c.startControllers(ctx)
	}
	if err == nil && c.spec.Nodes > 0 {
		err = c.startNodes(ctx)
	}
	if err == nil && c.spec.Reach != "" {
		err = c.startScheduler()
	}
	if err != nil {
		return fmt.Errorf("start cluster %s: %w", c.spec.Name, err)
	}
	return nil
}

// Name is the cluster's name.
func (c *Cluster) Name() string { return c.spec.Name }

// Dir is where the cluster's logs and credentials are.
func (c *Cluster) Dir() string { return c.dir }

// URL is the API server's address. It stays the same when the API server is stopped and started.
func (c *Cluster) URL() string { return fmt.Sprintf("https://127.0.0.1:%d", c.port.Number) }

// Kubeconfig returns a kubeconfig of a cluster administrator (system:masters).
func (c *Cluster) Kubeconfig() []byte { return slices.Clone(c.kubeconfig) }

// KubeconfigPath is a file with the same content. It is gone with the fleet's folder.
func (c *Cluster) KubeconfigPath() string { return c.path }

// NodeKubeconfig writes the kubeconfig of a node, which reaches the API server by Spec.Reach, and returns its path.
func (c *Cluster) NodeKubeconfig() (path string, err error) {
	_, path, err = c.credentials.writeKubeconfig(c.spec.Name, fmt.Sprintf("https://%s:%d", c.spec.Reach, c.port.Number), "node")
	return path, err
}

// PIDs returns the process ids of the cluster's running programs, by name.
func (c *Cluster) PIDs() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	pids := make(map[string]int)
	for _, p := range c.processes() {
		if !p.Exited() {
			pids[p.Name()] = p.PID()
		}
	}
	return pids
}

// processes are all that were started and not stopped. The caller holds mu.
func (c *Cluster) processes() []*process.Process {
	if c.apiserver == nil {
		return c.others
	}
	return append(slices.Clone(c.others), c.apiserver)
}

// StopAPIServer stops the API server only, as in an outage: connections are refused until StartAPIServer.
// The other programs go on, and retry. It does nothing if the API server is stopped.
func (c *Cluster) StopAPIServer() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.apiserver == nil {
		return nil
	}
	err := c.apiserver.Stop()
	c.apiserver = nil
	return err
}

// StartAPIServer starts a stopped API server again, on the same port and with the same content, and
// returns when it is ready. It does nothing if the API server runs.
func (c *Cluster) StartAPIServer(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return fmt.Errorf("start the API server of cluster %s: the cluster is stopped", c.spec.Name)
	}
	if c.apiserver != nil {
		if !c.apiserver.Exited() {
			return nil
		}
		c.apiserver = nil // it ended by itself
	}
	if err := c.startAPIServer(ctx); err != nil {
		return fmt.Errorf("start the API server of cluster %s: %w", c.spec.Name, err)
	}
	return nil
}

// Stop stops the cluster's programs for good, and returns when none is left. It may be called again.
func (c *Cluster) Stop() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return nil
	}
	c.stopped = true
	var failures []error
	for _, p := range c.processes() {
		failures = append(failures, p.Stop())
	}
	c.apiserver, c.others = nil, nil
	c.port.Release()
	return errors.Join(failures...)
}
