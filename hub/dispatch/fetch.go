package dispatch

import (
	"bytes"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"

	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/hub/store"
)

// fetchChunk is the size of a chunk, in bytes: small enough for a message, large enough to cost few of them.
const fetchChunk = 256 << 10

// Fetch answers an artifact that the caller's cluster is to run. Others do not exist for it.
func (s *Server) Fetch(req *spokev1.FetchRequest, stream grpc.ServerStreamingServer[spokev1.FetchResponse]) error {
	p, err := s.caller(stream.Context())
	if err != nil {
		return err
	}
	tx := s.Store.Read()
	assigned := false
	for _, a := range placement.Desired(tx, p.UID) {
		assigned = assigned || a.Digest == req.Digest
	}
	if !assigned {
		return status.Errorf(codes.NotFound, "no artifact %s is assigned to this cluster", req.Digest)
	}
	size, encoded, err := s.loadContent(req.Digest)
	if err != nil {
		if errors.Is(err, store.ErrNotFound) {
			return status.Error(codes.NotFound, err.Error())
		}
		return status.Error(codes.Internal, err.Error())
	}
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
		msg = &spokev1.FetchResponse{}
	}
}
