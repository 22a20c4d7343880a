//go:build amd64 || arm64

package render

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

// probeName is what this program is called, in place of its own name, when it is to try what a process that renders must not do.
const probeName = "yardarm-probe"

func init() {
	if os.Args[0] == probeName {
		os.Exit(probe())
	}
}

// probe confines this process, and says what the kernel does not keep it from.
func probe() int {
	if err := confine(Limits{}.withDefaults()); err != nil {
		fmt.Println(err)
	}
	for what, try := range map[string]func() error{
		"read a file":        func() error { _, err := os.Open("/proc/self/exe"); return err },
		"make a directory":   func() error { return os.Mkdir("/proc/probe", 0o700) },
		"connect":            func() error { _, err := net.Dial("tcp", "127.0.0.1:9"); return err },
		"send":               func() error { _, err := net.Dial("udp", "127.0.0.1:9"); return err },
		"listen":             func() error { _, err := net.Listen("unix", "@"+probeName); return err },
		"start a program":    func() error { _, err := os.StartProcess("/bin/true", []string{"true"}, &os.ProcAttr{}); return err },
		"signal its starter": func() error { return syscall.Kill(os.Getppid(), 0) },
	} {
		if err := try(); !errors.Is(err, syscall.EPERM) {
			fmt.Printf("it may %s: %v\n", what, err)
		}
	}
	for _, setting := range os.Environ() {
		name, _, _ := strings.Cut(setting, "=") // what it holds is nothing for a log
		fmt.Println("its environment has", name)
	}
	return 0
}

// A process that renders has no files, no network, no other programs, and no environment, whatever it is brought to do.
func TestConfined(t *testing.T) {
	t.Setenv("SECRET", "of the hub")
	cmd, err := command(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cmd.Args = []string{probeName}
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}
