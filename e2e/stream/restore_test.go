package stream

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/yardarm-dev/yardarm/hub/store"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// A hub that was restored from before what its spokes hold takes nothing away: they keep it, say why, and let go one by one
// as an operator accepts.
func TestRestoredHub(t *testing.T) {
	h := newHub(t, nil)
	h.group("prod", prod, "")
	h.publish("web", text(5_000, "one"), "prod")
	h.publish("same", text(100, "same"), "prod")
	h.publish("gone", text(100, "gone"), "prod")
	s := newSpoke(t, h, "edge-1", prod)
	s.start()
	for _, b := range []string{"web", "same", "gone"} {
		h.awaitPhase("edge-1", b, yardarmv1.PhaseReady, 1)
	}
	backup := h.backup()
	h.publish("web", text(5_000, "two"), "prod")
	h.publish("fresh", text(100, "fresh"), "prod")
	h.awaitPhase("edge-1", "web", yardarmv1.PhaseReady, 2)
	h.awaitPhase("edge-1", "fresh", yardarmv1.PhaseReady, 1)
	before := h.store.Epoch()
	h.restore(backup)
	if bytes.Compare(h.store.Epoch(), before) <= 0 {
		t.Fatal("the epoch went back")
	}
	if r := h.awaitPhase("edge-1", "web", yardarmv1.PhaseHeld, 2); r.Reason != yardarmv1.ReasonNewerThanHub || r.Message == "" {
		t.Errorf("web: %v", r)
	}
	if r := h.awaitPhase("edge-1", "fresh", yardarmv1.PhaseHeld, 1); r.Reason != yardarmv1.ReasonUnknownToHub || r.Message == "" {
		t.Errorf("fresh: %v", r)
	}
	h.awaitPhase("edge-1", "same", yardarmv1.PhaseReady, 1)
	// What the restored hub knows, it goes on to manage.
	h.update(func(tx *store.Tx) error {
		if err := tx.PutDeletedBundle(&storev1.DeletedBundle{Uid: uid("gone"), Name: "gone", Workloads: yardarmv1.Workloads_WORKLOADS_REMOVE}); err != nil {
			return err
		}
		return tx.DeleteBundle(uid("gone"))
	})
	eventually(t, "gone is gone", func() bool { return s.entry("gone") == nil })
	// Nothing that follows wears the holds away: another delta, another revision, another process.
	h.publish("same", text(100, "more"), "prod")
	h.awaitPhase("edge-1", "same", yardarmv1.PhaseReady, 2)
	h.publish("web", text(5_000, "other"), "prod")
	s.restart()
	h.publish("same", text(100, "and more"), "prod")
	h.awaitPhase("edge-1", "same", yardarmv1.PhaseReady, 3)
	for _, b := range []string{"web", "fresh"} {
		if e := s.entry(b); e == nil || e.Hold == nil || e.Removal != nil || !bytes.Equal(e.Epoch, before) {
			t.Fatalf("%s: %+v", b, e)
		}
		h.awaitPhase("edge-1", b, yardarmv1.PhaseHeld, 0)
	}
	if got := s.entry("web").Assignment; got.Revision != 2 {
		t.Errorf("web is at revision %d", got.Revision)
	}
	h.accept("edge-1", "web")
	eventually(t, "web follows the hub", func() bool {
		e := s.entry("web")
		return e.Hold == nil && e.Assignment.Digest == h.store.Read().Bundle(uid("web")).Status.Digest && bytes.Equal(e.Epoch, h.store.Epoch())
	})
	if e := s.entry("fresh"); e == nil || e.Hold == nil {
		t.Errorf("another hold was let go with it: %+v", e)
	}
	h.accept("edge-1", "fresh")
	eventually(t, "fresh is gone", func() bool { return s.entry("fresh") == nil && h.report("edge-1", "fresh") == nil })
	h.publish("web", text(5_000, "at last"), "prod")
	h.awaitPhase("edge-1", "web", yardarmv1.PhaseReady, 3)
}

// A database that was put back by hand, under the same epoch, cannot know what it has handed out since: the hub goes
// read-only and says so, and the spoke keeps what it has.
func TestRolledBackDatabase(t *testing.T) {
	h := newHub(t, nil)
	h.group("prod", prod, "")
	h.publish("web", text(100, "one"), "prod")
	s := newSpoke(t, h, "edge-1", prod)
	s.start()
	h.awaitPhase("edge-1", "web", yardarmv1.PhaseReady, 1)
	h.stop()
	old := filepath.Join(t.TempDir(), "old")
	if err := os.CopyFS(old, os.DirFS(h.dir)); err != nil {
		t.Fatal(err)
	}
	h.start()
	h.publish("web", text(100, "two"), "prod")
	h.awaitPhase("edge-1", "web", yardarmv1.PhaseReady, 2)
	cursor := s.state.Cursor()
	h.stop()
	h.dir = old
	h.start()
	eventually(t, "the hub is read-only", func() bool { return strings.Contains(h.store.ReadOnly(), "rolled back") })
	eventually(t, "the spoke says why", func() bool {
		st := s.status()
		return !st.Connected && st.Err != nil && strings.Contains(st.Err.Error(), "rolled back")
	})
	if e := s.entry("web"); e.Assignment.Revision != 2 || e.Hold != nil || e.Removal != nil {
		t.Errorf("the spoke holds %+v", e)
	}
	if c := s.state.Cursor(); c.Index != cursor.Index {
		t.Errorf("the cursor went to %d", c.Index)
	}
	// A spoke that has seen less gets no changes from it either.
	r := connect(t, h, s.id)
	if w := r.greet(s.id, nil); !strings.Contains(w.ReadOnly, "rolled back") {
		t.Errorf("welcome %v", w)
	}
	r.list()
	r.quiet(150 * time.Millisecond)
}
