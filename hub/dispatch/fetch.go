package dispatch

import (
	"bytes"
	"errors"
	"log/slog"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"

	"github.com/yardarm-dev/yardarm/hub/store"
)

// fetchChunk is the size of a chunk, in bytes: small enough for a message, large enough to cost few of them.
const fetchChunk = 256 << 10

// Fetch answers an artifact that the caller's cluster is to run, or to try. Others do not exist for it.
func (s *Server) Fetch(req *spokev1.FetchRequest, stream grpc.ServerStreamingServer[spokev1.FetchResponse]) (err error) {
	defer survive(func() *slog.Logger { return s.Logger.With("method", "Fetch") }, &err)
	p, err := s.caller(stream.Context())
	if err != nil {
		return err
	}
	size, encoded, release, err := s.contentFor(p.UID, req.Digest)
	if err != nil {
		return err
	}
	defer release()
	if req.Offset > uint64(len(encoded)) {
		return status.Errorf(codes.OutOfRange, "the content has %d bytes, and none at offset %d", len(encoded), req.Offset)
	}
	rest := bytes.NewBuffer(encoded[req.Offset:])
	msg := &spokev1.FetchResponse{EncodedSize: uint64(len(encoded)), Size: size}
	for {
		msg.Data = rest.Next(fetchChunk)
		if err := stream.Send(msg); err != nil {
			return err
		}
		s.metrics.fetched.Add(float64(len(msg.Data)))
		if rest.Len() == 0 {
			return nil
		}
		// A ban holds for what is under way, too.
		if err := s.CA.AuthorizeCluster(s.Store.Read(), p.UID); err != nil {
			return authError(err)
		}
		msg = &spokev1.FetchResponse{}
	}
}

// contentFor answers an artifact's canonical size and its encoded bytes, which stay until release is called.
func (s *Server) contentFor(clusterUID, digest string) (size uint64, encoded []byte, release func(), err error) {
	if size, encoded, ok := s.trials.content(clusterUID, digest); ok {
		return size, encoded, func() {}, nil
	}
	assigned := false
	for _, a := range s.placer.Desired(s.Store.Read(), clusterUID) {
		assigned = assigned || a.Digest == digest
	}
	if !assigned {
		return 0, nil, nil, status.Errorf(codes.NotFound, "no artifact %s is assigned to this cluster", clip(digest, maxDigest))
	}
	size, encoded, release, err = s.shared.get(digest)
	switch {
	case errors.Is(err, store.ErrNotFound):
		err = status.Error(codes.NotFound, err.Error())
	case err != nil:
		err = status.Error(codes.Internal, err.Error())
	}
	return size, encoded, release, err
}

// shared lets all fetches of one artifact that are under way share one copy of its bytes, so that a fleet that fetches a
// large artifact costs its size once and not once for each cluster. Safe for concurrent use.
type shared struct {
	load func(digest string) (size uint64, encoded []byte, err error)

	mu   sync.Mutex
	held map[string]*sharedContent
}

type sharedContent struct {
	once    sync.Once
	size    uint64
	encoded []byte
	err     error
	users   int // guarded by shared.mu
}

func newShared(load func(string) (uint64, []byte, error)) *shared {
	return &shared{load: load, held: map[string]*sharedContent{}}
}

// get answers an artifact's canonical size and its encoded bytes, which stay until release is called.
func (s *shared) get(digest string) (size uint64, encoded []byte, release func(), err error) {
	s.mu.Lock()
	c := s.held[digest]
	if c == nil {
		c = &sharedContent{}
		s.held[digest] = c
	}
	c.users++
	s.mu.Unlock()
	release = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if c.users--; c.users == 0 {
			delete(s.held, digest)
		}
	}
	c.once.Do(func() { c.size, c.encoded, c.err = s.load(digest) })
	if c.err != nil {
		release()
		return 0, nil, nil, c.err
	}
	return c.size, c.encoded, release, nil
}
