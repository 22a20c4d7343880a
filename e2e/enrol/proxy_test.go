package enrol

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/yardarm-dev/yardarm/spoke/enroll"
)

// Set in the process that is the spoke behind the proxy. A process reads the proxy's variables once, so the test's own cannot change them.
const (
	envToken   = "YARDARM_TEST_TOKEN"
	envAddress = "YARDARM_TEST_ADDRESS"
	envDir     = "YARDARM_TEST_DIR"
)

// TestSpokeBehindAProxy enrols and renews from where the hub's name does not even resolve: HTTPS_PROXY is the only way out.
func TestSpokeBehindAProxy(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	h := &hub{t: t, net: newNetwork(), dir: t.TempDir(), address: "hub.example:" + port, listener: listener, life: time.Hour, log: &record{}}
	h.start()
	defer h.stop()

	proxy := &proxy{to: listener.Addr().String()}
	proxyListener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: proxy}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(proxyListener)
	}()
	defer func() {
		server.Close()
		<-served
		proxy.tunnels.Wait()
	}()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, os.Args[0])
	through := "http://" + proxyListener.Addr().String()
	command.Env = append(os.Environ(), envToken+"="+h.token("prod-1", "uid-1"), envAddress+"="+h.address, envDir+"="+t.TempDir(),
		"HTTPS_PROXY="+through, "https_proxy="+through, "NO_PROXY=", "no_proxy=")
	output, err := command.CombinedOutput()
	if err != nil || !strings.Contains(string(output), "enrolled as prod-1 and renewed") {
		t.Fatalf("%v\n%s", err, output)
	}
	asked := proxy.seen()
	if len(asked) < 2 {
		t.Fatalf("the proxy was asked for %v, want once to enrol and once to renew", asked)
	}
	for _, target := range asked {
		if target != h.address {
			t.Errorf("the proxy was asked for %s", target)
		}
	}
}

// behindAProxy is the spoke of TestSpokeBehindAProxy, in a process of its own; see TestMain.
func behindAProxy() error {
	keep, err := enroll.OpenDir(os.Getenv(envDir))
	if err != nil {
		return err
	}
	defer keep.Close()
	identity, err := enroll.New(enroll.Config{
		Keep: keep, HubAddresses: []string{os.Getenv(envAddress)}, Token: os.Getenv(envToken), KubeUID: "kube-1", Version: "test",
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := identity.Ensure(ctx); err != nil {
		return err
	}
	<-identity.Changed()
	identity.RenewNow()
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- identity.Run(running) }()
	select {
	case <-identity.Changed():
	case <-ctx.Done():
		err = errors.New("not renewed in time")
	}
	stop()
	if err := errors.Join(err, <-done); err != nil {
		return err
	}
	name, _ := identity.Cluster()
	fmt.Printf("enrolled as %s and renewed\n", name)
	return nil
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
