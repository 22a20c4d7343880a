package dispatch

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/hub/ca"
	"github.com/yardarm-dev/yardarm/hub/seal"
	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a server on a real store, with a clock that a test turns. Nothing of it runs by itself.
type world struct {
	*Server
	t testing.TB

	mu  sync.Mutex
	now time.Time
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	db, err := store.Open(store.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	key, err := seal.New(seal.Config{Key: base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, seal.KeySize))})
	if err != nil {
		t.Fatal(err)
	}
	authority, err := ca.New(ca.Config{Store: db, Sealer: key})
	if err != nil {
		t.Fatal(err)
	}
	w.Server, err = New(Config{Store: db, CA: authority, Logger: slog.New(slog.DiscardHandler), Clock: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	w.update(func(tx *store.Tx) error {
		if err := tx.PutCluster(&yardarmv1.Cluster{Metadata: &yardarmv1.ObjectMeta{Name: "edge", Uid: "c1", Labels: map[string]string{"env": "prod"}}, Spec: &yardarmv1.ClusterSpec{}}); err != nil {
			return err
		}
		return tx.PutGroup(&yardarmv1.ClusterGroup{Metadata: &yardarmv1.ObjectMeta{Name: "all", Uid: "g1"}, Spec: &yardarmv1.ClusterGroupSpec{Selector: &yardarmv1.LabelSelector{}}})
	})
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) turnClock(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) update(f func(*store.Tx) error) {
	w.t.Helper()
	if _, err := w.Store.Update(w.t.Context(), f); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) publish(bundle string, content []byte, groups ...string) {
	w.t.Helper()
	digest := manifest.DigestOf(content).String()
	w.update(func(tx *store.Tx) error {
		b := &yardarmv1.Bundle{Metadata: &yardarmv1.ObjectMeta{Name: bundle, Uid: bundle}, Spec: &yardarmv1.BundleSpec{}, Status: &yardarmv1.BundleStatus{Revision: 1}}
		if old := tx.Bundle(bundle); old != nil {
			b.Status.Revision = old.Status.Revision + 1
		}
		for _, g := range groups {
			b.Spec.Targets = append(b.Spec.Targets, &yardarmv1.Target{Group: g})
		}
		if err := tx.PutArtifact(&storev1.Artifact{Digest: digest, Size: uint64(len(content))}, manifest.Compress(content)); err != nil {
			return err
		}
		if err := tx.PutRevision(&yardarmv1.Revision{Metadata: &yardarmv1.ObjectMeta{}, Spec: &yardarmv1.RevisionSpec{
			Bundle: bundle, BundleUid: bundle, Number: b.Status.Revision, Digest: digest, Size: uint64(len(content))}}); err != nil {
			return err
		}
		return tx.PutBundle(b)
	})
}

// flush takes in what sessions have said.
func (w *world) flush() {
	w.t.Helper()
	w.intake.mu.Lock()
	batch := w.intake.pending
	w.intake.pending = map[*session]*observation{}
	w.intake.mu.Unlock()
	if err := w.intake.write(w.t.Context(), batch); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) report(bundle string) *yardarmv1.Report {
	return w.Store.Read().ObservedBundle("c1", bundle).GetReport()
}

// wire is a stream of which only the hub's side is there.
type wire struct {
	ctx  context.Context
	sent []*spokev1.ConnectResponse
	// panics makes the next write panic.
	panics bool
}

func (s *wire) Context() context.Context { return s.ctx }
func (s *wire) Send(m *spokev1.ConnectResponse) error {
	if s.panics {
		panic("a bug")
	}
	s.sent = append(s.sent, m)
	return nil
}
func (s *wire) Recv() (*spokev1.ConnectRequest, error) { return nil, status.Error(codes.Canceled, "") }
func (s *wire) SetHeader(metadata.MD) error            { return nil }
func (s *wire) SendHeader(metadata.MD) error           { return nil }
func (s *wire) SetTrailer(metadata.MD)                 {}
func (s *wire) SendMsg(any) error                      { return nil }
func (s *wire) RecvMsg(any) error                      { return nil }

// take answers the last delta that was sent since the last call, or nil.
func (s *wire) take() (d *spokev1.Delta) {
	for _, m := range s.sent {
		d = m.GetDelta()
	}
	s.sent = nil
	return d
}

// join makes a session that is welcome and whose spoke holds nothing.
func (w *world) join() (*session, *wire) {
	w.t.Helper()
	stream := &wire{ctx: w.t.Context()}
	s := w.newSession("c1", "edge", stream)
	if _, _, err := w.sessions.add(s, &spokev1.Hello{SpokeVersion: "test"}); err != nil {
		w.t.Fatal(err)
	}
	w.say(s, &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Holdings{Holdings: &spokev1.Holdings{}}})
	return s, stream
}

