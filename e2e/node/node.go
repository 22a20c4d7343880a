package node

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/yardarm-dev/yardarm/e2e/built"
	"github.com/yardarm-dev/yardarm/e2e/cluster"
	"github.com/yardarm-dev/yardarm/e2e/process"
)

// agents are the programs of a node that are no packages of Debian's.
var agents = built.Source{
	Folder: "e2e/node/agents", Packages: []string{"k8s.io/kubernetes/cmd/kubelet", "k8s.io/kubernetes/cmd/kube-proxy"}, About: "kubelet and kube-proxy " + kubernetesVersion, Took: "4 minutes", Version: kubernetesVersion,
	LDFlags: cluster.VersionFlags(),
}

// kubernetesVersion is the control plane's; a test keeps agents/go.mod at it.
const kubernetesVersion = cluster.KubernetesVersion

const (
	// upWithin is how long containerd may take to start and import images.
	upWithin = 2 * time.Minute
	poll     = 50 * time.Millisecond
	// cgroups is where the kernel's hierarchies are.
	cgroups = "/sys/fs/cgroup"
)

//go:embed machine.sh
var machine []byte

//go:embed files
var files embed.FS

// Node is a machine of a cluster. All that it runs ends with it, and with this process, however that ends.
type Node struct {
	name, dir string
	number    int
	process   *process.Process
}

// nodeConfig says what a node is.
type nodeConfig struct {
	name string
	// number tells nodes' addresses apart, from 1.
	number  int
	dir     string
	cluster *cluster.Cluster
	network *network
	// images is a folder with docker archives, which are on the node before its first pod.
	images string
	// agents is the folder of the programs.
	agents string
}

// startNode starts a node, and returns once it has its images. It registers itself then.
func startNode(ctx context.Context, c nodeConfig) (_ *Node, err error) {
	n := &Node{name: c.name, dir: c.dir, number: c.number}
	if err := n.write(c); err != nil {
		return nil, fmt.Errorf("write the configuration of node %s: %w", c.name, err)
	}
	n.process, err = process.Start(process.Program{
		Path: "/usr/bin/unshare", Dir: n.dir,
		Args: []string{"--net", "--pid", "--mount", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc",
			"/bin/sh", filepath.Join(n.dir, "machine.sh"), n.dir, n.name, n.address() + "/24", hostIP},
		Env: []string{"PATH=" + c.agents + ":/usr/sbin:/usr/bin:/sbin:/bin"},
	})
	if err != nil {
		return nil, err
	}
	if err := n.awaitUp(ctx, c.network); err != nil {
		return nil, errors.Join(n.process.Fail(err), n.stop())
	}
	return n, nil
}

// address is the node's IP.
func (n *Node) address() string { return fmt.Sprintf(nodeFormat, 10+n.number) }

// pods is where its pods' addresses are from.
func (n *Node) pods() string { return fmt.Sprintf(podFormat, n.number) }

// cgroup is the parent of all of its pods.
func (n *Node) cgroup() string { return "yardarm-" + n.name }

// write makes the node's folder.
func (n *Node) write(c nodeConfig) error {
	kubeconfig, err := c.cluster.NodeKubeconfig()
	if err != nil {
		return err
	}
	for _, dir := range []string{"cni", "kubelet", "volumes"} {
		if err := os.MkdirAll(filepath.Join(n.dir, dir), 0o755); err != nil {
			return err
		}
	}
	values := map[string]string{
		"dir": n.dir, "pause": pauseImage, "pods": n.pods(), "cgroup": n.cgroup(),
	}
	templates, err := template.New("").Option("missingkey=error").ParseFS(files, "files/*")
	if err != nil {
		return err
	}
	for name, to := range map[string]string{
		"containerd.toml": "containerd.toml", "kubelet.yaml": "kubelet.yaml", "kube-proxy.yaml": "kube-proxy.yaml", "bridge.conflist": "cni/10-bridge.conflist",
	} {
		var text strings.Builder
		if err := templates.ExecuteTemplate(&text, name, values); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(n.dir, to), []byte(text.String()), 0o644); err != nil {
			return err
		}
	}
	hierarchies, err := os.ReadDir(cgroups)
	if err != nil {
		return err
	}
	for _, h := range hierarchies {
		if err := os.MkdirAll(filepath.Join(cgroups, h.Name(), n.cgroup()), 0o755); h.IsDir() && err != nil {
			return err
		}
	}
	return errors.Join(
		os.WriteFile(filepath.Join(n.dir, "machine.sh"), machine, 0o755),
		os.WriteFile(filepath.Join(n.dir, "resolv.conf"), []byte("nameserver 127.0.0.1\n"), 0o644), // no names here
		os.Symlink(c.images, filepath.Join(n.dir, "images")),
		os.Symlink(kubeconfig, filepath.Join(n.dir, "kubeconfig")),
	)
}

// awaitUp joins the node to the network as soon as it has a namespace of its own, and waits for its images.
func (n *Node) awaitUp(ctx context.Context, net *network) error {
	ctx, cancel := context.WithTimeout(ctx, upWithin)
	defer cancel()
	ours, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return err
	}
	joined := false
	for {
		theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", n.process.PID()))
		if err == nil && !joined && theirs != ours {
			if err := net.join(ctx, n); err != nil {
				return err
			}
			joined = true
		}
		if _, err := os.Stat(filepath.Join(n.dir, "up")); err == nil {
			return nil
		}
		select {
		case <-n.process.Done():
			return errors.New("the node has ended")
		case <-ctx.Done():
			return fmt.Errorf("the node is not up: %w", context.Cause(ctx))
		case <-time.After(poll):
		}
	}
}

// stop ends the node and all that runs in it, and removes the cgroups of its pods.
func (n *Node) stop() error {
	err := n.process.Kill()
	hierarchies, readErr := os.ReadDir(cgroups)
	err = errors.Join(err, readErr)
	for _, h := range hierarchies {
		err = errors.Join(err, removeCgroup(filepath.Join(cgroups, h.Name(), n.cgroup())))
	}
	return err
}

// removeCgroup removes a cgroup and those below it, the lowest first. Its processes are killed, and take a moment to be gone.
func removeCgroup(path string) error {
	var all []string
	err := filepath.WalkDir(path, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			all = append(all, path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	for i := len(all) - 1; i >= 0 && err == nil; i-- {
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(poll) {
			if err = os.Remove(all[i]); err == nil || errors.Is(err, fs.ErrNotExist) {
				err = nil
				break
			}
			if time.Now().After(deadline) {
				break
			}
		}
	}
	return err
}
