package store

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// filled makes a database with rows in every table, and returns its file's content and what a store shows of it.
func filled(t *testing.T, rows int) (image []byte, shown string) {
	t.Helper()
	s := opened(t, Config{})
	for i := range rows {
		update(t, s, func(tx *Tx) error { return fill(tx, fmt.Sprint(i)) })
	}
	shown = dump(reopened(t, s).Read())
	return databaseImage(t, s.config.Dir), shown
}

// databaseImage returns a copy of the database of a store that is closed, or idle.
func databaseImage(t *testing.T, dir string) []byte {
	t.Helper()
	image, err := os.ReadFile(filepath.Join(dir, databaseName))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.TrimRight(image, "\x00")
}

// withImage makes a data directory with this database.
func withImage(t testing.TB, image []byte) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, databaseName), image, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestCorrupt(t *testing.T) {
	image, _ := filled(t, 3)
	// pages pads an image to whole pages, as it was before databaseImage cut it.
	pages := func(image []byte) []byte { return append(bytes.Clone(image), make([]byte, 4096*4)...) }
	for name, test := range map[string]struct {
		image      []byte
		table, key string
	}{
		"empty":             {nil, "", ""},
		"text":              {[]byte("apiVersion: v1\n"), "", ""},
		"large garbage":     {bytes.Repeat([]byte("garbage "), 100_000), "", ""},
		"zeros":             {make([]byte, 1<<20), "", ""},
		"cut off":           {image[:len(image)/2], "", ""},
		"cut off in metas":  {image[:5000], "", ""},
		"cut off by little": {image[:len(image)-5000], "", ""},
		// Wherever it stands: the last place may be a page that is free again.
		"a row's byte":     {pages(bytes.ReplaceAll(image, []byte("d2"), []byte("d3"))), "", ""},
		"foreign database": {foreignDatabase(t), meta.String(), metaKey},
	} {
		t.Run(name, func(t *testing.T) {
			dir := withImage(t, test.image)
			_, err := Open(Config{Dir: dir})
			var corrupt *CorruptError
			if !errors.As(err, &corrupt) {
				t.Fatalf("opening gives %v, want a CorruptError", err)
			}
			if corrupt.File != filepath.Join(dir, databaseName) || test.table != "" && (corrupt.Table != test.table || corrupt.Key != test.key) {
				t.Errorf("the error names %s, table %s, key %s", corrupt.File, corrupt.Table, corrupt.Key)
			}
			if strings.HasPrefix(name, "cut off") && !strings.Contains(err.Error(), "cut off") && !strings.Contains(err.Error(), "too little") {
				t.Errorf("the error does not say that the file has been cut off: %v", err)
			}
			if !strings.Contains(err.Error(), "restore") || !strings.Contains(err.Error(), corrupt.File) {
				t.Errorf("the error does not say what to do: %v", err)
			}
			after, err := os.ReadFile(filepath.Join(dir, databaseName))
			if err != nil || !bytes.Equal(after, test.image) {
				t.Errorf("the damaged file has been changed: %v", err)
			}
		})
	}
}

// TestMissingRow: a row that is gone is found out, though nothing that is there is damaged.
func TestMissingRow(t *testing.T) {
	for _, table := range []Table{Clusters, Observed, Events} {
		dir := t.TempDir()
		s := opened(t, Config{Dir: dir})
		update(t, s, func(tx *Tx) error { return errors.Join(fill(tx, "1"), fill(tx, "2")) })
		if err := databaseOf(s).db.Update(func(tx *bbolt.Tx) error {
			b := tx.Bucket([]byte(table.String()))
			k, _ := b.Cursor().Last()
			return b.Delete(k)
		}); err != nil {
			t.Fatal(err)
		}
		crash(t, s)
		_, err := Open(Config{Dir: dir})
		var corrupt *CorruptError
		if !errors.As(err, &corrupt) || corrupt.Table != table.String() || !strings.Contains(err.Error(), "1 rows") {
			t.Errorf("opening gives %v, want a CorruptError that names the table", err)
		}
	}
}

// foreignDatabase returns a bbolt file of another program.
func foreignDatabase(t *testing.T) []byte {
	path := filepath.Join(t.TempDir(), "foreign")
	if err := fillDatabase(path, os.OpenFile, func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte("other"))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	image, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// TestCorruptRow names the row whose value, key or place is not what it was.
func TestCorruptRow(t *testing.T) {
	for name, damage := range map[string]func(b *bbolt.Bucket, k, v []byte) error{
		"value":    func(b *bbolt.Bucket, k, v []byte) error { v[len(v)-1] ^= 0x10; return b.Put(k, v) },
		"checksum": func(b *bbolt.Bucket, k, v []byte) error { v[0] ^= 0x10; return b.Put(k, v) },
		"short":    func(b *bbolt.Bucket, k, v []byte) error { return b.Put(k, v[:2]) },
		"other table's": func(b *bbolt.Bucket, k, v []byte) error {
			return b.Put(k, b.Tx().Bucket([]byte(Bundles.String())).Get([]byte("b1")))
		},
		"other row's": func(b *bbolt.Bucket, k, v []byte) error { return b.Put(k, b.Get([]byte("c0"))) },
		"not a row": func(b *bbolt.Bucket, k, v []byte) error {
			return b.Put(k, seal(Clusters.String(), "c1", []byte("\xff\xff")))
		},
		"wrong key": func(b *bbolt.Bucket, k, v []byte) error {
			return b.Put(k, seal(Clusters.String(), "c1", b.Get([]byte("c0"))[checksumSize:]))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := opened(t, Config{Dir: dir})
			for i := range 3 {
				update(t, s, func(tx *Tx) error { return fill(tx, fmt.Sprint(i)) })
			}
			if err := databaseOf(s).db.Update(func(tx *bbolt.Tx) error {
				b := tx.Bucket([]byte(Clusters.String()))
				k := []byte("c1")
				old := bytes.Clone(b.Get(k))
				if err := damage(b, k, bytes.Clone(old)); err != nil {
					return err
				}
				sums := aheadOf(s).sums
				if damaged := b.Get(k); len(damaged) >= checksumSize {
					sums.remove(Clusters.String(), old)
					sums.add(Clusters.String(), damaged)
				}
				return sums.write(tx)
			}); err != nil {
				t.Fatal(err)
			}
			crash(t, s)
			_, err := Open(Config{Dir: dir})
			var corrupt *CorruptError
			if !errors.As(err, &corrupt) || corrupt.Table != Clusters.String() || corrupt.Key != "c1" {
				t.Errorf("opening gives %v, want a CorruptError that names the row", err)
			}
		})
	}
}

