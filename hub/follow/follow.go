// Package follow lets whoever writes the messages of an answer say that another one follows at once, so that they go out together: a message that goes out
// alone is a frame, a record of TLS, a system call and a packet of its own. hub/api says so, and hub/gateway holds messages back while it is said.
package follow

import (
	"context"
	"sync/atomic"
)

// Answer is what is said of one answer. Safe for concurrent use.
type Answer struct{ more atomic.Bool }

type key struct{}

// With is a context in which the writer of an answer finds it.
func With(ctx context.Context) (context.Context, *Answer) {
	a := &Answer{}
	return context.WithValue(ctx, key{}, a), a
}

// Say tells whether, after the next message of the answer, another one or its end follows at once. Where nobody holds messages back, it means nothing.
func Say(ctx context.Context, more bool) {
	if a, ok := ctx.Value(key{}).(*Answer); ok {
		a.more.Store(more)
	}
}

// More tells what was said last; at first, that nothing follows.
func (a *Answer) More() bool { return a.more.Load() }
