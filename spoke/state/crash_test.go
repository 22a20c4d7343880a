package state

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/protobuf/proto"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

var errPower = errors.New("power is gone")

// history is a state with three bundles at cursor 1, and a delta to cursor 2 that touches all of them.
func history(t testing.TB, m *memory) (*State, *spokev1.Delta) {
	one, two, three := content("one"), content("two"), content("three")
	s := open(t, m)
	web1, db, old := assignment("web", 1, one), assignment("db", 1, two), assignment("old", 1, three)
	apply(t, s, cursor(1, 1), []*spokev1.Content{one.whole(), two.whole(), three.whole()}, assign(web1, nil), assign(db, nil), assign(old, nil))
	next := content("next")
	web2 := assignment("web", 2, next)
	fresh := assignment("fresh", 1, next)
	return s, &spokev1.Delta{
		Cursor:   cursor(1, 2),
		Changes:  []*spokev1.Change{assign(web2, web1.Hash), remove("old", old.Hash), hold("db"), assign(fresh, nil)},
		Contents: []*spokev1.Content{next.whole()},
	}
}

// describe says what a state holds, without contents.
func describe(s *State) string {
	var b strings.Builder
	for _, e := range s.Entries() {
		fmt.Fprintf(&b, "%s:%d held=%v removing=%v at %d\n", e.Assignment.Bundle, e.Assignment.Revision, e.Hold != nil, e.Removal != nil, e.Index)
	}
	return b.String()
}

// A crash after each single write of a delta leaves a state from which the same delta leads where it was to lead; the cursor
// is never ahead of the entries; and until then the hash tells the hub that something is missing.
func TestCrashAtEachWrite(t *testing.T) {
	whole := newMemory()
	s, d := history(t, whole)
	before, beforeHash := describe(s), s.HoldingsHash()
	start := len(whole.writes)
	if _, err := s.ApplyDelta(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	after, afterHash, writes := describe(s), s.HoldingsHash(), whole.writes[start:]
	if i := slices.Index(writes, cursorKey); i != len(writes)-1-countDeletions(writes) {
		t.Fatalf("the cursor is not the last to be written: %v", writes)
	}
	for n := range writes {
		t.Run(fmt.Sprintf("after %d of %d", n, len(writes)), func(t *testing.T) {
			m := newMemory()
			s, d := history(t, m)
			m.fail(n, errPower)
			_, err := s.ApplyDelta(t.Context(), d)
			if durable := n >= slices.Index(writes, cursorKey)+1; durable != (err == nil) {
				t.Fatalf("the delta: %v", err)
			}
			m.heal()
			crashed := open(t, m)
			switch at := crashed.Cursor().Index; {
			case at == 2 && !bytes.Equal(crashed.HoldingsHash(), afterHash):
				t.Errorf("the cursor is ahead of the entries:\n%s", describe(crashed))
			case at == 1 && n > 0 && describe(crashed) != before && bytes.Equal(crashed.HoldingsHash(), beforeHash):
				t.Errorf("the hash hides a change:\n%s", describe(crashed))
			}
			for _, e := range crashed.Entries() {
				if e.HasContent {
					if _, err := crashed.Content(t.Context(), e.Assignment.Digest); err != nil {
						t.Errorf("%s: %v", e.Assignment.Bundle, err)
					}
				}
			}
			if crashed.Cursor().Index == 2 {
				return
			}
			again, err := crashed.ApplyDelta(t.Context(), d)
			if err != nil || len(again.Nacks) > 0 {
				t.Fatalf("the same delta again: %v %v", again.Nacks, err)
			}
			if got := describe(crashed); got != after {
				t.Errorf("got\n%swant\n%s", got, after)
			}
		})
	}
}

func countDeletions(writes []string) (n int) {
	for _, w := range writes {
		if strings.HasPrefix(w, "-") {
			n++
		}
	}
	return n
}

// Regression: a write failed half way, with a tombstone already on disk; the hub thought better of it, which takes no delta;
// and a restart brought the tombstone back.
func TestFailedWriteIsUndone(t *testing.T) {
	for n := range 16 {
		t.Run(fmt.Sprint("after ", n/2, ", late ", n%2 > 0), func(t *testing.T) {
			m := newMemory()
			m.late = n%2 > 0
			n := n / 2
			s, d := history(t, m)
			want, cursorBefore := describe(s), s.Cursor()
			m.fail(n, errPower)
			if _, err := s.ApplyDelta(t.Context(), d); err == nil {
				return // all of it was written
			} else if !errors.Is(err, errPower) {
				t.Fatal(err)
			}
			if got := describe(s); got != want {
				t.Fatalf("what was not persisted is visible:\n%s", got)
			}
			if err := s.Settle(t.Context()); n == 0 && err == nil {
				t.Error("settled on a disk that takes nothing")
			}
			m.heal()
			if err := s.Settle(t.Context()); err != nil {
				t.Fatal(err)
			}
			reopened := open(t, m)
			if got := describe(reopened); got != want || !proto.Equal(reopened.Cursor(), cursorBefore) {
				t.Errorf("after a restart:\n%swant\n%s", got, want)
			}
			if keys := m.keys(artifactPrefix); len(keys) != 3 {
				t.Errorf("contents on disk: %v", keys)
			}
			for _, e := range reopened.Entries() {
				if _, err := reopened.Content(t.Context(), e.Assignment.Digest); err != nil {
					t.Errorf("%s: %v", e.Assignment.Bundle, err)
				}
			}
		})
	}
}

func TestFullDiskRefusesTheDelta(t *testing.T) {
	for _, cause := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		for n := range 4 {
			m := newMemory()
			s, d := history(t, m)
			want := describe(s)
			m.fail(n, fmt.Errorf("write: %w", cause))
			out, err := s.ApplyDelta(t.Context(), d)
			if err != nil {
				t.Fatalf("%v after %d: %v", cause, n, err)
			}
			if len(out.Nacks) != 1 || out.Nacks[0].Code != spokev1.NackCode_NACK_CODE_NO_SPACE || out.Nacks[0].BundleUid != "" ||
				!proto.Equal(out.Nacks[0].Cursor, d.Cursor) || out.Persisted || len(out.Acked) > 0 {
				t.Errorf("%v after %d: %v", cause, n, out)
			}
			if got := describe(s); got != want || s.Cursor().Index != 1 {
				t.Errorf("%v after %d: something changed:\n%s", cause, n, got)
			}
			m.heal()
			if out, err := s.ApplyDelta(t.Context(), d); err != nil || !out.Persisted || len(out.Nacks) > 0 {
				t.Errorf("with space again: %v %v", out, err)
			}
		}
	}
}

