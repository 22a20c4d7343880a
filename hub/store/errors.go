package store

import (
	"errors"
	"fmt"
	"path/filepath"
)

var (
	// ErrReadOnly says that the store takes no changes now; [Store.ReadOnly] says why. Observed state is still taken.
	ErrReadOnly = errors.New("store is read-only")
	// ErrClosed says that the store has been closed.
	ErrClosed = errors.New("store is closed")
	// ErrNotFound says that there is no such content.
	ErrNotFound = errors.New("not found")
	// ErrNameTaken says that another resource of the kind has the name.
	ErrNameTaken = errors.New("name is taken")
	// ErrHard says that a transaction of [Store.Observe] tried to write a row that must be durable before it is visible.
	ErrHard = errors.New("row is not observed state")
)

// InUseError says that another process has the data directory open.
type InUseError struct {
	Dir string
	// Holder is what the other process says of itself; empty where it has said nothing yet.
	Holder string
}

func (e *InUseError) Error() string {
	holder := e.Holder
	if holder == "" {
		holder = "another process"
	}
	return fmt.Sprintf("data directory %s is in use by %s: stop it first, or give this hub a directory of its own", e.Dir, holder)
}

// FormatError says that a newer hub has written the database.
type FormatError struct {
	File      string
	Format    uint32
	Supported uint32
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("database %s has format %d, and this hub reads formats up to %d: start a hub at least as new as the one that wrote it, "+
		"or restore a backup from before the upgrade into another directory", e.File, e.Format, e.Supported)
}

// CorruptError says that a file of a database is damaged.
type CorruptError struct {
	File string
	// Table and Key name the damaged row, where it is known which one.
	Table string
	Key   string
	// Detail says what is wrong; it holds no content of rows.
	Detail string
	// Backup: the file is a backup that was to be restored, not the hub's own.
	Backup bool
}

func (e *CorruptError) Error() string {
	where := ""
	if e.Table != "" {
		where = fmt.Sprintf(", table %s", e.Table)
	}
	if e.Key != "" {
		where += fmt.Sprintf(", key %q", e.Key)
	}
	what, advice := "database", "restore a backup with yardarm-hub restore --force (the damaged file is kept aside), and check the disk"
	if filepath.Base(e.File) == walName {
		what = "write-ahead log"
		advice = "put back the one that belongs to the database, or restore a backup with yardarm-hub restore --force (what is there is kept aside); " +
			"that takes " + databaseName + " itself as well, without the newest changes"
	}
	if e.Backup {
		what, advice = "backup", "take another backup; nothing has been changed"
	}
	return fmt.Sprintf("%s %s is damaged%s: %s; %s", what, e.File, where, e.Detail, advice)
}

// DiskFullError says that a change was refused because the disk or a quota is full. Nothing of the change is left, and nothing else is lost. It is an
// [ErrReadOnly].
type DiskFullError struct {
	Dir string
	Err error
}

func (e *DiskFullError) Error() string {
	return fmt.Sprintf("no space left for the hub's data directory %s: free some space or enlarge the volume; the hub then goes on by itself (%v)", e.Dir, e.Err)
}

func (e *DiskFullError) Unwrap() error        { return e.Err }
func (e *DiskFullError) Is(target error) bool { return target == ErrReadOnly }

// FailedError says that writing to the disk failed in a way after which nobody knows what is on it. The store takes no changes any more; after a restart
// it goes on from what the disk really holds.
type FailedError struct {
	Dir string
	Err error
}

func (e *FailedError) Error() string {
	return fmt.Sprintf("writing to the hub's data directory %s failed, and nothing is written any more: check the disk and restart the hub (%v)", e.Dir, e.Err)
}

func (e *FailedError) Unwrap() error { return e.Err }
