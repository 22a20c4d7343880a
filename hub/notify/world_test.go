package notify

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/rollout"
	"github.com/yardarm-dev/yardarm/hub/seal"
	"github.com/yardarm-dev/yardarm/hub/store"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	signingSecret = "sixteen characters at least"
	// patience is how long a test waits for what has to come.
	patience = 30 * time.Second
)

// made is when the tests' notifications were, before all that they are told.
var made = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// world is a store and a notifier on it.
type world struct {
	*testing.T
	store  *store.Store
	sealer *seal.Sealer
	config Config
	*Notifier
	stop func()
}

func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	dir := t.TempDir()
	sealer, err := seal.New(seal.Config{File: filepath.Join(dir, "key"), Create: true})
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(store.Config{Dir: filepath.Join(dir, "data")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{T: t, store: db, sealer: sealer, config: Config{Store: db, Sealer: sealer, Logger: slog.New(slog.DiscardHandler), Local: true,
		Timeout: 5 * time.Second, RetryBase: time.Millisecond, RetryMax: 20 * time.Millisecond}}
	if change != nil {
		change(&w.config)
	}
	w.start()
	t.Cleanup(func() { w.stop() })
	return w
}

// start runs a notifier, as a hub that starts does.
func (w *world) start() {
	w.Helper()
	n, err := New(w.config)
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	w.Notifier = n
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.Error(err)
		}
	})
}

func (w *world) update(fn func(*store.Tx) error) {
	w.Helper()
	if _, err := w.store.Update(context.Background(), fn); err != nil {
		w.Fatal(err)
	}
}

// notification makes one with a secret.
func (w *world) notification(name string, spec *yardarmv1.NotificationSpec) *storev1.Notification {
	w.Helper()
	secret, err := w.sealer.Seal(SecretName(name), []byte(signingSecret))
	if err != nil {
		w.Fatal(err)
	}
	row := &storev1.Notification{Secret: secret, Notification: &yardarmv1.Notification{Spec: spec,
		Metadata: &yardarmv1.ObjectMeta{Name: name, Uid: "uid-" + name, CreationTimestamp: timestamppb.New(made)}}}
	w.update(func(tx *store.Tx) error { return tx.PutNotification(row) })
	return row
}

// rollout puts the rollout of a bundle, so many minutes after the notifications were made.
func (w *world) rollout(bundle string, revision uint32, phase rollout.Phase, failure string, minutes int) {
	w.Helper()
	uid, since := "uid-"+bundle, timestamppb.New(made.Add(time.Duration(minutes)*time.Minute))
	w.update(func(tx *store.Tx) error {
		return errors.Join(
			tx.PutBundle(&yardarmv1.Bundle{Metadata: &yardarmv1.ObjectMeta{Name: bundle, Uid: uid},
				Spec: &yardarmv1.BundleSpec{Targets: []*yardarmv1.Target{{Group: "prod"}}}, Status: &yardarmv1.BundleStatus{}}),
			tx.PutRollout(&storev1.Rollout{BundleUid: uid, Revision: revision, Phase: uint32(phase), Failure: failure,
				Begun: timestamppb.New(made.Add(time.Minute)), Since: since}))
	})
}

// until waits for a condition.
func (w *world) until(what string, is func() bool) {
	w.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatalf("it never came about: %s", what)
		}
	}
}

// post is one request as a receiver has got it.
type post struct {
	header http.Header
	body   []byte
	event  Event
}

// hook is a receiver that answers as the test wants.
type hook struct {
	*httptest.Server
	mu     sync.Mutex
	posts  []post
	answer func(http.ResponseWriter, *http.Request, Event)
}

func newHook(t *testing.T, answer func(http.ResponseWriter, *http.Request, Event)) *hook {
	h := &hook{answer: answer}
	h.Server = httptest.NewServer(h)
	t.Cleanup(h.Close)
	return h
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	p := post{header: r.Header, body: body}
	_ = json.Unmarshal(body, &p.event)
	h.mu.Lock()
	h.posts = append(h.posts, p)
	answer := h.answer
	h.mu.Unlock()
	if answer != nil {
		answer(w, r, p.event)
	}
}

func (h *hook) become(answer func(http.ResponseWriter, *http.Request, Event)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = answer
}

// got are the requests so far.
func (h *hook) got() []post {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]post(nil), h.posts...)
}

func answering(code int) func(http.ResponseWriter, *http.Request, Event) {
	return func(w http.ResponseWriter, _ *http.Request, _ Event) { w.WriteHeader(code) }
}