// TestCorruptContent: contents are checked when they are read, since they can be many gigabytes; the hub starts, and the damaged one is an error.
func TestCorruptContent(t *testing.T) {
	s := opened(t, Config{})
	update(t, s, func(tx *Tx) error {
		return errors.Join(tx.PutArtifact(&storev1.Artifact{Digest: "good"}, []byte("good")), tx.PutArtifact(&storev1.Artifact{Digest: "bad"}, []byte("bad")))
	})
	if err := databaseOf(s).db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(contentsTable))
		v := bytes.Clone(b.Get([]byte("bad")))
		v[len(v)-1] ^= 1
		// What belongs to another digest is as bad, and its checksum is right.
		swapped := bytes.Clone(b.Get([]byte("good")))
		sums := maps.Clone(databaseOf(s).sums)
		sums.add(contentsTable, swapped)
		databaseOf(s).sums = sums
		return errors.Join(b.Put([]byte("bad"), v), b.Put([]byte("swapped"), swapped), sums.write(tx))
	}); err != nil {
		t.Fatal(err)
	}
	s = reopened(t, s)
	var corrupt *CorruptError
	if _, err := s.Content("bad"); !errors.As(err, &corrupt) || corrupt.Table != contentsTable || corrupt.Key != "bad" {
		t.Errorf("the damaged content gives %v", err)
	}
	if _, err := s.Content("swapped"); !errors.As(err, &corrupt) || corrupt.Key != "swapped" {
		t.Errorf("the content of another digest gives %v", err)
	}
	if content, err := s.Content("good"); err != nil || string(content) != "good" {
		t.Errorf("the other content is %q, %v", content, err)
	}
	// A backup of it can be made, and tells when it is restored.
	var backup bytes.Buffer
	if err := s.Backup(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(t.TempDir(), "backup")
	if err := os.WriteFile(source, backup.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Restore(RestoreConfig{Source: source, Dir: t.TempDir()})
	if !errors.As(err, &corrupt) || corrupt.Key != "bad" || !corrupt.Backup || !strings.Contains(err.Error(), "another backup") {
		t.Errorf("restoring it gives %v", err)
	}
}

// TestFlips flips single bytes all over a database file. The store either shows all that it showed before, since the byte did not matter, or says that the
// file is damaged: it never dies, and never shows anything else. Where a meta page is hit, it warns, and goes back to the commit before: here, one
// that has changed nothing that is shown.
func TestFlips(t *testing.T) {
	s := opened(t, Config{})
	for i := range 3 {
		update(t, s, func(tx *Tx) error { return fill(tx, fmt.Sprint(i)) })
	}
	update(t, s, func(tx *Tx) error { // enough for trees with branches
		for i := range 400 {
			if err := tx.PutToken(&storev1.EnrolmentToken{Id: fmt.Sprint("t", i), Cluster: strings.Repeat("x", i)}); err != nil {
				return err
			}
		}
		return tx.PutArtifact(&storev1.Artifact{Digest: "large"}, make([]byte, 20_000))
	})
	s = reopened(t, s)
	shown := dump(s.Read())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	image := databaseImage(t, s.config.Dir)
	r := rand.New(rand.NewPCG(7, 7))
	damaged, unharmed := 0, 0
	pages := len(image) / 4096
	for i := range 600 {
		at := r.IntN(len(image))
		if i%3 == 0 { // pages' headers and the beginnings of their indexes are what bbolt trusts
			at = r.IntN(pages)*4096 + r.IntN(64)
		}
		flipped := append(bytes.Clone(image), make([]byte, 8*4096)...)
		flipped[at] ^= 1 << r.IntN(8)
		dir := withImage(t, flipped)
		func() {
			again, err := Open(Config{Dir: dir})
			if err != nil {
				if !errors.As(err, new(*CorruptError)) {
					t.Errorf("byte %d of page %d: %v", at%4096, at/4096, err)
				}
				damaged++
				return
			}
			defer again.Close()
			if got := dump(again.Read()); got != shown {
				t.Errorf("byte %d of page %d: the store shows something else", at%4096, at/4096)
			}
			unharmed++
		}()
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d flips were found, %d did no harm", damaged, unharmed)
	if damaged < 100 {
		t.Errorf("only %d flips were found", damaged)
	}
}
