//go:build unix

package enroll

import (
	"errors"
	"os"
	"syscall"
)

// lock takes the file for this process, without waiting. The system lets go of it when the file is closed or the process ends.
func lock(file *os.File) error {
	err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrClaimed
	}
	return err
}