// Garbage that cannot be removed is nobody's failure, and is removed later.
func TestGarbageThatStays(t *testing.T) {
	m := newMemory()
	s := open(t, m)
	one, two := content("one"), content("two")
	web1 := assignment("web", 1, one)
	apply(t, s, cursor(1, 1), []*spokev1.Content{one.whole()}, assign(web1, nil))
	m.fail(3, errPower) // content, holding, cursor
	apply(t, s, cursor(1, 2), []*spokev1.Content{two.whole()}, assign(assignment("web", 2, two), web1.Hash))
	if keys := m.keys(artifactPrefix); len(keys) != 2 {
		t.Fatalf("contents on disk: %v", keys)
	}
	m.heal()
	apply(t, s, cursor(1, 3), nil, hold("web"))
	if keys := m.keys(artifactPrefix); !slices.Equal(keys, []string{artifactKey(two.digest, "")}) {
		t.Errorf("contents on disk: %v", keys)
	}
}

func TestUnreadableStateIsDropped(t *testing.T) {
	for _, key := range []string{cursorKey, holdingPrefix + uidOf("web")} {
		m := newMemory()
		history(t, m)
		m.values[key] = []byte("\xff\xff no message")
		m.values["something/else"] = []byte("x")
		s := open(t, m)
		if lost := entry(t, s, "web") == nil; lost != (key != cursorKey) || (s.Cursor() == nil) != (key == cursorKey) {
			t.Errorf("%s: entries\n%scursor %v", key, describe(s), s.Cursor())
		}
		if entry(t, s, "db") == nil {
			t.Errorf("%s: others were lost with it", key)
		}
	}
	// A file under another's name would be another bundle's holding.
	m := newMemory()
	history(t, m)
	m.values[holdingPrefix+uidOf("web")] = m.values[holdingPrefix+uidOf("db")]
	if s := open(t, m); entry(t, s, "web") != nil || len(s.Entries()) != 2 {
		t.Errorf("entries\n%s", describe(s))
	}
	m.unreadable = errPower
	if _, err := Open(t.Context(), m, discard); !errors.Is(err, errPower) {
		t.Errorf("a backend that cannot be read: %v", err)
	}
}

