package client

import (
	"context"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// returnSpread is by how much more than asked a caller may wait, as a part of it: those who were refused together do not return together.
const returnSpread = 0.2

// comeBack repeats a call that the hub has refused for now, after as long as the hub asks for, as long as the call's time allows.
func comeBack(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	for {
		err := invoke(ctx, method, req, reply, conn, opts...)
		delay := retryDelay(err)
		if status.Code(err) != codes.ResourceExhausted || delay <= 0 {
			return err
		}
		delay += time.Duration(rand.Float64() * returnSpread * float64(delay))
		if end, ok := ctx.Deadline(); ok && time.Until(end) < delay {
			return err // which says when
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(delay):
		}
	}
}
