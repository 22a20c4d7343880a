package notify

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/backoff"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// maxRefusals is how often a receiver may refuse one event, as it does one that it does not understand, before it is left out: the others are worth more.
const maxRefusals = 5

// receiver is who is told for one notification, by a goroutine of its own.
type receiver struct {
	notifier *Notifier
	end      context.CancelFunc
	wake     chan struct{} // capacity 1

	mu sync.Mutex // guards the rest
	// row is the notification, and anew says that it is another one than the goroutine knows.
	row  *storev1.Notification
	anew bool
	// pending are subjects of which there may be something to tell: at most as many as there are.
	pending map[string]bool
	// telling is of how many others something is being told.
	telling int
	status  yardarmv1.NotificationStatus
	// refused counts refusals by the event's id. Of the goroutine alone.
	refused map[string]int
}

// become takes a notification as it is now; what it does not know of is to be looked at.
func (r *receiver) become(row *storev1.Notification, subjects []string) {
	r.mu.Lock()
	changed := r.row != row
	if changed {
		r.row, r.anew = row, true
	}
	r.mu.Unlock()
	if changed {
		r.note(subjects)
		r.poke()
	}
}

// note has subjects looked at.
func (r *receiver) note(subjects []string) {
	if len(subjects) == 0 {
		return
	}
	r.mu.Lock()
	for _, s := range subjects {
		r.pending[s] = true
	}
	r.mu.Unlock()
	r.poke()
}

func (r *receiver) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// shown is how it does.
func (r *receiver) shown() *yardarmv1.NotificationStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &yardarmv1.NotificationStatus{LastDelivered: r.status.LastDelivered, Failures: r.status.Failures, Error: r.status.Error,
		NextTry: r.status.NextTry, Pending: uint32(len(r.pending) + r.telling)}
}

// run tells until ctx ends. After a failure it waits, whatever happens meanwhile, unless the notification is changed.
func (r *receiver) run(ctx context.Context) {
	n := r.notifier
	wait := backoff.Backoff{Base: n.RetryBase, Max: n.RetryMax}
	timer := time.NewTimer(0)
	defer timer.Stop()
	var to *target
	defer func() { to.close() }()
	waiting := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			waiting = false
		case <-r.wake:
		}
		row, anew := r.now()
		if anew {
			to.close()
			to = nil
			waiting = false
			wait.Reset()
		}
		if waiting {
			continue
		}
		var err error
		if to == nil {
			to, err = n.target(row)
		}
		var pause time.Duration
		if err == nil {
			var some bool
			if some, pause, err = r.round(ctx, row, to); some {
				wait.Reset()
			}
		}
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			wait.Reset()
			r.settle(nil, time.Time{})
			continue
		}
		pause = max(pause, wait.Next())
		r.settle(err, n.Clock().Add(pause))
		if wait.Failures() == 1 {
			n.Logger.Warn("a notification was not delivered; it is tried again", "notification", row.Notification.Metadata.Name, "error", err, "retry_in", pause)
		}
		waiting = true
		timer.Reset(pause)
	}
}

func (r *receiver) now() (row *storev1.Notification, anew bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	anew, r.anew = r.anew, false
	return r.row, anew
}

// settle notes in the status how a round has ended.
func (r *receiver) settle(err error, next time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.status.Failures, r.status.Error, r.status.NextTry = 0, "", nil
		return
	}
	r.status.Failures++
	r.status.Error, r.status.NextTry = err.Error(), timestamppb.New(next)
}

// item is one subject and what is to be told of it.
type item struct {
	subject string
	due     []*Event
	// told are the ids of what there is to tell of it and is known already.
	told []string
}

