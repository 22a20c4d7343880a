package scenarios

import (
	"encoding/json"
	"regexp"
	"testing"
	"time"
)

// A ban cuts the stream at once. Neither a session that TLS resumes, nor a new process, nor a new hub lets the spoke back in; only
// taking the ban back does.
func TestBan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrol(lisbon, tokyo)
	w.group("all")
	w.ready("web", w.publish("web", "all", namespace, settings("one", "1")))
	connected := w.logged(w.spokes[lisbon], "connected to the hub")

	refused := w.newLine(spokeLog(w.spokes[lisbon]), "banned")
	cut := w.newLine(w.hubLog(), "spoke disconnected", "cluster=lisbon")
	w.do("ban", "cluster", lisbon, "--reason", "its key was stolen")
	w.eventually("the stream is cut", cut)
	if took := w.cutAfter(lisbon); took > time.Second {
		t.Errorf("the stream was cut %s after the ban", took)
	}
	w.presence(lisbon, "Stale")

	// It dials again, with the session that TLS would resume, and is told.
	w.eventually("the spoke is told that it is banned", refused)
	w.publish("web", "all", namespace, settings("one", "2"))
	w.eventuallyHolds(tokyo, "one", "2")

	w.must(w.hub.Kill())
	w.must(w.hub.Start(w.ctx))
	w.must(w.spokes[lisbon].Stop())
	refused = w.newLine(spokeLog(w.spokes[lisbon]), "banned")
	w.must(w.spokes[lisbon].Start(w.ctx, ""))
	w.eventually("its new process is refused by the new hub", refused)
	if now := w.logged(w.spokes[lisbon], "connected to the hub"); now != connected {
		t.Errorf("the banned spoke was welcomed %d times", now-connected)
	}
	w.holds("one", "value", "1", lisbon)
	w.holds("one", "value", "2", tokyo)

	// It tries again by itself, seldom now.
	w.do("unban", "cluster", lisbon)
	w.do("wait", "cluster/"+lisbon, "--for", "connected", "--timeout", (2*time.Minute + patience).String())
	w.ready("web", 2)
	w.holds("one", "value", "2", lisbon)
}

// disconnected is how the hub logs the end of a stream.
var disconnected = regexp.MustCompile(`time=(\S+) .*msg="spoke disconnected" .*cluster=(\S+)`)

// cutAfter tells how long after its ban a cluster's stream ended, by the hub's clock.
func (w *world) cutAfter(cluster string) time.Duration {
	w.t.Helper()
	var c struct {
		Spec   struct{ Ban struct{ Time time.Time } }
		Status struct{ Phase string }
	}
	w.must(json.Unmarshal([]byte(w.do("get", "cluster", cluster, "-o", "json")), &c))
	if c.Status.Phase != "Banned" || c.Spec.Ban.Time.IsZero() {
		w.t.Fatalf("the cluster is %s, banned at %s", c.Status.Phase, c.Spec.Ban.Time)
	}
	for _, line := range disconnected.FindAllStringSubmatch(w.read(w.hubLog()), -1) {
		if line[2] == cluster {
			at, err := time.Parse(time.RFC3339, line[1])
			w.must(err)
			return at.Sub(c.Spec.Ban.Time)
		}
	}
	w.t.Fatalf("the stream of %s never ended", cluster)
	return 0
}
