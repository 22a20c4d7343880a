package stream

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// doomedDirEnv and doomedAddressEnv make a process of this test binary a hub, on that data directory and at that address,
	// which publishes until it kills itself: when doomedCommitEnv commits have begun, before or after the last is on disk.
	doomedDirEnv     = "YARDARM_TEST_DOOMED_DIR"
	doomedAddressEnv = "YARDARM_TEST_DOOMED_ADDRESS"
	doomedCommitEnv  = "YARDARM_TEST_DOOMED_COMMIT"
	doomedDurableEnv = "YARDARM_TEST_DOOMED_DURABLE"

	// doomedPause is how long the commit is held up before the hub dies: long enough for a change that is visible too early to
	// reach a spoke's disk.
	doomedPause = 40 * time.Millisecond
)

// doomedLog holds a commit up, and then kills its process.
type doomedLog struct {
	store.Log
	left    atomic.Int64 // commits until then; none while it is negative
	durable bool         // the commit is on disk by then
}

func (l *doomedLog) Append(b *store.Batch) error {
	die := func() {
		time.Sleep(doomedPause)
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	last := l.left.Add(-1) == 0
	if last && !l.durable {
		die()
	}
	err := l.Log.Append(b)
	if last {
		die()
	}
	return err
}

// TestDoomedHub is the hub of TestSpokesNeverSeeWhatIsLost, in a process of its own.
func TestDoomedHub(t *testing.T) {
	dir := os.Getenv(doomedDirEnv)
	if dir == "" {
		t.Skip("the process that TestSpokesNeverSeeWhatIsLost kills")
	}
	commits, err := strconv.ParseInt(os.Getenv(doomedCommitEnv), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	log := &doomedLog{durable: os.Getenv(doomedDurableEnv) != ""}
	h := &hub{t: t, dir: dir, address: os.Getenv(doomedAddressEnv), names: []string{"127.0.0.1"}, wrapLog: func(l store.Log) store.Log {
		log.Log = l
		return log
	}}
	h.start()
	fmt.Println("serving")
	eventually(t, "the spoke is connected", func() bool {
		return h.presence("edge-1").State == yardarmv1.PresenceConnected && h.dispatch.Sessions() == 1
	})
	log.left.Store(commits)
	for n := 0; ; n++ {
		// By turns, since a content that is new is not to be had before it is on disk: it would hide what is visible too early.
		digest := h.publish("web", text(2000, fmt.Sprint(n%2)), "prod")
		fmt.Println("published", h.store.Read().Bundle(uid("web")).Status.Revision, digest)
	}
}

// A hub is killed in the midst of its commits, again and again, while a spoke follows it over TLS: what it has acknowledged is
// there when it is opened again, and its spoke has never seen anything that is not.
func TestSpokesNeverSeeWhatIsLost(t *testing.T) {
	t.Parallel()
	const (
		most   = 60
		budget = 10 * time.Second // in a machine that has much else to do, fewer rounds have to do,
		least  = 8                // but not fewer than these
	)
	h := newHub(t, nil)
	h.group("prod", prod, "")
	h.publish("web", text(2000, "first"), "prod")
	s := newSpoke(t, h, "edge-1", prod)
	h.stop()
	rounds, followed := 0, uint32(0)
	for start := time.Now(); rounds < most && (rounds < least || time.Since(start) < budget); rounds++ {
		commit, durable := 1+rand.IntN(12), ""
		if rounds%2 > 0 {
			durable = "yes"
		}
		published := doom(t, s, fmt.Sprint(doomedDirEnv, "=", h.dir), fmt.Sprint(doomedAddressEnv, "=", h.address),
			fmt.Sprint(doomedCommitEnv, "=", commit), fmt.Sprint(doomedDurableEnv, "=", durable))
		s.halt()
		db, err := store.Open(store.Config{Dir: h.dir})
		if err != nil {
			t.Fatal(err)
		}
		tx := db.Read()
		for n, digest := range published {
			if got := tx.Revision(uid("web"), n).GetSpec().GetDigest(); got != digest {
				t.Errorf("revision %d was acknowledged with %s, and %q is there", n, digest, got)
			}
		}
		if c := s.state.Cursor(); c != nil && (c.Index > tx.Index() || !bytes.Equal(c.Epoch, db.Epoch())) {
			t.Errorf("the spoke has seen %x/%d, and the database is at %x/%d", c.Epoch, c.Index, db.Epoch(), tx.Index())
		}
		if e := s.entry("web"); e != nil {
			if got := tx.Revision(uid("web"), e.Assignment.Revision).GetSpec().GetDigest(); got != e.Assignment.Digest {
				t.Errorf("the spoke holds revision %d with %s, and %q is there", e.Assignment.Revision, e.Assignment.Digest, got)
			}
			followed = e.Assignment.Revision
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			t.Fatalf("round %d: killed in commit %d, durable: %q", rounds, commit, durable)
		}
		s.reopen()
	}
	t.Logf("%d rounds; the spoke is at revision %d", rounds, followed)
	if followed < uint32(rounds) {
		t.Errorf("in %d rounds, the spoke has come to revision %d", rounds, followed)
	}
}

// doom lives through one process of TestDoomedHub with the spoke, and answers what it has acknowledged: digests by revision.
func doom(t *testing.T, s *spoke, env ...string) map[uint32]string {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestDoomedHub$")
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	published := map[uint32]string{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var n uint32
		var digest string
		switch _, err := fmt.Sscanf(lines.Text(), "published %d %s", &n, &digest); {
		case err == nil:
			published[n] = digest
		case lines.Text() == "serving":
			s.start()
		default:
			t.Log(lines.Text()) // why it has failed
		}
	}
	_ = cmd.Wait()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Fatalf("the hub was not killed: %v", cmd.ProcessState)
	}
	return published
}
