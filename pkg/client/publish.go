package client

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/yardarm-dev/yardarm/pkg/backoff"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

// chunkSize is how much of a file one message carries, in bytes. The hub takes up to 1 MiB; less makes progress visible on a slow line.
const chunkSize = 256 << 10

// publishTries is how often a publication is sent while the hub cannot be reached: a hub that restarts is back within the pauses between them.
const publishTries = 4

// Publish sends a bundle's manifests to the hub. progress, if not nil, is called from this goroutine with the bytes sent so far and in all. The
// time for a call bounds each step rather than the whole, so that a slow upload may take as long as it must. If the hub goes away meanwhile, all is sent again,
// under the same idempotency key: it is published once, whether or not the hub had done so already.
func (c *Client) Publish(ctx context.Context, publication *hubv1.Publication, files []manifest.File,
	progress func(sent, total int)) (*hubv1.PublishRevisionResponse, error) {
	ctx = metadata.AppendToOutgoingContext(ctx, "idempotency-key", rand.Text())
	pauses := backoff.Backoff{Base: retryBase, Max: retryMax}
	for {
		resp, err := c.tryPublish(ctx, publication, files, progress)
		if status.Code(err) != codes.Unavailable || pauses.Failures() == publishTries-1 {
			return resp, err
		}
		select {
		case <-ctx.Done():
			return nil, err // which says more
		case <-time.After(pauses.Next()):
		}
	}
}

func (c *Client) tryPublish(ctx context.Context, publication *hubv1.Publication, files []manifest.File,
	progress func(sent, total int)) (*hubv1.PublishRevisionResponse, error) {
	var resp *hubv1.PublishRevisionResponse
	err := c.step(ctx, publication.GetTrial().GetTimeout().AsDuration(), func(ctx context.Context, alive func()) (err error) {
		resp, err = c.publish(ctx, publication, files, func(sent, total int) {
			alive()
			if progress != nil {
				progress(sent, total)
			}
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

func (c *Client) publish(ctx context.Context, publication *hubv1.Publication, files []manifest.File,
	progress func(sent, total int)) (*hubv1.PublishRevisionResponse, error) {
	stream, err := c.PublishRevision(ctx)
	if err != nil {
		return nil, err
	}
	// The hub may answer before everything is sent, when it refuses the publication. Send then says io.EOF, and the answer holds the reason.
	send := func(req *hubv1.PublishRevisionRequest) (refused bool, err error) {
		err = stream.Send(req)
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		return false, err
	}
	total, sent := 0, 0
	for _, file := range files {
		total += len(file.Data)
	}
	refused, err := send(&hubv1.PublishRevisionRequest{Message: &hubv1.PublishRevisionRequest_Publication{Publication: publication}})
	for _, file := range files {
		rest := file.Data
		// An empty file is sent too: it may be the whole of a mistake that the hub can name.
		for first := true; (first || len(rest) > 0) && err == nil && !refused; first = false {
			piece := rest[:min(len(rest), chunkSize)]
			rest = rest[len(piece):]
			refused, err = send(&hubv1.PublishRevisionRequest{Message: &hubv1.PublishRevisionRequest_File{
				File: &hubv1.FileChunk{Path: file.Path, Data: piece},
			}})
			sent += len(piece)
			progress(sent, total)
		}
	}
	if err != nil {
		return nil, err
	}
	return stream.CloseAndRecv()
}
