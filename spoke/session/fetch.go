package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// fetchAll brings every missing content, one at a time, whenever it is told that some may be missing. It never holds back
// a delta: those come on the other stream.
func (s *session) fetchAll(ctx context.Context, missing <-chan struct{}) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-missing:
		}
		for _, a := range s.State.Missing() {
			if err := s.fetch(ctx, a); err != nil {
				return err
			}
		}
	}
}

// fetch brings one content and acknowledges it. What is wrong with the content is the hub's to answer; only a broken
// stream is an error.
func (s *session) fetch(ctx context.Context, a *yardarmv1.AssignmentSpec) error {
	err := s.download(ctx, a)
	switch {
	case err == nil:
		return s.put(ctx, &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Ack{Ack: &spokev1.Ack{Digests: []string{a.Digest}}}})
	case ctx.Err() != nil:
		return ctx.Err()
	case status.Code(err) == codes.NotFound, status.Code(err) == codes.PermissionDenied:
		// Overtaken: it is assigned no more, and the next delta says so.
		s.Logger.Info("content is no longer to be had", "bundle", a.Bundle, "digest", a.Digest, "error", err)
		return nil
	case status.Code(err) != codes.Unknown:
		return err
	}
	code := spokev1.NackCode_NACK_CODE_INVALID
	switch {
	case errors.Is(err, manifest.ErrDigestMismatch), errors.Is(err, manifest.ErrCorrupt):
		code = spokev1.NackCode_NACK_CODE_WRONG_DIGEST
	case errors.Is(err, syscall.ENOSPC):
		code = spokev1.NackCode_NACK_CODE_NO_SPACE
	}
	s.Logger.Warn("cannot take content", "bundle", a.Bundle, "digest", a.Digest, "error", err)
	return s.put(ctx, &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Nack{Nack: &spokev1.Nack{
		BundleUid: a.BundleUid, Digest: a.Digest, Code: code, Message: err.Error(),
	}}})
}

// download reads the chunks of one content and persists it. A stream that breaks resumes where it ended, as long as each
// attempt brings something.
func (s *session) download(ctx context.Context, a *yardarmv1.AssignmentSpec) error {
	var encoded []byte
	var encodedSize, size uint64
	for {
		before := len(encoded)
		stream, err := s.client.Fetch(ctx, &spokev1.FetchRequest{Digest: a.Digest, Offset: uint64(before)})
		if err != nil {
			return err
		}
		for first := true; ; first = false {
			chunk, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				if status.Code(err) == codes.Unavailable && len(encoded) > before {
					break
				}
				return err
			}
			if first {
				encodedSize, size = chunk.EncodedSize, chunk.Size
				// zstd never makes content much larger than it is.
				if size != a.Size || encodedSize > a.Size+a.Size/8+1024 {
					return fmt.Errorf("the hub announces %d bytes for an artifact of %d: %w", encodedSize, a.Size, manifest.ErrCorrupt)
				}
				if encoded == nil {
					encoded = make([]byte, 0, encodedSize)
				}
			}
			if uint64(len(encoded)+len(chunk.Data)) > encodedSize {
				return fmt.Errorf("the hub sends more than the %d bytes announced: %w", encodedSize, manifest.ErrCorrupt)
			}
			encoded = append(encoded, chunk.Data...)
		}
		if uint64(len(encoded)) == encodedSize {
			return s.State.PutContent(ctx, a.Digest, size, encoded)
		}
		if len(encoded) == before {
			return fmt.Errorf("the hub sent %d of %d bytes: %w", len(encoded), encodedSize, manifest.ErrCorrupt)
		}
	}
}
