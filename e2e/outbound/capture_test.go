//go:build linux

package outbound

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// captureBuffer holds what comes while the reader is not scheduled, in bytes; that it was enough is checked.
	captureBuffer = 8 << 20
	// captureWait is how long a read waits, and so how long close may take.
	captureWait = 100 * time.Millisecond
	// headers is how much of a packet is read: IPv4 and TCP at their longest, in bytes.
	headers = 120
)

// capture sees every packet at a cluster's door, as it is on the wire: what comes in before the firewall drops it.
type capture struct {
	fd   int
	quit chan struct{}
	done chan struct{}

	mu   sync.Mutex
	seen traffic
	err  error
}

// traffic is what a capture has seen.
type traffic struct {
	packets int
	// in are what would open something towards the cluster: connections, and whatever is no TCP. out are where connections were opened to.
	in, out []string
}

// startCapture captures at a site until close.
func startCapture(s site) (*capture, error) {
	c := &capture{quit: make(chan struct{}), done: make(chan struct{})}
	err := within(s.space(), func() (err error) {
		card, err := net.InterfaceByName(link)
		if err != nil {
			return err
		}
		protocol := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL))
		if c.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(protocol)); err != nil {
			return err
		}
		wait := unix.NsecToTimeval(captureWait.Nanoseconds())
		return errors.Join(
			unix.Bind(c.fd, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: card.Index}),
			unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, captureBuffer),
			unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait),
		)
	})
	if err != nil {
		return nil, fmt.Errorf("capture at %s: %w", s.name, err)
	}
	go c.run()
	return c, nil
}

func (c *capture) run() {
	defer close(c.done)
	packet := make([]byte, headers)
	for {
		n, from, err := unix.Recvfrom(c.fd, packet, 0)
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		case err != nil:
			c.mu.Lock()
			c.err = err
			c.mu.Unlock()
			return
		default:
			c.take(packet[:n], from.(*unix.SockaddrLinklayer))
		}
		select {
		case <-c.quit:
			return
		default:
		}
	}
}

// take counts one packet.
func (c *capture) take(packet []byte, from *unix.SockaddrLinklayer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen.packets++
	outgoing := from.Pkttype == unix.PACKET_OUTGOING
	protocol := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, from.Protocol))
	switch what, opens := opening(protocol, packet); {
	case opens && outgoing:
		c.seen.out = append(c.seen.out, what)
	case opens:
		c.seen.in = append(c.seen.in, what)
	}
}

// opening tells whether a packet opens something: a TCP connection, or anything over IPv4 that is no TCP. IPv6 has no addresses here but those of
// neighbours, and ARP opens nothing.
func opening(protocol uint16, packet []byte) (what string, opens bool) {
	if protocol != unix.ETH_P_IP || len(packet) < 20 {
		return "", false
	}
	size := int(packet[0]&0xf) * 4
	to := netip.AddrFrom4([4]byte(packet[16:20]))
	if packet[9] != unix.IPPROTO_TCP || len(packet) < size+14 {
		return fmt.Sprintf("%s protocol %d", to, packet[9]), true
	}
	const syn, ack = 0x02, 0x10
	tcp := packet[size:]
	return netip.AddrPortFrom(to, binary.BigEndian.Uint16(tcp[2:4])).String(), tcp[13]&(syn|ack) == syn
}

// traffic answers what was seen so far. It fails if a packet was missed.
func (c *capture) traffic() (traffic, error) {
	stats, err := unix.GetsockoptTpacketStats(c.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err == nil && stats.Drops > 0 {
		err = fmt.Errorf("the capture has missed %d packets", stats.Drops)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := c.seen
	seen.in, seen.out = append([]string(nil), seen.in...), append([]string(nil), seen.out...)
	return seen, errors.Join(err, c.err)
}

func (c *capture) close() error {
	close(c.quit)
	<-c.done
	return unix.Close(c.fd)
}
