package session

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/holdings"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/report"
	"github.com/yardarm-dev/yardarm/spoke/state"
)

// sentStream counts what is sent.
type sentStream struct {
	grpc.BidiStreamingClient[spokev1.ConnectRequest, spokev1.ConnectResponse]
	acks, heartbeats atomic.Int64
}

func (s *sentStream) Send(m *spokev1.ConnectRequest) error {
	switch m.Message.(type) {
	case *spokev1.ConnectRequest_Ack:
		s.acks.Add(1)
	case *spokev1.ConnectRequest_Heartbeat:
		s.heartbeats.Add(1)
	}
	return nil
}

// What came as one delta after the other is acknowledged at once, and kept whole when there is time: with a heartbeat, whose moment differs
// from spoke to spoke.
func TestContentsAreKeptWholeLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, err := state.NewDir(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		logger := slog.New(slog.DiscardHandler)
		held, err := state.Open(t.Context(), dir, logger)
		if err != nil {
			t.Fatal(err)
		}
		stream := &sentStream{}
		s := &session{
			Client: New(Config{State: held, Book: report.NewBook()}), stream: stream, logger: logger, heartbeat: heartbeatDefault,
			out: make(chan *spokev1.ConnectRequest, outBuffer), list: make(chan struct{}, 1), news: make(chan *yardarmv1.Facts, 1),
			missing: make(chan struct{}, 1), spare: make(chan struct{}, 1),
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 2)
		go func() { done <- s.send(ctx) }()
		go func() { done <- s.fetchAll(ctx) }()

		const changes = 20 // more than are kept for long, and fewer than are kept at all
		var last *yardarmv1.AssignmentSpec
		var text, base []byte
		for i := range uint32(changes + 1) {
			text = []byte(strings.Repeat(`{"kind":"ConfigMap"}`+"\n", 1000) + fmt.Sprint(i))
			a := &yardarmv1.AssignmentSpec{
				Cluster: "edge-1", Bundle: "web", BundleUid: "uid-web", Revision: i + 1, Digest: manifest.DigestOf(text).String(), Size: uint64(len(text)),
			}
			a.Hash = holdings.AssignmentHash(a)
			c := &spokev1.Content{Digest: a.Digest, Size: a.Size, Data: manifest.Compress(text)}
			if i > 0 {
				c.BaseDigest = last.Digest
				if c.Data, err = manifest.EncodeDelta(base, text); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.take(ctx, &spokev1.Delta{
				Cursor:  &spokev1.Cursor{Epoch: make([]byte, 16), Index: uint64(i + 1), Mac: []byte("mac")},
				Changes: []*spokev1.Change{{Change: &spokev1.Change_Assign{Assign: a}, BaseHash: last.GetHash()}}, Contents: []*spokev1.Content{c},
				HoldingsHash: holdings.SetHash([]holdings.Item{{BundleUID: a.BundleUid, Hash: a.Hash}}),
			}); err != nil {
				t.Fatal(err)
			}
			if err := held.Applied(ctx, a.BundleUid, state.Applied{Digest: a.Digest}, nil); err != nil {
				t.Fatal(err)
			}
			last, base = a, text
		}
		synctest.Wait()
		if n := stream.acks.Load(); n != changes+1 {
			t.Fatalf("%d acknowledgements", n)
		}
		pieces := func() int {
			synctest.Wait()
			keys, err := dir.List(ctx)
			if err != nil {
				t.Fatal(err)
			}
			return len(keys) - 2 // cursor and holding
		}
		if time.Sleep(heartbeatDefault*4/5 - time.Second); pieces() != changes+1 || stream.heartbeats.Load() > 0 {
			t.Errorf("before the first heartbeat, it is kept in %d pieces", pieces())
		}
		if time.Sleep(heartbeatDefault/5 + time.Second); pieces() != 1 || stream.heartbeats.Load() != 1 {
			t.Errorf("with the first heartbeat, it is kept in %d pieces", pieces())
		}
		if got, err := held.Content(ctx, last.Digest); err != nil || !bytes.Equal(got, text) {
			t.Errorf("content: %v", err)
		}
		cancel()
		<-done
		<-done
	})
}
