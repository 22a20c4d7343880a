package admission

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	grpccredentials "google.golang.org/grpc/credentials"

	"github.com/yardarm-dev/yardarm/pkg/certs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what is to come, on a machine that has much else to do.
const patience = 30 * time.Second

func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !check(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// certificate is one that a name signs for itself.
func certificate(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}
}

// port is a Listener on all of 127.0.0.0/8, and what came through it.
type port struct {
	*Listener
	t        *testing.T
	accepted chan net.Conn
}

func listen(t *testing.T, edit func(*Config)) *port {
	t.Helper()
	under, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	c := Config{
		Port: under, Name: "test", Logger: slog.New(slog.DiscardHandler),
		TLS: &tls.Config{Certificates: []tls.Certificate{certificate(t, "hub")}, ClientAuth: tls.RequestClientCert, NextProtos: []string{"h2"}},
		Who: func(state tls.ConnectionState) string {
			if len(state.PeerCertificates) == 0 {
				return ""
			}
			return state.PeerCertificates[0].Subject.CommonName
		},
	}
	if edit != nil {
		edit(&c)
	}
	l, err := Listen(c)
	if err != nil {
		t.Fatal(err)
	}
	p := &port{Listener: l, t: t, accepted: make(chan net.Conn, 100)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			p.accepted <- conn
		}
	}()
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		<-done
	})
	return p
}

// dial opens a connection from an address of this machine, and says nothing.
func (p *port) dial(from string) net.Conn {
	p.t.Helper()
	_, number, _ := net.SplitHostPort(p.Addr().String())
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
	conn, err := d.Dial("tcp", net.JoinHostPort("127.0.0.1", number))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { conn.Close() })
	return conn
}

// shake shakes hands as name, or as a stranger if that is empty.
func (p *port) shake(from, name string) (*tls.Conn, error) {
	config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}
	if name != "" {
		config.Certificates = []tls.Certificate{certificate(p.t, name)}
	}
	conn := tls.Client(p.dial(from), config)
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	return conn, conn.HandshakeContext(ctx)
}

func (p *port) mustShake(from, name string) *tls.Conn {
	p.t.Helper()
	conn, err := p.shake(from, name)
	if err != nil {
		p.t.Fatal(err)
	}
	return conn
}

// next answers the next connection that was handed on.
func (p *port) next() net.Conn {
	p.t.Helper()
	select {
	case conn := <-p.accepted:
		return conn
	case <-time.After(patience):
		p.t.Fatal("no connection is handed on")
	}
	return nil
}

// cut fails unless the other side closes the connection, and answers after how long.
func cut(t *testing.T, conn net.Conn) time.Duration {
	t.Helper()
	began := time.Now()
	if err := conn.SetReadDeadline(began.Add(patience)); err != nil {
		t.Fatal(err)
	}
	_, err := io.Copy(io.Discard, conn)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Fatal("the connection is still there")
	}
	return time.Since(began)
}

// works fails unless a byte comes through.
func works(t *testing.T, client, server net.Conn) {
	t.Helper()
	if _, err := client.Write([]byte{7}); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	if _, err := io.ReadFull(server, b); err != nil {
		t.Fatal(err)
	}
}

func TestWhoShakesHandsIsHandedOn(t *testing.T) {
	p := listen(t, nil)
	client := p.mustShake("127.0.0.2", "a")
	server := p.next()
	works(t, client, server)
	if n := p.guests.waiting(); n != 0 {
		t.Errorf("%d strangers, though it is known who it is", n)
	}
	server.Close()
	if n := len(p.guests.known); n != 0 {
		t.Errorf("%d are remembered after they have gone", n)
	}
}

// What never shows who it is, in whichever way, is gone after a while, and is handed on to nobody.
func TestSilenceAndGarbageAreCut(t *testing.T) {
	const handshake = 200 * time.Millisecond
	for name, say := range map[string][]byte{
		"nothing":                         nil,
		"garbage":                         []byte("GET / HTTP/1.1\r\n\r\n"),
		"a record that never ends":        {22, 3, 1, 2, 0, 1},
		"a record longer than TLS allows": {22, 3, 1, 255, 255},
	} {
		t.Run(name, func(t *testing.T) {
			p := listen(t, func(c *Config) { c.Handshake = handshake })
			conn := p.dial("127.0.0.2")
			if _, err := conn.Write(say); err != nil {
				t.Fatal(err)
			}
			cut(t, conn)
			eventually(t, "it is forgotten", func() bool { return p.guests.waiting() == 0 })
			select {
			case <-p.accepted:
				t.Error("it was handed on")
			default:
			}
		})
	}
}

