package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// lockName is the file whose lock says that the data directory is in use. Its content says by whom; it is left behind and means nothing without the lock.
	lockName = "hub.lock"
	// maxHolder bounds what is read of that content, in bytes.
	maxHolder = 256
)

// lock takes the data directory for this process, and makes it if there is none. The error is an [*InUseError] if another one has it, or this one
// has it already.
func lock(dir string, now time.Time) (unlock func(), err error) {
	if dir == "" {
		return nil, errors.New("no data directory is given")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, &InUseError{Dir: dir, Holder: readHolder(file)}
		}
		return nil, fmt.Errorf("lock data directory %s: %w", dir, err)
	}
	// The note helps people and decides nothing: a full disk must not keep the hub from starting.
	host, _ := os.Hostname()
	note := fmt.Sprintf("process %d on host %s since %s\n", os.Getpid(), host, now.UTC().Format(time.RFC3339))
	if file.Truncate(0) == nil {
		_, _ = file.WriteAt([]byte(note), 0)
	}
	return func() { file.Close() }, nil // closing ends the lock
}

func readHolder(file *os.File) string {
	note := make([]byte, maxHolder)
	n, _ := file.ReadAt(note, 0)
	line, _, _ := strings.Cut(string(note[:n]), "\n")
	return line
}
