package stream

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/yardarm-dev/yardarm/hub/dispatch"
	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// freezer stops a process as far as its connection shows: while it is locked for writing, nothing is read and nothing written.
type freezer struct{ sync.RWMutex }

func (f *freezer) wait() {
	f.RLock()
	defer f.RUnlock()
}

// dial is an option of connections that it stops.
func (f *freezer) dial() grpc.DialOption {
	return grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		return frozen{conn, f}, err
	})
}

type frozen struct {
	net.Conn
	*freezer
}

func (f frozen) Read(p []byte) (int, error) {
	n, err := f.Conn.Read(p)
	f.wait() // also what was awaited before
	return n, err
}

func (f frozen) Write(p []byte) (int, error) {
	f.wait()
	return f.Conn.Write(p)
}

// heap is what is in use, in bytes.
func heap() int {
	runtime.GC()
	runtime.GC() // what the first one has only let go of
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// One spoke that never acknowledges, and one that reads nothing, cost the hub one delta each, however much changes meanwhile, and
// the others nothing. Then they get what is newest.
func TestStalledSpokesCostOneDelta(t *testing.T) {
	const (
		changes = 30
		size    = 100_000
	)
	metrics := prometheus.NewRegistry()
	h := newHub(t, func(c *dispatch.Config) { c.Registerer = metrics })
	h.group("prod", prod, "")
	revision := uint32(0)
	digest := ""
	publish := func() {
		// Nothing of it is in what was there before, so that each delta is as large as its content.
		var seed [32]byte
		revision++
		binary.LittleEndian.PutUint32(seed[:], revision)
		content := make([]byte, size)
		_, _ = rand.NewChaCha8(seed).Read(content) // never fails
		digest = h.publish("web", content, "prod")
	}
	publish()
	well := newSpoke(t, h, "well", prod)
	well.start()
	churn := func() (held int) {
		before := heap()
		for range changes {
			publish()
			h.awaitPhase("well", "web", yardarmv1.PhaseReady, revision)
		}
		return heap() - before
	}
	h.awaitPhase("well", "web", yardarmv1.PhaseReady, revision)
	alone := churn() // the cache of contents, most of all

	current := func(name string, options ...grpc.DialOption) *raw {
		id := enrol(t, h, name, prod)
		r := connect(t, h, id, options...)
		r.greet(id, nil)
		r.list()
		r.ack(r.delta().Cursor, digest)
		// A report comes after the acknowledgement, so that both are with the hub once it is known.
		r.reports(&spokev1.ReportUpdate{Reports: []*yardarmv1.Report{{BundleUid: uid("web"), Phase: yardarmv1.PhaseReady}}})
		h.awaitPhase(name, "web", yardarmv1.PhaseReady, 0)
		return r
	}
	var stopped freezer
	stalled := map[string]*raw{"never acknowledges": current("silent"), "reads nothing": current("frozen", stopped.dial())}
	stopped.Lock()
	thaw := sync.OnceFunc(stopped.Unlock)
	t.Cleanup(thaw)
	sent := counter(t, metrics, "yardarm_deltas_total")
	session := h.presence("well").Session
	beside := churn()
	if n := counter(t, metrics, "yardarm_deltas_total") - sent - changes; n != 2 {
		t.Errorf("%v deltas are in flight to two spokes that have acknowledged none", n)
	}
	// A delta each, and what the machine's own doing makes of it.
	if most := 10 * size; beside-alone > most {
		t.Errorf("the hub holds %d bytes more for two stalled spokes after %d changes of %d; at most %d were to be", beside-alone, changes, size, most)
	}
	if h.presence("well").Session != session {
		t.Error("the spoke that is well has lost its stream")
	}
	thaw()
	for name, r := range stalled {
		t.Run(name, func(t *testing.T) {
			r.t = t
			first := r.delta()
			r.ack(first.Cursor)
			second := r.delta()
			if got := second.Changes[0].GetAssign().GetRevision(); got != revision {
				t.Errorf("its second delta is of revision %d, and the newest is %d", got, revision)
			}
			r.ack(second.Cursor, digest)
			r.quiet(50 * time.Millisecond)
		})
	}
}

// A spoke from which nothing comes any more, though its connection is open, is given up; one that is idle is not.
func TestFrozenSpokeIsGivenUp(t *testing.T) {
	const ping = time.Second
	h := newHub(t, func(c *dispatch.Config) { c.PingAfter = ping })
	well := newSpoke(t, h, "well", nil)
	well.start()
	well.awaitConnected(h)
	session := h.presence("well").Session
	idle := enrol(t, h, "idle", nil)
	connect(t, h, idle).greet(idle, nil)
	var stopped freezer
	id := enrol(t, h, "frozen", nil)
	r := connect(t, h, id, stopped.dial())
	r.greet(id, nil)
	r.send(&spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Heartbeat{Heartbeat: &spokev1.Heartbeat{}}})
	stopped.Lock()
	t.Cleanup(stopped.Unlock)
	eventually(t, "it is given up", func() bool { return h.dispatch.Sessions() == 2 })
	eventually(t, "it is stale", func() bool { return h.presence("frozen").State == yardarmv1.PresenceStale })
	if h.presence("well").Session != session || h.presence("idle").Session == "" {
		t.Error("another has lost its stream")
	}
}
