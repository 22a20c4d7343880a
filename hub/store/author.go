package store

import "context"

// Author is who makes a change, for the audit log. A context without one is that of the hub itself.
type Author struct {
	// Who is the caller's identity, as events name it.
	Who string
	// Address is where the call came from.
	Address string
	// RequestID is that of the call, and Method its full name.
	RequestID, Method string
}

type authorKey struct{}

// WithAuthor returns a context whose updates are those of the author.
func WithAuthor(ctx context.Context, a Author) context.Context {
	return context.WithValue(ctx, authorKey{}, a)
}

func authorOf(ctx context.Context) Author {
	a, ok := ctx.Value(authorKey{}).(Author)
	if !ok {
		return Author{Who: "hub"}
	}
	return a
}
