package client

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

// maxPreview is how large the objects of a preview may be together, in bytes: four times what a hub takes as an artifact by default, all of it in memory.
const maxPreview = 256 << 20

// ErrGarbled says that a preview is not what it says it is.
var ErrGarbled = errors.New("the hub's preview has not come whole; try again")

var errTooMuch = errors.New("the objects are too many to show")

// Preview answers what a cluster is to get of a bundle. The time for a call bounds each step rather than the whole.
func (c *Client) Preview(ctx context.Context, req *hubv1.PreviewAssignmentRequest) (*hubv1.Preview, *manifest.Set, error) {
	var preview *hubv1.Preview
	var data []byte
	err := c.step(ctx, 0, func(ctx context.Context, alive func()) (err error) {
		preview, data, err = c.preview(ctx, req, alive)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	set, err := manifest.Decode(data, manifest.Limits{Bytes: maxPreview})
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrGarbled, err)
	}
	if set.Digest().String() != preview.GetRenderedDigest() {
		return nil, nil, fmt.Errorf("%w: its digest is another", ErrGarbled)
	}
	return preview, set, nil
}

func (c *Client) preview(ctx context.Context, req *hubv1.PreviewAssignmentRequest, alive func()) (*hubv1.Preview, []byte, error) {
	stream, err := c.PreviewAssignment(ctx, req)
	if err != nil {
		return nil, nil, err
	}
	first, err := stream.Recv()
	if err != nil {
		return nil, nil, err
	}
	preview := first.GetPreview()
	size := preview.GetSize()
	switch {
	case preview == nil:
		return nil, nil, fmt.Errorf("%w: it does not begin with what it is", ErrGarbled)
	case size > maxPreview:
		return nil, nil, fmt.Errorf("%w: they have %d bytes, and the limit is %d", errTooMuch, size, maxPreview)
	}
	var data []byte
	for {
		alive()
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return preview, data, nil
		}
		if err != nil {
			return nil, nil, err
		}
		if data = append(data, message.GetData()...); uint64(len(data)) > size {
			return nil, nil, fmt.Errorf("%w: it is larger than it says", ErrGarbled)
		}
	}
}
