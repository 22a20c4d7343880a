//go:build linux

package outbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// Addresses are of a range that is nobody's on the way to anywhere. The hub's is reached from this machine, as people reach it, and from each
	// cluster by the link between the two, whose ends are door and far.
	hostIP     = "10.215.0.1"
	hubIP      = "10.215.0.2"
	doorFormat = "10.215.%d.1" // the hub's end
	farFormat  = "10.215.%d.2" // the cluster's end
	// link is the name of a cluster's one interface beside the loopback.
	link = "uplink"
	// hubSpace and spacePrefix name the namespaces; one that is there is left of a test that was killed.
	hubSpace    = "yardarm-outbound-hub"
	spacePrefix = "yardarm-outbound-"
	// networkLock keeps two tests on one machine apart. The kernel drops it with its holder.
	networkLock = "/run/lock/yardarm-e2e-outbound"
)

// site is a cluster's place in the network.
type site struct {
	name string
	// number tells links apart, from 1.
	number int
	// to is where the firewall lets connections out to, as IP and port, and nowhere else.
	toIP   string
	toPort int
	// hubName is what the hub's name resolves to; nothing where it is empty.
	hubName string
}

func (s site) space() string { return spacePrefix + s.name }
func (s site) door() string  { return fmt.Sprintf(doorFormat, s.number) }
func (s site) far() string   { return fmt.Sprintf(farFormat, s.number) }

// network is the hub's namespace and those of the clusters.
type network struct {
	lock  *os.File
	sites []site
}

// newNetwork makes the namespaces, links and firewalls.
func newNetwork(ctx context.Context, sites []site) (*network, error) {
	lock, err := os.OpenFile(networkLock, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another test has the network: %w", err), lock.Close())
	}
	n := &network{lock: lock, sites: sites}
	_ = n.remove() // there is nothing, mostly
	if err := n.make(ctx); err != nil {
		return nil, errors.Join(err, n.close())
	}
	return n, nil
}

func (n *network) make(ctx context.Context) error {
	const host = "yardarm-out0"
	lines := []string{
		"netns add " + hubSpace,
		"-n " + hubSpace + " link set lo up",
		"link add " + host + " type veth peer name people netns " + hubSpace,
		"address add " + hostIP + "/30 dev " + host,
		"link set " + host + " up",
		"-n " + hubSpace + " address add " + hubIP + "/30 dev people",
		"-n " + hubSpace + " link set people up",
	}
	for _, s := range n.sites {
		lines = append(lines,
			"netns add "+s.space(),
			"-n "+s.space()+" link set lo up",
			fmt.Sprintf("-n %s link add site%d type veth peer name %s netns %s", hubSpace, s.number, link, s.space()),
			fmt.Sprintf("-n %s address add %s/30 dev site%d", hubSpace, s.door(), s.number),
			fmt.Sprintf("-n %s link set site%d up", hubSpace, s.number),
			"-n "+s.space()+" address add "+s.far()+"/30 dev "+link,
			"-n "+s.space()+" link set "+link+" up",
			"-n "+s.space()+" route add default via "+s.door(),
		)
	}
	for _, line := range lines {
		if err := command(ctx, "", "ip", strings.Fields(line)...); err != nil {
			return err
		}
	}
	for _, s := range n.sites {
		if err := s.guard(ctx); err != nil {
			return err
		}
	}
	return nil
}

// firewall is a cluster's: no new connection comes in, and the one way out is to its address and port.
const firewall = `table inet outbound {
	chain in {
		type filter hook input priority 0; policy drop;
		iif lo accept
		ct state established,related accept
	}
	chain forward { type filter hook forward priority 0; policy drop; }
	chain out {
		type filter hook output priority 0; policy drop;
		oif lo accept
		ip daddr %s tcp dport %d accept
	}
}
`

// guard closes a cluster's namespace, and has the hub's name resolved in it, or not.
func (s site) guard(ctx context.Context) error {
	if err := command(ctx, fmt.Sprintf(firewall, s.toIP, s.toPort), "ip", "netns", "exec", s.space(), "nft", "-f", "-"); err != nil {
		return err
	}
	// ip-netns(8) puts these over the machine's for what it runs there.
	if err := os.MkdirAll(s.etc(), 0o755); err != nil {
		return err
	}
	hosts := "127.0.0.1 localhost\n"
	if s.hubName != "" {
		hosts += s.hubName + " " + hubName + "\n"
	}
	return errors.Join(
		os.WriteFile(filepath.Join(s.etc(), "hosts"), []byte(hosts), 0o644),
		os.WriteFile(filepath.Join(s.etc(), "resolv.conf"), []byte("nameserver 127.0.0.1\n"), 0o644),
	)
}

func (s site) etc() string { return filepath.Join("/etc/netns", s.space()) }

// remove takes away all that make makes. Links go with their namespaces.
func (n *network) remove() error {
	err := command(context.Background(), "", "ip", "netns", "delete", hubSpace)
	for _, s := range n.sites {
		err = errors.Join(err, command(context.Background(), "", "ip", "netns", "delete", s.space()), os.RemoveAll(s.etc()))
	}
	return err
}

func (n *network) close() error { return errors.Join(n.remove(), n.lock.Close()) }

func command(ctx context.Context, stdin, name string, args ...string) error {
	c := exec.CommandContext(ctx, name, args...)
	c.Stdin = strings.NewReader(stdin)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// within runs fn on a thread that is in a namespace: sockets that fn opens by addresses, not names, are of it, and stay so.
func within(space string, fn func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocks: the thread ends with the goroutine
		done <- func() error {
			file, err := os.Open(filepath.Join("/run/netns", space))
			if err != nil {
				return err
			}
			defer file.Close()
			if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("enter namespace %s: %w", space, err)
			}
			return fn()
		}()
	}()
	return <-done
}

// listen listens in a namespace.
func listen(space, address string) (l net.Listener, err error) {
	err = within(space, func() error {
		l, err = net.Listen("tcp4", address)
		return err
	})
	return l, err
}

// dial connects from a namespace, within a time.
func dial(space, address string) (c net.Conn, err error) {
	err = within(space, func() error {
		c, err = net.DialTimeout("tcp4", address, dialTimeout)
		return err
	})
	return c, err
}
