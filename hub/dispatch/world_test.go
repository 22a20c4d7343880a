package dispatch

import (
	"bytes"
	"context"
	"encoding/base64"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
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

var auditKey = []byte("the key of a test's audit log")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a server on a real store, with a clock that a test turns. Nothing of it runs by itself.
type world struct {
	*Server
	t testing.TB

	mu  sync.Mutex
	now time.Time
	// set is by how much the clock has been set.
	set time.Duration
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	db, err := store.Open(store.Config{Dir: t.TempDir(), Audit: &store.Audit{Key: auditKey}})
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
	began := w.clock()
	w.elapsed = func() time.Duration {
		now := w.clock()
		w.mu.Lock()
		defer w.mu.Unlock()
		return now.Sub(began) - w.set
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

// setClock sets the hub's clock, without any time passing.
func (w *world) setClock(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
	w.set += d
}

// turnClock has time pass.
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
	// left is what reading it answers.
	left error
	// panics makes the next write panic.
	panics bool
}

func newWire(ctx context.Context) *wire {
	ctx, stop := context.WithCancel(ctx)
	return &wire{ctx: grpc.NewContextWithServerTransportStream(ctx, transport{stop: stop}), left: status.Error(codes.Canceled, "")}
}

// transport is what ends a wire.
type transport struct {
	grpc.ServerTransportStream
	stop context.CancelFunc
}

func (t transport) WriteStatus(*status.Status) error {
	t.stop()
	return nil
}

func (s *wire) Context() context.Context { return s.ctx }
func (s *wire) Send(m *spokev1.ConnectResponse) error {
	if s.panics {
		panic("a bug")
	}
	s.sent = append(s.sent, m)
	return nil
}
func (s *wire) Recv() (*spokev1.ConnectRequest, error) { return nil, s.left }
func (s *wire) SetHeader(metadata.MD) error            { return nil }
func (s *wire) SendHeader(metadata.MD) error           { return nil }
func (s *wire) SetTrailer(metadata.MD)                 {}

// SendMsg takes a delta that travels in pieces, as it comes out on the other side.
func (s *wire) SendMsg(m any) error {
	encoded, err := codec{}.Marshal(m)
	if err != nil {
		return err
	}
	response := &spokev1.ConnectResponse{}
	if err := proto.Unmarshal(encoded.Materialize(), response); err != nil {
		return err
	}
	return s.Send(response)
}

func (s *wire) RecvMsg(any) error { return s.left }

// take answers the last delta that was sent since the last call, or nil.
func (s *wire) take() (d *spokev1.Delta) {
	for _, m := range s.sent {
		d = m.GetDelta()
	}
	s.sent = nil
	return d
}

// session makes a session of which the test has the turn: it looks when the test has it look.
func (w *world) session(t testing.TB) (*session, *wire) {
	stream := newWire(t.Context())
	s, err := w.newSession("c1", "edge", stream)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.over)
	return s, stream
}

// join makes a session that is welcome and whose spoke holds nothing.
func (w *world) join() (*session, *wire) {
	w.t.Helper()
	s, stream := w.session(w.t)
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
	if err := s.advance(); err != nil {
		w.t.Fatal(err)
	}
}

// advance has the session look at all there is.
func (w *world) advance(s *session) {
	w.t.Helper()
	s.poke()
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
