package store

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// mapped answers how much of a mapped file is in this process' memory, in KiB, as the kernel counts it.
func mapped(t *testing.T, path string) (resident int) {
	t.Helper()
	content, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	within := false
	for line := range strings.Lines(string(content)) {
		var n int
		if name, _, _ := strings.Cut(line, " "); !strings.HasSuffix(name, ":") {
			within = strings.HasSuffix(line, path+"\n")
		} else if _, err := fmt.Sscanf(line, "Rss: %d kB", &n); err == nil && within {
			resident += n
		}
	}
	return resident
}

// putLarge puts as many bundles with an annotation of as many bytes.
func putLarge(t *testing.T, s *Store, rows, size int) {
	t.Helper()
	update(t, s, func(tx *Tx) error {
		for i := range rows {
			b := bundle(fmt.Sprint("b", i), fmt.Sprint("b", i))
			b.Metadata.Annotations = map[string]string{"a": strings.Repeat("x", size)}
			if err := tx.PutBundle(b); err != nil {
				return err
			}
		}
		return nil
	})
}

// TestLoadReleasesTheFile: rows that were loaded are in memory once, and not also as pages of the file.
func TestLoadReleasesTheFile(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, Config{Dir: dir})
	const rows, size = 400, 50_000
	putLarge(t, s, rows, size)
	s = reopened(t, s)
	path := filepath.Join(dir, databaseName)
	if resident := mapped(t, path); resident > rows*size>>10/4 {
		t.Errorf("%d KiB of the file are in memory, and its rows have %d", resident, rows*size>>10)
	}
	most, read := 0, 0
	if err := s.log.Load(func(string, string, []byte) error {
		if read++; read%(rows/16) == 0 {
			most = max(most, mapped(t, path))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if most > rows*size>>10*3/4 {
		t.Errorf("%d KiB of the file are in memory while it is read, and its rows have %d", most, rows*size>>10)
	}
	n := 0
	for b := range s.Read().Bundles() {
		if len(b.Metadata.Annotations["a"]) == size {
			n++
		}
	}
	if n != rows {
		t.Errorf("%d rows are whole, want %d", n, rows)
	}
	update(t, s, func(tx *Tx) error {
		return tx.PutBundle(&yardarmv1.Bundle{Metadata: &yardarmv1.ObjectMeta{Uid: "new", Name: "new"}})
	})
	if got := reopened(t, s).Read().Bundle("new"); got == nil {
		t.Error("what was written after that is not there")
	}
}

// TestFlushReleasesTheFile: what commits have mapped of the file is given back with a flush.
func TestFlushReleasesTheFile(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, Config{Dir: dir})
	const rows, size = 200, 50_000
	putLarge(t, s, rows, size)
	putLarge(t, s, rows, size) // now pages are read to be replaced
	path := filepath.Join(dir, databaseName)
	if resident := mapped(t, path); resident < rows*size>>10/4 {
		t.Fatalf("%d KiB of the file are in memory before the flush: there is nothing to give back", resident)
	}
	update(t, s, func(tx *Tx) error { return tx.PutCluster(cluster("c", "c", nil)) })
	observe(t, s, report("Ready"))
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	if resident := mapped(t, path); resident > rows*size>>10/16 {
		t.Errorf("%d KiB of the file are in memory after the flush, and its rows have %d", resident, rows*size>>10)
	}
	if got := reopened(t, s).Read().ObservedBundle("c", "b").GetReport().GetPhase(); got != "Ready" {
		t.Errorf("the report is %q after all", got)
	}
}
