package client

import (
	"context"
	"errors"
	"iter"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// FollowRollout yields a bundle's rollout as it is now, and then each time that the hub sends it, which it does also when nothing has changed. When the
// connection is lost it connects again, as [Client.Watch] does; the errors are the same too.
func (c *Client) FollowRollout(ctx context.Context, req *hubv1.WatchRolloutRequest, opts WatchOptions) iter.Seq2[*yardarmv1.Rollout, error] {
	return func(yield func(*yardarmv1.Rollout, error) bool) {
		opts.renewed = c.renewed
		// A hub of an earlier release sends no heartbeats here; a dead connection is noticed by the connection's own probes.
		err := reconnect(ctx, 0, opts, func(ctx context.Context, alive func()) error {
			stream, err := c.WatchRollout(ctx, req)
			if err != nil {
				return err
			}
			for {
				r, err := stream.Recv()
				if err != nil {
					return err
				}
				alive()
				if !yield(r, nil) {
					return errStopped
				}
			}
		})
		if !errors.Is(err, errStopped) {
			yield(nil, err)
		}
	}
}
