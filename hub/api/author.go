package api

import (
	"context"

	"github.com/yardarm-dev/yardarm/hub/store"
)

// withAuthor returns the context of a call whose changes the audit log names it for.
func withAuthor(ctx context.Context, c call) context.Context {
	return store.WithAuthor(ctx, store.Author{Who: c.who.Actor(), Address: addressOf(ctx), RequestID: c.id, Method: c.method})
}
