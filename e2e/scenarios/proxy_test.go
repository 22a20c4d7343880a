package scenarios

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/yardarm-dev/yardarm/e2e/fleet"
)

// A spoke whose only way out is a proxy: the hub's name does not even resolve where it runs.
func TestSpokeBehindAProxy(t *testing.T) {
	t.Parallel()
	const name = "hub.example:7444"
	w := newWorld(t, "--address", "hub.example", "--spoke-address", name)
	p := &proxy{to: w.hub.SpokeAddress()}
	server := httptest.NewServer(p)
	t.Cleanup(func() {
		server.Close()
		p.tunnels.Wait()
	})
	s := w.spokeAs(tokyo, tokyo, func(c *fleet.SpokeConfig) {
		c.Hub = name
		c.Env = []string{"HTTPS_PROXY=" + server.URL}
	})
	w.must(s.Enrol(w.ctx, w.cli, tokyo, "test=yes"))
	w.do("wait", "cluster/"+tokyo, "--for", "connected", "--timeout", patience.String())
	w.group("all")
	w.ready("web", w.publish("web", "all", namespace, settings("one", "1")))
	w.holds("one", "value", "1", tokyo)
	asked := p.seen()
	if len(asked) < 2 {
		t.Errorf("the proxy was asked for %v, want once to enrol and once to stream", asked)
	}
	for _, target := range asked {
		if target != name {
			t.Errorf("the proxy was asked for %s", target)
		}
	}
	w.must(s.Stop()) // tunnels end with it
}

// proxy carries every CONNECT to one place, as if it knew all names.
type proxy struct {
	to      string
	tunnels sync.WaitGroup

	mu    sync.Mutex
	asked []string
}

func (p *proxy) seen() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.asked...)
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		http.Error(w, "CONNECT only", http.StatusMethodNotAllowed)
		return
	}
	p.mu.Lock()
	p.asked = append(p.asked, r.Host)
	p.mu.Unlock()
	far, err := net.Dial("tcp", p.to)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	near, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		far.Close()
		return
	}
	fmt.Fprint(near, "HTTP/1.1 200 OK\r\n\r\n")
	p.tunnels.Go(func() {
		defer far.Close()
		_, _ = io.Copy(far, buffered)
	})
	p.tunnels.Go(func() {
		defer near.Close()
		_, _ = io.Copy(near, far)
	})
}