// A stranger's time is bounded however long the server would let it stay, and one who is known has no bound.
func TestStrangersDoNotStay(t *testing.T) {
	p := listen(t, func(c *Config) { c.Stranger = 300 * time.Millisecond })
	known, server := p.mustShake("127.0.0.2", "a"), p.next()
	stranger, strangersServer := p.mustShake("127.0.0.2", ""), p.next()
	works(t, stranger, strangersServer)
	if p.guests.waiting() != 1 {
		t.Error("a stranger that was handed on counts as none")
	}
	go func() {
		_ = strangersServer.SetDeadline(time.Time{}) // as gRPC does
		_, _ = io.Copy(io.Discard, strangersServer)
		strangersServer.Close()
	}()
	cut(t, stranger)
	eventually(t, "it is forgotten", func() bool { return p.guests.waiting() == 0 })
	works(t, known, server)
}

// One address cannot take the room: others get in though it is full, and who of it has been silent longest goes.
func TestOneAddressCannotTakeTheRoom(t *testing.T) {
	p := listen(t, func(c *Config) { c.Room = 8 })
	var rude []net.Conn
	for range 8 {
		rude = append(rude, p.dial("127.0.0.66"))
	}
	eventually(t, "the room is full", func() bool { return p.guests.waiting() == 8 })
	p.dial("127.0.0.66")
	cut(t, rude[0])
	works(t, p.mustShake("127.0.0.2", "a"), p.next())
	cut(t, rude[1])
	works(t, p.mustShake("127.0.0.3", "b"), p.next())
	if n := p.guests.waiting(); n != 7 {
		t.Errorf("%d strangers are left, want 7", n)
	}
}

// Behind a balancer all have one address. Regression: whoever kept the room full of connections on which it said nothing kept out all
// who came after it.
func TestSilentOnesKeepNobodyOutOfTheirAddress(t *testing.T) {
	const balancer = "127.0.0.66"
	p := listen(t, func(c *Config) { c.Room = 8 })
	for round := range 4 {
		for range 8 {
			p.dial(balancer)
		}
		eventually(t, "the room is full", func() bool { return p.guests.waiting() == 8 })
		works(t, p.mustShake(balancer, fmt.Sprint("spoke-", round)), p.next())
	}
	works(t, p.mustShake(balancer, ""), p.next()) // one that comes to enrol
}

// Who has said its part and waits in line is not pushed out by those who come later: its turn is near.
func TestLineIsKept(t *testing.T) {
	s := newGuests(4, 1)
	now := time.Now()
	s.now = func() time.Time { return now }
	come := func() (g, out *guest) {
		g = &guest{Conn: addressed{netip.AddrFrom4([4]byte{127, 0, 0, 1})}}
		return g, s.enter(g)
	}
	var all []*guest
	for range 4 {
		g, _ := come()
		s.heard(g)
		all = append(all, g)
	}
	if g, out := come(); out != g {
		t.Error("one who waits in line is pushed out")
	}
	for _, i := range []int{1, 0} {
		all[i].answered = true
		s.awaits(all[i]) // to go on
	}
	if g, out := come(); out != g {
		t.Error("one who has just been answered is pushed out, and what was computed for it lost")
	}
	now = now.Add(2 * answerGrace)
	silent, out := come()
	if out != all[1] {
		t.Error("not the longest awaited is pushed out")
	}
	if _, out := come(); out != silent {
		t.Error("a silent one is not pushed out before those who were answered")
	}
	other := &guest{Conn: addressed{netip.AddrFrom4([4]byte{127, 0, 0, 2})}}
	if out := s.enter(other); out.since != now {
		t.Error("another address does not push out a silent one")
	}
	s.heard(all[1]) // which is gone
	for _, g := range all {
		s.leave(g)
	}
	if n := s.waiting(); n != 1 {
		t.Errorf("%d strangers, want 1", n)
	}
}

