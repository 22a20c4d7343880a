package client

import (
	"context"
	"errors"
	"io"
	"iter"

	"google.golang.org/protobuf/proto"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Events yields past events, and then follows if the request says so. A follower that loses its connection goes on after the last event that it
// saw, as [Client.Watch] does; the errors are the same too.
func (c *Client) Events(ctx context.Context, req *hubv1.WatchEventsRequest, opts WatchOptions) iter.Seq2[*yardarmv1.Event, error] {
	return func(yield func(*yardarmv1.Event, error) bool) {
		next := proto.CloneOf(req)
		read := func(ctx context.Context, alive func()) error {
			stream, err := c.WatchEvents(ctx, next)
			if err != nil {
				return err
			}
			// The hub opens the stream with headers before it has anything to tell; there are none if it refuses.
			if header, err := stream.Header(); err == nil && header != nil {
				alive()
			}
			for {
				resp, err := stream.Recv()
				if err != nil {
					return err
				}
				alive()
				if resp.GetEvent() == nil {
					continue // a heartbeat
				}
				if !yield(resp.GetEvent(), nil) {
					return errStopped
				}
				next.After, next.Tail = resp.GetEvent().GetSequence(), 0
			}
		}
		var err error
		if req.GetFollow() {
			// The hub sends no heartbeats here; a dead connection is noticed by the connection's own probes.
			opts.renewed = c.renewed
			err = reconnect(ctx, 0, opts, read)
		} else if err = read(ctx, func() {}); errors.Is(err, io.EOF) {
			err = nil
		}
		if err != nil && !errors.Is(err, errStopped) {
			yield(nil, err)
		}
	}
}
