package process

import (
	"fmt"
	"syscall"
)

// soReusePort is SO_REUSEPORT, which package syscall lacks on some architectures.
const soReusePort = 0xf

// Attr puts a child in a process group of its own, so that Ctrl-C reaches only us and we stop
// children in order, and has the kernel kill it when the thread that started it ends: with our death,
// however sudden, at the latest. See Process.run, which keeps that thread.
func Attr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// Port is a TCP port of this machine, on all of its addresses, that is ours until Release.
//
// It is held by a socket that is bound but does not listen, with SO_REUSEPORT: no other program is given
// the port, a server of ours that sets SO_REUSEPORT too can listen on it, and connections are refused
// while none does. So a stopped API server gets its port back, and programs that start at the same time
// never race for one.
type Port struct {
	Number int
	fd     int
}

// ReservePort reserves a free port, chosen by the kernel.
func ReservePort() (Port, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return Port{}, fmt.Errorf("reserve a port: %w", err)
	}
	number, err := bindAny(fd)
	if err != nil {
		syscall.Close(fd)
		return Port{}, fmt.Errorf("reserve a port: %w", err)
	}
	return Port{Number: number, fd: fd}, nil
}

// bindAny binds to all addresses: some API servers listen on all, and a port may be free on one and taken on others.
func bindAny(fd int) (int, error) {
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, soReusePort, 1); err != nil {
		return 0, err
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{}); err != nil {
		return 0, err
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		return 0, err
	}
	return name.(*syscall.SockaddrInet4).Port, nil
}

// Release gives the port back. It is called once, after the server that used it has exited.
func (p Port) Release() { syscall.Close(p.fd) }
