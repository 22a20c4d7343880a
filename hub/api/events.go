package api

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yardarm-dev/yardarm/hub/query"
	"github.com/yardarm-dev/yardarm/hub/store"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// errStopping ends the streams that would go on for ever.
var errStopping = status.Error(codes.Unavailable, "the hub is stopping; connect again")

// WatchEvents implements FleetService. A follower that is so slow that events are dropped before it has read them misses those: events tell
// the story, and nothing acts on them.
func (s *Server) WatchEvents(req *hubv1.WatchEventsRequest, stream grpc.ServerStreamingServer[hubv1.WatchEventsResponse]) error {
	filter, err := eventFields.Filter(req.GetFilter())
	if err != nil {
		return invalid("filter", err.Error())
	}
	filter = filter.And(func(e *yardarmv1.Event) bool {
		return (req.GetCluster() == "" || e.GetCluster() == req.GetCluster()) && (req.GetBundle() == "" || e.GetBundle() == req.GetBundle())
	})
	done, err := s.admitWatch()
	if err != nil {
		return err
	}
	defer done()
	if err := open(stream); err != nil {
		return err
	}
	sub := s.store.Subscribe(store.Events)
	defer sub.Close()
	last := req.GetAfter()
	past := matchingEvents(s.view(stream.Context()), filter, &last)
	if n := int(req.GetTail()); n > 0 && len(past) > n {
		past = past[len(past)-n:]
	}
	for {
		for _, e := range past {
			if err := stream.Send(&hubv1.WatchEventsResponse{Event: e}); err != nil {
				return err
			}
		}
		if !req.GetFollow() {
			return nil
		}
		select {
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-s.stopping:
			return errStopping
		case <-sub.C():
			sub.Take()
			past = matchingEvents(s.view(stream.Context()), filter, &last)
		}
	}
}

// matchingEvents are those after last that pass a filter and that the caller may see; last moves on to the newest event, asked for or not.
func matchingEvents(v view, filter query.Filter[*yardarmv1.Event], last *uint64) []*yardarmv1.Event {
	var out []*yardarmv1.Event
	for e := range v.Events(*last) {
		*last = max(*last, e.GetSequence())
		if filter.Matches(e) && v.seesEvent(e) {
			out = append(out, e)
		}
	}
	return out
}
