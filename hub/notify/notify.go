package notify

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/yardarm-dev/yardarm/hub/store"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// defaultTimeout is how long a receiver may take for one event: those of chat services answer within a second.
	defaultTimeout = 10 * time.Second
	// defaultRetryBase and defaultRetryMax bound the waits between tries: a receiver that restarts is back soon, and one that is gone costs twelve tries an hour.
	defaultRetryBase = 2 * time.Second
	defaultRetryMax  = 5 * time.Minute
	// defaultHold is how long something has to be so in clusters until it is told: a spoke that is updated, or a pod that is moved, is well again by then. defaultQuiet is
	// how long it has not to be so until it is over: what comes back within that time is the same, so that what flaps is told twice in that time at most.
	defaultHold  = time.Minute
	defaultQuiet = 10 * time.Minute
	// looksPerHold is how often the fleet is looked at in the time that an occasion takes to begin.
	looksPerHold = 4
)

// Sealer opens what hub/seal has sealed.
type Sealer interface {
	Open(name string, secret *storev1.SealedSecret) ([]byte, error)
}

// Config of a Notifier. Store, Sealer and Logger are needed.
type Config struct {
	Store  *store.Store
	Sealer Sealer
	Logger *slog.Logger
	// Local lets receivers be on the hub's own machine, or on addresses of its link alone, such as the metadata service of a cloud.
	Local bool
	// Timeout is how long a receiver may take for one event. Default 10 s.
	Timeout time.Duration
	// RetryBase and RetryMax bound the waits between tries. Default 2 s and 5 min.
	RetryBase, RetryMax time.Duration
	// Hold is how long drift, failure and absence last until they are told, and Quiet how long they are gone until that is. Default 1 min and 10 min.
	Hold, Quiet time.Duration
	// Clock defaults to time.Now.
	Clock func() time.Time
}

// Notifier tells the receivers of all notifications. Safe for concurrent use.
type Notifier struct {
	Config

	mu        sync.Mutex
	receivers map[string]*receiver // by the notification's uid
	// looks counts how often the fleet was looked at. Tests wait for it.
	looks atomic.Int64
}

// New makes one.
func New(c Config) (*Notifier, error) {
	if c.Store == nil || c.Sealer == nil || c.Logger == nil {
		return nil, errors.New("notify: a store, a sealer and a logger are needed")
	}
	set := func(field *time.Duration, value time.Duration) {
		if *field <= 0 {
			*field = value
		}
	}
	set(&c.Timeout, defaultTimeout)
	set(&c.RetryBase, defaultRetryBase)
	set(&c.RetryMax, defaultRetryMax)
	set(&c.Hold, defaultHold)
	set(&c.Quiet, defaultQuiet)
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return &Notifier{Config: c, receivers: map[string]*receiver{}}, nil
}

// Run tells what there is to tell until ctx ends, and returns nil when the last receiver has been left.
func (n *Notifier) Run(ctx context.Context) error {
	sub := n.Store.Subscribe(store.Notifications, store.Rollouts)
	defer sub.Close()
	var running sync.WaitGroup
	defer running.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	running.Go(func() { n.fleet(ctx) })
	for first := true; ; first = false {
		changed := sub.Take()
		tx := n.Store.Read()
		if first || changed.Any(store.Notifications) {
			n.follow(ctx, tx, &running)
		}
		switch {
		case changed.All(store.Rollouts):
			n.note(allSubjects(tx))
		case changed.Any(store.Rollouts):
			var subjects []string
			for uid := range changed.Keys(store.Rollouts) {
				subjects = append(subjects, rolloutSubject+uid)
			}
			n.note(subjects)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-sub.C():
		}
	}
}

// allSubjects are those of which there may be anything to tell.
func allSubjects(tx *store.ReadTx) (subjects []string) {
	for row := range tx.Rollouts() {
		subjects = append(subjects, rolloutSubject+row.BundleUid)
	}
	for row := range tx.ToldOf(hubUID) {
		subjects = append(subjects, row.Subject)
	}
	return subjects
}

// follow has one receiver running for each notification, as it is now. One that was changed is told all that it does not know.
func (n *Notifier) follow(ctx context.Context, tx *store.ReadTx, running *sync.WaitGroup) {
	n.mu.Lock()
	defer n.mu.Unlock()
	gone := map[string]*receiver{}
	for uid, r := range n.receivers {
		gone[uid] = r
	}
	all := allSubjects(tx)
	for row := range tx.Notifications() {
		uid := row.Notification.Metadata.Uid
		r := gone[uid]
		delete(gone, uid)
		if r == nil {
			of, cancel := context.WithCancel(ctx)
			r = &receiver{notifier: n, end: cancel, wake: make(chan struct{}, 1), pending: map[string]bool{}, refused: map[string]int{}}
			n.receivers[uid] = r
			r.become(row, all)
			running.Go(func() { r.run(of) })
			continue
		}
		r.become(row, all)
	}
	for uid, r := range gone {
		r.end()
		delete(n.receivers, uid)
	}
}

// note has all receivers look at subjects.
func (n *Notifier) note(subjects []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range n.receivers {
		r.note(subjects)
	}
}

// Status tells how the receiver of a notification does, by its uid. A notification that was made just now has none yet.
func (n *Notifier) Status(uid string) *yardarmv1.NotificationStatus {
	n.mu.Lock()
	r := n.receivers[uid]
	n.mu.Unlock()
	if r == nil {
		return &yardarmv1.NotificationStatus{}
	}
	return r.shown()
}

// Test sends the receiver of a notification an event, once, and answers the event's id. It changes nothing of what is to be told.
func (n *Notifier) Test(ctx context.Context, row *storev1.Notification) (string, error) {
	to, err := n.target(row)
	if err != nil {
		return "", err
	}
	defer to.close()
	now := n.Clock()
	e := &Event{ID: id(yardarmv1.TopicTest, row.Notification.Metadata.Uid, now.UnixNano()), Time: now.UTC(), Topic: yardarmv1.TopicTest, Severity: severities[yardarmv1.TopicTest],
		Notification: row.Notification.Metadata.Name, Fleet: n.Store.Meta().GetFleet(), Summary: "this is a test", Message: "somebody has run `yardarm notification test " + row.Notification.Metadata.Name + "`"}
	if _, err := to.send(ctx, e); err != nil {
		return "", err
	}
	return e.ID, nil
}
