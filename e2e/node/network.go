package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

const (
	// bridge joins the nodes and this machine. Addresses are of a range that is nobody's on the way to anywhere.
	bridge     = "yardarm0"
	hostIP     = "10.213.0.1"
	nodeFormat = "10.213.0.%d"
	podFormat  = "10.214.%d.0/24"
	// networkLock keeps two tests on one machine apart. The kernel drops it with its holder.
	networkLock = "/run/lock/yardarm-e2e-node"
)

// network is the link between nodes.
type network struct{ lock *os.File }

// newNetwork makes the bridge. One that is there is left of a test that was killed.
func newNetwork(ctx context.Context) (*network, error) {
	lock, err := os.OpenFile(networkLock, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another test has the nodes' network: %w", err), lock.Close())
	}
	n := &network{lock: lock}
	_ = ip(ctx, "link", "delete", bridge) // there is none, mostly
	for _, args := range []string{
		"link add " + bridge + " type bridge",
		"address add " + hostIP + "/24 dev " + bridge,
		"link set " + bridge + " up",
	} {
		if err := ip(ctx, strings.Fields(args)...); err != nil {
			return nil, errors.Join(err, n.close())
		}
	}
	return n, nil
}

// join gives the network namespace of a node's first process an interface eth0 on the bridge, and this machine, as the API server
// does for people, a way to the node's pods. Both go with the namespace and the bridge.
func (n *network) join(ctx context.Context, node *Node) error {
	link := "yardarm-" + node.name
	for _, args := range []string{
		fmt.Sprintf("link add %s type veth peer name eth0 netns %d", link, node.process.PID()),
		"link set " + link + " master " + bridge,
		"link set " + link + " up",
		"route add " + node.pods() + " via " + node.address(),
	} {
		if err := ip(ctx, strings.Fields(args)...); err != nil {
			return err
		}
	}
	return nil
}

func (n *network) close() error {
	return errors.Join(ip(context.Background(), "link", "delete", bridge), n.lock.Close())
}

func ip(ctx context.Context, args ...string) error {
	if out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}
