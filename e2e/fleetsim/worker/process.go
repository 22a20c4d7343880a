package worker

import (
	"errors"
	"fmt"
	"net"
	"net/rpc"
	"os"
	"path/filepath"
	"time"

	"github.com/yardarm-dev/yardarm/e2e/process"
)

const (
	// socketEnv tells a process that it is a worker, and where it is awaited.
	socketEnv = "FLEETSIM_WORKER"
	// startTimeout bounds how long a worker may take to dial.
	startTimeout = 30 * time.Second
	// crowdPercent is how much a worker with clients allocates before it collects, in percent of what is live. A spoke has a heap of its own, of a few MB, where a
	// collection is next to nothing; one of a worker goes over thousands of them, on the cores of the hub. Bare servers collect as any do.
	crowdPercent = 400
)

// Main serves the parent if this process is a worker, and then never returns. A program that starts workers calls it first.
func Main() {
	socket := os.Getenv(socketEnv)
	if socket == "" {
		return
	}
	if err := serve(socket); err != nil {
		fmt.Fprintln(os.Stderr, "fleetsim worker:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func serve(socket string) error {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	server := rpc.NewServer()
	for name, service := range map[string]any{"Spokes": &Spokes{}, "Floor": &Floor{}} {
		if err := server.RegisterName(name, service); err != nil {
			return err
		}
	}
	server.ServeConn(conn) // until the parent closes it
	return nil
}

// Worker is a process that does what it is told.
type Worker struct {
	process *process.Process
	rpc     *rpc.Client
}

// Start starts a worker whose socket and log are in a folder of its own.
func Start(dir string) (*Worker, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	// A path in the folder can be too long for a socket's address.
	sockets, err := os.MkdirTemp("", "fleetsim")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(sockets)
	socket := filepath.Join(sockets, "worker")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	p, err := process.Start(process.Program{Path: program, Dir: dir, Env: []string{socketEnv + "=" + socket}})
	if err != nil {
		return nil, err
	}
	if err := listener.SetDeadline(time.Now().Add(startTimeout)); err != nil {
		return nil, err
	}
	conn, err := listener.Accept()
	if err != nil {
		return nil, errors.Join(p.Fail(fmt.Errorf("a worker did not start: %w", err)), p.Kill())
	}
	return &Worker{process: p, rpc: rpc.NewClient(conn)}, nil
}

// PID is its process id.
func (w *Worker) PID() int { return w.process.PID() }

// call has the worker do something. If the process has ended, the error tells the end of its log.
func (w *Worker) call(method string, args, reply any) error {
	err := w.rpc.Call(method, args, reply)
	if err == nil {
		return nil
	}
	if errors.As(err, new(rpc.ServerError)) {
		return err
	}
	return w.process.Fail(err)
}

// Stop ends it.
func (w *Worker) Stop() error { return errors.Join(w.rpc.Close(), w.process.Kill()) }

// none is the argument or the answer of calls that have none: gob knows no empty struct.
type none = bool
