package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yardarm-dev/yardarm/hub"
	"github.com/yardarm-dev/yardarm/pkg/client"
	"github.com/yardarm-dev/yardarm/pkg/clientconfig"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

// TestAudit has a hub audit a change and a call that it denies, and reads its log by the commands: beside it from a backup, and when it has stopped.
func TestAudit(t *testing.T) {
	dir := t.TempDir()
	data, backups := filepath.Join(dir, "hub"), filepath.Join(dir, "backups")
	if err := os.Mkdir(backups, 0o700); err != nil {
		t.Fatal(err)
	}
	var backup string
	t.Run("beside the hub", func(t *testing.T) {
		ip := address(9)
		serve(t, ip, "run", "--data-dir", data, "--address", ip, "--log-level", "error")
		config, err := clientconfig.Load(filepath.Join(data, hub.AdminFile))
		if err != nil {
			t.Fatal(err)
		}
		where, err := config.Context("")
		if err != nil {
			t.Fatal(err)
		}
		as := func(token string) *client.Client {
			c, err := client.FromContext(*where)
			if err != nil {
				t.Fatal(err)
			}
			if token != "" {
				c.Token = token
			}
			made, err := client.New(c)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { made.Close() })
			return made
		}
		if _, err := as("").EnrollCluster(t.Context(), &hubv1.EnrollClusterRequest{Name: "edge-1"}); err != nil {
			t.Fatal(err)
		}
		if _, err := as("yat_nobody_knows").ListClusters(t.Context(), &hubv1.ListClustersRequest{}); status.Code(err) != codes.Unauthenticated {
			t.Fatalf("somebody lists clusters: %v", err)
		}
		if _, err := call(t.Context(), "audit", "verify", "--data-dir", data); err == nil || !strings.Contains(err.Error(), "--backup") {
			t.Errorf("of a hub that runs: %v", err)
		}
		if _, err := call(t.Context(), "backup", "--data-dir", data, "--into", backups, "--server", "https://"+ip+":7443"); err != nil {
			t.Fatal(err)
		}
		left, err := filepath.Glob(filepath.Join(backups, "*.backup"))
		if err != nil || len(left) != 1 {
			t.Fatalf("%v, %v", left, err)
		}
		backup = left[0]
		if out, err := call(t.Context(), "audit", "verify", "--data-dir", data, "--backup", backup); err != nil || !strings.HasPrefix(out, "the audit log is whole: ") {
			t.Errorf("of a backup: %q, %v", out, err)
		}
	})
	if out, err := call(t.Context(), "audit", "verify", "--data-dir", data); err != nil || !strings.HasPrefix(out, "the audit log is whole: ") {
		t.Errorf("of a hub that has stopped: %q, %v", out, err)
	}
	exportsWhatWasDone(t, data)

	// Without its key nobody can tell, and one byte is enough.
	if _, err := call(t.Context(), "audit", "verify", "--data-dir", t.TempDir(), "--backup", backup); err == nil {
		t.Error("another hub's key verifies it")
	}
	text, err := os.ReadFile(backup)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(text, []byte("/EnrollCluster"))
	if at < 0 {
		t.Fatal("the backup does not tell of the change")
	}
	text[at+1]++
	forged := filepath.Join(dir, "forged.backup")
	if err := os.WriteFile(forged, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"verify", "export"} {
		out, err := call(t.Context(), "audit", command, "--data-dir", data, "--backup", forged)
		if err == nil || !strings.Contains(err.Error(), forged) || strings.Contains(out, "/FnrollCluster") {
			t.Errorf("%s of one that was altered: %q, %v", command, out, err)
		}
	}
}

// exportsWhatWasDone checks what is printed of TestAudit's change and of its denied call.
func exportsWhatWasDone(t *testing.T, data string) {
	t.Helper()
	out, err := call(t.Context(), "audit", "export", "--data-dir", data)
	if err != nil {
		t.Fatal(err)
	}
	type entry struct {
		Sequence, Time, Who, Address, Method, RequestID string
		Changes                                         []struct{ Table, Name, Before, After string }
		Denials                                         []struct{ Method, Reason, Calls string }
	}
	var entries []entry
	for line := range strings.Lines(out) {
		var e entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		entries = append(entries, e)
	}
	enrolled := slices.IndexFunc(entries, func(e entry) bool { return strings.HasSuffix(e.Method, "/EnrollCluster") })
	if enrolled < 0 {
		t.Fatalf("nothing of the change:\n%s", out)
	}
	if e := entries[enrolled]; e.Who != "local-admin" || e.Address == "" || e.RequestID == "" || e.Time == "" || len(e.Changes) == 0 || e.Changes[0].Before != "" || e.Changes[0].After == "" {
		t.Errorf("the change: %+v", e)
	}
	if !slices.ContainsFunc(entries, func(e entry) bool {
		return len(e.Denials) == 1 && strings.HasSuffix(e.Denials[0].Method, "/ListClusters") && e.Denials[0].Reason == "UNAUTHENTICATED" && e.Denials[0].Calls == "1"
	}) {
		t.Errorf("nothing of the call that was denied:\n%s", out)
	}
}
