package notify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/yardarm-dev/yardarm/hub/rollout"
	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// TestTells follows a bundle through its rollouts: each event comes once, signed, and not again when the hub restarts.
func TestTells(t *testing.T) {
	w, h := newWorld(t, nil), newHook(t, nil)
	w.rollout("old", 1, rollout.Completed, "", -5) // before anybody wanted to know
	w.notification("ops", &yardarmv1.NotificationSpec{Url: h.URL})
	w.rollout("web", 1, rollout.Completed, "", 2)
	w.until("the first event is noted", func() bool { return len(w.store.Read().Told("uid-ops", "rollout/uid-web").GetEvents()) == 1 })
	first := h.got()[0]
	want := Event{ID: first.event.ID, Time: made.Add(2 * time.Minute), Topic: "convergence", Severity: "info", Fleet: w.store.Meta().Fleet, Notification: "ops",
		Bundle: "web", Revision: 1, Groups: []string{"prod"}, Summary: "web: revision 1 is where it should be"}
	if got := first.event; got.Time != want.Time || got.text() != want.text() || got.Topic != want.Topic || got.Fleet != want.Fleet || got.Notification != "ops" ||
		got.Bundle != "web" || got.Revision != 1 || strings.Join(got.Groups, " ") != "prod" || got.Severity != "info" {
		t.Errorf("got %+v, want %+v", got, want)
	}
	mac := hmac.New(sha256.New, []byte(signingSecret))
	mac.Write([]byte(first.header.Get("Yardarm-Timestamp") + "."))
	mac.Write(first.body)
	if got, want := first.header.Get("Yardarm-Signature"), "v1="+hex.EncodeToString(mac.Sum(nil)); got != want {
		t.Errorf("the signature is %s, want %s", got, want)
	}
	if len(first.event.ID) != 32 || first.header.Get("Yardarm-Event") != first.event.ID {
		t.Errorf("the id is %q in the body and %q in the header", first.event.ID, first.header.Get("Yardarm-Event"))
	}

	w.stop()
	w.start()
	// A rollback that was over before anybody looked has failed, too.
	w.rollout("web", 2, rollout.RolledBack, "stage canary: berlin failed", 4)
	w.until("both events of revision 2 are noted", func() bool { return len(w.store.Read().Told("uid-ops", "rollout/uid-web").GetEvents()) == 2 })
	var topics []string
	for _, p := range h.got() {
		topics = append(topics, p.event.Topic)
	}
	if got := strings.Join(topics, " "); got != "convergence failure rollback" {
		t.Errorf("told %s", got)
	}

	// What a crash has lost of what was told is told again, as the same.
	w.stop()
	w.update(func(tx *store.Tx) error { return tx.DeleteTold("uid-ops", "rollout/uid-web") })
	w.start()
	w.until("both are told again", func() bool { return len(h.got()) == 5 })
	if got := h.got(); got[3].event.ID != got[1].event.ID || got[4].event.ID != got[2].event.ID {
		t.Error("what is told again has another id")
	}
}

// TestFailingReceivers has a receiver fail in each way, beside one that does not: that one waits for nothing, and the other is told once it is well, and shown till then.
func TestFailingReceivers(t *testing.T) {
	elsewhere := newHook(t, nil)
	for name, test := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request, Event)
		says   string
	}{
		"500":      {answering(500), "the receiver answers 500 Internal Server Error"},
		"429":      {answering(429), "the receiver answers 429 Too Many Requests"},
		"401":      {answering(401), "the receiver answers 401 Unauthorized"},
		"hangs":    {func(_ http.ResponseWriter, r *http.Request, _ Event) { <-r.Context().Done() }, "the receiver did not answer in time"},
		"hangs up": {func(http.ResponseWriter, *http.Request, Event) { panic(http.ErrAbortHandler) }, "call the receiver: EOF"},
		"redirects": {func(w http.ResponseWriter, r *http.Request, _ Event) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		}, "redirects are not followed"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(c *Config) { c.Timeout = 200 * time.Millisecond })
			told := w.store.Subscribe(store.Tolds)
			defer told.Close()
			bad, good := newHook(t, test.answer), newHook(t, nil)
			w.notification("bad", &yardarmv1.NotificationSpec{Url: bad.URL})
			w.until("the notifier has it", func() bool { return w.receiver("uid-bad") != nil })
			w.rollout("web", 1, rollout.Completed, "", 2)
			w.until("it was tried and failed twice", func() bool { return w.Status("uid-bad").Failures > 1 })
			st := w.Status("uid-bad")
			if !strings.Contains(st.Error, test.says) || st.Pending != 1 || st.NextTry == nil || st.LastDelivered != nil || strings.Contains(st.Error, bad.URL) {
				t.Errorf("the status is %v", st)
			}
			if !told.Take().Empty() {
				t.Error("something was written though nobody was told")
			}
			w.notification("good", &yardarmv1.NotificationSpec{Url: good.URL})
			w.until("the other is told", func() bool { return len(good.got()) == 1 })
			bad.become(nil)
			w.until("it is well", func() bool { st := w.Status("uid-bad"); return st.Failures == 0 && st.LastDelivered != nil })
			posts := bad.got()
			if last := posts[len(posts)-1]; last.event.ID != posts[0].event.ID || last.event.ID != good.got()[0].event.ID {
				t.Error("its id differs from try to try, or from receiver to receiver")
			}
		})
	}
	if len(elsewhere.got()) > 0 {
		t.Error("a redirect was followed")
	}
}

func (w *world) receiver(uid string) *receiver {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.receivers[uid]
}

