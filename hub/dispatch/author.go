package dispatch

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"

	"github.com/yardarm-dev/yardarm/hub/store"
)

// withAuthor returns the context of a spoke's call as that of a change which the spoke brings about, for the audit log.
func withAuthor(ctx context.Context, who string) context.Context {
	a := store.Author{Who: who}
	a.Method, _ = grpc.Method(ctx)
	if p, ok := peer.FromContext(ctx); ok {
		a.Address = p.Addr.String()
	}
	return store.WithAuthor(ctx, a)
}

// clusterAuthor names an enrolled cluster as an author.
func clusterAuthor(uid string) string { return "cluster/" + uid }
