package client

import (
	"context"
	"errors"
	"iter"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// silence is how long a watch may hear nothing before its stream is given up: three of the hub's heartbeats.
const silence = 45 * time.Second

// Object is a resource: a Cluster, ClusterGroup, Bundle, Revision, Assignment, Gate, Role, RoleBinding, Token, Notification, Strategy or SourceCredentials.
type Object interface {
	proto.Message
	GetApiVersion() string
	GetKind() string
	GetMetadata() *yardarmv1.ObjectMeta
}

// ChangeType says what a Change is.
type ChangeType string

// Types of changes.
const (
	Added    ChangeType = "ADDED"
	Modified ChangeType = "MODIFIED"
	Deleted  ChangeType = "DELETED"
	// Synced comes without an object: what has been yielded so far is the whole. It comes once, after the first snapshot.
	Synced ChangeType = "SYNCED"
)

// Change is one step of a watch.
type Change struct {
	Type ChangeType
	// Object is the resource as it is now, or was last seen before it was deleted. It is shared with the watch and must not be changed.
	Object Object
}

// WatchOptions adjust a watch. The zero value will do.
type WatchOptions struct {
	// Lost is called when the connection is lost, and with each further attempt that fails, with why and when the watch tries again.
	Lost func(err error, retryIn time.Duration)
	// Found is called with the first message after that. Both are called from the goroutine of the consumer.
	Found func()

	// renewed says that the credential is: the client's to say.
	renewed bool
}

// Watch yields the resources that match the request, Synced, and then their changes, until the context ends or the consumer stops. When the
// connection is lost it connects again, with backoff and jitter, and goes on where it was, or from a new snapshot where the hub does not
// remember that; of a snapshot, it yields only what differs from what it yielded before, deletions included. So a consumer sees one continuous watch, in which intermediate states may be missing.
//
// An error is yielded last: the context's, one before the first message arrived, or one that trying again does not change, such as a refused
// credential.
func (c *Client) Watch(ctx context.Context, req *hubv1.WatchRequest, opts WatchOptions) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		opts.renewed = c.renewed
		w := &watch{client: c, req: req, known: make(map[string]Object), yield: yield}
		if err := reconnect(ctx, silence, opts, w.stream); err != nil && !errors.Is(err, errStopped) {
			yield(Change{}, err)
		}
	}
}

// errStopped says that the consumer of an iterator wants no more.
var errStopped = errors.New("stopped")

// watch is the state of one call of Watch. It belongs to the goroutine of the consumer.
type watch struct {
	client *Client
	req    *hubv1.WatchRequest
	yield  func(Change, error) bool

	known  map[string]Object // what the consumer has seen, by name
	synced bool              // the consumer has seen Synced
	// bookmark is where the hub can go on from: all before it is known.
	bookmark string
}

// stream reads one stream until it ends. It calls alive for each message.
func (w *watch) stream(ctx context.Context, alive func()) error {
	req := proto.CloneOf(w.req)
	req.Bookmark = w.bookmark
	stream, err := w.client.FleetServiceClient.Watch(ctx, req)
	if err != nil {
		return err
	}
	// During a snapshot, the names in it; nil afterwards, and where the hub goes on from a bookmark.
	var snapshot map[string]bool
	if w.bookmark == "" {
		snapshot = make(map[string]bool)
	}
	for {
		resp, err := stream.Recv()
		if err != nil {
			if status.Code(err) == codes.Aborted {
				w.bookmark = "" // of which the hub does not remember what has changed since
			}
			return err
		}
		alive()
		ok := true
		switch object := objectOf(resp); {
		case resp.GetType() == "BOOKMARK":
			if snapshot != nil {
				ok = w.finish(snapshot)
				snapshot = nil
			}
		case object == nil: // HEARTBEAT, or a type of message that is newer than this program
		case resp.GetType() == "DELETED":
			delete(snapshot, object.GetMetadata().GetName())
			ok = w.remove(object)
		default:
			if snapshot != nil {
				snapshot[object.GetMetadata().GetName()] = true
			}
			ok = w.put(object, w.synced || snapshot != nil)
		}
		if !ok {
			return errStopped
		}
		if resp.GetBookmark() != "" {
			w.bookmark = resp.GetBookmark()
		}
	}
}

func (w *watch) put(object Object, again bool) bool {
	name := object.GetMetadata().GetName()
	before, known := w.known[name]
	w.known[name] = object
	switch {
	case !known:
		return w.yield(Change{Type: Added, Object: object}, nil)
	case again && same(before, object):
		return true
	}
	return w.yield(Change{Type: Modified, Object: object}, nil)
}

// same tells whether two states of a resource differ in nothing, or only in when the hub last made sure of them.
func same(a, b Object) bool {
	return proto.Equal(timeless(a), timeless(b))
}

func timeless(object Object) proto.Message {
	switch o := object.(type) {
	case *yardarmv1.Cluster:
		o = proto.CloneOf(o)
		if o.GetStatus() != nil {
			o.Status.LastSeen = nil
		}
		return o
	case *yardarmv1.Assignment:
		o = proto.CloneOf(o)
		if o.GetStatus() != nil {
			o.Status.AsOf = nil
		}
		return o
	}
	return object
}

func (w *watch) remove(object Object) bool {
	name := object.GetMetadata().GetName()
	last, known := w.known[name]
	if !known {
		return true
	}
	delete(w.known, name)
	// The hub says no more than which one it was.
	return w.yield(Change{Type: Deleted, Object: last}, nil)
}

// finish ends a snapshot: what is not in it was deleted while nobody listened.
func (w *watch) finish(snapshot map[string]bool) bool {
	for name, object := range w.known {
		if !snapshot[name] {
			delete(w.known, name)
			if !w.yield(Change{Type: Deleted, Object: object}, nil) {
				return false
			}
		}
	}
	if w.synced {
		return true
	}
	w.synced = true
	return w.yield(Change{Type: Synced}, nil)
}

func objectOf(resp *hubv1.WatchResponse) Object {
	switch r := resp.GetResource().(type) {
	case *hubv1.WatchResponse_Cluster:
		return r.Cluster
	case *hubv1.WatchResponse_ClusterGroup:
		return r.ClusterGroup
	case *hubv1.WatchResponse_Bundle:
		return r.Bundle
	case *hubv1.WatchResponse_Gate:
		return r.Gate
	case *hubv1.WatchResponse_Assignment:
		return r.Assignment
	}
	return nil
}
