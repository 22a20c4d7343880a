package scenarios

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/yardarm-dev/yardarm/e2e/fleet"
)

// The CA is replaced while the fleet is connected. Who was away keeps the old one from being retired, and is named.
func TestCAIsReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrol(lisbon, tokyo)
	w.group("all")
	w.ready("web", w.publish("web", "all", namespace, settings("one", "1")))
	w.must(w.spokes[tokyo].Stop())
	w.presence(tokyo, "Stale")
	admin, err := os.ReadFile(w.hub.AdminConfig())
	w.must(err)
	old := w.ca("show", "--pem")

	w.ca("rotate")
	w.eventually("lisbon has what it needs of the new CA", func() error {
		if out := w.ca("show"); strings.Contains(out, lisbon) || !strings.Contains(out, "1 clusters need the old one still") {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
	if r := w.hub.Run(w.ctx, "ca", "retire", "--data-dir", w.hub.DataDir()); r.ExitCode == 0 || !strings.Contains(r.Stderr, tokyo+": its spoke has not been heard since") || strings.Contains(r.Stderr, lisbon) {
		t.Errorf("retiring: %v\n%s", r.Err(), r.Stderr)
	}
	// It comes back to a hub that it knows, which tells it.
	w.must(w.hub.Kill())
	w.must(w.hub.Start(w.ctx))
	w.must(w.spokes[tokyo].Start(w.ctx, ""))
	w.eventually("all have what they need of the new CA", func() error {
		if out := w.ca("show"); !strings.Contains(out, "can be retired") {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
	w.ca("retire")

	if now := w.ca("show", "--pem"); now == old || strings.Contains(now, old) || strings.Count(now, "BEGIN CERTIFICATE") != 1 {
		t.Errorf("what is trusted is\n%s, and was\n%s", now, old)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(old))
	if c, err := tls.Dial("tcp", w.hub.SpokeAddress(), &tls.Config{RootCAs: pool}); err == nil {
		c.Close()
		t.Error("the hub is known by the old CA still")
	}
	w.ready("web", w.republish("web", namespace, settings("one", "2"))) // by the local administrator's file, which knows the new one alone
	w.must(w.hub.Kill())
	w.must(w.hub.Start(w.ctx))
	for _, name := range []string{lisbon, tokyo} {
		w.do("wait", "cluster/"+name, "--for", "connected", "--timeout", patience.String())
	}
	w.must(w.spokes[tokyo].Stop())
	w.must(w.spokes[tokyo].Start(w.ctx, ""))
	w.ready("web", w.republish("web", namespace, settings("one", "3")))
	w.holds("one", "value", "3", lisbon, tokyo)
	// A file of before is of no use any more.
	w.must(os.WriteFile(w.hub.AdminConfig()+".old", admin, 0o600))
	before := fleet.CLI{Programs: programs, Config: w.hub.AdminConfig() + ".old"}
	w.said(before.Run(w.ctx, "status"), 2, "not signed by the CA of the context")
}

// ca runs yardarm-hub ca, which has to succeed.
func (w *world) ca(step string, flags ...string) string {
	w.t.Helper()
	r := w.hub.Run(w.ctx, append([]string{"ca", step, "--data-dir", w.hub.DataDir()}, flags...)...)
	w.must(r.Err())
	return r.Stdout
}

// The hub gets another address. Spokes hear of it while the old one is there, and are found at the new one when it is gone.
func TestHubMoves(t *testing.T) {
	t.Parallel()
	door, err := newDoor()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(door.close)
	w := newWorld(t, "--spoke-address", door.address())
	door.lead(w.hub.SpokeAddress())
	s := w.spokeAs(lisbon, lisbon, func(c *fleet.SpokeConfig) { c.Hub = door.address() })
	w.must(s.Enrol(w.ctx, w.cli, lisbon, "test=yes"))
	w.group("all")
	w.ready("web", w.publish("web", "all", namespace, settings("one", "1")))

	w.must(w.hub.Stop())
	// Reached by both, as who moves it is told to: its certificate is for both, too.
	w.hub.SetFlags("--reconnect-grace", "1s", "--spoke-address", w.hub.SpokeAddress(), "--spoke-address", door.address())
	w.must(w.hub.Start(w.ctx))
	w.do("wait", "cluster/"+lisbon, "--for", "connected", "--timeout", patience.String())
	connected := w.newLine(spokeLog(s), "connected to the hub", "hub="+w.hub.SpokeAddress())
	door.close()
	w.eventually("the spoke is at the new address", connected)
	w.ready("web", w.republish("web", namespace, settings("one", "2")))
	// It has kept the new one.
	w.must(s.Stop())
	connected = w.newLine(spokeLog(s), "connected to the hub", "hub="+w.hub.SpokeAddress())
	w.must(s.Start(w.ctx, ""))
	w.eventually("the spoke's next process is at the new address", connected)
}

// door is an address that passes on to another one.
type door struct {
	listener net.Listener
	once     sync.Once
	mu       sync.Mutex
	open     []net.Conn
	work     sync.WaitGroup
}

func newDoor() (*door, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return &door{listener: listener}, nil
}

// lead has it lead to an address from now on.
func (d *door) lead(to string) {
	d.work.Go(func() {
		for {
			near, err := d.listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			d.mu.Lock()
			d.open = append(d.open, near, far)
			d.mu.Unlock()
			for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
				d.work.Go(func() {
					defer way[0].Close()
					_, _ = io.Copy(way[0], way[1])
				})
			}
		}
	})
}

func (d *door) address() string { return d.listener.Addr().String() }

// close ends it and all that goes through it.
func (d *door) close() {
	d.once.Do(func() {
		d.listener.Close()
		d.mu.Lock()
		for _, c := range d.open {
			c.Close()
		}
		d.mu.Unlock()
		d.work.Wait()
	})
}
