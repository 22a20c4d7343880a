package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// backedUp writes a backup to a file.
func backedUp(t *testing.T, s *Store) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "backup")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Backup(t.Context(), f), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBackupAndRestore(t *testing.T) {
	clock := time.Unix(1_700_000_000, 0).UTC()
	s := opened(t, Config{Clock: func() time.Time { return clock }})
	update(t, s, func(tx *Tx) error { return errors.Join(fill(tx, "1"), fill(tx, "2")) })
	update(t, s, func(tx *Tx) error {
		banned := cluster("c3", "banned", nil)
		banned.Spec = &yardarmv1.ClusterSpec{Ban: &yardarmv1.Ban{}}
		return errors.Join(tx.PutCluster(banned), tx.PutCredential(&storev1.Credential{Id: "b", Name: "ci"}),
			tx.PutSecret(&storev1.SealedSecret{Name: TransientSecretPrefix + "tickets", Ciphertext: []byte("ticket-key-bytes")}),
			tx.PutToken(&storev1.EnrolmentToken{Id: "secret-token", SecretHash: []byte("token-hash-bytes")}),
			tx.PutToken(&storev1.EnrolmentToken{Id: "deleted", SecretHash: []byte("token-hash-bytes")}))
	})
	update(t, s, func(tx *Tx) error { return tx.DeleteToken("deleted") }) // leaves its page behind
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	update(t, s, func(tx *Tx) error {
		return errors.Join(tx.PutArtifact(&storev1.Artifact{Digest: "large"}, large), tx.PutArtifact(&storev1.Artifact{Digest: "large2"}, large))
	})
	clock = clock.Add(time.Hour)
	backup := backedUp(t, s)
	atBackup, metaAtBackup := s.Read(), s.Meta()
	update(t, s, func(tx *Tx) error { return tx.DeleteCluster("c1") }) // not in the backup

	image, err := os.ReadFile(backup)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"secret-token", "token-hash-bytes", "ticket-key-bytes"} {
		if bytes.Contains(image, []byte(secret)) {
			t.Errorf("%s is in the backup", secret)
		}
	}
	if entries, _ := filepath.Glob(filepath.Join(s.config.Dir, "*"+newSuffix)); len(entries) > 0 {
		t.Errorf("the backup leaves %v behind", entries)
	}

	dir := filepath.Join(t.TempDir(), "new", "data")
	restored, err := Restore(RestoreConfig{Source: backup, Dir: dir, Clock: func() time.Time { return clock.Add(time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	m := restored.Meta
	if restored.BackupIndex != metaAtBackup.Index || !restored.BackupTime.Equal(clock) || restored.Clusters != 3 || restored.Groups != 2 || restored.Bundles != 2 ||
		!slices.Equal(restored.Banned, []string{"banned"}) || !slices.Contains(restored.Credentials, "ci") || restored.Replaced != "" {
		t.Errorf("the summary is %+v", restored)
	}
	if m.Fleet != metaAtBackup.Fleet || bytes.Compare(m.Epoch, metaAtBackup.Epoch) <= 0 || m.BackupTime != nil || len(m.Past) != 1 ||
		!bytes.Equal(m.Past[0].Epoch, metaAtBackup.Epoch) || m.Past[0].Index != metaAtBackup.Index || m.Index < metaAtBackup.Index+restoreGap || m.EventSequence < metaAtBackup.EventSequence+restoreGap {
		t.Errorf("meta was %v and is %v", metaAtBackup, m)
	}
	again := opened(t, Config{Dir: dir})
	if got := again.Meta(); got.Index != m.Index || !bytes.Equal(got.Epoch, m.Epoch) || len(got.Past) != 1 {
		t.Errorf("the store has meta %v, want %v", got, m)
	}
	// All else is as it was at the backup.
	want := strings.Split(dump(atBackup), "\n")
	got := strings.Split(dump(again.Read()), "\n")
	inBackup := func(line string) bool {
		return !strings.HasPrefix(line, "tokens ") && !strings.HasPrefix(line, "secrets "+TransientSecretPrefix) &&
			!strings.Contains(line, "ClusterUID:") // presence
	}
	want = slices.DeleteFunc(want, func(l string) bool { return !inBackup(l) })
	if !slices.Equal(got, want) {
		t.Errorf("restored:\n%s\nat the backup:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for digest, want := range map[string][]byte{"d1": []byte("content1"), "large": large, "large2": large} {
		if content, err := again.Content(digest); err != nil || !bytes.Equal(content, want) {
			t.Errorf("content %s has %d bytes, %v", digest, len(content), err)
		}
	}
	// No resource version comes twice, and no event's sequence.
	update(t, again, func(tx *Tx) error {
		return errors.Join(tx.PutCluster(cluster("c9", "nine", nil)), tx.AddEvent(&yardarmv1.Event{}))
	})
	if index := again.Read().Index(); index <= s.Read().Index() {
		t.Errorf("the restored store goes on at index %d, the one before is at %d", index, s.Read().Index())
	}
	if e := first(again.Read().Events(s.Meta().EventSequence)); e == nil {
		t.Error("the new event comes before those of the former database")
	}

	// A backup of the restored one, restored, keeps the list of epochs.
	restored, err = Restore(RestoreConfig{Source: backedUp(t, again), Dir: t.TempDir()})
	if err != nil || len(restored.Meta.Past) != 2 || !bytes.Equal(restored.Meta.Past[1].Epoch, m.Epoch) {
		t.Errorf("restored twice, meta is %v, %v", restored.Meta, err)
	}
}

// TestBackupIsConsistent makes backups while a writer changes two rows at once.
func TestBackupIsConsistent(t *testing.T) {
	s := opened(t, Config{})
	update(t, s, func(tx *Tx) error { return crashRow(tx, 0, 1) })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 2; ctx.Err() == nil; n++ {
			if _, err := s.Update(ctx, func(tx *Tx) error { return crashRow(tx, 0, n) }); err != nil {
				return
			}
		}
	}()
	for range 10 {
		backup := backedUp(t, s)
		dir := t.TempDir()
		if _, err := Restore(RestoreConfig{Source: backup, Dir: dir}); err != nil {
			t.Fatal(err)
		}
		again := opened(t, Config{Dir: dir})
		tx := again.Read()
		labels, artifact := tx.Cluster("w0").Metadata.Labels["n"], tx.Artifact("w0").Size
		content, err := again.Content("w0")
		if labels != fmt.Sprint(artifact) || string(content) != fmt.Sprintf("%08192d", artifact) {
			t.Errorf("the backup has the cluster of write %s, the artifact of %d, and %v", labels, artifact, err)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	<-done
}

// failingWriter takes some bytes and then fails.
type failingWriter struct{ left int }

var errWriter = errors.New("test")

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, errWriter
	}
	return len(p), nil
}

func TestBackupFails(t *testing.T) {
	s := opened(t, Config{})
	update(t, s, func(tx *Tx) error { return tx.PutArtifact(&storev1.Artifact{Digest: "large"}, make([]byte, 1<<20)) })
	if err := s.Backup(t.Context(), &failingWriter{100_000}); !errors.Is(err, errWriter) {
		t.Errorf("with a failing writer: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Backup(ctx, &bytes.Buffer{}); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	if entries, _ := filepath.Glob(filepath.Join(s.config.Dir, "*"+newSuffix)); len(entries) > 0 {
		t.Errorf("the backups leave %v behind", entries)
	}
	update(t, s, func(tx *Tx) error { return tx.DeleteArtifact("large") })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(t.Context(), &bytes.Buffer{}); !errors.Is(err, ErrClosed) {
		t.Errorf("of a closed store: %v", err)
	}
}

func TestRestoreReplaces(t *testing.T) {
	s := opened(t, Config{})
	update(t, s, func(tx *Tx) error { return tx.PutCluster(cluster("c", "before", nil)) })
	backup := backedUp(t, s)
	update(t, s, func(tx *Tx) error { return tx.PutCluster(cluster("c2", "after", nil)) })
	dir := s.config.Dir
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(RestoreConfig{Source: backup, Dir: dir}); !errors.Is(err, ErrExists) || !strings.Contains(err.Error(), "--force") {
		t.Fatalf("without force: %v", err)
	}
	if s = opened(t, Config{Dir: dir}); s.Read().Cluster("c2") == nil {
		t.Error("the refused restore has changed the database")
	}
	epoch := s.Epoch()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	// Twice, with a clock that stands still far in the past: each epoch is later than the one before.
	epochs := [][]byte{epoch}
	for range 2 {
		restored, err := Restore(RestoreConfig{Source: backup, Dir: dir, Force: true, Clock: func() time.Time { return time.Unix(1000, 0) }, Rand: zeros{}})
		if err != nil {
			t.Fatal(err)
		}
		epochs = append(epochs, restored.Meta.Epoch)
		if _, err := os.Stat(restored.Replaced); err != nil {
			t.Errorf("the former database is not where the summary says: %v", err)
		}
		if len(epochs) == 2 {
			// It is whole.
			old := t.TempDir()
			if err := os.Rename(restored.Replaced, filepath.Join(old, databaseName)); err != nil {
				t.Fatal(err)
			}
			if opened(t, Config{Dir: old}).Read().Cluster("c2") == nil {
				t.Error("what is kept aside is not the former database")
			}
		}
	}
	if !slices.IsSortedFunc(epochs, bytes.Compare) || binary.BigEndian.Uint64(epochs[2]) != binary.BigEndian.Uint64(epoch)+2 {
		t.Errorf("epochs are %x", epochs)
	}
	s = opened(t, Config{Dir: dir})
	if tx := s.Read(); tx.Cluster("c") == nil || tx.Cluster("c2") != nil || !bytes.Equal(s.Epoch(), epochs[2]) {
		t.Error("the database is not the backup's")
	}
}

// TestRestoreReplacesDamaged: that the database cannot be read is the very reason to restore one.
func TestRestoreReplacesDamaged(t *testing.T) {
	s := opened(t, Config{})
	backup := backedUp(t, s)
	for name, image := range map[string][]byte{"empty": nil, "garbage": bytes.Repeat([]byte("garbage "), 10_000)} {
		dir := withImage(t, image)
		restored, err := Restore(RestoreConfig{Source: backup, Dir: dir, Force: true})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if kept, err := os.ReadFile(restored.Replaced); err != nil || !bytes.Equal(kept, image) {
			t.Errorf("%s: the damaged file is not kept: %v", name, err)
		}
		opened(t, Config{Dir: dir})
	}
}

// TestRestoreOfDamagedBackup: nothing is changed.
func TestRestoreOfDamagedBackup(t *testing.T) {
	s := opened(t, Config{})
	update(t, s, func(tx *Tx) error { return fill(tx, "1") })
	image, err := os.ReadFile(backedUp(t, s))
	if err != nil {
		t.Fatal(err)
	}
	for name, damaged := range map[string][]byte{
		"empty":    nil,
		"text":     []byte("no backup"),
		"cut off":  image[:len(image)-1],
		"one byte": bytes.Replace(image, []byte("content1"), []byte("content2"), 1),
	} {
		source := filepath.Join(t.TempDir(), "backup")
		if err := os.WriteFile(source, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		_, err := Restore(RestoreConfig{Source: source, Dir: dir})
		var corrupt *CorruptError
		if !errors.As(err, &corrupt) || corrupt.File != source || !strings.Contains(err.Error(), "nothing has been changed") {
			t.Errorf("%s: %v", name, err)
		}
		if entries, _ := filepath.Glob(filepath.Join(dir, databaseName+"*")); len(entries) > 0 {
			t.Errorf("%s: the failed restore leaves %v", name, entries)
		}
	}
	if _, err := Restore(RestoreConfig{Source: "no such file", Dir: t.TempDir()}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a backup: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
