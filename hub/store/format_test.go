package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// TestNewerFormat refuses a database of a newer hub, whatever else is in it, and changes nothing.
func TestNewerFormat(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, Config{Dir: dir})
	update(t, s, func(tx *Tx) error { return fill(tx, "1") })
	m := proto.CloneOf(s.Meta())
	m.Format = Format + 1
	if err := s.log.Append(&Batch{Meta: m, Ops: []Op{{Table: "fleets", Key: "k", Value: []byte("of a table that is not known yet")}}}); err != nil {
		t.Fatal(err)
	}
	crash(t, s)
	before := databaseImage(t, dir)
	_, err := Open(Config{Dir: dir})
	var format *FormatError
	if !errors.As(err, &format) || format.Format != Format+1 || format.Supported != Format || format.File != filepath.Join(dir, databaseName) {
		t.Fatalf("opening gives %v, want a FormatError", err)
	}
	for _, part := range []string{format.File, fmt.Sprint(Format), fmt.Sprint(Format + 1), "at least as new"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q: %v", part, err)
		}
	}
	if string(databaseImage(t, dir)) != string(before) {
		t.Error("the database has been changed")
	}
	if _, err := Restore(RestoreConfig{Source: filepath.Join(dir, databaseName), Dir: t.TempDir()}); !errors.As(err, &format) {
		t.Errorf("restoring it gives %v", err)
	}
}

