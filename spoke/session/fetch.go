package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/backoff"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

const (
	// fetchRetryBase and fetchRetryCap bound the random wait before a content that could not be had is asked for again.
	fetchRetryBase = 2 * time.Second
	fetchRetryCap  = 5 * time.Minute
)

// partial is what has come of one content. It outlives the session, so that a large one comes over a link that breaks
// more often than it could be had in one go.
type partial struct {
	digest            string
	encodedSize, size uint64
	data              []byte
}

// fetchAll brings every missing content, one at a time, whenever it is told that some may be missing, and again after a
// while if one could not be had. It never holds back a delta: those come on the other stream; and it never ends the session,
// since what is wrong with one content is no matter of others. When there is time, it has what is here kept in few pieces.
func (s *session) fetchAll(ctx context.Context) error {
	retry := backoff.Backoff{Base: fetchRetryBase, Max: fetchRetryCap}
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.missing:
		case <-s.State.Lacking():
		case <-again:
		case <-s.spare:
			if err := s.State.Shorten(ctx); err != nil && ctx.Err() == nil {
				s.logger.Warn("contents are kept in many pieces", "error", err)
			}
			continue
		}
		again = nil
		failed := false
		for _, a := range s.State.Missing() {
			if err := s.fetch(ctx, a); err != nil {
				failed = true
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
		if failed {
			again = time.After(retry.Next())
		} else {
			retry.Reset()
		}
	}
}

// fetch brings one content and acknowledges it, or refuses it if it is not what was promised or cannot be kept.
func (s *session) fetch(ctx context.Context, a *yardarmv1.AssignmentSpec) error {
	err := s.download(ctx, a)
	if err == nil {
		return s.put(ctx, &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Ack{Ack: &spokev1.Ack{Digests: []string{a.Digest}}}})
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.logger.Warn("content could not be had", "bundle", a.Bundle, "digest", a.Digest, "error", err)
	if _, isStatus := status.FromError(err); isStatus {
		// The stream's or the hub's: overtaken, busy, or gone. There is nothing to tell it.
		return err
	}
	code := spokev1.NackCode_NACK_CODE_INVALID
	switch {
	case errors.Is(err, manifest.ErrDigestMismatch), errors.Is(err, manifest.ErrCorrupt):
		code = spokev1.NackCode_NACK_CODE_WRONG_DIGEST
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		code = spokev1.NackCode_NACK_CODE_NO_SPACE
	}
	nack := &spokev1.Nack{BundleUid: a.BundleUid, Digest: a.Digest, Code: code, Message: err.Error()}
	return errors.Join(err, s.put(ctx, &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Nack{Nack: nack}}))
}

// download reads the chunks of one content and persists it. It goes on where the last attempt ended, and tries again at
// once as long as each attempt brings something.
func (s *session) download(ctx context.Context, a *yardarmv1.AssignmentSpec) error {
	p := &s.partial
	if p.digest != a.Digest {
		*p = partial{digest: a.Digest}
	}
	for {
		before := len(p.data)
		err := s.receiveContent(ctx, a, p)
		switch {
		case err == nil && uint64(len(p.data)) == p.encodedSize:
			encoded, size := p.data, p.size
			*p = partial{}
			return s.State.PutContent(ctx, a.Digest, size, encoded)
		case err == nil:
			err = status.Error(codes.Unavailable, "the hub ended the content early")
		}
		if _, isStatus := status.FromError(err); ctx.Err() == nil && (!isStatus || status.Code(err) == codes.OutOfRange) {
			*p = partial{} // what has come is wrong; else it has only not come to an end
		}
		if status.Code(err) != codes.Unavailable || len(p.data) == before {
			return err
		}
	}
}

// receiveContent reads one Fetch into p.
func (s *session) receiveContent(ctx context.Context, a *yardarmv1.AssignmentSpec, p *partial) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // a stream that is left before its end
	stream, err := s.client.Fetch(ctx, &spokev1.FetchRequest{Digest: a.Digest, Offset: uint64(len(p.data))})
	if err != nil {
		return err
	}
	for first := true; ; first = false {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if first {
			// zstd never makes content much larger than it is.
			if chunk.Size != a.Size || chunk.EncodedSize > a.Size+a.Size/8+1024 {
				return fmt.Errorf("the hub announces %d bytes for an artifact of %d: %w", chunk.EncodedSize, a.Size, manifest.ErrCorrupt)
			}
			if len(p.data) > 0 && chunk.EncodedSize != p.encodedSize {
				return fmt.Errorf("the hub has encoded the artifact anew since it was begun: %w", manifest.ErrCorrupt)
			}
			p.encodedSize, p.size = chunk.EncodedSize, chunk.Size
		}
		if uint64(len(p.data)+len(chunk.Data)) > p.encodedSize {
			return fmt.Errorf("the hub sends more than the %d bytes announced: %w", p.encodedSize, manifest.ErrCorrupt)
		}
		if p.data == nil {
			p.data = make([]byte, 0, p.encodedSize)
		}
		p.data = append(p.data, chunk.Data...)
	}
}
