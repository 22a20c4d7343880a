package admission

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// address is an IPv4 address that ends so.
func address(last byte) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{127, 0, 0, last}), 32)
}

// queue has some come to a line whose one core is taken, one after the other, and answers as whom it serves them.
func (l *line) queue(t *testing.T, come func(come func(name string, from netip.Prefix, begun bool))) (served []string) {
	t.Helper()
	l.take(address(0), false)
	turns, count := make(chan string), 0
	come(func(name string, from netip.Prefix, begun bool) {
		waiting := l.waiting()
		go func() {
			l.take(from, begun)
			turns <- name
		}()
		count++
		eventually(t, name+" waits", func() bool { return l.waiting() == waiting+1 })
	})
	for range count {
		l.give()
		served = append(served, <-turns)
	}
	l.give()
	l.take(address(0), false) // there is one core again
	l.give()
	if l.free != 1 || len(l.fresh) != 0 || l.turns.Len() != 0 {
		t.Errorf("%d cores, want 1, and %d addresses", l.free, len(l.fresh))
	}
	return served
}

// Who has begun is served first, and each kind in the order in which it came. Regression: both waits of a handshake were behind all of a
// storm, and took longer together than clients wait.
func TestBegunGoesFirst(t *testing.T) {
	served := newLine(1).queue(t, func(come func(string, netip.Prefix, bool)) {
		come("first to come", address(1), false)
		come("second to come", address(1), false)
		come("first to go on", address(1), true)
		come("second to go on", address(1), true)
	})
	if want := []string{"first to go on", "second to go on", "first to come", "second to come"}; !slices.Equal(served, want) {
		t.Errorf("served were %q, want %q", served, want)
	}
}

// Whoever is gone, or late, when its turn comes gives the core back. Regression: it kept it, and once as many were as there are cores, nobody was let in any more.
func TestWhoIsLateGivesItsCoreBack(t *testing.T) {
	p := listen(t, func(c *Config) { c.AtOnce, c.Line = 1, 1 })
	for range 3 {
		if _, err := p.shake("127.0.0.77", "late"); err == nil {
			t.Error("one that has waited too long is let in")
		}
	}
}

func TestWhoIsGoneGivesItsCoreBack(t *testing.T) {
	computes := make(chan struct{})
	compute := sync.OnceFunc(func() { close(computes) })
	p := listen(t, func(c *Config) {
		c.AtOnce = 1
		c.TLS.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { <-computes; return nil, nil }
	})
	t.Cleanup(compute)
	ended := make(chan error, 2)
	for i := range 2 {
		go func() {
			_, err := p.shake(fmt.Sprint("127.0.0.", 78+i), fmt.Sprint("spoke-", i))
			ended <- err
		}()
	}
	eventually(t, "one waits for the other", func() bool { return p.line.waiting() == 1 })
	for _, g := range p.guests.shaking() {
		g.Close() // both: nobody is to be told apart
	}
	compute()
	for range 2 {
		if err := <-ended; err == nil {
			t.Error("one that was turned away is let in")
		}
	}
	p.mustShake("127.0.0.80", "next")
}

// An address from which many come keeps the others waiting for one of them each, not for all.
func TestAddressesTakeTurns(t *testing.T) {
	served := newLine(1).queue(t, func(come func(string, netip.Prefix, bool)) {
		for i := range 5 {
			come(fmt.Sprintf("many %d", i), address(1), false)
		}
		come("a", address(2), false)
		come("b 0", address(3), false)
		come("b 1", address(3), false)
	})
	if want := []string{"many 0", "a", "b 0", "many 1", "b 1", "many 2", "many 3", "many 4"}; !slices.Equal(served, want) {
		t.Errorf("served were %q, want %q", served, want)
	}
}

func (l *line) waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.begun.Len()
	for _, alike := range l.fresh {
		n += alike.Len()
	}
	return n
}

// Whose turn comes when its client has given up is not computed for.
func TestNothingIsComputedTooLate(t *testing.T) {
	p := listen(t, func(c *Config) {
		c.Line = time.Nanosecond
		c.TLS.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
			t.Error("a handshake is computed")
			return nil, nil
		}
	})
	if conn, err := p.shake("127.0.0.2", "a"); err == nil {
		cut(t, conn)
	}
	eventually(t, "it is forgotten", func() bool { return p.guests.waiting() == 0 })
}

// The time in line is none of a client's own: it has all of its time to shake hands still. Nor is what it has said read before its turn, or lost.
func TestTimeInLineDoesNotCount(t *testing.T) {
	p := listen(t, func(c *Config) { c.AtOnce = 1 })
	address := netip.Prefix{}
	p.line.take(address, false)
	ended := make(chan error, 1)
	go func() {
		_, err := p.shake("127.0.0.2", "a")
		ended <- err
	}()
	var g *guest
	eventually(t, "it waits in line", func() bool {
		if all := p.guests.shaking(); len(all) == 1 && p.line.waiting() == 1 {
			g = all[0]
			return true
		}
		return false
	})
	if n := unread(t, g); n == 0 {
		t.Error("it is read before its turn")
	}
	before := g.until.Load()
	computes := time.Now().Add(p.Handshake).UnixNano()
	p.TLS.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		if until := g.until.Load(); until <= before || until < computes {
			t.Errorf("it has until %d, as when it came, %d", until, before)
		}
		return nil, nil
	}
	p.line.give()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// unread is how much waits in the kernel.
func unread(t *testing.T, g *guest) (n int) {
	t.Helper()
	raw, err := g.Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { n, _, err = syscall.Recvfrom(int(fd), make([]byte, 1<<16), syscall.MSG_PEEK) }); err != nil {
		t.Fatal(err)
	}
	return n
}
