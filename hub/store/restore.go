package store

import (
	"crypto/rand"
	"errors"
	"io"
	"time"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// RestoreConfig says what to restore where.
type RestoreConfig struct {
	// Source is the backup's file.
	Source string
	// Dir is the data directory; it is made if it does not exist. No hub may run on it.
	Dir string
	// Force replaces a database that is there. It is kept aside, under the name that Restored says.
	Force bool
	// Clock gives the time of the new epoch. Default: time.Now.
	Clock func() time.Time
	// Rand gives the randomness of the new epoch. Default: crypto/rand.
	Rand io.Reader
}

// Restored says what a restore has brought back.
type Restored struct {
	// Meta is the row about the database itself as it is now: with the new epoch.
	Meta *storev1.Meta
	// BackupTime is when the backup was made, and BackupIndex the newest update in it.
	BackupTime  time.Time
	BackupIndex uint64
	Clusters    int
	Groups      int
	Bundles     int
	// Banned are the names of clusters that are banned in the backup, sorted. Bans that are newer than the backup are lost: whoever restores has to compare.
	Banned []string
	// Replaced is where the former database is kept; empty if there was none.
	Replaced string
}

// ErrExists says that there is a database where one was to be restored.
var ErrExists = errors.New("there is a database already")

// Restore makes a database from a backup. It checks the whole of the backup first, begins a new epoch, which is later than all that the backup and a replaced
// database know of, and notes where the backup's own epoch ends.
func Restore(config RestoreConfig) (*Restored, error) {
	if config.Clock == nil {
		config.Clock = time.Now
	}
	if config.Rand == nil {
		config.Rand = rand.Reader
	}
	return nil, errors.New("not yet")
}
