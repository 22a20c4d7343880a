package stream

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/dispatch"
	"github.com/yardarm-dev/yardarm/hub/store"
	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestHelloIsChecked(t *testing.T) {
	h := newHub(t, nil)
	id := enrol(t, h, "edge-1", nil)
	epoch := h.store.Epoch()
	for _, tc := range []struct {
		name string
		edit func(*spokev1.Hello)
		code codes.Code
		says string
	}{
		{"older protocol", func(h *spokev1.Hello) { h.Protocol = 0 }, codes.FailedPrecondition, "upgrade the spoke"},
		{"newer protocol", func(h *spokev1.Hello) { h.Protocol = 2 }, codes.FailedPrecondition, "upgrade the hub"},
		{"another Kubernetes cluster", func(h *spokev1.Hello) { h.KubeUid = "clone" }, codes.FailedPrecondition, "clone"},
		{"no Kubernetes cluster", func(h *spokev1.Hello) { h.KubeUid = "" }, codes.FailedPrecondition, "clone"},
		{"another hub's cursor", func(h *spokev1.Hello) {
			h.Cursor = &spokev1.Cursor{Epoch: epoch, Index: 1, Mac: []byte("0123456789abcdef")}
		}, codes.FailedPrecondition, "not made by this hub"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := connect(t, h, id)
			r.hello(id, tc.edit)
			if st := r.end(); st.Code() != tc.code || !strings.Contains(st.Message(), tc.says) {
				t.Errorf("ended with %v", st)
			}
		})
	}
	if h.dispatch.Sessions() != 0 || h.store.ReadOnly() != "" || h.presence("edge-1").State != "" {
		t.Errorf("%d sessions, read-only %q, presence %v", h.dispatch.Sessions(), h.store.ReadOnly(), h.presence("edge-1"))
	}
	r := connect(t, h, id)
	r.send(&spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Heartbeat{Heartbeat: &spokev1.Heartbeat{}}})
	if st := r.end(); st.Code() != codes.InvalidArgument {
		t.Errorf("without a hello: %v", st)
	}
	r = connect(t, h, id)
	r.greet(id, nil)
	r.hello(id, nil)
	if st := r.end(); st.Code() != codes.InvalidArgument {
		t.Errorf("a second hello: %v", st)
	}
}

// A spoke that is told that one side is too old says which, and comes back once that has been changed.
func TestUnsupportedProtocol(t *testing.T) {
	h := newHub(t, nil)
	s := newSpoke(t, h, "edge-1", nil)
	heard := listen(s)
	speak := func(protocol uint32) func(*spokev1.ConnectRequest) {
		return func(m *spokev1.ConnectRequest) {
			if hello := m.GetHello(); hello != nil {
				hello.Protocol = protocol
			}
		}
	}
	for _, tc := range []struct {
		protocol uint32
		says     string
	}{{2, "upgrade the hub"}, {0, "upgrade the spoke"}} {
		heard.hear(speak(tc.protocol))
		s.start()
		eventually(t, "the spoke says: "+tc.says, func() bool {
			st := s.status()
			return !st.Connected && st.Err != nil && strings.Contains(st.Err.Error(), tc.says)
		})
		s.halt()
	}
	heard.hear(nil)
	s.start()
	s.awaitConnected(h)
}

func TestNewestSessionWins(t *testing.T) {
	h := newHub(t, nil)
	id := enrol(t, h, "edge-1", nil)
	old := connect(t, h, id)
	old.greet(id, nil)
	first := h.presence("edge-1")
	r := connect(t, h, id)
	w := r.greet(id, nil)
	if st := old.end(); st.Code() != codes.Aborted {
		t.Errorf("the older one: %v", st)
	}
	p := h.presence("edge-1")
	if p.Session != w.Session || p.Session == first.Session || !p.Since.Equal(first.Since) || h.dispatch.Sessions() != 1 {
		t.Errorf("presence %+v after %+v, %d sessions", p, first, h.dispatch.Sessions())
	}
	// The end of the older one is not the cluster's.
	time.Sleep(1500 * time.Millisecond) // longer than the grace; heartbeats go on
	r.send(&spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Heartbeat{Heartbeat: &spokev1.Heartbeat{}}})
	eventually(t, "connected", func() bool { return h.presence("edge-1").State == yardarmv1.PresenceConnected })
	if h.dispatch.Sessions() != 1 {
		t.Errorf("%d sessions", h.dispatch.Sessions())
	}
}

