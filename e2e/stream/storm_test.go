package stream

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/hub/dispatch"
)

// crowd is some spokes that run one bundle, which is ready.
func crowd(t *testing.T, h *hub, n int) []*spoke {
	t.Helper()
	h.group("all", nil, "")
	h.publish("web", text(2000, "first"), "all")
	spokes := make([]*spoke, n)
	for i := range spokes {
		spokes[i] = newSpoke(t, h, fmt.Sprintf("edge-%d", i), nil)
		spokes[i].start()
	}
	for _, s := range spokes {
		s.awaitConnected(h)
		h.awaitPhase(s.cluster, "web", yardarmv1.PhaseReady, 1)
	}
	return spokes
}

// A clock that is set, and back again, says nothing about the spokes: none is stale, no session ends, and changes go on.
func TestHubsClockIsSet(t *testing.T) {
	t.Parallel()
	const year = 365 * 24 * time.Hour
	// Spokes that say nothing meanwhile: each word would make up for it.
	h := newHub(t, func(c *dispatch.Config) { c.HeartbeatInterval, c.StaleAfter = time.Hour, 30*time.Second })
	spokes := crowd(t, h, 3)
	revision := uint32(1)
	for _, skew := range []time.Duration{time.Hour, -time.Hour, year, -year, 0} {
		h.skew.Store(int64(skew))
		time.Sleep(1200 * time.Millisecond) // presence is looked over once a second
		for _, s := range spokes {
			if p := h.presence(s.cluster); p.State != yardarmv1.PresenceConnected {
				t.Errorf("with the clock off by %s, %s is %+v", skew, s.cluster, p)
			}
		}
		revision++
		h.publish("web", text(2000, fmt.Sprint(skew)), "all")
		for _, s := range spokes {
			h.awaitPhase(s.cluster, "web", yardarmv1.PhaseReady, revision)
		}
	}
	for _, s := range spokes {
		if events := h.events(s.cluster); h.countEvents(s.cluster, "ClusterConnected") != 1 || slices.Contains(events, "ClusterStale") {
			t.Errorf("events of %s: %v", s.cluster, events)
		}
	}
	// The truth is still told: when a spoke is not heard any more, and as of when.
	spokes[0].halt()
	eventually(t, "stale", func() bool { return h.presence(spokes[0].cluster).State == yardarmv1.PresenceStale })
	if d := time.Since(h.presence(spokes[0].cluster).LastSeen); d < 0 || d > patience {
		t.Errorf("last heard %s ago", d)
	}
}

// With the clock of either side off by an hour, spokes come back to a hub that has started with it, and enrol. Off by a year,
// they do once it is right again, with all that they hold.
func TestClocksDiffer(t *testing.T) {
	for _, skew := range []time.Duration{time.Hour, -time.Hour} {
		t.Run(fmt.Sprintf("the hub's by %s", skew), func(t *testing.T) {
			h := newHub(t, nil)
			s := crowd(t, h, 1)[0]
			h.stop()
			h.skew.Store(int64(skew))
			h.start()
			s.awaitConnected(h)
			late := newSpoke(t, h, "late", nil)
			late.start()
			late.awaitConnected(h)
			h.awaitPhase("late", "web", yardarmv1.PhaseReady, 1)
			h.stop()
			h.skew.Store(0)
			h.start()
			late.awaitConnected(h)
		})
		t.Run(fmt.Sprintf("the spoke's by %s", skew), func(t *testing.T) {
			h := newHub(t, nil)
			h.group("all", nil, "")
			h.publish("web", text(2000, "first"), "all")
			s := newSpoke(t, h, "edge", nil)
			s.id.config.Time = func() time.Time { return time.Now().Add(skew) }
			s.start()
			s.awaitConnected(h)
			h.awaitPhase("edge", "web", yardarmv1.PhaseReady, 1)
		})
	}
	const year = 365 * 24 * time.Hour
	for _, tc := range []struct {
		whose string
		skew  time.Duration
		says  string // by the spoke: of the hub's certificate, or by the hub of the spoke's
	}{
		{"the hub's", year, "is before"}, {"the hub's", -year, "not valid yet"}, {"the spoke's", year, "is after"}, {"the spoke's", -year, "is before"},
	} {
		t.Run(fmt.Sprintf("%s by %s", tc.whose, tc.skew), func(t *testing.T) {
			h := newHub(t, nil)
			s := crowd(t, h, 1)[0]
			held := s.state.HoldingsHash()
			var skew atomic.Int64
			set, ours := h.skew.Store, s.id.config.Clone()
			if tc.whose == "the spoke's" {
				set = skew.Store
			}
			ours.Time = func() time.Time { return time.Now().Add(time.Duration(skew.Load())) }
			h.stop()
			s.halt()
			s.id.config = ours
			set(int64(tc.skew))
			h.start()
			s.start()
			eventually(t, "one refuses the other", func() bool {
				st := s.status()
				return !st.Connected && st.Err != nil && strings.Contains(st.Err.Error(), tc.says)
			})
			if h.store.Read().Identity(uid(s.cluster)) == nil {
				t.Error("the hub has forgotten who it is")
			}
			h.stop()
			set(0)
			h.start()
			s.awaitConnected(h)
			if string(s.state.HoldingsHash()) != string(held) {
				t.Error("the spoke holds something else than before")
			}
		})
	}
}

