package api

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/yardarm-dev/yardarm/hub/store"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Types of messages of a watch.
const (
	watchAdded     = "ADDED"
	watchModified  = "MODIFIED"
	watchDeleted   = "DELETED"
	watchBookmark  = "BOOKMARK"
	watchHeartbeat = "HEARTBEAT"
)

// Watch implements FleetService. It is level-triggered: when rows change that may matter, what the watcher would see now is compared
// with what it was sent last, and the difference is sent. Nothing is queued, so a slow watcher skips intermediate states and costs no
// more than a fast one: a hash for each resource. DELETED carries the resource's identity only.
func (s *Server) Watch(req *hubv1.WatchRequest, stream grpc.ServerStreamingServer[hubv1.WatchResponse]) error {
	subject, err := subjectOf(req)
	if err != nil {
		return err
	}
	done, err := s.admitWatch()
	if err != nil {
		return err
	}
	defer done()
	if err := open(stream); err != nil {
		return err
	}
	// First the subscription, then the snapshot: no change falls in between.
	sub := s.store.Subscribe(append(subject.tables(), scopeTables...)...)
	defer sub.Close()
	w := &watcher{subject: subject, sent: make(map[string]map[string]sentState), send: stream.Send}
	if err := w.all(s.view(stream.Context())); err != nil {
		return err
	}
	if err := stream.Send(&hubv1.WatchResponse{Type: watchBookmark}); err != nil {
		return err
	}
	heartbeat := time.NewTicker(s.cfg.Heartbeat)
	defer heartbeat.Stop()
	for {
		select {
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-s.stopping:
			return errStopping
		case <-heartbeat.C:
			if err := stream.Send(&hubv1.WatchResponse{Type: watchHeartbeat}); err != nil {
				return err
			}
		case <-sub.C():
			changed := sub.Take()
			if err := w.changed(s.view(stream.Context()), changed); err != nil {
				return err
			}
			if err := s.pause(stream.Context()); err != nil {
				return err
			}
		}
	}
}

// pause lets changes gather, so that a burst becomes one message a resource.
func (s *Server) pause(ctx context.Context) error {
	timer := time.NewTimer(s.cfg.Coalesce)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stopping:
		return errStopping
	}
}

// admitWatch counts an endless stream in, if there is room for it; done counts it out.
func (s *Server) admitWatch() (done func(), err error) {
	if n := s.watches.Add(1); int(n) > s.cfg.Limits.Watches {
		s.watches.Add(-1)
		return nil, refuse(codes.ResourceExhausted, reasonBusy, nil, fmt.Sprintf("%d watches are open, which is as many as this hub takes; try again later", s.cfg.Limits.Watches),
			&errdetails.RetryInfo{RetryDelay: durationpb.New(busyRetry)})
	}
	return func() { s.watches.Add(-1) }, nil
}

// watcher is one watch. It belongs to its call's goroutine.
type watcher struct {
	subject subject
	send    func(*hubv1.WatchResponse) error
	// sent is what the caller has, by unit and name.
	sent map[string]map[string]sentState
}

// sentState identifies what was sent last of a resource.
type sentState struct {
	uid  string
	hash [32]byte
}

// all compares everything.
func (w *watcher) all(v view) error {
	if err := w.gone(v, func(yield func(string) bool) {
		for unit := range w.sent {
			if !yield(unit) {
				return
			}
		}
	}); err != nil {
		return err
	}
	for unit := range w.subject.units(v) {
		if err := w.compare(v, unit); err != nil {
			return err
		}
	}
	return nil
}

// scopeTables are those that say what a caller sees, beside the resources themselves.
var scopeTables = []store.Table{store.Roles, store.RoleBindings, store.Groups}

// changed compares what a change may concern.
func (w *watcher) changed(v view, changed store.Changed) error {
	units, all := w.subject.affected(v, changed)
	// Groups are what scopes are made of; whoever sees everything need not look.
	scoped := !v.access.Everywhere(yardarmv1.VerbGet, resourceOf[string(w.subject.kind())])
	if all || changed.Any(store.Roles) || changed.Any(store.RoleBindings) || scoped && changed.Any(store.Groups) {
		return w.all(v)
	}
	each := func(yield func(string) bool) {
		for unit := range units {
			if !yield(unit) {
				return
			}
		}
	}
	if err := w.gone(v, each); err != nil {
		return err
	}
	for unit := range each {
		if err := w.compare(v, unit); err != nil {
			return err
		}
	}
	return nil
}

// gone sends the end of units that are no more. It comes before everything else, since what has taken the name of one may follow.
func (w *watcher) gone(v view, units func(func(string) bool)) error {
	for unit := range units {
		if w.sent[unit] != nil && !w.subject.exists(v, unit) {
			if err := w.compare(v, unit); err != nil {
				return err
			}
		}
	}
	return nil
}

// compare sends what has changed of a unit since it was sent last.
func (w *watcher) compare(v view, unit string) error {
	before := w.sent[unit]
	var now map[string]sentState
	for _, r := range w.subject.resources(v, unit) {
		state := sentState{r.meta.GetUid(), r.hash()}
		if now == nil {
			now = make(map[string]sentState)
		}
		now[r.meta.GetName()] = state
		old, known := before[r.meta.GetName()]
		if known && old == state {
			continue
		}
		kind := watchModified
		if !known {
			kind = watchAdded
		} else if old.uid != state.uid {
			// Another resource has taken the name.
			if err := w.send(r.kind.deleted(r.meta.GetName(), old.uid)); err != nil {
				return err
			}
			kind = watchAdded
		}
		if err := w.send(r.kind.response(kind, r.message)); err != nil {
			return err
		}
	}
	for name, old := range before {
		if _, still := now[name]; !still {
			if err := w.send(w.subject.kind().deleted(name, old.uid)); err != nil {
				return err
			}
		}
	}
	if now == nil {
		delete(w.sent, unit)
	} else {
		w.sent[unit] = now
	}
	return nil
}