func ban(h *hub, cluster string) {
	h.changeCluster(cluster, func(c *yardarmv1.Cluster) { c.Spec.Ban = &yardarmv1.Ban{Reason: "stolen", Time: timestamppb.Now()} })
}

// A ban cuts a live stream within a second, also one whose spoke does not read, and holds for TLS sessions that resume.
func TestBanCutsTheStream(t *testing.T) {
	h := newHub(t, nil)
	h.group("prod", prod, "")
	id := enrol(t, h, "edge-1", prod)
	r := connect(t, h, id)
	r.greet(id, nil)
	start := time.Now()
	ban(h, "edge-1")
	st := r.end()
	if took := time.Since(start); st.Code() != codes.PermissionDenied || took > time.Second {
		t.Errorf("ended after %s with %v", took, st)
	}
	// The same client session cache, so TLS resumes.
	if st := connect(t, h, id).end(); st.Code() != codes.PermissionDenied || !strings.Contains(st.Message(), "banned") {
		t.Errorf("connecting again: %v", st)
	}
	_, err := spokev1.NewSpokeServiceClient(id.conn(t, h.address)).Renew(t.Context(), &spokev1.RenewRequest{Csr: []byte("x")})
	if c := status.Code(err); c != codes.PermissionDenied && c != codes.InvalidArgument {
		t.Errorf("renewing: %v", err)
	}
	h.changeCluster("edge-1", func(c *yardarmv1.Cluster) { c.Spec.Ban = nil })
	connect(t, h, id).greet(id, nil)
}

// Regression: a session that was stuck in a write, because its spoke did not read, could not be ended.
func TestBanCutsAStreamThatIsNotRead(t *testing.T) {
	metrics := prometheus.NewRegistry()
	h := newHub(t, func(c *dispatch.Config) { c.Registerer = metrics })
	h.group("prod", prod, "")
	id := enrol(t, h, "edge-1", prod)
	stream, err := spokev1.NewSpokeServiceClient(id.conn(t, h.address)).Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	hello := &spokev1.Hello{Protocol: 1, KubeUid: id.kube}
	if err := stream.Send(&spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Hello{Hello: hello}}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	for i := range 9 {
		h.publish("b-"+string(rune('a'+i)), append(noise(100_000), byte(i)), "prod")
	}
	// The hub writes 900 KB twice, of which the stream's window takes 64: the second write waits for the first to be read.
	for n := range 2 {
		if err := stream.Send(&spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Holdings{Holdings: &spokev1.Holdings{}}}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the hub writes", func() bool { return counter(t, metrics, "yardarm_deltas_total") == float64(n+1) })
	}
	start := time.Now()
	ban(h, "edge-1")
	eventually(t, "the session has ended", func() bool { return h.dispatch.Sessions() == 0 })
	if took := time.Since(start); took > time.Second {
		t.Errorf("after %s", took)
	}
	for err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("ended with %v", err)
	}
}

func TestBanCutsAFetch(t *testing.T) {
	h := newHub(t, nil)
	h.group("prod", prod, "")
	digest := h.publish("web", text(8_000_000, "x"), "prod")
	id := enrol(t, h, "edge-1", prod)
	stream, err := spokev1.NewSpokeServiceClient(id.conn(t, h.address)).Fetch(t.Context(), &spokev1.FetchRequest{Digest: digest})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	ban(h, "edge-1")
	got := 0
	for {
		m, err := stream.Recv()
		if err != nil {
			if status.Code(err) != codes.PermissionDenied || got > 4_000_000 {
				t.Errorf("after %d more bytes: %v", got, err)
			}
			return
		}
		got += len(m.Data)
	}
}

// A deleted cluster's spoke learns that it is over, and gives up.
func TestDeletedClusterIsTold(t *testing.T) {
	h := newHub(t, nil)
	id := enrol(t, h, "edge-1", nil)
	r := connect(t, h, id)
	r.greet(id, nil)
	h.update(func(tx *store.Tx) error { return deleteAtOnce(tx, "edge-1") })
	for range 2 { // the stream that is open, and another one
		st := r.end()
		if st.Code() != codes.PermissionDenied || len(st.Details()) != 1 || st.Details()[0].(*errdetails.ErrorInfo).Reason != "CLUSTER_DELETED" {
			t.Errorf("ended with %v", st)
		}
		r = connect(t, h, id)
	}
}

