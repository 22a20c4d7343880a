//go:build unix

package clientconfig

import (
	"os"
	"syscall"
)

// lock waits for the lock of a file.
func lock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX) }
