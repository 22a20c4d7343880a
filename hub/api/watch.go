package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/yardarm-dev/yardarm/hub/follow"
	"github.com/yardarm-dev/yardarm/hub/index"
	"github.com/yardarm-dev/yardarm/hub/store"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

// Types of messages of a watch.
const (
	watchAdded     = "ADDED"
	watchModified  = "MODIFIED"
	watchDeleted   = "DELETED"
	watchBookmark  = "BOOKMARK"
	watchHeartbeat = "HEARTBEAT"
)

// errTooOld ends a watch that the index cannot tell any more what has changed since.
var errTooOld = refuse(codes.Aborted, reasonTooOld, nil, "what has changed since is not remembered any more; open the watch without a bookmark, and take its snapshot")

// Watch implements FleetService. It is level-triggered: a watcher has a place in the index's log, and is sent what differs between then and now. Nothing is
// queued for it, so a slow watcher skips intermediate states and holds nobody up; one that the log has left behind is told so. DELETED carries the
// resource's identity only.
func (s *Server) Watch(req *hubv1.WatchRequest, stream grpc.ServerStreamingServer[hubv1.WatchResponse]) error {
	subject, leave, err := s.audiences.join(req)
	if err != nil {
		return err
	}
	defer leave()
	done, err := s.admitWatch()
	if err != nil {
		return err
	}
	defer done()
	defer s.index.Watching()()
	// First the subscription, then the snapshot: no change falls in between.
	scope := s.store.Subscribe(scopeTables...)
	defer scope.Close()
	w := &watcher{ctx: stream.Context(), server: s, req: req, subject: subject, marks: s.bookmarks(req), send: stream.Send}
	switch {
	case !s.view(w.ctx).all:
		w.sent = make(map[string]seen)
	case len(callOf(w.ctx).fields) == 0:
		w.sendEncoded = stream.SendMsg
	}
	if req.GetBookmark() != "" {
		if w.seq, err = w.parse(req.GetBookmark()); err != nil {
			return err
		}
	}
	if err := open(stream); err != nil {
		return err
	}
	if req.GetBookmark() == "" {
		if err := w.snapshot(); err != nil {
			return err
		}
	}
	if err := w.send(&hubv1.WatchResponse{Type: watchBookmark, Bookmark: w.bookmark()}); err != nil {
		return err
	}
	heartbeat := time.NewTicker(s.cfg.Heartbeat)
	defer heartbeat.Stop()
	for {
		grown := s.index.Grown()
		sent, err := w.round(scope.Take().Empty())
		if err != nil {
			return err
		}
		if sent {
			if err := s.pause(stream.Context()); err != nil {
				return err
			}
			continue
		}
		select {
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-s.stopping:
			return errStopping
		case <-heartbeat.C:
			if err := w.send(&hubv1.WatchResponse{Type: watchHeartbeat, Bookmark: w.bookmark()}); err != nil {
				return err
			}
		case <-grown:
		case <-scope.C():
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

// scopeTables are those that say what a caller sees, beside the resources themselves.
var scopeTables = []store.Table{store.Roles, store.RoleBindings, store.Groups}

// watcher is one watch. It belongs to its call's goroutine.
type watcher struct {
	ctx     context.Context
	server  *Server
	req     *hubv1.WatchRequest
	subject subject
	marks   bookmarks
	send    func(*hubv1.WatchResponse) error
	// sendEncoded sends an [encoded] message; nil where the caller is not told what others are.
	sendEncoded func(any) error
	// seq is how far the caller has been told.
	seq uint64
	// sent is what the caller has, by name, where it does not see all there is: what it sees changes with roles and groups, too, of which the index's
	// log knows nothing. Such a watch has no bookmarks.
	sent map[string]seen
}

// snapshot sends all that there is.
func (w *watcher) snapshot() error {
	var all []seen
	v := w.server.read(w.ctx, func(v view, state *index.State) {
		all, w.seq = w.subject.snapshot(v, state), state.Seq
	})
	follow.Say(w.ctx, true)
	for _, r := range all {
		if err := w.tell(v, step{watchAdded, r}, false); err != nil {
			return err
		}
	}
	follow.Say(w.ctx, false) // its bookmark is next
	return nil
}

// round sends what has changed since the last one, and tells whether there was anything. sameScope says that the caller sees what it saw before.
func (w *watcher) round(sameScope bool) (sent bool, err error) {
	var steps []step
	ok := true
	v := w.server.read(w.ctx, func(v view, state *index.State) {
		switch {
		case w.sent != nil:
			steps = w.differences(v, state, sameScope)
		case !v.all:
			ok = false // it did before
		default:
			steps, ok = w.subject.since(v, state, w.seq)
		}
		w.seq = state.Seq
	})
	if !ok {
		// Whoever may not watch at all is told that.
		if err := w.server.permit(callOf(w.ctx), w.req); err != nil {
			return false, err
		}
		return false, errTooOld
	}
	for i, st := range steps {
		last := i == len(steps)-1
		follow.Say(w.ctx, !last)
		if err := w.tell(v, st, last); err != nil {
			return false, err
		}
	}
	return len(steps) > 0, nil
}

// differences are the steps from what was sent to what there is: of what has changed, or of all where that is not enough.
func (w *watcher) differences(v view, state *index.State, sameScope bool) (steps []step) {
	now, names, ok := w.subject.touched(v, state, w.seq)
	if !ok || !sameScope {
		now, names = w.subject.snapshot(v, state), slices.Collect(maps.Keys(w.sent))
	}
	byName := make(map[string]seen, len(now))
	for _, r := range now {
		byName[r.name] = r
	}
	for _, name := range names {
		old, had := w.sent[name]
		if r, has := byName[name]; had && !(has && r.is(old)) {
			steps = append(steps, step{watchDeleted, old})
		}
	}
	for _, r := range now {
		switch old, had := w.sent[r.name]; {
		case !had || !old.is(r):
			steps = append(steps, step{watchAdded, r})
		case !old.same(r):
			steps = append(steps, step{watchModified, r})
		}
	}
	return steps
}

// tell sends one step; the last of a round with a bookmark.
func (w *watcher) tell(v view, st step, last bool) error {
	rest := &hubv1.WatchResponse{Type: st.kind}
	if last {
		rest.Bookmark = w.bookmark()
	}
	if w.sendEncoded != nil && st.alike && st.kind != watchDeleted {
		return w.tellEncoded(v, st, rest)
	}
	m := st.response(w.req.GetKind(), v)
	m.Type, m.Bookmark = rest.Type, rest.Bookmark
	switch {
	case w.sent == nil:
	case st.kind == watchDeleted:
		delete(w.sent, st.name)
	default:
		w.sent[st.name] = st.seen
	}
	return w.send(m)
}

// tellEncoded sends a step, what it shows encoded once for all who are told of it, with the rest of its message.
func (w *watcher) tellEncoded(v view, st step, rest *hubv1.WatchResponse) error {
	shared, err := w.server.shown.of(st.content, v.now, func() *hubv1.WatchResponse { return st.response(w.req.GetKind(), v) })
	if err != nil {
		return err
	}
	own, err := proto.Marshal(rest)
	if err != nil {
		return err
	}
	return w.sendEncoded(encoded{shared, own})
}

func (w *watcher) bookmark() string {
	if w.sent != nil {
		return ""
	}
	return w.marks.at(w.seq)
}

func (w *watcher) parse(bookmark string) (seq uint64, err error) {
	if w.sent != nil {
		return 0, errTooOld // it is of a time when the caller saw more
	}
	return w.marks.parse(bookmark)
}

// bookmarks are the places that one request's watches can go on from. They count for this run of the hub, whose index they are about.
type bookmarks struct {
	run  [8]byte
	what [8]byte
}

// bookmarkSize is that of a bookmark, decoded, in bytes.
const bookmarkSize = 8 + 8 + 8

func (s *Server) bookmarks(req *hubv1.WatchRequest) bookmarks {
	b := bookmarks{run: s.run}
	sum := sha256.Sum256([]byte(subjectKey(req)))
	copy(b.what[:], sum[:])
	return b
}

func (b bookmarks) at(seq uint64) string {
	raw := append(append([]byte(nil), b.run[:]...), b.what[:]...)
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint64(raw, seq))
}

func (b bookmarks) parse(text string) (seq uint64, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	switch {
	case err != nil || len(raw) != bookmarkSize:
		return 0, invalid("bookmark", "is none that a watch has given out; leave it out")
	case !bytes.Equal(raw[:8], b.run[:]):
		return 0, errTooOld
	case !bytes.Equal(raw[8:16], b.what[:]):
		return 0, invalid("bookmark", "belongs to a watch of something else; leave it out, or ask for the same")
	}
	return binary.BigEndian.Uint64(raw[16:]), nil
}
