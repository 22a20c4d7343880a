package stream

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/certs"
	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

var prod = map[string]string{"env": "prod"}

// A change goes from the store to a spoke's disk, small contents within the delta and against what it holds, large ones on
// a stream of their own; and comes back as a report about just this assignment.
func TestPublishReachesTheSpokeAndComesBack(t *testing.T) {
	h := newHub(t, nil)
	h.group("prod", prod, "")
	h.publish("web", text(5_000, "one"), "prod")
	s := newSpoke(t, h, "edge-1", prod)
	other := newSpoke(t, h, "edge-2", map[string]string{"env": "dev"})
	s.start()
	other.start()
	h.awaitPhase("edge-1", "web", yardarmv1.PhaseReady, 1)

	digest := h.publish("web", text(5_000, "two"), "prod")
	r := h.awaitPhase("edge-1", "web", yardarmv1.PhaseReady, 2)
	e := s.entry("web")
	if !bytes.Equal(r.AssignmentHash, e.Assignment.Hash) || r.RenderedDigest != digest || !bytes.Equal(e.Epoch, h.store.Epoch()) {
		t.Errorf("reported %v for %v", r, e.Assignment)
	}
	if got, err := s.state.Content(t.Context(), digest); err != nil || !bytes.Equal(got, text(5_000, "two")) {
		t.Errorf("content: %v", err)
	}
	if h.countEvents("edge-1", "BundleReady") != 2 {
		t.Errorf("events %v", h.events("edge-1"))
	}

	large := h.publish("big", text(3_000_000, "large"), "prod")
	h.awaitPhase("edge-1", "big", yardarmv1.PhaseReady, 1)
	if got, err := s.state.Content(t.Context(), large); err != nil || !bytes.Equal(got, text(3_000_000, "large")) {
		t.Errorf("large content: %d bytes, %v", len(got), err)
	}

	h.update(func(tx *store.Tx) error {
		if err := tx.PutDeletedBundle(&storev1.DeletedBundle{Uid: uid("big"), Name: "big", Workloads: yardarmv1.Workloads_WORKLOADS_REMOVE}); err != nil {
			return err
		}
		return tx.DeleteBundle(uid("big"))
	})
	eventually(t, "big is gone", func() bool { return s.entry("big") == nil && h.report("edge-1", "big") == nil })
	if len(other.state.Entries()) > 0 {
		t.Errorf("a cluster of another group holds %v", other.state.Entries())
	}
}

// Small contents come within the delta, against what is held, and cost what has changed.
func TestDeltaCostsWhatHasChanged(t *testing.T) {
	h := newHub(t, nil)
	h.group("prod", prod, "")
	one := h.publish("web", text(40_000, "one"), "prod")
	id := enrol(t, h, "edge-1", prod)
	r := connect(t, h, id)
	if w := r.greet(id, nil); !w.SendHoldings || !w.SendReports || !w.SendFacts {
		t.Fatalf("a spoke that the hub does not know is not asked for all: %v", w)
	}
	r.quiet(50 * time.Millisecond) // nothing before it is known what the spoke holds
	r.list()
	d := r.delta()
	if len(d.Changes) != 1 || len(d.Contents) != 1 || d.Contents[0].BaseDigest != "" || d.Contents[0].Digest != one {
		t.Fatalf("first delta: %d changes, %d contents", len(d.Changes), len(d.Contents))
	}
	r.ack(d.Cursor, one)
	two := h.publish("web", text(40_000, "two"), "prod")
	d = r.delta()
	if c := d.Contents[0]; c.BaseDigest != one || c.Digest != two || proto.Size(d) > 600 {
		t.Errorf("%d bytes against %q for a change of three", proto.Size(d), c.BaseDigest)
	}
	// Content that is not acknowledged is no base.
	r.ack(d.Cursor)
	h.publish("web", text(40_000, "three"), "prod")
	if d = r.delta(); d.Contents[0].BaseDigest != "" {
		t.Error("sent against a content that the spoke has not acknowledged")
	}
}

