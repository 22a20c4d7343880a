package dispatch

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/hub/store"
)

// Reasons of the events about presence.
const (
	eventConnected = "ClusterConnected"
	eventStale     = "ClusterStale"
	// eventBack is of no cluster: it tells how many are back.
	eventBack = "ClustersConnected"
)

// comeback is the clusters that come back after the hub's start. They have missed nothing, and one event tells of all of them: one for each would
// push all others out of the log.
type comeback struct {
	// stale are the clusters, by name, of which the log's last word was that they are stale. Each one's return is told.
	stale map[string]bool
	// count is how many have come back that nobody has been told of.
	count atomic.Int64
}

func newComeback(tx *store.ReadTx) *comeback {
	c := &comeback{stale: map[string]bool{}}
	for e := range tx.Events(0) {
		switch e.Reason {
		case eventConnected:
			delete(c.stale, e.Cluster)
		case eventStale:
			c.stale[e.Cluster] = true
		}
	}
	return c
}

// of tells whether a cluster, given its presence or nil, and whether it has been connected before, comes back for no other reason than that the hub has
// started.
func (c *comeback) of(name string, was *store.Presence, before bool) bool {
	if was != nil {
		before = was.State == yardarmv1.PresenceUnknown
	}
	return before && !c.stale[name]
}

// tell adds the event, once the time for coming back is over.
func (r *registry) tell(ctx context.Context, now time.Time) error {
	if r.elapsed() < r.RestartGrace {
		return nil
	}
	n := r.comeback.count.Swap(0)
	if n == 0 {
		return nil
	}
	message := "1 cluster has connected again after the hub's start"
	if n > 1 {
		message = fmt.Sprintf("%d clusters have connected again after the hub's start", n)
	}
	return r.Store.Observe(ctx, func(tx *store.Tx) error {
		return tx.AddEvent(&yardarmv1.Event{Time: timestamppb.New(now), Type: yardarmv1.EventNormal, Reason: eventBack, Message: message})
	})
}