// Spokes whose hub has gone without a word come back spread over the time that it takes to admit its fleet, though few of that are there.
func TestHubThatIsAwayIsNotStormed(t *testing.T) {
	t.Parallel()
	h := newHub(t, func(c *dispatch.Config) { c.AdmitPerSecond = 4 })
	for i := range 120 {
		h.cluster(fmt.Sprintf("absent-%d", i), nil)
	}
	spokes := make([]*spoke, 6)
	pauses := make([]chan time.Duration, len(spokes))
	for i := range spokes {
		spokes[i] = newSpoke(t, h, fmt.Sprintf("edge-%d", i), nil)
		pauses[i] = make(chan time.Duration, 1)
		spokes[i].log = pausesTo{spokes[i].log, pauses[i]}
		spokes[i].start()
		spokes[i].awaitConnected(h)
	}
	h.stop()
	var longest time.Duration
	for _, pause := range pauses {
		longest = max(longest, <-pause)
	}
	if longest < 3*time.Second || longest > 30*time.Second {
		t.Errorf("after an attempt each, they wait %s at most; a fleet of 126 at four a second is away for half a minute", longest)
	}
}

// pausesTo tells how long a spoke waits that could not dial its hub, the first time.
type pausesTo struct {
	slog.Handler
	to chan<- time.Duration
}

func (p pausesTo) Handle(ctx context.Context, r slog.Record) error {
	var pause time.Duration
	var refused bool
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "retry_in" {
			pause = a.Value.Duration()
		}
		refused = refused || a.Key == "error" && strings.Contains(a.Value.String(), "connection refused")
		return true
	})
	if pause > 0 && refused {
		select {
		case p.to <- pause:
		default:
		}
	}
	return p.Handler.Handle(ctx, r)
}

// While all spokes come back at once, changes are written and reach them.
func TestStormWhileWriting(t *testing.T) {
	h := newHub(t, func(c *dispatch.Config) { c.AdmitPerSecond, c.AdmitWait = 10, 500*time.Millisecond })
	spokes := crowd(t, h, 20)
	h.stop()
	h.start()
	// A write must not wait for the storm: at this rate, it takes a second or two.
	revision := uint32(1)
	for storm := true; storm; {
		revision++
		h.publish("web", text(2000, fmt.Sprint(revision)), "all")
		storm = h.dispatch.Sessions() < len(spokes)
	}
	if revision < 5 {
		t.Errorf("%d changes were written in the storm", revision-1)
	}
	for _, s := range spokes {
		s.awaitConnected(h)
		h.awaitPhase(s.cluster, "web", yardarmv1.PhaseReady, revision)
		eventually(t, "what it observes is confirmed", func() bool { return h.presence(s.cluster).Confirmed })
		if n := h.countEvents(s.cluster, "ClusterStale"); n != 0 {
			t.Errorf("%s was stale %d times", s.cluster, n)
		}
	}
}

// A storm of spokes that renew their certificates at the same time: all get one, and all are back, each with its new one.
func TestStormWhileRenewing(t *testing.T) {
	h := newHub(t, func(c *dispatch.Config) { c.AdmitPerSecond, c.AdmitWait = 20, 500*time.Millisecond })
	spokes := crowd(t, h, 10)
	h.stop()
	h.start()
	renewed := make(chan error, len(spokes))
	for _, s := range spokes {
		go func() { renewed <- s.renew(t.Context(), h) }()
	}
	for range spokes {
		if err := <-renewed; err != nil {
			t.Fatal(err)
		}
	}
	h.publish("web", text(2000, "second"), "all")
	for _, s := range spokes {
		s.awaitConnected(h)
		h.awaitPhase(s.cluster, "web", yardarmv1.PhaseReady, 2)
		// The row has the end of the newest certificate.
		if row := h.store.Read().Identity(uid(s.cluster)); !row.GetNotAfter().AsTime().Equal(s.renewed.NotAfter) {
			t.Errorf("the hub knows a certificate of %s until %s, and its newest is until %s", s.cluster, row.GetNotAfter().AsTime(), s.renewed.NotAfter)
		}
		if h.countEvents(s.cluster, "ClusterStale") != 0 {
			t.Errorf("%s was stale", s.cluster)
		}
	}
}

// renew gets a new certificate, over a connection of its own as spokes do, and has the session go on.
func (s *spoke) renew(ctx context.Context, h *hub) error {
	key := s.id.config.Certificates[0].PrivateKey
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return err
	}
	answer, err := spokev1.NewSpokeServiceClient(s.id.conn(s.t, h.address)).Renew(ctx, &spokev1.RenewRequest{Csr: csr})
	if err != nil {
		return err
	}
	s.renewed, err = x509.ParseCertificate(answer.Identity.Certificates[0])
	return err
}