// TestRefusedEvent has a receiver that does not understand one event: it hears of the others, and is left alone with that one.
func TestRefusedEvent(t *testing.T) {
	w := newWorld(t, nil)
	h := newHook(t, func(w http.ResponseWriter, _ *http.Request, e Event) {
		if e.Bundle == "odd" {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	w.rollout("odd", 1, rollout.Completed, "", 2)
	w.rollout("web", 1, rollout.Completed, "", 3)
	w.notification("ops", &yardarmv1.NotificationSpec{Url: h.URL})
	w.until("both are noted", func() bool {
		tx := w.store.Read()
		return tx.Told("uid-ops", "rollout/uid-odd") != nil && tx.Told("uid-ops", "rollout/uid-web") != nil
	})
	times := map[string]int{}
	for _, p := range h.got() {
		times[p.event.Bundle]++
	}
	if times["odd"] != maxRefusals || times["web"] != 1 {
		t.Errorf("told %v times", times)
	}
}

// TestLatestCounts has a receiver that was away while a rollout went on: it is told how things stand, not how they came about.
func TestLatestCounts(t *testing.T) {
	w := newWorld(t, nil)
	h := newHook(t, answering(503))
	w.notification("ops", &yardarmv1.NotificationSpec{Url: h.URL})
	w.rollout("web", 1, rollout.Completed, "", 2)
	w.until("it was tried", func() bool { return len(h.got()) > 0 })
	w.rollout("web", 2, rollout.Paused, "berlin failed", 4)
	w.until("the newest is tried", func() bool { posts := h.got(); return posts[len(posts)-1].event.Revision == 2 })
	h.become(nil)
	w.until("it is noted", func() bool { return w.store.Read().Told("uid-ops", "rollout/uid-web") != nil })
	posts := h.got()
	if last := posts[len(posts)-1].event; last.Revision != 2 || last.Topic != "failure" || last.Message != "berlin failed" {
		t.Errorf("told %+v", last)
	}
	w.update(func(tx *store.Tx) error { return tx.DeleteNotification("ops") })
	w.until("the receiver is left", func() bool { return w.receiver("uid-ops") == nil })
	if told := w.store.Read().Told("uid-ops", "rollout/uid-web"); told != nil {
		t.Errorf("of a notification that is gone is left %v", told)
	}
}

// TestRetryAfter has a receiver ask to be left alone.
func TestRetryAfter(t *testing.T) {
	w := newWorld(t, nil)
	h := newHook(t, func(w http.ResponseWriter, _ *http.Request, _ Event) {
		w.Header().Set("Retry-After", "600")
		w.WriteHeader(429)
	})
	w.notification("ops", &yardarmv1.NotificationSpec{Url: h.URL})
	w.rollout("web", 1, rollout.Completed, "", 2)
	w.until("it was tried", func() bool { return w.Status("uid-ops").Failures == 1 })
	if wait := time.Until(w.Status("uid-ops").NextTry.AsTime()); wait < 590*time.Second || wait > 600*time.Second {
		t.Errorf("the next try is in %s", wait)
	}
	// Whatever happens meanwhile.
	w.rollout("db", 1, rollout.Completed, "", 3)
	w.until("the other is pending", func() bool { return w.Status("uid-ops").Pending == 2 })
	if n := len(h.got()); n != 1 {
		t.Errorf("it was called %d times", n)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{"": 0, "7": 7 * time.Second, "-1": 0, "x": 0, "99999": maxRetryAfter, "99999999999999999999": 0,
		now.Add(time.Minute).Format(http.TimeFormat): time.Minute, now.Add(-time.Minute).Format(http.TimeFormat): 0} {
		if got := retryAfter(header, now); got != want {
			t.Errorf("%q: got %s, want %s", header, got, want)
		}
	}
}

// TestTLS has a receiver with a certificate of a CA of its own.
func TestTLS(t *testing.T) {
	w := newWorld(t, nil)
	h := &hook{}
	h.Server = httptest.NewTLSServer(h)
	h.Config.ErrorLog = nil
	t.Cleanup(h.Close)
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Certificate().Raw}))
	known := w.notification("known", &yardarmv1.NotificationSpec{Url: h.URL, Ca: ca})
	unknown := w.notification("unknown", &yardarmv1.NotificationSpec{Url: h.URL})
	if id, err := w.Test(t.Context(), known); err != nil || len(h.got()) != 1 || h.got()[0].event.ID != id || h.got()[0].event.Topic != "test" {
		t.Errorf("error %v, got %v", err, h.got())
	}
	if _, err := w.Test(t.Context(), unknown); err == nil || !strings.Contains(err.Error(), "certificate") || strings.Contains(err.Error(), h.URL) || len(h.got()) != 1 {
		t.Errorf("error %v, %d requests", err, len(h.got()))
	}
}

// TestAddresses has receivers where a hub must not call unless it was told to.
func TestAddresses(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Local = false })
	h := newHook(t, nil)
	_, port, err := net.SplitHostPort(h.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::1]", "169.254.169.254", "[fe80::1]", "0.0.0.0", "[::]", "224.0.0.1", "100.100.100.200", "[fd00:ec2::254]"} {
		row := w.notification("ops", &yardarmv1.NotificationSpec{Url: "http://" + host + ":" + port})
		if _, err := w.Test(t.Context(), row); err == nil || !strings.Contains(err.Error(), "--notify-local") {
			t.Errorf("%s: error %v", host, err)
		}
	}
	if len(h.got()) > 0 {
		t.Error("it was called")
	}
	for _, address := range []string{"10.0.0.1:443", "192.168.1.1:443", "203.0.113.7:443", "[2001:db8::1]:443"} {
		if err := refuseLocal("tcp", address, nil); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}
