package client

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

func TestRefusedForNowComesBack(t *testing.T) {
	for _, c := range []struct {
		name  string
		delay time.Duration
		limit time.Duration
		calls int32
		want  codes.Code
	}{
		{"the third is let in", 10 * time.Millisecond, time.Minute, 3, codes.OK},
		{"no delay is told", 0, time.Minute, 1, codes.ResourceExhausted},
		{"longer than the call may take", 30 * time.Second, 10 * time.Second, 1, codes.ResourceExhausted},
	} {
		t.Run(c.name, func(t *testing.T) {
			var calls atomic.Int32
			hub := start(t, &fakeHub{apply: func(*hubv1.ApplyRequest) (*hubv1.ApplyResponse, error) {
				if calls.Add(1) == 3 {
					return &hubv1.ApplyResponse{}, nil
				}
				st := status.New(codes.ResourceExhausted, "too many calls")
				if c.delay > 0 {
					with, err := st.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(c.delay)})
					if err != nil {
						return nil, err
					}
					st = with
				}
				return nil, st.Err()
			}}, nil)
			ctx, cancel := context.WithTimeout(t.Context(), c.limit)
			defer cancel()
			began := time.Now()
			_, err := hub.Apply(ctx, &hubv1.ApplyRequest{})
			if status.Code(err) != c.want || calls.Load() != c.calls {
				t.Errorf("%v after %d calls", err, calls.Load())
			}
			if took := time.Since(began); took < time.Duration(c.calls-1)*c.delay {
				t.Errorf("%d calls in %v", c.calls, took)
			}
		})
	}
}