// round tells all that is pending, the oldest first, until the receiver fails; then it answers how long it asks to be left alone. some says that something was
// told. What was taken is noted at the end, in one write.
func (r *receiver) round(ctx context.Context, row *storev1.Notification, to *target) (some bool, pause time.Duration, err error) {
	items := r.take(row)
	var left []item
	for i := range items {
		it := &items[i]
		for len(it.due) > 0 && err == nil {
			if pause, err = r.tell(ctx, row, to, it.due[0]); err == nil {
				it.told, it.due, some = append(it.told, it.due[0].ID), it.due[1:], true
			}
		}
		if err != nil {
			left, items = items[i:], items[:i+1]
			break
		}
	}
	r.again(left)
	r.keep(ctx, row, items)
	return some, pause, err
}

// tell sends one event. One that was refused too often counts as told.
func (r *receiver) tell(ctx context.Context, row *storev1.Notification, to *target, e *Event) (pause time.Duration, err error) {
	e.Notification, e.Fleet = row.Notification.Metadata.Name, r.notifier.Store.Meta().GetFleet()
	pause, err = to.send(ctx, e)
	if refused(err) {
		if r.refused[e.ID]++; r.refused[e.ID] >= maxRefusals {
			r.notifier.Logger.Warn("a receiver does not take an event, and is not told it any more", "notification", e.Notification, "event", e.ID, "topic", e.Topic, "error", err)
			err = nil
		}
	}
	if err != nil {
		return pause, err
	}
	delete(r.refused, e.ID)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.LastDelivered = timestamppb.New(r.notifier.Clock())
	return 0, nil
}

// take answers what is to be told of the pending subjects, and leaves none pending.
func (r *receiver) take(row *storev1.Notification) []item {
	r.mu.Lock()
	subjects := slices.Collect(maps.Keys(r.pending))
	clear(r.pending)
	r.telling = len(subjects)
	r.mu.Unlock()
	tx, uid := r.notifier.Store.Read(), row.Notification.Metadata.Uid
	made := row.Notification.Metadata.CreationTimestamp.AsTime()
	var items []item
	for _, subject := range subjects {
		it := item{subject: subject}
		told := tx.Told(uid, subject).GetEvents()
		for _, e := range eventsOf(tx, subject, row.Notification.Spec.GetClusterGroups()) {
			switch {
			case slices.Contains(told, e.ID):
				it.told = append(it.told, e.ID)
			case !wants(row, e), e.Time.Before(made) && e.Topic != yardarmv1.TopicApproval: // what waits for somebody is news to those who have just come
			default:
				it.due = append(it.due, e)
			}
		}
		if len(it.due) > 0 || len(it.told) < len(told) {
			items = append(items, it)
		}
	}
	r.mu.Lock()
	r.telling = len(items)
	r.mu.Unlock()
	slices.SortFunc(items, func(a, b item) int {
		if c := a.since().Compare(b.since()); c != 0 {
			return c
		}
		return strings.Compare(a.subject, b.subject)
	})
	return items
}

func (it item) since() time.Time {
	if len(it.due) == 0 {
		return time.Time{}
	}
	return it.due[0].Time
}

// again has what is left of a round looked at in the next.
func (r *receiver) again(items []item) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.telling = 0
	for _, it := range items {
		r.pending[it.subject] = true
	}
}

// keep notes what was taken, if that is news. Should it fail, it is told once more.
func (r *receiver) keep(ctx context.Context, row *storev1.Notification, items []item) {
	uid, name := row.Notification.Metadata.Uid, row.Notification.Metadata.Name
	known := r.notifier.Store.Read()
	items = slices.DeleteFunc(items, func(it item) bool { return slices.Equal(known.Told(uid, it.subject).GetEvents(), it.told) })
	if len(items) == 0 {
		return
	}
	err := r.notifier.Store.Observe(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		if tx.Notification(name).GetNotification().GetMetadata().GetUid() != uid {
			return nil // it was deleted meanwhile
		}
		for _, it := range items {
			var err error
			if len(it.told) == 0 {
				err = tx.DeleteTold(uid, it.subject)
			} else {
				err = tx.PutTold(&storev1.Told{NotificationUid: uid, Subject: it.subject, Events: it.told})
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		r.notifier.Logger.Warn("what a receiver was told was not noted; it may be told again", "notification", name, "error", err)
	}
}