// TestMigrate takes databases through two formats that do not exist yet: one changes a row, one adds a table.
func TestMigrate(t *testing.T) {
	rename := func(log Log) (ops []Op, err error) {
		err = log.Load(func(table, key string, value []byte) error {
			c := &storev1.Credential{}
			if table != Credentials.String() {
				return nil
			}
			if err := proto.Unmarshal(value, c); err != nil {
				return err
			}
			c.Name += "!"
			value, err := proto.Marshal(c)
			ops = append(ops, Op{Table: table, Key: key, Value: value})
			return err
		})
		return ops, err
	}
	add := func(Log) ([]Op, error) { return []Op{{Table: "added", Key: "k", Value: []byte("v")}}, nil }
	errTest := errors.New("test")
	fail := func(Log) ([]Op, error) { return nil, errTest }

	for name, test := range map[string]struct {
		steps  []migration
		err    error
		format uint32
		name   string
		added  bool
	}{
		"both":         {[]migration{rename, add}, nil, Format + 2, "n!", true},
		"second fails": {[]migration{rename, fail}, errTest, Format + 1, "n!", false},
		"first fails":  {[]migration{fail, add}, errTest, Format, "n", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := opened(t, Config{})
			update(t, s, func(tx *Tx) error { return tx.PutCredential(&storev1.Credential{Id: "c", Name: "n"}) })
			m, err := migrate(s.log, Format+2, append(migrations(), test.steps...))
			if !errors.Is(err, test.err) || err == nil && (m.Format != test.format || m.Fleet != s.Meta().Fleet || m.Index != s.Meta().Index) {
				t.Errorf("migrating gives %v, %v", m, err)
			}
			if err := databaseOf(s).db.View(func(tx *bbolt.Tx) error {
				value := func(table, key string) []byte {
					b := tx.Bucket([]byte(table))
					if b == nil {
						return nil
					}
					value, err := unseal(table, []byte(key), b.Get([]byte(key)))
					if err != nil {
						t.Fatal(err)
					}
					return value
				}
				m, c := &storev1.Meta{}, &storev1.Credential{}
				if err := errors.Join(proto.Unmarshal(value(meta.String(), metaKey), m), proto.Unmarshal(value(Credentials.String(), "c"), c)); err != nil {
					return err
				}
				if m.Format != test.format || c.Name != test.name || (value("added", "k") != nil) != test.added {
					t.Errorf("on disk is format %d, name %q, and the added row %q", m.Format, c.Name, value("added", "k"))
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		})
	}
	// A database that is up to date is not touched.
	s, log := openedTestLog(t, t.TempDir())
	if _, err := migrate(s.log, Format, nil); err != nil || len(log.appended()) > 0 {
		t.Errorf("there is something to migrate: %v", err)
	}
}

// TestMigrateFromFormat1 opens a database as the first hubs left it: without reconciliations, roles and bindings, rollouts, gates, notifications, strategies,
// source credentials, and turns.
func TestMigrateFromFormat1(t *testing.T) {
	s := opened(t, Config{})
	update(t, s, func(tx *Tx) error {
		return errors.Join(tx.PutBundle(bundle("b1", "web")), tx.PutCredential(&storev1.Credential{Id: "c"}))
	})
	m := proto.CloneOf(s.Meta())
	m.Format = 1
	if err := databaseOf(s).db.Update(func(tx *bbolt.Tx) error {
		return errors.Join(tx.DeleteBucket([]byte(Reconciliations.String())), tx.DeleteBucket([]byte(Roles.String())),
			tx.DeleteBucket([]byte(RoleBindings.String())), tx.DeleteBucket([]byte(CredentialUses.String())),
			tx.DeleteBucket([]byte(Rollouts.String())), tx.DeleteBucket([]byte(RolloutMembers.String())), tx.DeleteBucket([]byte(Gates.String())),
			tx.DeleteBucket([]byte(Notifications.String())), tx.DeleteBucket([]byte(Tolds.String())), tx.DeleteBucket([]byte(Strategies.String())),
			tx.DeleteBucket([]byte(SourceCredentials.String())), tx.DeleteBucket([]byte(Turns.String())), putMeta(tx, m))
	}); err != nil {
		t.Fatal(err)
	}
	crash(t, s) // its last word would be the format that it knows
	for range 2 {
		s = opened(t, Config{Dir: s.config.Dir})
		if tx := s.Read(); s.Meta().Format != Format || tx.Bundle("b1") == nil || tx.Credential("c") == nil {
			t.Fatalf("format %d, bundle %v", s.Meta().Format, tx.Bundle("b1"))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s = opened(t, Config{Dir: s.config.Dir})
	update(t, s, func(tx *Tx) error {
		return errors.Join(tx.AddReconciliation("", "b1"), tx.PutRollout(&storev1.Rollout{BundleUid: "b1", Settled: 1}))
	})
	if n := reopened(t, s).Read().Reconciliations("c1", "b1"); n != 1 {
		t.Errorf("the new table has %d", n)
	}
}

// TestMigrateScopes opens a database of before source credentials had scopes: they are for the bundles that name them, and for no others.
func TestMigrateScopes(t *testing.T) {
	s := opened(t, Config{})
	credentials := func(name string) *storev1.SourceCredentials {
		return &storev1.SourceCredentials{Credentials: &yardarmv1.SourceCredentials{Metadata: &yardarmv1.ObjectMeta{Name: name}, Spec: &yardarmv1.SourceCredentialsSpec{Username: "ann"}},
			Secrets: map[string]*storev1.SealedSecret{"password": {Ciphertext: []byte("sealed")}}}
	}
	from := func(uid, name, credentials string) *yardarmv1.Bundle {
		b := bundle(uid, name)
		b.Spec = &yardarmv1.BundleSpec{Source: &yardarmv1.Source{From: &yardarmv1.Source_Helm{Helm: &yardarmv1.HelmSource{Credentials: credentials}}}}
		return b
	}
	update(t, s, func(tx *Tx) error {
		return errors.Join(tx.PutSourceCredentials(credentials("used")), tx.PutSourceCredentials(credentials("unused")),
			tx.PutBundle(from("b1", "web", "used")), tx.PutBundle(from("b2", "api", "used")), tx.PutBundle(from("b3", "open", "")), tx.PutBundle(bundle("b4", "by-hand")))
	})
	m := proto.CloneOf(s.Meta())
	m.Format = 12
	if err := databaseOf(s).db.Update(func(tx *bbolt.Tx) error { return putMeta(tx, m) }); err != nil {
		t.Fatal(err)
	}
	crash(t, s) // its last word would be the format that it knows
	tx := opened(t, Config{Dir: s.config.Dir}).Read()
	want := credentials("used")
	want.Credentials.Spec.Bundles = &yardarmv1.Scope{Names: []string{"api", "web"}}
	got := tx.SourceCredentials("used")
	if want.Credentials.Metadata = got.GetCredentials().GetMetadata(); !proto.Equal(got, want) {
		t.Errorf("they are %v, want %v", got, want)
	}
	if got := tx.SourceCredentials("unused"); got == nil || got.GetCredentials().GetSpec().GetBundles() != nil {
		t.Errorf("those that nothing names are %v", got)
	}
}

func TestInUse(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, Config{Dir: dir})
	start := time.Now()
	_, err := Open(Config{Dir: dir})
	var used *InUseError
	if !errors.As(err, &used) || used.Dir != dir {
		t.Fatalf("a second hub gets %v, want an InUseError", err)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("it takes %v to refuse", d)
	}
	host, _ := os.Hostname()
	for _, part := range []string{dir, fmt.Sprint("process ", os.Getpid()), host, "stop it first"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q: %v", part, err)
		}
	}
	if _, err := Restore(RestoreConfig{Source: filepath.Join(dir, databaseName), Dir: dir, Force: true}); !errors.As(err, &used) {
		t.Errorf("restoring into it gives %v", err)
	}
	update(t, s, func(tx *Tx) error { return tx.PutToken(&storev1.EnrolmentToken{Id: "t"}) }) // the first one goes on
	if s = reopened(t, s); s.Read().Token("t") == nil {
		t.Error("the row is lost")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// The note of the one before means nothing without its lock; and another program's lock on the file is respected, too.
	db, err := openDatabase(filepath.Join(dir, databaseName), os.OpenFile, true)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	start = time.Now()
	if _, err := Open(Config{Dir: dir}); !errors.As(err, &used) {
		t.Errorf("with another program on the file, opening gives %v", err)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("it takes %v to refuse", d)
	}
}

func TestOpenWithoutDir(t *testing.T) {
	if _, err := Open(Config{}); err == nil {
		t.Error("a store without a directory is opened")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Dir: filepath.Join(file, "data")}); err == nil {
		t.Error("a store in a file is opened")
	}
}

// TestLeftovers: what a crash has left of files that were being written is removed, and nothing else.
func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	for name, stays := range map[string]bool{databaseName + newSuffix: false, "backup-123" + newSuffix: false, "notes.txt": true, "other" + newSuffix: true, databaseName + ".replaced-x": true} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		s := opened(t, Config{Dir: dir})
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != stays {
			t.Errorf("%s: %v", name, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
