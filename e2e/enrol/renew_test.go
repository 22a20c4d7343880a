package enrol

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

var ban = &yardarmv1.Ban{Reason: "test"}

// In ten days, the certificate is renewed at a random 50 to 80 % of each life; the stream that was opened first stays up all the while.
func TestRenewalsDoNotDropTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newNetwork()
		h, m := newHub(t, network), newMachine(t, network)
		enrolled := time.Now()
		s := m.started(h.token("prod-1", "uid-1"))
		defer s.end()
		defer s.run(t)()
		st, err := m.connect(s)
		if err != nil {
			t.Fatal(err)
		}
		defer st.close(t)
		for range 10 * 24 * 4 {
			time.Sleep(15 * time.Minute)
			if err := st.echo(); err != nil {
				t.Fatalf("the stream broke after %v: %v", time.Since(enrolled), err)
			}
			if !s.Expiry().After(time.Now()) {
				t.Fatalf("the certificate has expired after %v", time.Since(enrolled))
			}
		}
		_, renews, _ := h.counted()
		if len(renews) < 12 || len(renews) > 20 {
			t.Errorf("%d renewals in ten days", len(renews))
		}
		last, parts := enrolled, make(map[time.Duration]bool)
		for _, renewed := range renews {
			// The clock is looked at every 30 s.
			if part := renewed.Sub(last); part < 12*time.Hour || part > 24*time.Hour*4/5+time.Minute {
				t.Errorf("renewed after %v of a life of a day", part)
			} else {
				parts[part] = true
			}
			last = renewed
		}
		if len(parts) < len(renews)/2 {
			t.Error("renewals are not at random times")
		}
		if row := h.store.Read().Identity("uid-1"); !row.GetNotAfter().AsTime().Equal(s.Expiry()) {
			t.Errorf("the hub knows %v as the end, and it is %v", row.GetNotAfter().AsTime(), s.Expiry())
		}
		// A stream opened now shows the newest certificate.
		fresh, err := m.connect(s)
		if err != nil {
			t.Fatal(err)
		}
		fresh.close(t)
	})
}

// The hub is down for longer than a certificate lives. The spoke comes back by itself, also after a restart of its own.
func TestHubDownForLongerThanACertificateLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newNetwork()
		h, m := newHub(t, network), newMachine(t, network)
		token := h.token("prod-1", "uid-1")
		s := m.started(token)
		stop := s.run(t)
		h.stop()
		time.Sleep(30 * time.Hour)
		if s.Expiry().After(time.Now()) {
			t.Fatal("the certificate has not even expired")
		}
		h.start()
		if _, err := m.connect(s); err == nil || !strings.Contains(err.Error(), "expired") {
			t.Errorf("a stream with an expired certificate: error %v", err)
		}
		// Attempts are at most half a minute apart.
		time.Sleep(31 * time.Second)
		if !s.Expiry().After(time.Now()) {
			t.Fatal("the hub is back, and the certificate is not renewed")
		}
		select {
		case <-s.Changed():
		default:
			t.Error("nobody was told")
		}
		st, err := m.connect(s)
		if err != nil {
			t.Fatal(err)
		}
		st.close(t)
		stop()
		s.end()

		// The other way round: the cluster was off for a month.
		time.Sleep(30 * 24 * time.Hour)
		s = m.started(token)
		if st, err = m.connect(s); err != nil {
			t.Fatalf("after a month: %v", err)
		}
		st.close(t)
		s.end()

		// And for longer than an expired certificate renews.
		time.Sleep(92 * 24 * time.Hour)
		s = m.started(token)
		defer s.end()
		if log := m.log.String(); !strings.Contains(log, "91 days ago") || !strings.Contains(log, "enrol it anew") {
			t.Errorf("the log does not say what to do:\n%s", log[max(0, len(log)-600):])
		}
		if _, err := m.connect(s); err == nil {
			t.Error("it is served all the same")
		}
	})
}

