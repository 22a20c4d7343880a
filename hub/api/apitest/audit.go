package apitest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/yardarm-dev/yardarm/hub/store"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

var auditKey = []byte("the key of a test's audit log")

// Audited answers the entries of the audit log so far, and fails if the log is not whole.
func (h *Hub) Audited(t testing.TB) (entries []*storev1.AuditEntry) {
	t.Helper()
	backup := filepath.Join(t.TempDir(), "backup")
	f, err := os.Create(backup)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(h.Store.Backup(t.Context(), f), f.Close()); err != nil {
		t.Fatal(err)
	}
	_, err = store.VerifyAuditFile(backup, auditKey, func(e *storev1.AuditEntry) error {
		entries = append(entries, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return entries
}
