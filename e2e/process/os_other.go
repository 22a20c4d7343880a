//go:build !linux

package process

import (
	"fmt"
	"net"
	"syscall"
)

// Attr puts a child in a process group of its own. Elsewhere than on Linux a child outlives a parent
// that is killed; one that calls Stop leaves nothing.
func Attr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

// Port is a TCP port of this machine that was free a moment ago. See os_linux.go for what it is there.
type Port struct{ Number int }

// ReservePort finds a free port.
func ReservePort() (Port, error) {
	l, err := net.Listen("tcp4", ":0")
	if err != nil {
		return Port{}, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return Port{Number: l.Addr().(*net.TCPAddr).Port}, nil
}

func (p Port) Release() {}
