package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// restoreGap is what a restore leaves out of the indexes and of the events' sequence: more than a hub can have had since any backup. So no resource
// version and no event comes a second time, with another meaning. 2^53, up to which JSON's readers are exact, is two million restores away.
const restoreGap = 1 << 32

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
	// BackupTime is when the backup was made (zero if the file is no backup but the copy of a data directory's database), and BackupIndex the newest
	// update in it.
	BackupTime  time.Time
	BackupIndex uint64
	Clusters    int
	Groups      int
	Bundles     int
	// Banned are the names of the clusters that are banned in the backup, sorted. Bans that are newer than the backup are lost: whoever restores has to
	// compare.
	Banned []string
	// Credentials are the names of those that the backup lets in, sorted. One that was revoked since is among them.
	Credentials []string
	// Replaced is where the former database is kept; empty if there was none. What its write-ahead log had is kept beside it, under the log's name with the same end.
	Replaced string
	// Incomplete: the file is the database of a hub that was killed, or that runs, and not all changes that it has acknowledged are in it: others are in its write-ahead log.
	Incomplete bool
}

// ErrExists says that there is a database where one was to be restored.
var ErrExists = errors.New("there is a database already")

// Restore makes a database from a backup. It checks the whole of the backup first. It begins a new epoch, which is later than all that the backup and a
// replaced database know of, whatever the clock says, and notes where the backup's own epoch ends. Enrolment tokens are void. If it fails, a database
// that was there is there as before.
//
// The errors are [*InUseError], [ErrExists], [*FormatError], [*CorruptError] (of the backup), [*DiskFullError], and those of the file system.
func Restore(config RestoreConfig) (*Restored, error) {
	restored, err := restore(config)
	if err != nil {
		var corrupt *CorruptError
		if errors.As(err, &corrupt) {
			corrupt.Backup = true
		}
		return nil, fmt.Errorf("restore %s: %w", config.Source, err)
	}
	return restored, nil
}

func restore(config RestoreConfig) (*Restored, error) {
	if config.Clock == nil {
		config.Clock = time.Now
	}
	if config.Rand == nil {
		config.Rand = rand.Reader
	}
	now := config.Clock()
	unlock, err := lock(config.Dir, now)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := removeLeftovers(config.Dir); err != nil {
		return nil, err
	}
	path := filepath.Join(config.Dir, databaseName)
	_, err = os.Stat(path)
	exists := err == nil
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	case exists && !config.Force:
		return nil, fmt.Errorf("%s: %w; restore into an empty directory, or replace it with --force", path, ErrExists)
	}

	verified, err := verify(config.Source, true)
	if err != nil {
		return nil, err
	}
	backup := verified.meta
	latest := backup.Epoch
	if exists {
		latest = maxEpoch(latest, epochOf(path))
	}
	m := proto.CloneOf(backup)
	m.BackupTime = nil
	m.Past = append(m.Past, &storev1.PastEpoch{Epoch: backup.Epoch, Index: backup.Index})
	m.Epoch = newEpoch(latest, now, config.Rand)
	m.Index += restoreGap
	m.EventSequence += restoreGap

	restored := &Restored{Meta: m, BackupIndex: backup.Index, Incomplete: verified.ahead}
	if backup.BackupTime != nil {
		restored.BackupTime = backup.BackupTime.AsTime()
	}
	temporary := path + newSuffix
	if err := restored.copy(config.Source, temporary); err != nil {
		return nil, diskError(config.Dir, err)
	}
	wal := filepath.Join(config.Dir, walName)
	if exists {
		end := ".replaced-" + now.UTC().Format("20060102T150405.000000000Z")
		restored.Replaced = path + end
		if err := errors.Join(keepAside(path, restored.Replaced), ignoreMissing(keepAside(wal, wal+end))); err != nil {
			return nil, err
		}
	}
	if err := os.Rename(temporary, path); err != nil {
		return nil, err
	}
	return restored, errors.Join(ignoreMissing(os.Remove(wal)), syncDir(config.Dir))
}

// keepAside gives a file another name. It has both first, so that it is there at every moment: a hub that finds no database makes an empty one.
func keepAside(path, name string) error {
	err := os.Link(path, name)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(path, name) // no hard links here
}

// copy writes the restored database, and counts what is in it. It reads every row as a hub would.
func (r *Restored) copy(source, path string) error {
	db, err := openDatabase(source, os.OpenFile, true)
	if err != nil {
		return err
	}
	from := &boltLog{dir: filepath.Dir(source), path: source, db: db}
	err = from.view(func(tx *bbolt.Tx) error {
		return copyDatabase(context.Background(), tx, path, r.Meta, kept)
	})
	if err == nil && r.Meta.Format == Format {
		err = r.count(from)
	}
	return errors.Join(err, from.Close())
}

// count reads all rows into memory, as a hub does when it starts, and looks at them.
func (r *Restored) count(from *boltLog) error {
	rows, _, err := readRows(from.Load)
	if err != nil {
		return err
	}
	tx := &ReadTx{txn: rows.Txn(false)}
	for c := range tx.Clusters() {
		r.Clusters++
		if c.GetSpec().GetBan() != nil {
			r.Banned = append(r.Banned, c.Metadata.Name)
		}
	}
	for c := range tx.Credentials() {
		r.Credentials = append(r.Credentials, c.Name)
	}
	slices.Sort(r.Credentials)
	for range tx.Groups() {
		r.Groups++
	}
	for range tx.Bundles() {
		r.Bundles++
	}
	return nil
}

// epochOf returns the epoch of a database that is about to be replaced; nil if it cannot be read, which is why it is replaced then.
func epochOf(path string) []byte {
	verified, err := verify(path, false)
	if err != nil {
		return nil
	}
	return verified.meta.Epoch
}

func maxEpoch(a, b []byte) []byte { return slices.MaxFunc([][]byte{a, b}, bytes.Compare) }
