package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/yardarm-dev/yardarm/hub"
	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/client"
	"github.com/yardarm-dev/yardarm/pkg/clientconfig"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

func backupCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the database of a running hub",
		Long: `Writes a consistent copy of the running hub's database to FILE, which must not exist. Enrolment tokens are not in it,
and its secrets are sealed under the hub key, which has to be kept apart.`,
		Args: oneFile,
		RunE: func(c *cobra.Command, args []string) (err error) {
			config, err := clientconfig.Load(filepath.Join(dir, hub.AdminFile))
			if err != nil {
				return fmt.Errorf("read the local administrator's credential: %w", err)
			}
			where, err := config.Context("")
			if err != nil {
				return err
			}
			dial, err := client.FromContext(*where)
			if err != nil {
				return err
			}
			conn, err := client.New(dial)
			if err != nil {
				return err
			}
			defer conn.Close()
			stream, err := conn.Backup(c.Context(), &hubv1.BackupRequest{})
			if err != nil {
				return err
			}
			// A file that is there whole or not at all.
			f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("%s exists; a backup replaces no file: name another one", args[0])
			}
			if err != nil {
				return err
			}
			size := 0
			defer func() {
				err = errors.Join(err, f.Sync(), f.Close())
				if err != nil {
					err = errors.Join(err, os.Remove(args[0]))
					return
				}
				fmt.Fprintf(c.OutOrStdout(), "wrote %d bytes to %s\n", size, args[0])
			}()
			for {
				chunk, err := stream.Recv()
				if errors.Is(err, io.EOF) {
					return nil
				}
				if err != nil {
					return err
				}
				if _, err := f.Write(chunk.Data); err != nil {
					return err
				}
				size += len(chunk.Data)
			}
		},
	}
	dataDir(c.Flags(), &dir)
	return c
}

func restoreCommand() *cobra.Command {
	var config store.RestoreConfig
	c := &cobra.Command{
		Use:   "restore FILE",
		Short: "Make a data directory from a backup",
		Long: `Makes the database of a stopped hub from a backup. The hub begins a new epoch: what clusters hold and the backup does
not know stays in them, held, until an operator accepts the hub's state (yardarm accept). Enrolment tokens are void, and
bans that are newer than the backup have to be repeated.

The hub key is not in a backup: put the copy of hub.key into the data directory before the hub is started.`,
		Args: oneFile,
		RunE: func(c *cobra.Command, args []string) error {
			config.Source = args[0]
			r, err := store.Restore(config)
			if err != nil {
				return err
			}
			out := c.OutOrStdout()
			fmt.Fprintf(out, "restored the backup of %s, index %d; clusters: %d, groups: %d, bundles: %d\n",
				r.BackupTime.UTC().Format("2006-01-02 15:04:05 UTC"), r.BackupIndex, r.Clusters, r.Groups, r.Bundles)
			if r.Replaced != "" {
				fmt.Fprintf(out, "the database of before is kept in %s\n", r.Replaced)
			}
			banned := "none"
			if len(r.Banned) > 0 {
				banned = strings.Join(r.Banned, ", ")
			}
			fmt.Fprintf(out, "banned clusters: %s (repeat the bans that are newer than the backup)\n", banned)
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
