package cli

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/yardarm-dev/yardarm/pkg/clientconfig"
	"github.com/yardarm-dev/yardarm/pkg/render"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) {
	render.Child()
	goleak.VerifyTestMain(m)
}

// hub is a fleet that is served over TLS, and a configuration file for it.
type hub struct {
	*fleet
	address string
	config  string
	t       *testing.T
}

func serve(t *testing.T, f *fleet) *hub {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	options := append(f.options(), grpc.Creds(credentials.NewServerTLSFromCert(&tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})))
	server := grpc.NewServer(options...)
	hubv1.RegisterFleetServiceServer(server, f)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // ends with Stop
	}()
	t.Cleanup(func() {
		server.Stop()
		<-done
	})
	h := &hub{t: t, fleet: f, address: listener.Addr().String(), config: filepath.Join(t.TempDir(), "config.yaml")}
	file := clientconfig.New()
	file.Put(clientconfig.Context{Name: "test", Server: "https://" + h.address, Token: testToken,
		CA: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))})
	if err := file.Save(h.config); err != nil {
		t.Fatal(err)
	}
	return h
}

// result is what a command has done.
type result struct {
	code     int
	out, err string
}

// invocation is a command line and its surroundings.
type invocation struct {
	args     []string
	in       string
	terminal bool // all three streams are one
	env      map[string]string
	ctx      context.Context
	timeUp   chan time.Time // ends waits when it is closed
}

func (h *hub) run(t *testing.T, args ...string) result {
	t.Helper()
	return h.invoke(t, invocation{args: args})
}

func (h *hub) invoke(t *testing.T, inv invocation) result {
	t.Helper()
	var out, errs buffer
	code := h.start(t, inv, &out, &errs)
	mask := strings.NewReplacer(h.address, "HUB", h.config, "CONFIG")
	return result{code, mask.Replace(out.String()), mask.Replace(errs.String())}
}

func (h *hub) start(t *testing.T, inv invocation, out, errs *buffer) int {
	t.Helper()
	ctx := inv.ctx
	if ctx == nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
	}
	return Run(ctx, IO{
		In: strings.NewReader(inv.in), Out: out, Err: errs,
		InTerminal: inv.terminal, OutTerminal: inv.terminal, ErrTerminal: inv.terminal,
		Width: func() int { return 200 },
		Now:   func() time.Time { return testTime },
		After: func(time.Duration) <-chan time.Time { return inv.timeUp },
		Getenv: func(name string) string {
			if value, ok := inv.env[name]; ok {
				return value
			}
			return map[string]string{clientconfig.EnvPath: h.config}[name]
		},
	}, inv.args)
}

// buffer collects what a running command writes.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// running is a command that goes on.
type running struct {
	out, err buffer
	cancel   context.CancelCauseFunc
	timeUp   chan time.Time
	done     chan int
}

// background starts a command; the test ends it with interrupt, or waits until it has ended.
func (h *hub) background(t *testing.T, inv invocation) *running {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	r := &running{cancel: cancel, timeUp: make(chan time.Time), done: make(chan int, 1)}
	inv.ctx, inv.timeUp = ctx, r.timeUp
	go func() { r.done <- h.start(t, inv, &r.out, &r.err) }()
	t.Cleanup(func() { cancel(nil) })
	return r
}

func (r *running) interrupt() { r.cancel(errInterrupted) }

// endTime is what happens when the time of a wait is up.
func (r *running) endTime() { close(r.timeUp) }

// wait returns the exit code.
func (r *running) wait(t *testing.T) int {
	t.Helper()
	select {
	case code := <-r.done:
		return code
	case <-time.After(20 * time.Second):
		t.Fatalf("still running\n%s\n%s", r.out.String(), r.err.String())
		return 0
	}
}

// until waits for a condition.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		time.Sleep(5 * time.Millisecond) // between looks at the condition
	}
}

// golden compares a text with a file in testdata, or writes it there with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (-update writes it)\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

// transcript is a command with all that it has written.
func transcript(args []string, r result) string {
	var b strings.Builder
	quoted := make([]string, len(args))
	for i, arg := range args {
		quoted[i] = arg
		if strings.ContainsAny(arg, " ()") {
			quoted[i] = "'" + arg + "'"
		}
	}
	fmt.Fprintf(&b, "$ yardarm %s\n%s", strings.Join(quoted, " "), r.out)
	for line := range strings.Lines(r.err) {
		b.WriteString("! " + line)
	}
	fmt.Fprintf(&b, "[exit %d]\n", r.code)
	return b.String()
}
