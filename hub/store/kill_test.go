package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

const (
	// crashDirEnv makes the test binary a hub that writes into this directory until it is killed.
	crashDirEnv = "YARDARM_TEST_CRASH_DIR"
	// crashCompactEnv makes that hub compact its database all the time.
	crashCompactEnv = "YARDARM_TEST_CRASH_COMPACT"
	// crashPointEnv names the point of a commit where that hub kills itself, and crashBatchEnv from which batch on, counted from its start.
	crashPointEnv = "YARDARM_TEST_CRASH_POINT"
	crashBatchEnv = "YARDARM_TEST_CRASH_BATCH"

	// crashWriters is how many writers that hub has.
	crashWriters = 16
	// crashPause is how long that hub goes on before it kills itself: whoever sees too much has time to say so.
	crashPause = 3 * time.Millisecond
)

// crashRow is the nth write of a writer: two rows and a content that belong together.
func crashRow(tx *Tx, writer, n int) error {
	id, value := fmt.Sprint("w", writer), fmt.Sprint(n)
	return errors.Join(
		tx.PutToken(&storev1.EnrolmentToken{Id: id, Cluster: value}),
		tx.PutCluster(cluster(id, id, map[string]string{"n": value})),
		tx.PutArtifact(&storev1.Artifact{Digest: id, Size: uint64(n)}, fmt.Appendf(make([]byte, 0, 8192), "%08192d", n)))
}