func (w *world) say(s *session, m *spokev1.ConnectRequest) {
	w.t.Helper()
	if err := s.handle(m); err != nil {
		w.t.Fatal(err)
	}
	w.advance(s)
}

func (w *world) advance(s *session) {
	w.t.Helper()
	if err := s.advance(); err != nil {
		w.t.Fatal(err)
	}
}

func reports(complete bool, hash string, all ...*yardarmv1.Report) *spokev1.ConnectRequest {
	return &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Reports{Reports: &spokev1.ReportUpdate{Reports: all, Complete: complete, ReportsHash: []byte(hash)}}}
}

func says(bundle, phase string) *yardarmv1.Report {
	return &yardarmv1.Report{BundleUid: bundle, Phase: phase}
}

// What an older session said counts no more once a newer one has begun, whichever speaks last. Regression: a late word of
// the older one took the place of what the newer one had said.
func TestOlderSessionsWordIsDropped(t *testing.T) {
	w := newWorld(t)
	old, _ := w.join()
	w.say(old, reports(false, "old", says("a", "Ready")))
	newer, _ := w.join()
	w.say(newer, reports(false, "new", says("b", "Ready")))
	w.say(old, reports(false, "older", says("b", "Failed"), says("c", "Failed")))
	w.flush()
	if w.report("a") != nil || w.report("b").GetPhase() != "Ready" || w.report("c") != nil {
		t.Errorf("a %v, b %v, c %v", w.report("a"), w.report("b"), w.report("c"))
	}
	if got := string(w.Store.Read().Observed("c1").ReportsHash); got != "new" {
		t.Errorf("reports hash %q", got)
	}
	select {
	case <-old.ended:
	default:
		t.Error("the older one goes on")
	}
	// Its end is not the newer one's.
	w.sessions.remove(old, false)
	if !w.sessions.current(newer) {
		t.Error("the newer one is forgotten")
	}
}

// Regression: between finding that a cluster had been away too long and noting it, it came back, and was stale although
// connected, for as long as its stream lived.
func TestComingBackWinsOverTheSweep(t *testing.T) {
	w := newWorld(t)
	s, _ := w.join()
	w.sessions.remove(s, false)
	w.turnClock(w.ReconnectGrace)
	turns := w.sessions.due(w.clock())
	if len(turns) != 1 {
		t.Fatalf("turns %v", turns)
	}
	s, _ = w.join()
	if err := w.sessions.turn(t.Context(), turns, w.clock()); err != nil {
		t.Fatal(err)
	}
	if p := w.Store.Read().Presence("c1"); p.State != yardarmv1.PresenceConnected {
		t.Errorf("presence %+v", p)
	}
	// The same for a silent stream that was replaced.
	w.turnClock(w.StaleAfter)
	s.lastSeen.Store(w.clock().Add(-w.StaleAfter).UnixNano())
	turns = w.sessions.due(w.clock())
	if len(turns) != 1 {
		t.Fatalf("turns %v", turns)
	}
	w.join()
	if err := w.sessions.turn(t.Context(), turns, w.clock()); err != nil {
		t.Fatal(err)
	}
	if p := w.Store.Read().Presence("c1"); p.State != yardarmv1.PresenceConnected {
		t.Errorf("presence %+v", p)
	}
}

// A session that could not begin is not left behind. Regression: drains waited for it for ever.
func TestSessionThatBreaksWhileItBegins(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	stream := &greeting{wire: wire{ctx: ctx}, hello: &spokev1.Hello{Protocol: 1}}
	if err := w.newSession("c1", "edge", stream).run(); err == nil {
		t.Fatal("it has begun")
	}
	if n := w.Sessions(); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}

// greeting is a wire on which one Hello comes, and then nothing.
type greeting struct {
	wire
	hello *spokev1.Hello
	said  bool
}

func (g *greeting) Recv() (*spokev1.ConnectRequest, error) {
	if g.said {
		<-g.ctx.Done()
		return nil, g.ctx.Err()
	}
	g.said = true
	return &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Hello{Hello: g.hello}}, nil
}

// A bug in a session is that session's end and no more.
func TestPanicEndsTheSessionAlone(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream := &greeting{wire: wire{ctx: ctx, panics: true}, hello: &spokev1.Hello{Protocol: 1}}
	if err := w.newSession("c1", "edge", stream).run(); status.Code(err) != codes.Internal || strings.Contains(err.Error(), "a bug") {
		t.Errorf("ended with %v", err)
	}
	if w.Sessions() != 0 {
		t.Error("it is left behind")
	}
}

