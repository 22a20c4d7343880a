package enroll

import (
	"context"
	"errors"
	"fmt"
	"time"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
)

// leaveInterval is how often the hub is asked whether the cluster is gone.
const leaveInterval = time.Second

// Leave has the hub delete this cluster, after the spoke that runs has removed what it has applied, and returns when that is done. It claims
// nothing: that spoke goes on. What is not enrolled has nothing to leave. It fails with [ErrRefused], or when ctx ends.
func (i *Identity) Leave(ctx context.Context) error {
	kept, err := i.config.Keep.Load(ctx)
	if err != nil {
		return err
	}
	if kept == nil || kept.Identity == nil {
		return nil
	}
	if err := i.take(kept, time.Time{}); err != nil {
		return err
	}
	for {
		gone, err := i.leave(ctx)
		switch {
		case gone:
			return nil
		case errors.Is(err, ErrRefused):
			return err
		case err != nil:
			i.log.Warn("asking again", "error", err)
		}
		select {
		case <-ctx.Done():
			if err == nil {
				err = errors.New("its workloads are not removed yet; the log of the spoke says why, and so does: yardarm describe cluster")
			}
			return fmt.Errorf("leave the fleet: %w: %w", context.Cause(ctx), err)
		case <-time.After(leaveInterval):
		}
	}
}

// leave asks each address in turn.
func (i *Identity) leave(ctx context.Context) (gone bool, last error) {
	for _, address := range i.Addresses() {
		connection, err := i.dial(address, i.TLS())
		if err != nil {
			return false, err
		}
		call, cancel := context.WithTimeout(ctx, callTimeout)
		response, err := spokev1.NewSpokeServiceClient(connection).Leave(call, &spokev1.LeaveRequest{})
		cancel()
		connection.Close()
		if err == nil {
			return response.GetGone(), nil
		}
		if last = explain(address, err); errors.Is(last, ErrRefused) {
			return false, last
		}
	}
	return false, last
}