func TestDirKeepsEverything(t *testing.T) {
	root := filepath.Join(t.TempDir(), "deep", "state")
	dir, err := NewDir(root)
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	one, two := content("one"), content("two")
	web1, db := assignment("web", 1, one), assignment("db", 1, two)
	apply(t, s, cursor(1, 1), []*spokev1.Content{one.whole(), two.whole()}, assign(web1, nil), assign(db, nil))
	apply(t, s, cursor(1, 2), nil, remove("db", db.Hash), hold("web"))
	rendering := &spokev1.Rendering{
		Customization: &yardarmv1.Customization{Substitute: true, Language: 1}, Name: "edge-1", Labels: map[string]string{"a": "b"}, Facts: &yardarmv1.Facts{Region: "eu"},
	}
	if err := s.Applied(t.Context(), uidOf("web"), Applied{Digest: one.digest, Rendering: rendering}, nil); err != nil {
		t.Fatal(err)
	}
	// What an interrupted write leaves is no state.
	if err := os.WriteFile(filepath.Join(root, "holding", uidOf("web")+tempSuffix), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	want, wantHash := describe(s), s.HoldingsHash()
	reopened := open(t, dir)
	if got := describe(reopened); got != want || !bytes.Equal(reopened.HoldingsHash(), wantHash) || !proto.Equal(reopened.Cursor(), cursor(1, 2)) {
		t.Errorf("reopened:\n%swant\n%s", got, want)
	}
	if !proto.Equal(s.Cursor(), cursor(1, 2)) {
		t.Errorf("noting what is applied has changed the cursor to %v", s.Cursor())
	}
	e := entry(t, reopened, "web")
	if e.Hold.GetReason() != yardarmv1.ReasonUnknownToHub || !e.Applied.Equal(Applied{Digest: one.digest, Rendering: rendering}) || !e.HasContent ||
		!proto.Equal(entry(t, reopened, "db").Removal, remove("db", nil).GetRemove()) {
		t.Errorf("entry %+v", e)
	}
	if got, err := reopened.Content(t.Context(), one.digest); err != nil || !bytes.Equal(got, one.text) {
		t.Errorf("content: %v", err)
	}
	if !signalled(reopened.Changed()) {
		t.Error("a reconciler would wait for a change before it looks")
	}
	err = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is open to others: %s", path, info.Mode())
		}
		if strings.HasSuffix(path, tempSuffix) {
			t.Errorf("%s is left", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A directory that has become unwritable fails the delta and shows nothing of it.
func TestDirThatFails(t *testing.T) {
	root := t.TempDir()
	dir, err := NewDir(root)
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	web1 := assignment("web", 1, content("one"))
	apply(t, s, cursor(1, 1), nil, assign(web1, nil))
	// A folder in the place of the file, which even root cannot replace by renaming.
	if err := os.MkdirAll(filepath.Join(root, "holding", uidOf("db"), "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err = s.ApplyDelta(t.Context(), &spokev1.Delta{Cursor: cursor(1, 2), Changes: []*spokev1.Change{assign(assignment("db", 1, content("two")), nil)}})
	if err == nil || entry(t, s, "db") != nil || s.Cursor().Index != 1 {
		t.Errorf("%v; entries\n%s", err, describe(s))
	}
}

func TestOwnLetsGoOfAnotherLife(t *testing.T) {
	m := newMemory()
	s, d := history(t, m)
	if err := s.Own(t.Context(), "first"); err != nil {
		t.Fatal(err)
	}
	apply(t, s, d.Cursor, d.Contents, d.Changes...)
	if err := s.Own(t.Context(), "first"); err != nil || s.Cursor() == nil {
		t.Fatalf("the same owner: %v, cursor %v", err, s.Cursor())
	}
	s = open(t, m)
	if err := s.Own(t.Context(), "second"); err != nil {
		t.Fatal(err)
	}
	for where, s := range map[string]*State{"in memory": s, "reopened": open(t, m)} {
		if s.Cursor() != nil || len(s.Entries()) != 4 {
			t.Errorf("%s: cursor %v, %d entries", where, s.Cursor(), len(s.Entries()))
		}
		for _, e := range s.Entries() {
			if e.Removal.GetWorkloads() != yardarmv1.Workloads_WORKLOADS_KEEP || e.Hold != nil {
				t.Errorf("%s: %s is not let go: %v", where, e.Assignment.Bundle, e.Removal)
			}
		}
	}
}

// An artifact whose removal has failed does not count as here, whether it is still there or not. Regression: it was said to be, and
// what was assigned it was said to have its content.
func TestFailedRemovalOfAnArtifact(t *testing.T) {
	for name, late := range map[string]bool{"it is there": false, "it is gone": true} {
		t.Run(name, func(t *testing.T) {
			m := newMemory()
			s := open(t, m)
			one, two := content("one"), content("two")
			apply(t, s, cursor(1, 1), []*spokev1.Content{one.whole()}, assign(assignment("web", 1, one), nil))
			m.late = late
			m.fail(3, errPower) // all but what follows the cursor
			apply(t, s, cursor(1, 2), []*spokev1.Content{two.whole()}, assign(assignment("web", 2, two), assignment("web", 1, one).Hash))
			m.heal()
			apply(t, s, cursor(1, 3), nil, assign(assignment("web", 3, one), assignment("web", 2, two).Hash))
			if entry(t, s, "web").HasContent || len(s.Missing()) != 1 {
				t.Error("its content is said to be here")
			}
			if left := m.keys(artifactPrefix); len(left) != 0 {
				t.Errorf("left over: %v", left)
			}
			if err := s.PutContent(t.Context(), one.digest, uint64(len(one.text)), one.encoded); err != nil {
				t.Fatal(err)
			}
			if got, err := s.Content(t.Context(), one.digest); err != nil || string(got) != string(one.text) {
				t.Errorf("fetched again: %v", err)
			}
		})
	}
}