// The same with handshakes: those that wait for a core are served, however many come behind them and say nothing.
func TestLineIsServedBeforeTheSilent(t *testing.T) {
	const balancer = "127.0.0.66"
	computes := make(chan struct{})
	compute := sync.OnceFunc(func() { close(computes) })
	p := listen(t, func(c *Config) {
		c.Room, c.AtOnce = 4, 1
		c.TLS.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { <-computes; return nil, nil }
	})
	t.Cleanup(compute)
	ended := make(chan error, 3)
	for i := range 3 {
		go func() {
			_, err := p.shake(balancer, fmt.Sprint("spoke-", i))
			ended <- err
		}()
	}
	eventually(t, "all wait in line", func() bool {
		p.guests.mu.Lock()
		defer p.guests.mu.Unlock()
		for _, q := range p.guests.strangers {
			return q.inLine.Len() == 3
		}
		return false
	})
	for range 8 {
		p.dial(balancer)
	}
	compute()
	for range 3 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// A call can show who it is where the handshake did not, and makes room.
func TestIntroduce(t *testing.T) {
	p := listen(t, func(c *Config) { c.Who, c.Each = nil, 2 })
	var clients []net.Conn
	for i := range 3 {
		clients = append(clients, p.mustShake("127.0.0.2", ""))
		server := p.next()
		Introduce(server, func() string { return "" })
		if n := p.guests.waiting(); n != 1 {
			t.Fatalf("%d strangers, one of whom has shown nothing", n)
		}
		Introduce(server, func() string { return "a" })
		Introduce(server, func() string { t.Error("asked again"); return "b" })
		if n := p.guests.waiting(); n != 0 {
			t.Errorf("%d strangers, though it is known who number %d is", n, i)
		}
	}
	cut(t, clients[0])
	Introduce(clients[1], func() string { t.Error("asked of a connection of no listener"); return "" })
}

func TestRoom(t *testing.T) {
	// Each letter is an address; what is left of the room is listed as it stands after all have come.
	for _, c := range []struct{ name, come, stay string }{
		{"room for all", "aab", "aab"},
		{"one address", "aaaaaa", "aaaa"},
		{"another gets in", "aaaab", "aaab"},
		{"up to as many", "aaaabb", "aabb"},
		{"and no more", "aaaabbb", "aabb"},
		{"alike are not pushed out", "abcde", "abcd"},
		{"the fullest gives way", "aaabc", "aabc"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newGuests(4, 1)
			in := map[*guest]byte{}
			for _, from := range []byte(c.come) {
				g := &guest{Conn: addressed{netip.AddrFrom4([4]byte{127, 0, 0, from})}}
				in[g] = from
				if out := s.enter(g); out != nil {
					delete(in, out)
				}
			}
			counts := map[byte]int{}
			for _, from := range in {
				counts[from]++
			}
			for _, from := range []byte(c.stay) {
				counts[from]--
			}
			for from, n := range counts {
				if n != 0 {
					t.Errorf("%c has %+d", from, n)
				}
			}
			if s.waiting() != len(c.stay) {
				t.Errorf("%d strangers, want %d", s.waiting(), len(c.stay))
			}
			for g := range in {
				s.leave(g)
			}
			if s.count != 0 || len(s.strangers) != 0 {
				t.Errorf("%d strangers of %d addresses are left", s.count, len(s.strangers))
			}
		})
	}
}

type addressed struct{ addr netip.Addr }

func (a addressed) Read([]byte) (int, error)  { return 0, io.EOF }
func (a addressed) Write([]byte) (int, error) { return 0, io.EOF }
func (a addressed) Close() error              { return nil }
func (a addressed) LocalAddr() net.Addr       { return nil }
func (a addressed) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(a.addr, 1))
}
func (a addressed) SetDeadline(time.Time) error      { return nil }
func (a addressed) SetReadDeadline(time.Time) error  { return nil }
func (a addressed) SetWriteDeadline(time.Time) error { return nil }

func TestAddress(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.7":            "192.0.2.7/32",
		"::ffff:192.0.2.7":     "192.0.2.7/32",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"fe80::1%eth0":         "fe80::/64",
	} {
		g := &guest{Conn: addressed{netip.MustParseAddr(addr)}}
		if got := g.address().String(); got != want {
			t.Errorf("%s counts as %s, want %s", addr, got, want)
		}
	}
}

// Who has many connections keeps the newest.
func TestNewestConnectionsOfOneStay(t *testing.T) {
	p := listen(t, func(c *Config) { c.Each = 2 })
	first := p.mustShake("127.0.0.2", "a")
	p.next()
	other, othersServer := p.mustShake("127.0.0.2", "b"), p.next()
	second, secondsServer := p.mustShake("127.0.0.3", "a"), p.next()
	third, thirdsServer := p.mustShake("127.0.0.4", "a"), p.next()
	cut(t, first)
	works(t, second, secondsServer)
	works(t, third, thirdsServer)
	works(t, other, othersServer)
}

