package stream

import (
	"context"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
	"github.com/yardarm-dev/yardarm/spoke/state"
)

// about is a report of a phase about an assignment.
func about(a *yardarmv1.AssignmentSpec, phase string) *yardarmv1.Report {
	return &yardarmv1.Report{Bundle: a.Bundle, BundleUid: a.BundleUid, AssignmentHash: a.Hash, Revision: a.Revision, Phase: phase}
}

// A content that is refused is sent once more, whole; refused again, it is a visible failure of its bundle, and of it alone,
// until something else is assigned or the spoke turns out to have taken it.
func TestRefusedContent(t *testing.T) {
	h := newHub(t, nil)
	h.group("prod", prod, "")
	one := h.publish("web", text(5_000, "one"), "prod")
	id := enrol(t, h, "edge-1", prod)
	r := connect(t, h, id)
	r.greet(id, nil)
	r.list()
	d := r.delta()
	web1 := d.Changes[0].GetAssign()
	r.reports(&spokev1.ReportUpdate{Reports: []*yardarmv1.Report{about(web1, yardarmv1.PhaseReady)}, ReportsHash: []byte("1"), Complete: true})
	r.ack(d.Cursor, one)

	two := h.publish("web", text(5_000, "two"), "prod")
	d = r.delta()
	web2 := d.Changes[0].GetAssign()
	if d.Contents[0].BaseDigest != one {
		t.Fatalf("base %q", d.Contents[0].BaseDigest)
	}
	r.nack(&spokev1.Nack{Cursor: d.Cursor, Digest: two, Code: spokev1.NackCode_NACK_CODE_MISSING_BASE})
	r.ack(d.Cursor) // the assignment stands
	d = r.delta()
	if a := d.Changes[0].GetAssign(); a.GetRevision() != 2 || len(d.Contents) != 1 || d.Contents[0].BaseDigest != "" {
		t.Fatalf("once more: %v", d)
	}
	if r := h.report("edge-1", "web"); r.GetReason() == "Refused" {
		t.Fatal("a failure after the first refusal")
	}
	r.nack(&spokev1.Nack{BundleUid: uid("web"), Digest: two, Code: spokev1.NackCode_NACK_CODE_WRONG_DIGEST, Message: "does not add up"})
	r.ack(d.Cursor)
	failed := h.awaitPhase("edge-1", "web", yardarmv1.PhaseFailed, 2)
	if failed.Reason != "Refused" || !strings.Contains(failed.Message, "does not add up") || string(failed.AssignmentHash) != string(web2.Hash) {
		t.Errorf("failed as %v", failed)
	}
	r.quiet(200 * time.Millisecond)
	// Others are delivered. What the spoke says of the bundle meanwhile does not hide the failure.
	h.publish("db", text(100, "1"), "prod")
	d = r.delta()
	if len(d.Changes) != 1 || d.Changes[0].GetAssign().GetBundle() != "db" {
		t.Fatalf("then %v", d)
	}
	db := d.Changes[0].GetAssign()
	r.ack(d.Cursor, db.Digest)
	r.reports(&spokev1.ReportUpdate{Reports: []*yardarmv1.Report{about(web2, yardarmv1.PhasePending), about(db, yardarmv1.PhaseReady)}, ReportsHash: []byte("2")})
	h.awaitPhase("edge-1", "db", yardarmv1.PhaseReady, 1)
	if r := h.report("edge-1", "web"); r.GetReason() != "Refused" {
		t.Errorf("the failure is hidden by %v", r)
	}
	// The hub holds something else than the spoke said, so the next session is asked.
	if o := h.store.Read().Observed(uid("edge-1")); len(o.ReportsHash) != 0 {
		t.Errorf("reports hash %x", o.ReportsHash)
	}

	// The hub returns to what the spoke holds: it knows what the spoke said of that, and there is nothing to send.
	h.publish("web", text(5_000, "three"), "prod")
	d = r.delta()
	web3 := d.Changes[0].GetAssign()
	if len(d.Contents) != 1 || d.Contents[0].BaseDigest != "" {
		t.Errorf("sent against a content that was refused: %v", d.Contents)
	}
	r.ack(d.Cursor)
	eventually(t, "the spoke's word counts again", func() bool {
		r := h.report("edge-1", "web")
		return r.GetPhase() == yardarmv1.PhasePending && string(r.AssignmentHash) == string(web2.Hash)
	})
	r.nack(&spokev1.Nack{BundleUid: uid("web"), Digest: web3.Digest, Code: spokev1.NackCode_NACK_CODE_WRONG_DIGEST})
	d = r.delta()
	r.nack(&spokev1.Nack{BundleUid: uid("web"), Digest: web3.Digest, Code: spokev1.NackCode_NACK_CODE_WRONG_DIGEST})
	r.ack(d.Cursor)
	h.awaitPhase("edge-1", "web", yardarmv1.PhaseFailed, 3)
	// It has it after all, as when its disk had space again.
	r.reports(&spokev1.ReportUpdate{Reports: []*yardarmv1.Report{about(web3, yardarmv1.PhaseReady)}, ReportsHash: []byte("3")})
	h.awaitPhase("edge-1", "web", yardarmv1.PhaseReady, 3)
	eventually(t, "the hub and the spoke agree", func() bool { return string(h.store.Read().Observed(uid("edge-1")).ReportsHash) == "3" })
}