// A spoke whose disk is full gets nothing for a while, then all of it again; the second time, its bundles have failed and
// say why; and when there is space, all is well by itself.
func TestFullDiskPausesTheSession(t *testing.T) {
	w := newWorld(t)
	w.publish("web", []byte("one"), "all")
	w.publish("db", []byte("two"), "all")
	s, stream := w.join()
	refuse := func(d *spokev1.Delta) {
		t.Helper()
		w.say(s, &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Nack{Nack: &spokev1.Nack{
			Cursor: d.Cursor, Code: spokev1.NackCode_NACK_CODE_NO_SPACE, Message: "no space left on device",
		}}})
	}
	first := stream.take()
	if len(first.GetChanges()) != 2 {
		t.Fatalf("first %v", first)
	}
	// A refusal of something else is not about it.
	stale := proto.CloneOf(first)
	stale.Cursor.Index--
	refuse(stale)
	if s.sent == nil {
		t.Fatal("an older refusal has undone the delta in flight")
	}
	refuse(first)
	w.publish("web", []byte("three"), "all")
	w.advance(s)
	if d := stream.take(); d != nil {
		t.Fatalf("sent at once to a full disk: %v", d)
	}
	if w.flush(); w.report("db") != nil {
		t.Errorf("failed after one refusal: %v", w.report("db"))
	}
	w.turnClock(spaceRetry)
	w.advance(s)
	second := stream.take()
	if len(second.GetChanges()) != 2 || second.Cursor.Index <= first.Cursor.Index {
		t.Fatalf("second %v", second)
	}
	refuse(second)
	w.flush()
	if r := w.report("db"); r.GetPhase() != yardarmv1.PhaseFailed || !strings.Contains(r.Message, "no space left") {
		t.Errorf("db after two refusals: %v", r)
	}
	if r := w.report("web"); r != nil {
		t.Errorf("web after one refusal of this revision: %v", r)
	}
	w.turnClock(spaceRetry)
	w.advance(s)
	third := stream.take()
	if len(third.GetChanges()) != 2 {
		t.Fatalf("third %v", third)
	}
	w.say(s, &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Ack{Ack: &spokev1.Ack{
		Cursor: third.Cursor, Digests: []string{third.Contents[0].Digest, third.Contents[1].Digest}}}})
	if len(s.refusals) != 0 || stream.take() != nil {
		t.Errorf("afterwards: refusals %v", s.refusals)
	}
}

// One cluster that flaps does not push everybody's events out.
func TestEventsOfOneClusterAreBounded(t *testing.T) {
	w := newWorld(t)
	s, _ := w.join()
	for i := range 2 * eventBurst {
		w.say(s, reports(false, "", says("a", []string{"Ready", "Failed"}[i%2])))
		w.flush()
	}
	n := 0
	for range w.Store.Read().Events(0) {
		n++
	}
	if n > eventBurst+5 || n < eventBurst {
		t.Errorf("%d events", n)
	}
	w.turnClock(10 * time.Second)
	w.say(s, reports(false, "", says("a", "Degraded")))
	w.flush()
	last := ""
	for e := range w.Store.Read().Events(0) {
		last = e.Reason
	}
	if last != "BundleDegraded" {
		t.Errorf("after a while, the last event is %s", last)
	}
}

func TestCompleteReportsReplaceAll(t *testing.T) {
	w := newWorld(t)
	w.publish("web", []byte("x"), "all")
	s, _ := w.join()
	w.say(s, reports(false, "1", says("a", "Ready"), says("b", "Ready"), &yardarmv1.Report{BundleUid: "web", Bundle: "forged", Phase: "Ready"}))
	w.flush()
	if r := w.report("web"); r.GetBundle() != "web" {
		t.Errorf("the spoke names the hub's bundle: %v", r)
	}
	if w.Store.Read().Presence("c1").Confirmed {
		t.Error("confirmed by an update that is not complete")
	}
	// In parts: nothing counts before the last.
	part := reports(true, "", says("b", "Failed"))
	part.GetReports().More = true
	w.say(s, part)
	w.flush()
	if w.report("a") == nil || w.report("b").Phase != "Ready" {
		t.Error("a part counts")
	}
	w.say(s, reports(true, "2", says("c", "Ready")))
	w.flush()
	if w.report("a") != nil || w.report("b").GetPhase() != "Failed" || w.report("c").GetPhase() != "Ready" || w.report("web") != nil {
		t.Errorf("a %v, b %v, c %v, web %v", w.report("a"), w.report("b"), w.report("c"), w.report("web"))
	}
	if p := w.Store.Read().Presence("c1"); !p.Confirmed || string(w.Store.Read().Observed("c1").ReportsHash) != "2" {
		t.Errorf("presence %+v", p)
	}
}

