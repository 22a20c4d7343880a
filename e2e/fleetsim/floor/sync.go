// Package floor measures what the machine can do without Yardarm, in the same run: syncs of its disk, TLS handshakes, and a
// bare gRPC server that sends one message to many streams and takes an answer from each. Yardarm's figures are to be read as
// ratios to these, since machines differ and so do their hours.
package floor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	syncPage  = 4 << 10 // bytes: a page of the database
	syncPages = 1024    // written over in turn
)

// Syncs answers how many times a second 4 KiB are written over and synced, one after the other, in a folder.
func Syncs(dir string, during time.Duration) (perSecond float64, err error) {
	f, err := os.Create(filepath.Join(dir, "floor"))
	if err != nil {
		return 0, fmt.Errorf("measure syncs: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	page := make([]byte, syncPage)
	for i := range syncPages {
		if _, err := f.WriteAt(page, int64(i*syncPage)); err != nil {
			return 0, fmt.Errorf("measure syncs: %w", err)
		}
	}
	if err := f.Sync(); err != nil {
		return 0, fmt.Errorf("measure syncs: %w", err)
	}
	began := time.Now()
	n := 0
	for ; time.Since(began) < during; n++ {
		if _, err := f.WriteAt(page, int64(n*7%syncPages*syncPage)); err != nil {
			return 0, fmt.Errorf("measure syncs: %w", err)
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return 0, fmt.Errorf("measure syncs: %w", err)
		}
	}
	return float64(n) / time.Since(began).Seconds(), nil
}
