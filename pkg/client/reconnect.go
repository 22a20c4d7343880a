package client

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yardarm-dev/yardarm/pkg/backoff"
)

const (
	// retryBase and retryMax bound the pause before a stream is opened again: a hub that restarts is back within a second or two, and who
	// looks at a screen or pays for a pipeline should not wait for long after it is. Watchers are people and pipelines, not a fleet.
	retryBase = 500 * time.Millisecond
	retryMax  = 5 * time.Second
	// maxRetryDelay bounds what a hub can ask for.
	maxRetryDelay = time.Minute
)

// errSilent says that a stream has not been heard for too long.
var errSilent = errors.New("the hub has gone silent")

// reconnect runs read again and again until it returns an error for which that is pointless. read calls alive for each message it gets, and must end
// with its context, which reconnect ends when there are none for the time of silence; if that is 0, a quiet stream is as good as any.
func reconnect(ctx context.Context, silence time.Duration, opts WatchOptions, read func(ctx context.Context, alive func()) error) error {
	established, away := false, false
	pauses := backoff.Backoff{Base: retryBase, Max: retryMax}
	for {
		heard, start := false, time.Now()
		err := func() error {
			// A stream does not know the deadline: gRPC would tell it to the hub, which then may end the stream before our own clock does, as if
			// something were wrong.
			streamCtx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
			defer cancel(nil)
			defer context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })()
			keepOpen := func() {}
			if silence > 0 {
				timer := time.AfterFunc(silence, func() { cancel(errSilent) })
				defer timer.Stop()
				keepOpen = func() { timer.Reset(silence) }
			}
			err := read(streamCtx, func() {
				heard = true
				keepOpen()
				if away && opts.Found != nil {
					opts.Found()
				}
				away = false
			})
			if !errors.Is(err, errStopped) && errors.Is(context.Cause(streamCtx), errSilent) {
				return errSilent
			}
			return err
		}()
		if errors.Is(err, errStopped) {
			return err // also when ctx has ended meanwhile: nothing may be yielded to a consumer that has stopped
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		// A stream on which there is nothing to say tells by its age that there was a hub.
		heard = heard || time.Since(start) > connectTimeout
		established = established || heard
		// A stream that was accepted and is then refused has outlived its credential, of which there may be another one by now.
		outlived := heard && opts.renewed && status.Code(err) == codes.Unauthenticated
		if !established || !transient(err) && !outlived {
			return err
		}
		if heard {
			pauses.Reset()
		}
		pause := max(pauses.Next(), retryDelay(err))
		away = true
		if opts.Lost != nil {
			opts.Lost(err, pause)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// transient tells whether another attempt may fare better.
func transient(err error) bool {
	if errors.Is(err, io.EOF) || errors.Is(err, errSilent) {
		return true
	}
	switch status.Code(err) {
	case codes.Unavailable, codes.Unknown, codes.Internal, codes.Aborted, codes.ResourceExhausted, codes.DeadlineExceeded, codes.Canceled:
		return true
	}
	return false
}

// Said is what the hub, or the way to it, has said, without gRPC's words around it.
func Said(err error) string { return status.Convert(err).Message() }

// retryDelay is what the hub asks to wait, if it does.
func retryDelay(err error) time.Duration {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return min(info.GetRetryDelay().AsDuration(), maxRetryDelay)
		}
	}
	return 0
}