func TestReportsOfOneClusterAreBounded(t *testing.T) {
	w := newWorld(t)
	for session := range 3 {
		s, _ := w.join()
		for i := range maxReports / 2 {
			w.say(s, reports(false, "", says(fmt.Sprintf("b-%d-%d", session, i), "Ready")))
		}
		w.flush()
	}
	n := 0
	for range w.Store.Read().ObservedBundles("c1") {
		n++
	}
	if n != maxReports {
		t.Errorf("%d reports are kept", n)
	}
}

// Whom a change concerns is woken, and nobody else.
func TestConcerned(t *testing.T) {
	w := newWorld(t)
	for i, env := range []string{"prod", "dev", "dev"} {
		w.update(func(tx *store.Tx) error {
			return tx.PutCluster(&yardarmv1.Cluster{Metadata: &yardarmv1.ObjectMeta{Name: fmt.Sprintf("n%d", i+2), Uid: fmt.Sprintf("c%d", i+2), Labels: map[string]string{"env": env}}})
		})
	}
	for _, env := range []string{"prod", "dev"} {
		w.update(func(tx *store.Tx) error {
			return tx.PutGroup(&yardarmv1.ClusterGroup{Metadata: &yardarmv1.ObjectMeta{Name: env, Uid: env}, Spec: &yardarmv1.ClusterGroupSpec{Selector: &yardarmv1.LabelSelector{MatchLabels: map[string]string{"env": env}}}})
		})
	}
	w.publish("web", []byte("1"), "prod")
	w.publish("db", []byte("1"), "dev")
	holding := func(tx *store.Tx) error {
		return tx.PutObservedBundle(&storev1.ObservedBundle{ClusterUid: "c4", Report: says("web", yardarmv1.PhaseHeld)})
	}
	if err := w.Store.Observe(t.Context(), holding); err != nil {
		t.Fatal(err)
	}
	sub := w.Store.Subscribe(store.Clusters, store.Members, store.Bundles, store.Acceptances)
	defer sub.Close()
	for _, tc := range []struct {
		name   string
		change func(*store.Tx) error
		want   string
	}{
		{"a bundle's revision, and who holds the bundle", func(tx *store.Tx) error {
			b := proto.CloneOf(tx.Bundle("web"))
			b.Status.Revision++
			return tx.PutBundle(b)
		}, "c1 c2 c4"},
		{"a bundle's targets, old and new", func(tx *store.Tx) error {
			b := proto.CloneOf(tx.Bundle("db"))
			b.Spec.Targets[0].Group = "prod"
			return tx.PutBundle(b)
		}, "c1 c2 c3 c4"},
		{"a cluster", func(tx *store.Tx) error {
			c := proto.CloneOf(tx.Cluster("c3"))
			c.Spec = &yardarmv1.ClusterSpec{Ban: &yardarmv1.Ban{}}
			return tx.PutCluster(c)
		}, "c3"},
		{"an acceptance", func(tx *store.Tx) error {
			return tx.PutAcceptance(&storev1.Acceptance{ClusterUid: "c2", BundleUid: "web", HoldingHash: []byte("x")})
		}, "c2"},
		{"a group's selector", func(tx *store.Tx) error {
			g := proto.CloneOf(tx.Group("dev"))
			g.Spec.Selector.MatchLabels["env"] = "none"
			return tx.PutGroup(g)
		}, "c3 c4"},
		{"a bundle that is gone", func(tx *store.Tx) error { return tx.DeleteBundle("web") }, "c1 c2 c4"},
		{"a revision that nobody runs", func(tx *store.Tx) error {
			return tx.PutRevision(&yardarmv1.Revision{Metadata: &yardarmv1.ObjectMeta{}, Spec: &yardarmv1.RevisionSpec{BundleUid: "db", Number: 9}})
		}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sub.Take()
			w.update(tc.change)
			got := concerned(w.Store.Read(), sub.Take(), func() map[string]struct{} { return map[string]struct{}{"all": {}} })
			if s := strings.Join(sorted(got), " "); s != tc.want {
				t.Errorf("woken: %s, want %s", s, tc.want)
			}
		})
	}
	w.update(func(tx *store.Tx) error {
		for i := range 5000 {
			if err := tx.PutAcceptance(&storev1.Acceptance{ClusterUid: "c2", BundleUid: fmt.Sprint(i), HoldingHash: []byte("x")}); err != nil {
				return err
			}
		}
		return nil
	})
	got := concerned(w.Store.Read(), sub.Take(), func() map[string]struct{} { return map[string]struct{}{"all": {}} })
	if s := strings.Join(sorted(got), " "); s != "all" {
		t.Errorf("after many changes: %s", s)
	}
}

