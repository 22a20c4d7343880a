package dispatch

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/holdings"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// page is some 20 KB that differ from others by the seed.
func page(seed string) []byte {
	var b strings.Builder
	for i := range 400 {
		fmt.Fprintf(&b, `{"kind":"ConfigMap","metadata":{"name":"n%d"}}`+"\n", i*i)
	}
	return []byte(b.String() + seed)
}

// joinBrief makes a session whose spoke takes what is brief, and holds the first revision of web with its content.
func joinBrief(t *testing.T, w *world) (*session, *wire, *yardarmv1.AssignmentSpec) {
	t.Helper()
	s, stream := w.join()
	s.brief = true
	w.publish("web", page("one"), "all")
	w.advance(s)
	first := stream.take()
	a := first.GetChanges()[0].GetAssign()
	if a == nil || len(first.Cursor.Epoch) == 0 {
		t.Fatalf("first %v", first)
	}
	w.say(s, &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Ack{Ack: &spokev1.Ack{Cursor: &spokev1.Cursor{Index: first.Cursor.Index}, Complete: true}}})
	return s, stream, a
}

// What differs by a revision and its artifact alone is said briefly, and only to whom holds what it rests on.
func TestBriefChange(t *testing.T) {
	for _, tc := range []struct {
		name  string
		edit  func(*session)
		brief bool
	}{
		{"another artifact", func(*session) {}, true},
		{"to a spoke that takes none", func(s *session) { s.brief = false }, false},
		{"of another epoch", func(s *session) {
			s.held[0].epoch = bytes.Repeat([]byte{1}, 16)
		}, false},
		{"of what is held", func(s *session) {
			s.held[0].held = true
		}, false},
		{"without its content", func(s *session) {
			s.held[0].hasContent = false
		}, false},
		{"of another delivery", func(s *session) {
			s.held[0].hash = bytes.Repeat([]byte{7}, 32) // it was assigned in a way that the revision number and the digest do not tell
		}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			s, stream, first := joinBrief(t, w)
			tc.edit(s)
			w.publish("web", page("two"), "all")
			w.advance(s)
			d := stream.take()
			if len(d.GetChanges()) != 1 {
				t.Fatalf("got %v", d)
			}
			r := d.Changes[0].GetRevise()
			if (r != nil) != tc.brief {
				t.Fatalf("got %v", d.Changes[0])
			}
			if r == nil {
				return
			}
			want := w.placer.Desired(w.Store.Read(), "c1")[0]
			if r.Revision != 2 || !bytes.HasPrefix(want.Hash, r.Hash) || !bytes.HasPrefix(first.Hash, d.Changes[0].BaseHash) {
				t.Errorf("got %v for %v", d.Changes[0], want)
			}
			if got, err := manifest.ApplyDelta(page("one"), r.Delta, int(r.Size)); err != nil || !bytes.Equal(got, page("two")) {
				t.Errorf("the content comes out as %d bytes, %v", len(got), err)
			}
			if len(d.Cursor.Epoch) > 0 || !holdings.Same(d.HoldingsHash, setHash(s.held, s.sent.after)) || proto.Size(d) > 140 {
				t.Errorf("%d bytes: %v", proto.Size(d), d)
			}
		})
	}
}

// A brief change that a spoke refuses comes once more, whole.
func TestRefusedBriefChangeComesWhole(t *testing.T) {
	w := newWorld(t)
	s, stream, _ := joinBrief(t, w)
	w.publish("web", page("two"), "all")
	w.advance(s)
	d := stream.take()
	if d.GetChanges()[0].GetRevise() == nil {
		t.Fatalf("got %v", d)
	}
	w.say(s, &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Nack{Nack: &spokev1.Nack{
		Cursor: d.Cursor, BundleUid: "web", Code: spokev1.NackCode_NACK_CODE_WRONG_DIGEST}}})
	// The spoke holds what it did, and says so, since the hash of what results does not come out.
	h := w.placer.Desired(w.Store.Read(), "c1")[0]
	w.say(s, &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Holdings{Holdings: &spokev1.Holdings{Holdings: []*spokev1.Holding{{
		Bundle: "web", BundleUid: "web", Hash: []byte("the first"), Revision: 1, Digest: manifest.DigestOf(page("one")).String(),
		Epoch: w.Store.Epoch(), Index: d.Cursor.Index - 1, HasContent: true}}}}})
	d = stream.take()
	if a := d.GetChanges()[0].GetAssign(); a == nil || !bytes.Equal(a.Hash, h.Hash) || len(d.Contents) != 1 || d.Contents[0].BaseDigest != "" {
		t.Fatalf("then %v", d)
	}
	// And what the hub could never say briefly is remembered as just that.
	if r, err := s.revisions.inline(w.Store.Read(), holding{hash: []byte("x"), digest: "sha256:none"}, h); r != nil || err != nil {
		t.Errorf("from an artifact that is not there: %v, %v", r, err)
	}
}

// All sessions share the bytes of a brief change.
func TestBriefChangeIsEncodedOnce(t *testing.T) {
	w := newWorld(t)
	s, _, first := joinBrief(t, w)
	w.publish("web", page("two"), "all")
	tx := w.Store.Read()
	a := w.placer.Desired(tx, "c1")[0]
	if bytes.Equal(a.Hash, first.Hash) {
		t.Fatal("nothing has changed")
	}
	one, err := w.revisions.inline(tx, s.held[0], a)
	if err != nil || one == nil {
		t.Fatalf("%v, %v", one, err)
	}
	if again, err := w.revisions.inline(tx, s.held[0], proto.CloneOf(a)); err != nil || &again.encoded[0] != &one.encoded[0] {
		t.Errorf("encoded again (%v)", err)
	}
}