// One delta is in flight; the next is made when it is acknowledged, from the newest state.
func TestAcknowledgementsPaceDeltas(t *testing.T) {
	h := newHub(t, nil)
	h.group("prod", prod, "")
	h.publish("web", text(100, "1"), "prod")
	id := enrol(t, h, "edge-1", prod)
	r := connect(t, h, id)
	r.greet(id, nil)
	r.list()
	first := r.delta()
	for range 5 {
		h.publish("web", text(100, "x"), "prod")
	}
	r.quiet(150 * time.Millisecond)
	// Acknowledgements of something else move nothing.
	r.ack(&spokev1.Cursor{Epoch: first.Cursor.Epoch, Index: first.Cursor.Index + 1})
	r.ack(&spokev1.Cursor{Epoch: bytes.Repeat([]byte{9}, 16), Index: first.Cursor.Index})
	r.quiet(100 * time.Millisecond)
	r.ack(first.Cursor)
	second := r.delta()
	if a := second.Changes[0].GetAssign(); a.Revision != 6 || !bytes.Equal(second.Changes[0].BaseHash, first.Changes[0].GetAssign().Hash) || second.Cursor.Index <= first.Cursor.Index {
		t.Errorf("then revision %d: %v", a.Revision, second)
	}
	r.ack(second.Cursor)
	r.quiet(100 * time.Millisecond)
}

// A spoke that holds what it should is asked for nothing, and gets nothing.
func TestUnchangedSpokeCostsNothing(t *testing.T) {
	h := newHub(t, nil)
	h.group("prod", prod, "")
	h.publish("web", text(5_000, "one"), "prod")
	s := newSpoke(t, h, "edge-1", prod)
	s.start()
	h.awaitPhase("edge-1", "web", yardarmv1.PhaseReady, 1)
	s.awaitConnected(h)
	eventually(t, "facts are known", func() bool { return h.store.Read().Observed(uid("edge-1")).GetFacts().GetNodes() == 3 })
	eventually(t, "the hub knows all reports", func() bool {
		return bytes.Equal(h.store.Read().Observed(uid("edge-1")).GetReportsHash(), s.book.Hash())
	})
	hash := h.store.Read().Observed(uid("edge-1")).FactsHash
	for _, restart := range []bool{false, true} {
		s.halt()
		if restart {
			h.stop()
			h.start()
			s.id.dial(h.address)
		}
		r := connect(t, h, s.id)
		w := r.greet(s.id, func(hello *spokev1.Hello) {
			hello.Cursor, hello.HoldingsHash = s.state.Cursor(), s.state.HoldingsHash()
			hello.ReportsHash, hello.FactsHash = s.book.Hash(), hash
		})
		if w.SendHoldings || w.SendReports || w.SendFacts {
			t.Errorf("after a restart of the hub (%v), asked for holdings %v, reports %v, facts %v", restart, w.SendHoldings, w.SendReports, w.SendFacts)
		}
		r.quiet(100 * time.Millisecond)
		if p := h.presence("edge-1"); p.State != yardarmv1.PresenceConnected || !p.Confirmed {
			t.Errorf("presence %+v", p)
		}
		r.cancel()
	}
}

// counted counts a store's commits.
type counted struct {
	store.Log
	commits atomic.Int64
}

func (c *counted) Append(b *store.Batch) error {
	c.commits.Add(1)
	return c.Log.Append(b)
}

// A spoke of which nothing is heard but heartbeats costs no write.
func TestHeartbeatsWriteNothing(t *testing.T) {
	const beats = 5
	log := &counted{}
	h := &hub{t: t, dir: filepath.Join(t.TempDir(), "hub"), address: "127.0.0.1:0", names: []string{"127.0.0.1"}, wrapLog: func(l store.Log) store.Log {
		log.Log = l
		return log
	}}
	h.start()
	t.Cleanup(h.stop)
	h.group("prod", prod, "")
	h.publish("web", text(100, "1"), "prod")
	s := newSpoke(t, h, "edge-1", prod)
	heard := listen(s)
	s.start()
	h.awaitPhase("edge-1", "web", yardarmv1.PhaseReady, 1)
	// What it has said before goes to disk a while later.
	before, n := int64(-1), 0
	eventually(t, "heartbeats come, and nothing is written", func() bool {
		up, _ := heard.take()
		for _, m := range up {
			if m.GetHeartbeat() != nil {
				n++
			}
		}
		if now := log.commits.Load(); now != before {
			before, n = now, 0
		}
		return n > beats
	})
}