// A ban holds for sessions that TLS resumes, and for renewal; lifted, the spoke is back by itself.
func TestBan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newNetwork()
		h, m := newHub(t, network), newMachine(t, network)
		s := m.started(h.token("prod-1", "uid-1"))
		defer s.end()
		defer s.run(t)()
		for range 2 {
			st, err := m.connect(s)
			if err != nil {
				t.Fatal(err)
			}
			st.close(t)
		}
		if _, _, resumed := h.counted(); len(resumed) != 2 || resumed[0] || !resumed[1] {
			t.Fatalf("resumed %v, want the second one only", resumed)
		}
		h.ban("prod-1", ban)
		if _, err := m.connect(s); err == nil || !strings.Contains(err.Error(), "banned") {
			t.Fatalf("error %v, want a refusal", err)
		}
		if _, _, resumed := h.counted(); !resumed[2] {
			t.Error("the test has not even resumed the session")
		}
		time.Sleep(24 * time.Hour)
		_, renews, _ := h.counted()
		if len(renews) != 0 || s.Expiry().After(time.Now()) {
			t.Fatalf("%d renewals while banned", len(renews))
		}
		if dials := network.dialled(); dials > 200 {
			t.Errorf("%d dials in the hours of a ban", dials)
		}
		h.ban("prod-1", nil)
		time.Sleep(11 * time.Minute)
		st, err := m.connect(s)
		if err != nil {
			t.Fatalf("unbanned: %v", err)
		}
		st.close(t)
	})
}

// After a hub's restart, sessions resume: the ticket keys are in the store.
func TestSessionsResumeAfterAHubRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newNetwork()
		h, m := newHub(t, network), newMachine(t, network)
		s := m.started(h.token("prod-1", "uid-1"))
		defer s.end()
		connect := func() {
			t.Helper()
			st, err := m.connect(s)
			if err != nil {
				t.Fatal(err)
			}
			st.close(t)
		}
		connect()
		h.stop()
		h.start()
		connect()
		_, _, resumed := h.counted()
		if len(resumed) != 2 || !resumed[1] {
			t.Fatalf("resumed %v", resumed)
		}
		// A session that began with the certificate of before is not resumed: the hub would see that one.
		s.RenewNow()
		stop := s.run(t)
		<-s.Changed() // told by Ensure
		<-s.Changed()
		stop()
		connect()
		if _, _, resumed = h.counted(); resumed[2] {
			t.Fatal("resumed a session of the certificate before")
		}
	})
}

// As short a life as can be configured works, for tests elsewhere.
func TestShortLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newNetwork()
		h := &hub{t: t, net: network, dir: t.TempDir(), address: address, life: time.Minute, log: &record{}}
		h.start()
		defer h.stop()
		m := newMachine(t, network)
		s := m.started(h.token("prod-1", "uid-1"))
		defer s.end()
		defer s.run(t)()
		for range 60 {
			time.Sleep(time.Minute)
			if !s.Expiry().After(time.Now()) {
				t.Fatal("expired")
			}
		}
		if _, renews, _ := h.counted(); len(renews) < 60 || len(renews) > 125 {
			t.Errorf("%d renewals in an hour", len(renews))
		}
	})
}

// RenewNow is for a spoke whose clock does not see that the certificate has expired.
func TestRenewNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newNetwork()
		h, m := newHub(t, network), newMachine(t, network)
		token := h.token("prod-1", "uid-1")
		s := m.started(token)
		stop := s.run(t)
		time.Sleep(time.Hour)
		before := s.Expiry()
		s.RenewNow()
		time.Sleep(time.Second)
		if _, renews, _ := h.counted(); len(renews) != 1 || !s.Expiry().After(before) {
			t.Fatalf("%d renewals", len(renews))
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
		stop()
		s.end()
		// The token is still in the process's arguments; it has served, and is not shown to the hub again.
		defer m.started(token).end()
		if enrols, _, _ := h.counted(); enrols != 1 {
			t.Errorf("enrolled %d times", enrols)
		}
	})
}
