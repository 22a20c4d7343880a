package client

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrStalled says that an upload or a download stood still for longer than a call may take.
var ErrStalled = errors.New("the hub has not answered in time")

// step runs a transfer that calls alive with each step. When none comes for as long as a call may take, and for as long again as the hub was asked to take
// for it, it ends the transfer's context and answers ErrStalled.
func (c *Client) step(ctx context.Context, asked time.Duration, transfer func(ctx context.Context, alive func()) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	patience := c.timeout + asked
	stall := time.AfterFunc(patience, func() { cancel(fmt.Errorf("%w (%s)", ErrStalled, patience)) })
	defer stall.Stop()
	err := transfer(ctx, func() { stall.Reset(patience) })
	if err != nil && errors.Is(context.Cause(ctx), ErrStalled) {
		return context.Cause(ctx)
	}
	return err
}