// A group that this hub cannot read, or that is not there, is no reason to take anything away.
func TestWithinBoundary(t *testing.T) {
	w := newWorld(t)
	group := func(name, expression string, labels map[string]string) {
		w.update(func(tx *store.Tx) error {
			return tx.PutGroup(&yardarmv1.ClusterGroup{Metadata: &yardarmv1.ObjectMeta{Name: name, Uid: name}, Spec: &yardarmv1.ClusterGroupSpec{
				Selector: &yardarmv1.LabelSelector{MatchLabels: labels}, Expression: expression}})
		})
	}
	group("narrow", "facts.nodes > 5", nil)
	group("others", "", map[string]string{"env": "dev"})
	group("labels", `labels["env"] == "dev"`, nil)
	group("broken", "this is no CEL (", nil)
	for name, want := range map[string]bool{"all": true, "narrow": true, "others": false, "labels": false, "broken": true, "missing": true, "": false} {
		b := &yardarmv1.Bundle{Spec: &yardarmv1.BundleSpec{}}
		if name != "" {
			b.Spec.Targets = []*yardarmv1.Target{{Group: "others"}, {Group: name}}
		}
		tx := w.Store.Read()
		if got := withinBoundary(tx, tx.Cluster("c1"), b); got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
}

// FuzzConnectRequest says anything in a session, and then looks whether it still works: no panic, bounded memory, and a spoke
// that says nothing wrong afterwards gets what it should have.
func FuzzConnectRequest(f *testing.F) {
	for _, m := range []*spokev1.ConnectRequest{
		{},
		{Message: &spokev1.ConnectRequest_Ack{Ack: &spokev1.Ack{Cursor: &spokev1.Cursor{Index: 3}, Digests: []string{"x"}}}},
		{Message: &spokev1.ConnectRequest_Nack{Nack: &spokev1.Nack{}}},
		{Message: &spokev1.ConnectRequest_Nack{Nack: &spokev1.Nack{BundleUid: "web", Code: 3}}},
		{Message: &spokev1.ConnectRequest_Holdings{Holdings: &spokev1.Holdings{Holdings: []*spokev1.Holding{{BundleUid: "web", Held: true, Removing: true, Index: 1 << 63}}}}},
		reports(true, "hash", &yardarmv1.Report{BundleUid: "web", Phase: "Failed", Problems: []*yardarmv1.ObjectProblem{{}}}),
		{Message: &spokev1.ConnectRequest_Facts{Facts: &yardarmv1.Facts{Capacity: map[string]string{"": ""}}}},
	} {
		data, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, data)
	}
	w := newWorld(f)
	w.publish("web", []byte("one"), "all")
	f.Fuzz(func(t *testing.T, one, two []byte) {
		stream := &wire{ctx: t.Context()}
		s := w.newSession("c1", "edge", stream)
		if _, _, err := w.sessions.add(s, &spokev1.Hello{}); err != nil {
			t.Fatal(err)
		}
		for _, data := range [][]byte{one, two, one} {
			m := &spokev1.ConnectRequest{}
			if proto.Unmarshal(data, m) != nil {
				return
			}
			if s.handle(m) != nil {
				return // refused, which ends the session
			}
			if err := s.advance(); err != nil {
				t.Fatalf("advance: %v", err)
			}
		}
		if err := w.intake.write(t.Context(), map[*session]*observation{s: w.intake.pending[s]}); w.intake.pending[s] != nil && err != nil {
			t.Fatalf("take in: %v", err)
		}
		delete(w.intake.pending, s)
		s.refusals = map[string]*refusal{}
		stream.take()
		if err := s.handle(&spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Holdings{Holdings: &spokev1.Holdings{}}}); err != nil {
			t.Fatal(err)
		}
		s.paused = time.Time{}
		if err := s.advance(); err != nil {
			t.Fatal(err)
		}
		if d := stream.take(); len(d.GetChanges()) != 1 || d.Changes[0].GetAssign().GetBundle() != "web" {
			t.Fatalf("then it gets %v", d)
		}
	})
}

func sorted(set map[string]struct{}) (out []string) {
	for k := range set {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
