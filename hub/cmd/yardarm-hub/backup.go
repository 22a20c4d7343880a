package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/yardarm-dev/yardarm/hub"
	"github.com/yardarm-dev/yardarm/hub/authz"
	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/clientconfig"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

// backupStamp names files in the order of their times.
const backupStamp = "20060102T150405Z"

func backupCommand() *cobra.Command {
	var dir, into, server string
	var keep int
	c := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the database of a running hub",
		Long: `Writes a consistent copy of the running hub's database to FILE, which must not exist. Enrolment tokens are not in it,
and its secrets are sealed under the hub key, which has to be kept apart.

With --into DIR the file is named for the time instead, and of such files the newest --keep stay: for a job that runs every
night.`,
		Example: `  yardarm-hub backup --data-dir /var/lib/yardarm yardarm.backup
  yardarm-hub backup --data-dir /var/lib/yardarm --into /var/backups/yardarm --keep 14`,
		Args: func(c *cobra.Command, args []string) error {
			if into == "" {
				return oneFile(c, args)
			}
			if keep < 1 {
				return fmt.Errorf("--keep is %d; at least the new backup stays", keep)
			}
			return cobra.NoArgs(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			_, where, err := localAdmin(dir, server)
			if err != nil {
				return err
			}
			file := ""
			if into == "" {
				file = args[0]
			} else {
				file = filepath.Join(into, "yardarm-"+time.Now().UTC().Format(backupStamp)+".backup")
			}
			size, err := backup(c.Context(), *where, file)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "wrote %d bytes to %s\n", size, file)
			if into == "" {
				return nil
			}
			return removeOldBackups(into, keep, c.OutOrStdout())
		},
	}
	f := c.Flags()
	dataDir(f, &dir)
	f.StringVar(&into, "into", "", "a `directory` for a file named for the time")
	f.IntVar(&keep, "keep", 7, "with --into: how many of its backups stay")
	serverFlag(f, &server)
	return c
}

// backup writes a file that is there whole or not at all.
func backup(ctx context.Context, where clientconfig.Context, file string) (size int, err error) {
	conn, err := connect(where)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	stream, err := conn.Backup(ctx, &hubv1.BackupRequest{})
	if err != nil {
		return 0, err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return 0, fmt.Errorf("%s exists; a backup replaces no file: name another one", file)
	}
	if err != nil {
		return 0, err
	}
	defer func() {
		err = errors.Join(err, f.Sync(), f.Close())
		if err != nil {
			err = errors.Join(err, os.Remove(file))
		}
	}()
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return size, nil
		}
		if err != nil {
			return size, err
		}
		if _, err := f.Write(chunk.Data); err != nil {
			return size, err
		}
		size += len(chunk.Data)
	}
}

// removeOldBackups removes all but the newest of the files that --into has named, and nothing else.
func removeOldBackups(dir string, keep int, out io.Writer) error {
	files, err := filepath.Glob(filepath.Join(dir, "yardarm-*.backup")) // in the order of their names
	if err != nil {
		return err
	}
	files = slices.DeleteFunc(files, func(path string) bool {
		_, err := time.Parse("yardarm-"+backupStamp+".backup", filepath.Base(path))
		return err != nil
	})
	for len(files) > keep {
		if err := os.Remove(files[0]); err != nil {
			return fmt.Errorf("remove an old backup: %w", err)
		}
		fmt.Fprintln(out, "removed", files[0])
		files = files[1:]
	}
	return nil
}

func restoreCommand() *cobra.Command {
	var config store.RestoreConfig
	c := &cobra.Command{
		Use:   "restore FILE",
		Short: "Make a data directory from a backup",
		Long: `Makes the database of a stopped hub from a backup. The hub begins a new epoch: what clusters hold and the backup does
not know stays in them, held, until an operator accepts the hub's state (yardarm accept). Enrolment tokens are void, and
bans that are newer than the backup have to be repeated.

FILE may also be the hub.db of a hub that was stopped. That of one that was killed lacks the newest changes, which are in
the hub.wal beside it: start a hub on both rather than restore it.

The hub key is not in a backup: put the copy of hub.key into the data directory before the hub is started.`,
		Args: oneFile,
		RunE: func(c *cobra.Command, args []string) error {
			config.Source = args[0]
			r, err := store.Restore(config)
			if err != nil {
				return err
			}
			out := c.OutOrStdout()
			what := "the copy of a hub's database"
			if !r.BackupTime.IsZero() {
				what = "the backup of " + r.BackupTime.UTC().Format("2006-01-02 15:04:05 UTC")
			}
			fmt.Fprintf(out, "restored %s, index %d; clusters: %d, groups: %d, bundles: %d\n", what, r.BackupIndex, r.Clusters, r.Groups, r.Bundles)
			if r.Incomplete {
				fmt.Fprintln(out, "warning: this is no backup but the database of a hub that was killed, or that runs: its newest changes, which its write-ahead log has, are missing")
			}
			if r.Replaced != "" {
				fmt.Fprintf(out, "the database of before is kept in %s\n", r.Replaced)
			}
			banned := "none"
			if len(r.Banned) > 0 {
				banned = strings.Join(r.Banned, ", ")
			}
			fmt.Fprintf(out, "banned clusters: %s (repeat the bans that are newer than the backup)\n", banned)
			if tokens := slices.DeleteFunc(r.Credentials, func(name string) bool { return name == authz.AdminName }); len(tokens) > 0 {
				fmt.Fprintf(out, "tokens that count: %s (revoke again what was revoked since the backup)\n", strings.Join(tokens, ", "))
			}
			if _, err := os.Stat(filepath.Join(config.Dir, hub.KeyFile)); errors.Is(err, fs.ErrNotExist) {
				fmt.Fprintf(out, "next: put the copy of %s into %s, which no backup holds, and start the hub\n", hub.KeyFile, config.Dir)
			} else {
				fmt.Fprintln(out, "next: start the hub")
			}
			fmt.Fprintln(out, "then: yardarm status shows what clusters hold that the backup does not know; yardarm accept lets go of it")
			return nil
		},
	}
	dataDir(c.Flags(), &config.Dir)
	c.Flags().BoolVar(&config.Force, "force", false, "replace a database that is there; it is kept beside the new one")
	return c
}

// oneFile wants the name of a file.
func oneFile(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("name one file: %s", c.UseLine())
	}
	return nil
}
