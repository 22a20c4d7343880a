package stream

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/proto"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
	"github.com/yardarm-dev/yardarm/spoke/state"
)

// seedEnv makes a schedule of faults that has been printed come again, as far as the machine's own timing allows.
const seedEnv = "YARDARM_TEST_SEED"

func schedule(t *testing.T) (rng func() *rand.Rand) {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv(seedEnv); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("%s: %v", seedEnv, err)
		}
	}
	t.Logf("the schedule is that of %s=%d", seedEnv, seed)
	n := uint64(0)
	return func() *rand.Rand { n++; return rand.New(rand.NewPCG(seed, n)) }
}

// onlyForward is a spoke's disk that takes nothing older than what it has.
type onlyForward struct {
	state.Backend
	t       *testing.T
	cluster string
	cursor  *spokev1.Cursor
	held    map[string]*spokev1.StoredHolding
}

func (b *onlyForward) Write(ctx context.Context, changes []state.Write) error {
	for _, c := range changes {
		switch {
		case c.Value == nil:
		case c.Key == "cursor":
			now := &spokev1.Cursor{}
			if err := proto.Unmarshal(c.Value, now); err != nil {
				b.t.Error(err)
			}
			if last := b.cursor; bytes.Compare(now.Epoch, last.GetEpoch()) < 0 || now.Index < last.GetIndex() {
				b.t.Errorf("the cursor of %s goes from %d back to %d", b.cluster, last.GetIndex(), now.Index)
			}
			b.cursor = now
		case strings.HasPrefix(c.Key, "holding/"):
			now := &spokev1.StoredHolding{}
			if err := proto.Unmarshal(c.Value, now); err != nil {
				b.t.Error(err)
			}
			if last := b.held[c.Key]; now.Index < last.GetIndex() || now.Assignment.GetRevision() < last.GetAssignment().GetRevision() {
				b.t.Errorf("%s of %s goes from revision %d back to %d", c.Key, b.cluster, last.GetAssignment().GetRevision(), now.Assignment.GetRevision())
			}
			b.held[c.Key] = now
		}
	}
	return b.Backend.Write(ctx, changes)
}

// Between spokes and hub, for a while, connections are held up, cut in the midst of anything, reset, or go silent one way,
// and whole messages come twice and in another order; meanwhile much changes. No spoke ever goes back; and once the network is
// well, all come to have what they should, by themselves.
func TestBadNetwork(t *testing.T) {
	t.Parallel()
	const (
		budget = 6 * time.Second // of bad network
		of     = 8               // spokes of each kind
		// idle is when the proxy of the quiet spoke ends what nobody uses; real ones take a minute, with heartbeats every 30 s.
		idle = 3 * time.Second
	)
	h := newHub(t, nil)
	h.group("prod", prod, "")
	rng := schedule(t)
	var well atomic.Bool
	var paths []*path
	var meddlers []*meddler
	var spokes []*spoke
	start := func(name string, labels map[string]string, next func() fault, dial ...grpc.DialOption) *path {
		s := newSpoke(t, h, name, labels)
		s.backend = &onlyForward{Backend: s.backend, t: t, cluster: name, held: map[string]*spokev1.StoredHolding{}}
		s.reopen()
		p := newPath(t, h.address, next)
		s.id.dial(p.address())
		// As often as gRPC lets one ask whether the other side is there.
		s.dial = append(dial, grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: time.Second}))
		s.start()
		spokes, paths = append(spokes, s), append(paths, p)
		return p
	}
	quiet := start("quiet", nil, func() fault { return fault{idle: idle} })
	for i := range of {
		r := rng()
		start(fmt.Sprint("path-", i), prod, func() fault { return pathFault(r, well.Load()) })
		m := &meddler{rng: rng(), meddles: func() bool { return !well.Load() }}
		meddlers = append(meddlers, m)
		start(fmt.Sprint("message-", i), prod, func() fault { return fault{} }, grpc.WithStreamInterceptor(m.intercept))
	}

	r := rng()
	last := map[string]uint32{}
	for end := time.Now().Add(budget); time.Now().Before(end); time.Sleep(time.Duration(r.IntN(150)) * time.Millisecond) {
		bundle, content := fmt.Sprint("small-", r.IntN(3)), text(5_000, fmt.Sprint(r.Uint64()))
		if r.IntN(4) == 0 { // nothing like the one before, so that it is fetched
			bundle, content = "large", make([]byte, 300_000)
			for i := range content {
				content[i] = byte(r.Uint32())
			}
		}
		h.publish(bundle, content, "prod")
		last[bundle]++
	}
	well.Store(true)
	for _, s := range spokes[1:] {
		for bundle, revision := range last {
			h.awaitPhase(s.cluster, bundle, yardarmv1.PhaseReady, revision)
		}
		s.awaitConnected(h)
	}

	if n := quiet.accepted.Load(); n != 1 {
		t.Errorf("the spoke that has nothing to say but heartbeats needed %d connections", n)
	}
	var broken, twice, late, streams int64
	for _, p := range paths {
		broken += p.broken.Load()
	}
	for _, m := range meddlers {
		twice, late, streams = twice+m.twice.Load(), late+m.late.Load(), streams+m.streams.Load()
	}
	t.Logf("%d connections broke; of the messages on %d streams, %d came twice and %d late", broken, streams, twice, late)
	if broken < of || twice < of || late < of {
		t.Error("that was no bad network")
	}
}

// pathFault draws what becomes of a connection. None is in good order before the network is well.
func pathFault(r *rand.Rand, well bool) fault {
	if well {
		return fault{}
	}
	// Few that go silent, since it takes ten seconds to find out.
	ends := []kind{cut, cut, cut, reset, reset, reset, deaf, mute}
	f := fault{kind: ends[r.IntN(len(ends))], within: time.Duration(50+r.IntN(1000)) * time.Millisecond}
	switch r.IntN(3) {
	case 0:
		f.after = 1 + r.Int64N(8_000) // in the handshake, or soon after it
	case 1:
		f.after = 8_000 + r.Int64N(600_000)
	default:
		f.delay = 30 * time.Millisecond
	}
	if r.IntN(4) == 0 {
		f.idle = 100 * time.Millisecond // less than a heartbeat
	}
	return f
}