// A change that is refused leaves the spoke with what it had; it lists that, gets the change once more, and then the bundle
// has failed.
func TestRefusedChange(t *testing.T) {
	h := newHub(t, nil)
	h.group("prod", prod, "")
	h.publish("web", text(100, "1"), "prod")
	h.publish("db", text(100, "2"), "prod")
	id := enrol(t, h, "edge-1", prod)
	r := connect(t, h, id)
	r.greet(id, nil)
	r.list()
	var db *spokev1.Holding
	for i := range 2 {
		d := r.delta()
		for _, c := range d.Changes {
			if a := c.GetAssign(); a.Bundle == "web" {
				r.nack(&spokev1.Nack{Cursor: d.Cursor, BundleUid: a.BundleUid, Code: spokev1.NackCode_NACK_CODE_UNSUPPORTED, Message: "upgrade the spoke"})
			} else if db == nil {
				db = held(a, d.Cursor)
			}
		}
		if want := 2 - i; len(d.Changes) != want {
			t.Fatalf("delta %d has %d changes, want %d", i, len(d.Changes), want)
		}
		r.list(db)
	}
	if r := h.awaitPhase("edge-1", "web", yardarmv1.PhaseFailed, 1); !strings.Contains(r.Message, "upgrade the spoke") {
		t.Errorf("report %v", r)
	}
	r.quiet(200 * time.Millisecond)
	// The next session tries again: the spoke may be another one.
	r = connect(t, h, id)
	if w := r.greet(id, nil); !w.SendReports {
		t.Error("not asked for the reports")
	}
	r.list(db)
	if d := r.delta(); len(d.Changes) != 1 || d.Changes[0].GetAssign().GetBundle() != "web" {
		t.Errorf("then %v", d)
	}
}

// full is a backend whose disk has no space for artifacts, at times.
type full struct {
	state.Backend
	now atomic.Bool
}

func (f *full) Write(ctx context.Context, changes []state.Write) error {
	for _, c := range changes {
		if f.now.Load() && c.Value != nil && strings.HasPrefix(c.Key, "artifact/") {
			return syscall.ENOSPC
		}
		if err := f.Backend.Write(ctx, []state.Write{c}); err != nil {
			return err
		}
	}
	return nil
}

// A spoke whose disk is full says so of the bundle that does not fit, goes on with the others, and takes it when there is
// space.
func TestFullDiskOfASpoke(t *testing.T) {
	h := newHub(t, nil)
	h.group("prod", prod, "")
	s := newSpoke(t, h, "edge-1", prod)
	disk := &full{Backend: s.backend}
	s.backend = disk
	s.reopen()
	s.start()
	h.publish("db", text(100, "1"), "prod")
	h.awaitPhase("edge-1", "db", yardarmv1.PhaseReady, 1)
	disk.now.Store(true)
	h.publish("web", text(300_000, "1"), "prod")
	r := h.awaitPhase("edge-1", "web", yardarmv1.PhaseFailed, 1)
	if r.Reason != "Refused" || !strings.Contains(r.Message, "no space") {
		t.Errorf("report %v", r)
	}
	h.retarget("db")
	eventually(t, "db is gone", func() bool { return s.entry("db") == nil })
	session := h.presence("edge-1").Session
	disk.now.Store(false)
	h.awaitPhase("edge-1", "web", yardarmv1.PhaseReady, 1)
	if h.presence("edge-1").Session != session {
		t.Error("the stream broke over it")
	}
}