// Presence follows the stream by the hub's clock: a blip is nothing, an absence is stale since the last word.
func TestPresence(t *testing.T) {
	h := newHub(t, nil)
	s := newSpoke(t, h, "edge-1", nil)
	if p := h.presence("edge-1"); p.State != "" {
		t.Fatalf("before it has ever connected: %+v", p)
	}
	s.start()
	s.awaitConnected(h)
	since := h.presence("edge-1").Since

	s.restart() // within the grace
	eventually(t, "a session of the new process", func() bool {
		p := h.presence("edge-1")
		return p.Confirmed && h.dispatch.Sessions() == 1 && s.status().Connected
	})
	if !h.presence("edge-1").Since.Equal(since) || h.countEvents("edge-1", "ClusterConnected") != 1 {
		t.Errorf("a blip was told: %v", h.events("edge-1"))
	}

	s.halt()
	gone := time.Now()
	eventually(t, "stale", func() bool { return h.presence("edge-1").State == yardarmv1.PresenceStale })
	p := h.presence("edge-1")
	if took := time.Since(gone); took < 900*time.Millisecond {
		t.Errorf("stale after %s, before the grace was over", took)
	}
	if p.Confirmed || !p.Since.Equal(p.LastSeen) || p.Since.After(gone.Add(100*time.Millisecond)) {
		t.Errorf("stale as %+v, gone at %s", p, gone)
	}
	s.start()
	s.awaitConnected(h)
	if got := strings.Join(h.events("edge-1"), " "); got != "ClusterEnrolled ClusterConnected ClusterStale ClusterConnected" {
		t.Errorf("events %s", got)
	}
}

// A stream that is open and silent is stale; when it is heard again, what it said still holds.
func TestSilentStreamIsStale(t *testing.T) {
	t.Parallel()
	h := newHub(t, nil)
	id := enrol(t, h, "edge-1", nil)
	r := connect(t, h, id)
	r.greet(id, nil)
	r.reports(&spokev1.ReportUpdate{Complete: true, ReportsHash: []byte("all")})
	eventually(t, "confirmed", func() bool { return h.presence("edge-1").Confirmed })
	eventually(t, "stale", func() bool { return h.presence("edge-1").State == yardarmv1.PresenceStale })
	eventually(t, "connected again", func() bool {
		// One alone may be silence again by the time that the hub looks.
		r.send(&spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Heartbeat{Heartbeat: &spokev1.Heartbeat{}}})
		return h.presence("edge-1").State == yardarmv1.PresenceConnected
	})
	// Regression: nobody asked for the reports again, and the cluster stayed unconfirmed for as long as the stream lived.
	if !h.presence("edge-1").Confirmed {
		t.Error("unconfirmed")
	}
	// Silent first, then gone: that is told once.
	eventually(t, "stale", func() bool { return h.presence("edge-1").State == yardarmv1.PresenceStale })
	r.cancel()
	eventually(t, "the session has ended", func() bool { return h.dispatch.Sessions() == 0 })
	time.Sleep(2500 * time.Millisecond) // longer than the grace and a sweep
	if n := h.countEvents("edge-1", "ClusterStale"); n != 2 {
		t.Errorf("told %d times: %v", n, h.events("edge-1"))
	}
}