// Anything that differs is asked for, and it alone.
func TestDifferenceIsAskedFor(t *testing.T) {
	h := newHub(t, nil)
	h.group("prod", prod, "")
	h.publish("web", text(5_000, "one"), "prod")
	s := newSpoke(t, h, "edge-1", prod)
	s.start()
	h.awaitPhase("edge-1", "web", yardarmv1.PhaseReady, 1)
	var o *storev1.Observed
	eventually(t, "the hub knows all", func() bool {
		o = h.store.Read().Observed(uid("edge-1"))
		return bytes.Equal(o.GetReportsHash(), s.book.Hash()) && len(o.GetFactsHash()) > 0
	})
	s.halt()
	type asks struct{ holdings, reports, facts bool }
	for _, tc := range []struct {
		name string
		edit func(*spokev1.Hello)
		want asks
	}{
		{"nothing", func(*spokev1.Hello) {}, asks{}},
		{"holdings", func(h *spokev1.Hello) { h.HoldingsHash = []byte("x") }, asks{holdings: true}},
		{"no cursor", func(h *spokev1.Hello) { h.Cursor = nil }, asks{holdings: true}},
		{"a removal under way", func(h *spokev1.Hello) { h.Removing = true }, asks{holdings: true}},
		{"reports", func(h *spokev1.Hello) { h.ReportsHash = []byte("x") }, asks{reports: true}},
		{"facts", func(h *spokev1.Hello) { h.FactsHash = []byte("x") }, asks{facts: true}},
		{"all hashes empty", func(h *spokev1.Hello) { h.HoldingsHash, h.ReportsHash, h.FactsHash = nil, nil, nil }, asks{true, true, true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := connect(t, h, s.id)
			w := r.greet(s.id, func(hello *spokev1.Hello) {
				hello.Cursor, hello.HoldingsHash, hello.ReportsHash, hello.FactsHash = s.state.Cursor(), s.state.HoldingsHash(), o.ReportsHash, o.FactsHash
				tc.edit(hello)
			})
			if got := (asks{w.SendHoldings, w.SendReports, w.SendFacts}); got != tc.want {
				t.Errorf("asked for %+v, want %+v", got, tc.want)
			}
		})
	}
}

// A spoke that has the trust bundle is not sent it again; any other is, and so is one that does not say.
func TestTrustBundleIsSentOnce(t *testing.T) {
	h := newHub(t, nil)
	id := enrol(t, h, "edge-1", prod)
	for _, tc := range []struct {
		name string
		hash []byte
		sent bool
	}{
		{"an older spoke", nil, true},
		{"another bundle", certs.BundleHash([][]byte{[]byte("another")}), true},
		{"the same", certs.BundleHash(h.ca.TrustBundle()), false},
	} {
		w := connect(t, h, id).greet(id, func(hello *spokev1.Hello) { hello.TrustHash = tc.hash })
		if sent := len(w.TrustBundle) > 0; sent != tc.sent {
			t.Errorf("%s: sent %v, want %v", tc.name, sent, tc.sent)
		}
	}
}

// A list that is not what the delta was to lead to takes the place of what the hub thought, and the difference is sent. Two
// that never agree do not keep each other busy.
func TestDivergenceEndsInAgreementOrAnEnd(t *testing.T) {
	h := newHub(t, nil)
	h.group("prod", prod, "")
	h.publish("web", text(100, "1"), "prod")
	id := enrol(t, h, "edge-1", prod)
	r := connect(t, h, id)
	r.greet(id, nil)
	r.list()
	for range 5 {
		r.delta()
		r.list() // it holds nothing, whatever it was sent
	}
	r.delta()
	r.list()
	if st := r.end(); st.Code() != codes.Aborted {
		t.Errorf("ended with %v", st)
	}
	r = connect(t, h, id)
	r.greet(id, nil)
	r.list()
	d := r.delta()
	r.list(held(d.Changes[0].GetAssign(), d.Cursor))
	r.quiet(100 * time.Millisecond)
}

// More than one delta carries is sent in several.
func TestManyBundlesInSeveralDeltas(t *testing.T) {
	h := newHub(t, nil)
	h.group("prod", prod, "")
	id := enrol(t, h, "edge-1", prod)
	content := text(100, "1")
	digest := h.publish("b-0", content, "prod")
	h.update(func(tx *store.Tx) error {
		for i := range 1200 {
			name := "n-" + string(rune('a'+i%26)) + "-" + string(rune('a'+i/26%26)) + "-" + string(rune('a'+i/676))
			if err := tx.PutRevision(&yardarmv1.Revision{Metadata: &yardarmv1.ObjectMeta{Name: name + "-1"}, Spec: &yardarmv1.RevisionSpec{
				Bundle: name, BundleUid: uid(name), Number: 1, Digest: digest, Size: uint64(len(content))}}); err != nil {
				return err
			}
			if err := tx.PutBundle(&yardarmv1.Bundle{Metadata: &yardarmv1.ObjectMeta{Name: name, Uid: uid(name)},
				Spec: &yardarmv1.BundleSpec{Targets: []*yardarmv1.Target{{Group: "prod"}}}, Status: &yardarmv1.BundleStatus{Revision: 1, LatestRevision: 1}}); err != nil {
				return err
			}
		}
		return nil
	})
	r := connect(t, h, id)
	r.greet(id, nil)
	r.list()
	first := r.delta()
	r.ack(first.Cursor)
	second := r.delta()
	r.ack(second.Cursor)
	if len(first.Changes) != 1000 || len(second.Changes) != 201 {
		t.Errorf("%d and %d changes", len(first.Changes), len(second.Changes))
	}
	r.quiet(100 * time.Millisecond)
}

