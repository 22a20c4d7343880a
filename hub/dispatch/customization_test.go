package dispatch

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/hub/store"
)

// customize gives a bundle's newest revision a customization, and labels that it refers to.
func (w *world) customize(bundle string, c *yardarmv1.Customization, labels ...string) {
	w.t.Helper()
	w.update(func(tx *store.Tx) error {
		b := proto.CloneOf(tx.Bundle(bundle))
		r := proto.CloneOf(tx.Revision(bundle, b.Status.Revision))
		r.Spec.Customization, r.Spec.Labels = c, labels
		if err := tx.PutRevision(r); err != nil {
			return err
		}
		return tx.PutBundle(b)
	})
}

// ack says that a delta and its contents are persisted.
func (w *world) ack(s *session, d *spokev1.Delta) {
	w.t.Helper()
	ack := &spokev1.Ack{Cursor: d.GetCursor()}
	for _, c := range d.GetContents() {
		ack.Digests = append(ack.Digests, c.Digest)
	}
	w.say(s, &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Ack{Ack: ack}})
}

// Which language the spoke evaluates it says in its Hello.
func TestHelloTellsTheLanguage(t *testing.T) {
	w := newWorld(t)
	s, _ := w.session(t)
	if err := s.greet(&spokev1.Hello{Protocol: 1, Customization: 3}); err != nil || s.language != 3 {
		t.Errorf("language %d, %v", s.language, err)
	}
}

// What a spoke could not evaluate is not sent, and is shown as a failure of that bundle alone.
func TestCustomizationAboveTheSpokes(t *testing.T) {
	w := newWorld(t)
	w.publish("web", []byte("one"), "all")
	w.publish("db", []byte("two"), "all")
	w.customize("web", &yardarmv1.Customization{Substitute: true})
	s, stream := w.join() // of a spoke that says nothing of a language
	first := stream.take()
	if len(first.GetChanges()) != 1 || first.Changes[0].GetAssign().GetBundle() != "db" {
		t.Fatalf("first %v", first)
	}
	w.ack(s, first)
	w.flush()
	r := w.report("web")
	if r.GetPhase() != yardarmv1.PhaseFailed || r.Reason != reasonLanguage || !strings.Contains(r.Message, "upgrade the spoke") || w.report("db") != nil {
		t.Fatalf("web: %v, db: %v", r, w.report("db"))
	}
	// The spoke's own reports do not hide it.
	w.say(s, reports(true, "hash", says("db", yardarmv1.PhaseReady)))
	w.flush()
	if again := w.report("web"); again.GetReason() != reasonLanguage || w.report("db").GetPhase() != yardarmv1.PhaseReady {
		t.Errorf("web: %v, db: %v", again, w.report("db"))
	}
	// Nor is it told again and again.
	since := w.report("web").Since
	w.turnClock(spaceRetry)
	w.advance(s)
	if len(w.intake.pending) != 0 || stream.take() != nil || !proto.Equal(w.report("web").Since, since) {
		t.Errorf("later: %v", w.report("web"))
	}
	// A revision that the spoke can evaluate goes to it.
	w.publish("web", []byte("three"), "all")
	w.advance(s)
	if d := stream.take(); len(d.GetChanges()) != 1 || d.Changes[0].GetAssign().GetRevision() != 2 {
		t.Fatalf("delta %v", d)
	}
	w.flush()
	if r := w.report("web"); r != nil {
		t.Errorf("web: %v", r)
	}
}

func TestCustomizationThatTheSpokeEvaluates(t *testing.T) {
	w := newWorld(t)
	s, stream := w.join()
	s.language = 1
	w.publish("web", []byte("one"), "all")
	w.customize("web", &yardarmv1.Customization{Substitute: true}, "region")
	w.advance(s)
	d := stream.take()
	if a := d.GetChanges()[0].GetAssign(); a.GetCustomization().GetLanguage() != 1 || !a.Customization.Substitute || len(a.Labels) != 0 {
		t.Fatalf("delta %v", d)
	}
	w.ack(s, d)
	// A label that the revision refers to is another assignment of the same content; one that it does not is none.
	label := func(key string) *spokev1.Delta {
		t.Helper()
		w.update(func(tx *store.Tx) error {
			c := proto.CloneOf(tx.Cluster("c1"))
			c.Metadata.Labels[key] = "eu"
			return tx.PutCluster(c)
		})
		w.advance(s)
		return stream.take()
	}
	if d := label("other"); d != nil {
		t.Errorf("after a label that is not used: %v", d)
	}
	d = label("region")
	if len(d.GetChanges()) != 1 || len(d.Contents) != 0 || !maps.Equal(d.Changes[0].GetAssign().GetLabels(), map[string]string{"region": "eu"}) {
		t.Errorf("after a label that is used: %v", d)
	}
}

// What a spoke that was put back to an older version holds is its own to judge.
func TestCustomizationThatTheSpokeHolds(t *testing.T) {
	w := newWorld(t)
	s, stream := w.join()
	s.language = 1
	w.publish("web", []byte("one"), "all")
	w.customize("web", &yardarmv1.Customization{Substitute: true})
	w.advance(s)
	w.ack(s, stream.take())
	s.language = 0
	w.say(s, reports(true, "hash", says("web", yardarmv1.PhaseDegraded)))
	w.flush()
	if r := w.report("web"); r.GetPhase() != yardarmv1.PhaseDegraded {
		t.Errorf("web: %v", r)
	}
}

// A request to reconcile is another assignment of what the spoke holds.
func TestReconcileReachesTheSpoke(t *testing.T) {
	w := newWorld(t)
	w.publish("web", []byte("one"), "all")
	s, stream := w.join()
	w.ack(s, stream.take())
	w.update(func(tx *store.Tx) error { return tx.AddReconciliation("", "web") })
	w.advance(s)
	d := stream.take()
	if len(d.GetChanges()) != 1 || d.Changes[0].GetAssign().GetReconcile() != 1 || len(d.Contents) != 0 {
		t.Fatalf("delta %v", d)
	}
	w.ack(s, d)
	if d := stream.take(); d != nil {
		t.Errorf("and again: %v", d)
	}
}

// Assignments with large customizations make more deltas, not some that no spoke would receive.
func TestDeltasFitIntoMessages(t *testing.T) {
	const bundles = 12
	w := newWorld(t)
	s, stream := w.join()
	s.language = 1
	for i := range bundles {
		name := fmt.Sprintf("b%02d", i)
		w.publish(name, []byte(name), "all")
		w.customize(name, &yardarmv1.Customization{Patches: []*yardarmv1.Patch{{Patch: strings.Repeat("x", 900<<10)}}})
	}
	w.advance(s)
	sent := 0
	for d := stream.take(); d != nil; d = stream.take() {
		if size := proto.Size(d); size > 4<<20 {
			t.Fatalf("a delta has %d bytes", size)
		}
		if sent += len(d.Changes); len(d.Changes) < 2 {
			t.Errorf("a delta has only %d changes", len(d.Changes))
		}
		w.ack(s, d)
	}
	if sent != bundles {
		t.Errorf("%d of %d assignments have been sent", sent, bundles)
	}
}