// After the hub's restart a cluster is unknown for a while: it comes back, or it is stale since it was last heard.
func TestRestartGrace(t *testing.T) {
	h := newHub(t, nil)
	back, away := newSpoke(t, h, "back", nil), newSpoke(t, h, "away", nil)
	enrol(t, h, "never", nil)
	back.start()
	away.start()
	back.awaitConnected(h)
	away.awaitConnected(h)
	away.halt()
	lastHeard := time.Now()
	h.stop()
	h.start()
	eventually(t, "unknown", func() bool { return h.presence("away").State == yardarmv1.PresenceUnknown })
	if p := h.presence("away"); p.Confirmed || p.LastSeen.After(lastHeard) || lastHeard.Sub(p.LastSeen) > 5*time.Second {
		t.Errorf("away is %+v, and was heard before %s", p, lastHeard)
	}
	back.awaitConnected(h)
	if p := h.presence("away"); p.State != yardarmv1.PresenceUnknown {
		t.Errorf("away is %+v within the grace", p)
	}
	eventually(t, "stale", func() bool { return h.presence("away").State == yardarmv1.PresenceStale })
	if p := h.presence("away"); p.Since.After(lastHeard) {
		t.Errorf("away is %+v", p)
	}
	if h.countEvents("back", "ClusterStale") != 0 || h.presence("never").State != "" {
		t.Errorf("events of back %v; never is %+v", h.events("back"), h.presence("never"))
	}
	// Who has come back in time is counted. Regression: each had an event, and a fleet's pushed all others out of the log.
	eventually(t, "it is told how many are back", func() bool { return h.countEvents("", "ClustersConnected") == 1 })
	if n := h.countEvents("back", "ClusterConnected"); n != 1 {
		t.Errorf("events of back %v", h.events("back"))
	}
	// The return of one that was said to be stale is told, also across a restart.
	h.stop()
	h.start()
	away.start()
	away.awaitConnected(h)
	if got := strings.Join(h.events("away"), " "); got != "ClusterEnrolled ClusterConnected ClusterStale ClusterConnected" {
		t.Errorf("events of away %s", got)
	}
}

func TestDrain(t *testing.T) {
	h := newHub(t, nil)
	spokes := []*spoke{newSpoke(t, h, "a", nil), newSpoke(t, h, "b", nil), newSpoke(t, h, "c", nil)}
	for _, s := range spokes {
		s.start()
		s.awaitConnected(h)
	}
	id := enrol(t, h, "raw", nil)
	r := connect(t, h, id)
	r.greet(id, nil)
	h.dispatch.Drain(t.Context(), 300*time.Millisecond)
	if n := h.dispatch.Sessions(); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
	if d := r.next().GetDrain(); d.GetReconnectWithin().AsDuration() != 300*time.Millisecond {
		t.Errorf("drained with %v", d)
	}
	for _, s := range spokes {
		eventually(t, s.cluster+" is told", func() bool {
			st := s.status()
			return !st.Connected && st.Err != nil && strings.Contains(st.Err.Error(), "reconnect within")
		})
	}
	// Who comes meanwhile is drained, too.
	late := connect(t, h, id)
	late.greet(id, nil)
	if late.next().GetDrain() == nil {
		t.Error("a late comer is kept")
	}
	h.stop()
	h.start()
	for _, s := range spokes {
		s.awaitConnected(h)
	}
}

// Spokes that come at once are admitted at a rate; those that would stand in line for long are told when to come back.
func TestAdmissionIsBounded(t *testing.T) {
	h := newHub(t, func(c *dispatch.Config) { c.AdmitPerSecond, c.AdmitWait = 4, time.Second })
	id := enrol(t, h, "edge-1", nil)
	s := newSpoke(t, h, "edge-2", nil)
	began := time.Now()
	var streams []*raw
	for range 14 {
		r := connect(t, h, id)
		r.hello(id, nil)
		streams = append(streams, r)
	}
	admitted, refused := 0, 0
	for _, r := range streams {
		select {
		case <-r.messages:
			admitted++
		case err := <-r.ended:
			st := status.Convert(err)
			if st.Code() == codes.Aborted {
				admitted++ // and a newer one has taken its place
				continue
			}
			info, ok := st.Details()[0].(*errdetails.RetryInfo)
			if st.Code() != codes.ResourceExhausted || !ok || info.RetryDelay.AsDuration() < time.Second {
				t.Errorf("refused with %v", st)
			}
			refused++
		case <-time.After(patience):
			t.Fatal("neither admitted nor refused")
		}
	}
	// Four at once, and four a second.
	if most := 4 + int(4*time.Since(began).Seconds()) + 1; admitted < 8 || admitted > most || refused == 0 {
		t.Errorf("%d admitted, %d refused; at most %d were to be admitted", admitted, refused, most)
	}
	// A spoke that is told to come back does.
	s.start()
	s.awaitConnected(h)
}