// What the database has lost of one bundle fails that bundle, says so, and leaves the rest alone.
func TestUnreadableArtifactFailsItsBundleAlone(t *testing.T) {
	h := newHub(t, nil)
	h.group("prod", prod, "")
	lost := h.publish("lost", text(100, "lost"), "prod")
	h.update(func(tx *store.Tx) error { return tx.DeleteArtifact(lost) })
	h.publish("web", text(100, "web"), "prod")
	s := newSpoke(t, h, "edge-1", prod)
	s.start()
	h.awaitPhase("edge-1", "web", yardarmv1.PhaseReady, 1)
	r := h.awaitPhase("edge-1", "lost", yardarmv1.PhaseFailed, 1)
	if r.Reason != "ContentUnavailable" || len(r.AssignmentHash) == 0 {
		t.Errorf("report %v", r)
	}
	before := h.presence("edge-1").Session
	h.publish("web", text(100, "again"), "prod")
	h.awaitPhase("edge-1", "web", yardarmv1.PhaseReady, 2)
	if after := h.presence("edge-1").Session; after != before {
		t.Error("the stream broke over it")
	}
	// Published anew, it is well again.
	h.publish("lost", text(100, "found"), "prod")
	h.awaitPhase("edge-1", "lost", yardarmv1.PhaseReady, 2)
}

func TestFetchServesWhatIsAssignedAlone(t *testing.T) {
	h := newHub(t, nil)
	h.group("prod", prod, "")
	h.group("dev", map[string]string{"env": "dev"}, "")
	mine := h.publish("web", text(600_000, "mine"), "prod")
	others := h.publish("secret", text(1000, "others"), "dev")
	id := enrol(t, h, "edge-1", prod)
	client := spokev1.NewSpokeServiceClient(id.conn(t, h.address))
	fetch := func(digest string, offset uint64) (announced uint64, data []byte, err error) {
		stream, err := client.Fetch(t.Context(), &spokev1.FetchRequest{Digest: digest, Offset: offset})
		if err != nil {
			return 0, nil, err
		}
		for {
			m, err := stream.Recv()
			if err != nil {
				if errors.Is(err, io.EOF) {
					err = nil
				}
				return announced, data, err
			}
			if len(data) == 0 {
				announced = m.EncodedSize
			}
			if len(m.Data) > 256<<10 {
				t.Errorf("a chunk of %d bytes", len(m.Data))
			}
			data = append(data, m.Data...)
		}
	}
	size, whole, err := fetch(mine, 0)
	if err != nil || uint64(len(whole)) != size || size < 600_000 {
		t.Fatalf("%d of %d bytes: %v", len(whole), size, err)
	}
	for _, offset := range []uint64{1, 262_144, size - 1, size} {
		if _, rest, err := fetch(mine, offset); err != nil || !bytes.Equal(rest, whole[offset:]) {
			t.Errorf("from %d: %d bytes, %v", offset, len(rest), err)
		}
	}
	for name, tc := range map[string]struct {
		digest string
		offset uint64
		want   codes.Code
	}{
		"another group's":    {others, 0, codes.NotFound},
		"one that is none":   {"sha256:none", 0, codes.NotFound},
		"beyond the end":     {mine, size + 1, codes.OutOfRange},
		"the largest offset": {mine, 1<<64 - 1, codes.OutOfRange},
	} {
		if _, _, err := fetch(tc.digest, tc.offset); status.Code(err) != tc.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What was assigned before is not, and neither is anything to a stranger.
	h.retarget("web")
	if _, _, err := fetch(mine, 0); status.Code(err) != codes.NotFound {
		t.Errorf("no longer assigned: %v", err)
	}
	stranger := &identity{config: id.config.Clone()}
	stranger.config.Certificates, stranger.config.ClientSessionCache = nil, nil
	stream, err := spokev1.NewSpokeServiceClient(stranger.conn(t, h.address)).Fetch(t.Context(), &spokev1.FetchRequest{Digest: mine})
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.Unauthenticated {
		t.Errorf("a stranger: %v", err)
	}
}
