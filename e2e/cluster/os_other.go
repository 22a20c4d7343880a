//go:build !linux

package cluster

import (
	"fmt"
	"net"
	"syscall"
)

// childAttr puts a child in a process group of its own. Elsewhere than on Linux a child outlives a parent
// that is killed; one that calls Stop leaves nothing.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

// port is a TCP port of 127.0.0.1 that was free a moment ago. See os_linux.go for what it is there.
type port struct{ Number int }

// reservePort finds a free port.
func reservePort() (port, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return port{}, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return port{Number: l.Addr().(*net.TCPAddr).Port}, nil
}

func (p port) release() {}