// A large fleet is drained over the time that it takes to come back.
func TestDrainIsAsLongAsTheFleetIsLarge(t *testing.T) {
	h := newHub(t, func(c *dispatch.Config) { c.AdmitPerSecond = 2 })
	var streams []*raw
	for i, name := range []string{"a", "b", "c", "d"} {
		id := enrol(t, h, name, nil)
		r := connect(t, h, id)
		// Each hears how long the fleet of then takes, should the hub be away without a word.
		if w := r.greet(id, nil); (w.ReconnectWithin == nil) != (i == 0) || w.ReconnectWithin.AsDuration() != time.Duration((i+1)/2)*time.Second {
			t.Errorf("%d spokes at two a second are to be back within %v", i+1, w.ReconnectWithin)
		}
		streams = append(streams, r)
	}
	h.dispatch.Drain(t.Context(), time.Millisecond)
	for _, r := range streams {
		if d := r.next().GetDrain().GetReconnectWithin().AsDuration(); d != 2*time.Second {
			t.Errorf("four spokes at two a second are to be back within %s", d)
		}
	}
}

// A spoke whose API server hangs is still heard. Regression: its heartbeats waited for its facts.
func TestFactsThatHangSilenceNobody(t *testing.T) {
	h := newHub(t, nil)
	h.group("narrow", map[string]string{}, "facts.nodes >= 3")
	h.publish("web", text(100, "1"), "narrow")
	s := newSpoke(t, h, "edge-1", prod)
	s.start()
	h.awaitPhase("edge-1", "web", yardarmv1.PhaseReady, 1)
	s.setFacts(nil)
	s.restart()
	eventually(t, "the new process is connected", func() bool { return s.status().Connected })
	session := h.presence("edge-1").Session
	time.Sleep(1500 * time.Millisecond) // longer than a silent spoke counts as connected
	if h.countEvents("edge-1", "ClusterStale") != 0 || h.presence("edge-1").Session != session {
		t.Errorf("events %v", h.events("edge-1"))
	}
	// Facts that are not known are no facts: they say nothing new about the cluster.
	if f := h.store.Read().Observed(uid("edge-1")).Facts; f.GetNodes() != 3 || s.entry("web").Hold != nil {
		t.Errorf("facts %v, entry %+v", f, s.entry("web"))
	}
}

// A spoke that has just started has looked at nothing yet, which is not to say that its bundles are gone; one that has gone
// meanwhile is.
func TestRestartedSpokeSaysWhatItHolds(t *testing.T) {
	h := newHub(t, nil)
	h.group("prod", prod, "")
	for _, b := range []string{"web", "db", "gone"} {
		h.publish(b, text(100, b), "prod")
	}
	s := newSpoke(t, h, "edge-1", prod)
	s.start()
	for _, b := range []string{"web", "db", "gone"} {
		h.awaitPhase("edge-1", b, yardarmv1.PhaseReady, 1)
	}
	h.group("narrow", prod, "facts.nodes > 5")
	h.retarget("db", "narrow")
	h.awaitPhase("edge-1", "db", yardarmv1.PhaseHeld, 1)
	s.halt()
	// Its removal ends while the hub does not hear of it.
	e := s.entry("gone")
	if _, err := s.state.ApplyDelta(t.Context(), &spokev1.Delta{Cursor: s.state.Cursor(), Changes: []*spokev1.Change{{BaseHash: e.Assignment.Hash,
		Change: &spokev1.Change_Remove{Remove: &spokev1.Tombstone{BundleUid: uid("gone"), Workloads: yardarmv1.Workloads_WORKLOADS_REMOVE}}}}}); err != nil {
		t.Fatal(err)
	}
	if err := s.state.Finished(t.Context(), uid("gone")); err != nil {
		t.Fatal(err)
	}
	h.retarget("gone")
	s.idle = true
	s.reopen()
	s.start()
	h.awaitPhase("edge-1", "web", yardarmv1.PhasePending, 1)
	if r := h.report("edge-1", "db"); r.GetPhase() != yardarmv1.PhaseHeld || r.Reason != yardarmv1.ReasonLeftByFact {
		t.Errorf("db: %v", r)
	}
	eventually(t, "gone is gone", func() bool { return h.report("edge-1", "gone") == nil })
	var gone []string
	for e := range h.store.Read().Events(0) {
		if e.Reason == "BundleGone" {
			gone = append(gone, e.Bundle)
		}
	}
	if len(gone) != 1 || gone[0] != "gone" {
		t.Errorf("gone: %v", gone)
	}
}

