package stream

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// meddler is somebody between a session and its stream, who says whole messages twice and in another order, now and then, and
// ends the stream soon. He lets the first message each way pass, since little follows after a Hello that is refused. TLS
// knows no such place: what he does only shows that nothing rests on the order or the number of messages.
type meddler struct {
	// meddles tells whether he meddles with the next stream.
	meddles func() bool

	mu  sync.Mutex
	rng *rand.Rand

	twice, late, streams atomic.Int64
}

func (m *meddler) intN(n int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rng.IntN(n)
}

// intercept is a grpc.StreamClientInterceptor.
func (m *meddler) intercept(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	if !m.meddles() {
		return streamer(ctx, desc, cc, method, opts...)
	}
	m.streams.Add(1)
	ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond+time.Duration(m.intN(1000))*time.Millisecond)
	stream, err := streamer(ctx, desc, cc, method, opts...)
	if err != nil {
		cancel()
		return nil, err
	}
	context.AfterFunc(stream.Context(), cancel)
	return &meddled{ClientStream: stream, meddler: m}, nil
}

// meddled is a stream. One goroutine sends on it, and one receives.
type meddled struct {
	grpc.ClientStream
	*meddler
	sends, receives bool            // the first has passed
	out, in         []proto.Message // what is to come later, or again
}

// SendMsg sends a message, or keeps it until after the next one, or does both.
func (m *meddled) SendMsg(msg any) error {
	if !m.sends {
		m.sends = true
		return m.ClientStream.SendMsg(msg)
	}
	now, later := m.decide()
	kept := m.out
	m.out = nil
	if later {
		m.out = append(m.out, proto.Clone(msg.(proto.Message)))
	}
	if now {
		kept = slices.Insert(kept, 0, msg.(proto.Message))
	}
	for _, msg := range kept {
		if err := m.ClientStream.SendMsg(msg); err != nil {
			return err
		}
	}
	return nil
}

// RecvMsg answers what comes, or what has come before.
func (m *meddled) RecvMsg(msg any) error {
	answer := msg.(proto.Message)
	for {
		if n := len(m.in); n > 0 && m.intN(2) == 0 {
			i := m.intN(n)
			proto.Reset(answer)
			proto.Merge(answer, m.in[i])
			m.in = slices.Delete(m.in, i, i+1)
			return nil
		}
		if err := m.ClientStream.RecvMsg(msg); err != nil {
			return err
		}
		if !m.receives {
			m.receives = true
			return nil
		}
		now, later := m.decide()
		if later {
			m.in = append(m.in, proto.Clone(answer))
		}
		if now {
			return nil
		}
	}
}

// decide tells whether a message passes now, later, or both.
func (m *meddler) decide() (now, later bool) {
	switch m.intN(4) {
	case 0:
		m.late.Add(1)
		return false, true
	case 1:
		m.twice.Add(1)
		return true, true
	}
	return true, false
}
