package stream

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"

	"go.uber.org/goleak"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// proxy is an HTTP proxy that knows CONNECT, and the one name that nothing else resolves.
type proxy struct {
	listener net.Listener
	server   *http.Server
	tunnels  sync.WaitGroup

	mu    sync.Mutex
	to    map[string]string // address asked for → address dialled
	asked []string
}

// outside is the proxy of this process. A process reads HTTPS_PROXY once, so it is there from the start; who dials the
// loopback goes past it.
var outside *proxy

func TestMain(m *testing.M) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	outside = &proxy{listener: listener, to: map[string]string{}}
	outside.server = &http.Server{Handler: outside}
	served := make(chan struct{})
	go func() { defer close(served); _ = outside.server.Serve(listener) }()
	for _, name := range []string{"HTTPS_PROXY", "https_proxy"} {
		os.Setenv(name, "http://"+listener.Addr().String())
	}
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		os.Unsetenv(name)
	}
	code := m.Run()
	outside.server.Close()
	<-served
	outside.tunnels.Wait()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// know makes the proxy reach an address at another one.
func (p *proxy) know(address, at string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.to[address] = at
}

func (p *proxy) wasAsked(address string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Contains(p.asked, address)
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked = append(p.asked, r.Host)
	to := p.to[r.Host]
	p.mu.Unlock()
	if r.Method != http.MethodConnect || to == "" {
		http.Error(w, "no way there", http.StatusBadGateway)
		return
	}
	up, err := net.Dial("tcp", to)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	down, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		up.Close()
		return
	}
	p.tunnels.Add(2)
	end := sync.OnceFunc(func() { down.Close(); up.Close() })
	go func() { defer p.tunnels.Done(); defer end(); _, _ = io.Copy(up, buffered) }()
	go func() {
		defer p.tunnels.Done()
		defer end()
		if _, err := io.WriteString(down, "HTTP/1.1 200 Connection established\r\n\r\n"); err == nil {
			_, _ = io.Copy(down, up)
		}
	}()
}

// A spoke reaches its hub through HTTPS_PROXY, by a name that only the proxy can resolve, for the stream as for content.
func TestStreamThroughAProxy(t *testing.T) {
	h := newHub(t, nil)
	h.group("prod", prod, "")
	h.publish("web", text(100, "small"), "prod")
	h.publish("big", text(400_000, "large"), "prod")
	s := newSpoke(t, h, "edge-1", prod)
	_, port, err := net.SplitHostPort(h.address)
	if err != nil {
		t.Fatal(err)
	}
	name := net.JoinHostPort("hub.example", port)
	outside.know(name, h.address)
	s.id.dial(name)
	s.start()
	h.awaitPhase("edge-1", "web", yardarmv1.PhaseReady, 1)
	h.awaitPhase("edge-1", "big", yardarmv1.PhaseReady, 1)
	if !outside.wasAsked(name) {
		t.Error("not through the proxy")
	}
	if outside.wasAsked(h.address) {
		t.Error("the loopback is dialled through the proxy")
	}
}