// crashedRow returns which write of a writer the store holds, after checking that it holds all of it.
func crashedRow(t *testing.T, s *Store, writer int) int {
	t.Helper()
	id := fmt.Sprint("w", writer)
	tx := s.Read()
	value := tx.Token(id).GetCluster()
	if value == "" {
		return 0
	}
	content, err := s.Content(id)
	if got := tx.Cluster(id).GetMetadata().GetLabels()["n"]; got != value || err != nil || fmt.Sprint(tx.Artifact(id).GetSize()) != value ||
		string(content) != fmt.Sprintf("%0*s", 8192, value) {
		t.Fatalf("writer %d: the token is of write %s, the cluster of %s, the artifact of %d, the content %v", writer, value, got, tx.Artifact(id).GetSize(), err)
	}
	var n int
	if _, err := fmt.Sscan(value, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// killPoint is a point of a commit.
type killPoint string

const (
	beforeLog   killPoint = "before the log has the batch"
	inRecord    killPoint = "in the midst of a record of the write-ahead log"
	afterRecord killPoint = "after a record, before its sync"
	afterLog    killPoint = "after the log has the batch, before it is visible"
	// While the database follows, which is beside what the log takes meanwhile:
	inPage    killPoint = "in the midst of a page"
	afterPage killPoint = "after a page"
	syncs     killPoint = "between the two syncs, before the meta page"
	inMeta    killPoint = "between the two syncs, in the midst of the meta page"
	afterMeta killPoint = "between the two syncs, after the meta page"
)

// killPoints are all of them, in order.
var killPoints = []killPoint{beforeLog, inRecord, afterRecord, afterLog, inPage, afterPage, syncs, inMeta, afterMeta}

// killer ends its own process at a point: the next time that it is reached from the nth batch on.
type killer struct {
	point killPoint
	batch atomic.Int32 // how many are to come before
}

// due tells whether the process is to end at a point.
func (k *killer) due(p killPoint) bool { return k.batch.Load() <= 0 && k.point == p }

// reached is called at each point.
func (k *killer) reached(p killPoint) {
	if k.due(p) {
		time.Sleep(crashPause)
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

// arm puts the killer into a store's way.
func (k *killer) arm(l *aheadLog) Log {
	hook := writeHook(l.db)
	write := *hook
	// part writes the first n bytes where the process is to die in their midst.
	part := func(point killPoint, p []byte, offset int64, n int) {
		if k.due(point) {
			_, _ = write(p[:n], offset)
			k.reached(point)
		}
	}
	*hook = func(p []byte, offset int64) (int, error) {
		if !isMeta(l.db, offset) {
			part(inPage, p, offset, len(p)/2)
			n, err := write(p, offset)
			k.reached(afterPage)
			return n, err
		}
		k.reached(syncs)
		part(inMeta, p, offset, 48) // the new root, and what the old transaction says of itself
		n, err := write(p, offset)
		k.reached(afterMeta)
		return n, err
	}
	l.settleAfter = 256 << 10 // two or three batches
	log, armed := &testLog{aheadLog: l}, false
	log.hook(func(_ *Batch, do func() error) error {
		k.batch.Add(-1)
		k.reached(beforeLog)
		err := do()
		k.reached(afterLog)
		if !armed && l.wal != nil {
			armed = true
			k.armWAL(l.wal)
		}
		return err
	})
	return log
}

// armWAL puts it into the way of the write-ahead log, which also comes around every few batches.
func (k *killer) armWAL(w *wal) {
	w.size = 1 << 20
	write, sync := w.writeAt, w.sync
	w.writeAt = func(p []byte, offset int64) (int, error) {
		if k.due(inRecord) {
			_, _ = write(p[:rand.IntN(len(p))], offset)
			k.reached(inRecord)
		}
		return write(p, offset)
	}
	w.sync = func() error {
		k.reached(afterRecord)
		return sync()
	}
}

// crashChild is the process that is killed. It says what it has acknowledged, and what it has shown to whoever reads.
func crashChild(dir string) {
	batch, _ := strconv.Atoi(os.Getenv(crashBatchEnv))
	k := &killer{point: killPoint(os.Getenv(crashPointEnv))}
	k.batch.Store(int32(batch))
	s, err := Open(Config{Dir: dir, WrapLog: func(l Log) Log { return k.arm(l.(*aheadLog)) }})
	if err != nil {
		fmt.Println("open:", err)
		return
	}
	for w := range crashWriters {
		start := s.Read().Artifact(fmt.Sprint("w", w)).GetSize()
		go func() {
			for n := int(start) + 1; ; n++ {
				if _, err := s.Update(context.Background(), func(tx *Tx) error { return crashRow(tx, w, n) }); err != nil {
					fmt.Println("update:", err)
					return
				}
				fmt.Printf("ack %d %d\n", w, n) // one write to the pipe, so that lines of several writers do not mix
			}
		}()
	}
	if os.Getenv(crashCompactEnv) == "" {
		sayWhatIsSeen(s)
	}
	compactForEver(s)
}

// sayWhatIsSeen looks at the store all the time.
func sayWhatIsSeen(s *Store) {
	var last [crashWriters]uint64
	for ; ; time.Sleep(crashPause / 10) {
		tx := s.Read()
		for w := range crashWriters {
			if n := tx.Artifact(fmt.Sprint("w", w)).GetSize(); n > last[w] {
				fmt.Printf("saw %d %d\n", w, n)
				last[w] = n
			}
		}
	}
}

// compactForEver makes work for compactions, and compacts.
func compactForEver(s *Store) {
	s.log.(*testLog).least = 1 << 20
	for ctx := context.Background(); ; {
		for _, size := range []int{4 << 20, 0} {
			if _, err := s.Update(ctx, func(tx *Tx) error { return churn(tx, size) }); err != nil {
				fmt.Println("update:", err)
				return
			}
		}
		fmt.Println("compacting")
		freed, err := s.Compact(ctx)
		if err != nil || freed == 0 {
			fmt.Println("compact:", freed, err)
			return
		}
		fmt.Println("compacted")
	}
}

// churn puts a content of a size; of size 0, it deletes it.
func churn(tx *Tx, size int) error {
	if size == 0 {
		return tx.DeleteArtifact("churn")
	}
	return tx.PutArtifact(&storev1.Artifact{Digest: "churn", Size: uint64(size)}, make([]byte, size))
}

// killed is a directory in which process after process is killed, and what they have said by then.
type killed struct {
	dir string
	// said is the newest write of each writer that was acknowledged or seen, whatever the process did afterwards.
	said [crashWriters]int
}

// round lives through one process: line is told of all that it says which is not about a write.
func (k *killed) round(t *testing.T, line func(text string, kill func()), env ...string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(append(os.Environ(), crashDirEnv+"="+k.dir), env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); { // what it says until it is dead counts
		var what string
		var w, n int
		if _, err := fmt.Sscanf(lines.Text(), "%s %d %d", &what, &w, &n); err != nil {
			line(lines.Text(), func() { _ = cmd.Process.Kill() })
			continue
		}
		k.said[w] = max(k.said[w], n)
	}
	_ = cmd.Wait()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Fatalf("the process was not killed: %v", cmd.ProcessState)
	}
	s := opened(t, Config{Dir: k.dir})
	for w, n := range k.said {
		if got := crashedRow(t, s, w); got < n {
			t.Errorf("writer %d: write %d was acknowledged or seen, and %d is there", w, n, got)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestKill kills a process that writes at each point of a commit, again and again: everything that it has acknowledged, or shown to anybody, is there, and
// nothing by halves.
func TestKill(t *testing.T) {
	const (
		most   = 350
		budget = 30 * time.Second // some 45 ms a round, twice what all take; in a machine that has much else to do, fewer have to do,
		least  = 135              // but not fewer than these: each point 15 times
	)
	k := &killed{dir: t.TempDir()}
	rounds := 0
	for start := time.Now(); rounds < most && (rounds < least || time.Since(start) < budget); rounds++ {
		point, batch := killPoints[rounds%len(killPoints)], 1+rand.IntN(16)
		k.round(t, func(text string, kill func()) {
			t.Errorf("the writing process says %q", text)
			kill()
		}, crashPointEnv+"="+string(point), fmt.Sprint(crashBatchEnv, "=", batch))
		if t.Failed() {
			t.Fatalf("round %d: killed %s %d", rounds, point, batch)
		}
	}
	t.Logf("%d rounds", rounds)
}

// TestKillCompaction kills a process in the midst of compactions while 16 writers write: nothing that was acknowledged is lost, and nothing is left behind.
func TestKillCompaction(t *testing.T) {
	k := &killed{dir: t.TempDir()}
	for round := range 6 {
		compactions := 0
		k.round(t, func(text string, kill func()) {
			switch text {
			case "compacting":
				// One or two that come to their end, and one that does not: a few milliseconds into it.
				if compactions++; compactions == 1+round%3 {
					time.AfterFunc(time.Duration(rand.IntN(30))*time.Millisecond, kill)
				}
			case "compacted":
			default:
				t.Errorf("the writing process says %q", text)
				kill()
			}
		}, crashCompactEnv+"=1")
		if left, err := filepath.Glob(filepath.Join(k.dir, "*"+newSuffix)); err != nil || len(left) > 0 {
			t.Errorf("round %d: left behind: %q, %v", round, left, err)
		}
	}
}
