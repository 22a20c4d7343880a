package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/yardarm-dev/yardarm/hub"
	"github.com/yardarm-dev/yardarm/hub/seal"
	"github.com/yardarm-dev/yardarm/hub/store"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// auditSource says which log is read, and where its key is.
type auditSource struct{ dir, backup, keyFile string }

func auditCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "audit",
		Short: "Verify or print the log of who changed what",
		Long: `The hub writes down, in the same commit, who made each change of what clusters are to run and of who may do what: identity, address, method,
request id, and a digest of each resource before and after. The log is in the database, and so in its backups.

Entries are chained and sealed under a key that is derived from the hub key. What somebody with the database but without that
key removes, alters, reorders or puts in from another copy shows. A whole database replaced by an older one of the same hub does
not: keep the last sequence that verify prints elsewhere, and compare. The oldest entries are dropped as --keep-audit and
--keep-audit-for of run say; the sealed head tells with which the log begins, so that nobody else can drop any unseen.`,
	}
	c.AddCommand(auditVerifyCommand(), auditExportCommand())
	return c
}

func auditVerifyCommand() *cobra.Command {
	var source auditSource
	c := &cobra.Command{
		Use:   "verify",
		Short: "Tell whether the audit log is whole, and where it breaks if not",
		Example: `  # a stopped hub's
  yardarm-hub audit verify --data-dir /var/lib/yardarm

  # a backup's, beside the running hub
  yardarm-hub audit verify --data-dir /var/lib/yardarm --backup yardarm.backup`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := source.read(nil)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "the audit log is whole: %d entries, the last is %d, at index %d\n", s.Last+1-s.First, s.Last, s.Index)
			if s.First > 1 {
				fmt.Fprintf(c.OutOrStdout(), "it begins with entry %d%s: the hub has dropped the %d before\n", s.First, since(s), s.First-1)
			}
			return nil
		},
	}
	source.flags(c)
	return c
}

// since is when the oldest entry was made, where there is one.
func since(s *store.AuditSummary) string {
	if s.Since.IsZero() {
		return ""
	}
	return " of " + s.Since.UTC().Format(time.RFC3339)
}

func auditExportCommand() *cobra.Command {
	var source auditSource
	c := &cobra.Command{
		Use:   "export",
		Short: "Print the audit log, one JSON object a line, the oldest first",
		Long: `Prints the audit log, one JSON object a line, the oldest first, and verifies it on the way: what is printed before an error is what the hub
wrote, and what is behind it is not printed.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := source.read(func(e *storev1.AuditEntry) error {
				line, err := protojson.Marshal(e)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(c.OutOrStdout(), "%s\n", line)
				return err
			})
			return err
		},
	}
	source.flags(c)
	return c
}

func (a *auditSource) flags(c *cobra.Command) {
	dataDir(c.Flags(), &a.dir)
	c.Flags().StringVar(&a.backup, "backup", "", "read this backup `file` instead of the database")
	c.Flags().StringVar(&a.keyFile, "hub-key-file", "", "the hub key (default DIR/hub.key; "+seal.EnvKey+" wins)")
}

func (a *auditSource) read(each func(*storev1.AuditEntry) error) (*store.AuditSummary, error) {
	file := a.keyFile
	if file == "" {
		file = filepath.Join(a.dir, hub.KeyFile)
	}
	sealer, err := seal.New(seal.Config{File: file, Key: os.Getenv(seal.EnvKey)})
	if err != nil {
		return nil, err
	}
	key, err := sealer.Derive(store.AuditPurpose)
	if err != nil {
		return nil, err
	}
	if a.backup != "" {
		return store.VerifyAuditFile(a.backup, key, each)
	}
	s, err := store.VerifyAudit(a.dir, key, each)
	if errors.As(err, new(*store.InUseError)) {
		return nil, fmt.Errorf("%w; make a backup (yardarm-hub backup) and name it with --backup", err)
	}
	return s, err
}