// A cluster that reports much is taken in, whatever one message holds. Regression: beyond 4 MiB the stream broke, each time.
func TestManyReportsComeInParts(t *testing.T) {
	h := newHub(t, nil)
	s := newSpoke(t, h, "edge-1", nil)
	long := strings.Repeat("x", 1000)
	set := func(from, to int, phase string) {
		for i := from; i < to; i++ {
			r := &yardarmv1.Report{BundleUid: uid(strings.Repeat("a", 1+i%20) + "-" + string(rune('a'+i/20))), Phase: phase, Message: long}
			for range 10 {
				r.Problems = append(r.Problems, &yardarmv1.ObjectProblem{Object: "v1/Pod x", Reason: "Bad", Message: long})
			}
			s.book.Set(r)
		}
	}
	set(0, 300, yardarmv1.PhaseDegraded)
	s.start()
	// What is told at length is kept of as many as there is room for, and all others say so.
	all := func(phase string) bool {
		whole, cut := 0, 0
		for o := range h.store.Read().ObservedBundles(uid("edge-1")) {
			switch r := o.Report; {
			case r.Phase != phase:
			case len(r.Problems) == 10:
				whole++
			case len(r.Conditions) == 1 && r.Conditions[0].Reason == yardarmv1.ReasonStatusLimit:
				cut++
			}
		}
		return whole > 0 && whole+cut == 300
	}
	eventually(t, "all reports are known", func() bool { return all(yardarmv1.PhaseDegraded) })
	session := h.presence("edge-1").Session
	set(0, 300, yardarmv1.PhaseFailed)
	eventually(t, "all new reports are known", func() bool { return all(yardarmv1.PhaseFailed) })
	if h.presence("edge-1").Session != session {
		t.Error("the stream broke over it")
	}
}

// What a spoke says is bounded, however it says it.
func TestExcessEndsTheSession(t *testing.T) {
	h := newHub(t, nil)
	id := enrol(t, h, "edge-1", nil)
	uids := func(n int) (out []string) {
		for i := range n {
			out = append(out, "u-"+strings.Repeat("x", i%40)+"-"+string(rune('a'+i%26))+string(rune('a'+i/26%26))+string(rune('a'+i/676)))
		}
		return out
	}
	for name, say := range map[string]func(*raw){
		"reports that never end": func(r *raw) {
			for i := range 30 {
				u := &spokev1.ReportUpdate{More: true}
				for _, id := range uids(100) {
					u.Reports = append(u.Reports, &yardarmv1.Report{BundleUid: id + string(rune('a'+i%26)) + string(rune('a'+i/26)), Phase: yardarmv1.PhaseReady})
				}
				if r.stream.Send(&spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Reports{Reports: u}}) != nil {
					return
				}
			}
		},
		"removals without number": func(r *raw) { r.reports(&spokev1.ReportUpdate{Removed: uids(3000)}) },
		"a report of nothing":     func(r *raw) { r.reports(&spokev1.ReportUpdate{Reports: []*yardarmv1.Report{{}}}) },
		"holdings without number": func(r *raw) {
			l := make([]*spokev1.Holding, 10_001)
			for i := range l {
				l[i] = &spokev1.Holding{BundleUid: "x"}
			}
			r.list(l...)
		},
		"a holding of nothing": func(r *raw) { r.list(&spokev1.Holding{}) },
		"refusals without end": func(r *raw) {
			for range 5000 {
				if err := r.stream.Send(&spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Nack{Nack: &spokev1.Nack{Digest: "x"}}}); errors.Is(err, io.EOF) {
					return
				}
			}
		},
		"a message that is too large": func(r *raw) {
			r.reports(&spokev1.ReportUpdate{ReportsHash: make([]byte, 5<<20)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := connect(t, h, id)
			r.greet(id, nil)
			say(r)
			if st := r.end(); st.Code() != codes.InvalidArgument && st.Code() != codes.Aborted && st.Code() != codes.ResourceExhausted {
				t.Errorf("ended with %v", st)
			}
		})
	}
}