// A client that is awaited takes no core from others.
func TestSlowClientsHoldUpNobody(t *testing.T) {
	p := listen(t, func(c *Config) { c.AtOnce = 1 })
	config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}
	for range 4 {
		// It says hello and then reads nothing and says nothing.
		slow := tls.Client(&mute{Conn: p.dial("127.0.0.5"), left: 1}, config)
		go func() { _ = slow.Handshake() }()
	}
	// And one that has said not all of it.
	if _, err := p.dial("127.0.0.5").Write([]byte{22, 3, 1, 2, 0, 1}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all are there", func() bool { return p.guests.waiting() == 5 })
	works(t, p.mustShake("127.0.0.2", "a"), p.next())
}

// mute says no more than left times.
type mute struct {
	net.Conn
	left int
}

func (m *mute) Write(b []byte) (int, error) {
	if m.left--; m.left < 0 {
		return len(b), nil
	}
	return m.Conn.Write(b)
}

// No more handshakes compute at a time than may: counted where each computes, in the choice of a configuration.
func TestHandshakesAtOnceAreBounded(t *testing.T) {
	computing := make(chan struct{}, 100)
	p := listen(t, func(c *Config) {
		c.AtOnce = 2
		c.TLS.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
			computing <- struct{}{}
			if n := len(computing); n > 2 {
				t.Errorf("%d compute at a time", n)
			}
			time.Sleep(5 * time.Millisecond) // long enough for others to get there, if they could
			<-computing
			return nil, nil
		}
	})
	ended := make(chan error, 12)
	for range 12 {
		go func() {
			_, err := p.shake("127.0.0.2", "")
			ended <- err
		}()
	}
	for range 12 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// gRPC gets what has shaken hands by a Listener, for HTTP/2, and nothing else.
func TestCredentials(t *testing.T) {
	p := listen(t, nil)
	credentials := Credentials(p.TLS)
	p.mustShake("127.0.0.2", "a")
	_, info, err := credentials.ServerHandshake(p.next())
	if err != nil {
		t.Fatal(err)
	}
	if who := info.(grpccredentials.TLSInfo).State.PeerCertificates[0].Subject.CommonName; who != "a" {
		t.Errorf("gRPC knows it as %q", who)
	}
	other := tls.Client(p.dial("127.0.0.2"), &tls.Config{InsecureSkipVerify: true})
	if err := other.Handshake(); err != nil {
		t.Fatal(err)
	}
	for name, conn := range map[string]net.Conn{"no protocol was agreed on": p.next(), "a connection without TLS": p.dial("127.0.0.2")} {
		if _, _, err := credentials.ServerHandshake(conn); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// Close ends what has not been handed on, at once, and leaves the rest.
func TestClose(t *testing.T) {
	p := listen(t, nil)
	client, server := p.mustShake("127.0.0.2", ""), p.next()
	silent := p.dial("127.0.0.3")
	eventually(t, "it is there", func() bool { return p.guests.waiting() == 2 })
	began := time.Now()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if d := time.Since(began); d > defaultHandshake/2 {
		t.Errorf("closing took %s", d)
	}
	cut(t, silent)
	works(t, client, server)
	if _, err := p.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept answers %v", err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	if _, err := Listen(Config{}); err == nil {
		t.Error("a listener of nothing")
	}
}

// A certificate that is refused is told of, with whence it came; other handshakes that fail are no news.
func TestRefusedCertificatesAreTold(t *testing.T) {
	var log bytes.Buffer
	p := listen(t, func(c *Config) {
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
		c.TLS.VerifyConnection = func(state tls.ConnectionState) error {
			return fmt.Errorf("%w: of another fleet", certs.ErrRefused)
		}
	})
	if _, err := p.dial("127.0.0.9").Write([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	conn, err := p.shake("127.0.0.2", "a")
	if err == nil {
		cut(t, conn)
	}
	eventually(t, "both are gone", func() bool { return p.guests.waiting() == 0 })
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "127.0.0.2:") || !strings.Contains(text, "of another fleet") {
		t.Errorf("the log says:\n%s", text)
	}
}
