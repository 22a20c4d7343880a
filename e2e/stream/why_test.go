package stream

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/hub/why"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// why explains, as the API does.
func (h *hub) why(cluster, bundle string) *yardarmv1.Explanation {
	d := h.dispatch.Delivery(h.t.Context(), uid(cluster), uid(bundle))
	tx := h.store.Read()
	return why.Of(why.Input{Tx: tx, Cluster: tx.Cluster(uid(cluster)), Bundle: bundle, Delivery: d, Sees: func(string) bool { return true }, Now: h.now()})
}

// because waits until the reason is this one, and checks what an explanation has in any case.
func (h *hub) because(cluster, bundle, reason string) {
	h.t.Helper()
	var x *yardarmv1.Explanation
	eventually(h.t, fmt.Sprintf("%s in %s is %s", bundle, cluster, reason), func() bool {
		x = h.why(cluster, bundle)
		return x.Reason == reason
	})
	stopped := false
	for i, s := range x.Steps {
		if s.Done == stopped && (stopped || s.Reason == "") || s.Done && s.Message == "" {
			h.t.Errorf("%s: step %d is %v", reason, i, s)
		}
		if !s.Done && !stopped {
			stopped = true
			if s.Reason != reason || s.Message != x.Answer {
				h.t.Errorf("%s: the first step that is not done is %v", reason, s)
			}
		}
	}
	if len(x.Steps) != 7 || x.Answer == "" || stopped == (reason == yardarmv1.WhyReady) {
		h.t.Errorf("%s: %v", reason, x)
	}
	h.t.Logf("%s: %s (%s)", reason, x.Answer, x.Remedy)
}

// Every reason is produced by a test, here or with a real cluster.
func TestWhyReasonsAreProduced(t *testing.T) {
	var tests []byte
	for _, file := range []string{"why_test.go", "whyrollout_test.go", "../scenarios/why_test.go", "../scenarios/storage_test.go"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tests = append(tests, text...)
	}
	for _, reason := range yardarmv1.WhyReasons {
		if !bytes.Contains(tests, []byte("yardarmv1.Why"+reason+")")) && !bytes.Contains(tests, []byte(`, "`+reason+`", `)) {
			t.Errorf("no test produces %s", reason)
		}
	}
}

// Before anything is sent, a cluster is kept from a bundle by its groups, by its enrolment, or by somebody's decision.
func TestWhyNothingIsSent(t *testing.T) {
	h := newHub(t, nil)
	h.group("prod", prod, "")
	h.group("big", prod, "facts.nodes > 100")
	h.publish("web", text(100, "1"), "prod")
	h.publish("huge", text(100, "1"), "big")
	h.publish("nowhere", text(100, "1"))
	h.update(func(tx *store.Tx) error {
		return tx.PutBundle(&yardarmv1.Bundle{Metadata: &yardarmv1.ObjectMeta{Name: "draft", Uid: uid("draft")}, Status: &yardarmv1.BundleStatus{},
			Spec: &yardarmv1.BundleSpec{Targets: []*yardarmv1.Target{{Group: "prod"}}}})
	})
	h.cluster("lab", map[string]string{"env": "lab"})
	h.cluster("new", prod)
	h.because("lab", "web", yardarmv1.WhyNotSelected)
	h.because("new", "nowhere", yardarmv1.WhyNoTargets)
	h.because("new", "draft", yardarmv1.WhyNoRevision)
	h.publish("varied", text(100, "1"), "prod")
	h.update(func(tx *store.Tx) error {
		r := proto.CloneOf(tx.Revision(uid("varied"), 1))
		r.Spec.Variants, r.Spec.Targets = []*yardarmv1.RevisionVariant{{Name: "large", Digest: r.Spec.Digest}}, []*yardarmv1.Target{{Group: "prod", Variant: "small"}}
		return tx.PutRevision(r)
	})
	h.because("new", "varied", yardarmv1.WhyNoVariant)
	h.because("new", "huge", yardarmv1.WhyOutsideByFacts)
	h.because("new", "web", yardarmv1.WhyNotEnrolled)
	enrol(t, h, "edge-1", prod)
	h.because("edge-1", "web", yardarmv1.WhyNeverConnected)
	h.changeCluster("edge-1", func(c *yardarmv1.Cluster) { c.Spec.Ban = &yardarmv1.Ban{Reason: "stolen"} })
	h.because("edge-1", "web", yardarmv1.WhyClusterBanned)
	h.changeCluster("new", func(c *yardarmv1.Cluster) {
		c.Spec.Removal = &yardarmv1.Removal{Workloads: yardarmv1.Workloads_WORKLOADS_REMOVE}
	})
	h.because("new", "web", yardarmv1.WhyClusterDeleting)
}

// On its way to a spoke, an assignment is where the session says.
func TestWhyOnTheWay(t *testing.T) {
	h := newHub(t, nil)
	h.group("prod", prod, "")
	digest := h.publish("web", text(100, "1"), "prod")
	id := enrol(t, h, "edge-1", prod)
	r := connect(t, h, id)
	r.greet(id, func(hello *spokev1.Hello) { hello.HoldingsHash = []byte("another") })
	h.because("edge-1", "web", yardarmv1.WhyNotSent) // it has not said what it holds
	r.list()
	d := r.delta()
	web := d.Changes[0].GetAssign()
	h.because("edge-1", "web", yardarmv1.WhyNotAcknowledged)
	h.publish("db", text(100, "2"), "prod")
	h.because("edge-1", "db", yardarmv1.WhyNotSent) // one delta at a time
	r.ack(d.Cursor)
	h.because("edge-1", "web", yardarmv1.WhyFetchingContent)
	r.ack(d.Cursor, digest)
	h.because("edge-1", "web", yardarmv1.WhyNotReported)
	r.reports(&spokev1.ReportUpdate{Reports: []*yardarmv1.Report{about(web, yardarmv1.PhaseReady)}, ReportsHash: []byte("1"), Complete: true})
	h.because("edge-1", "web", yardarmv1.WhyReady)
	if x := h.why("edge-1", "web"); x.Steps[3].Time == nil || x.Steps[4].Time == nil || x.Revision != 1 {
		t.Errorf("when it was sent and persisted is not told: %v", x)
	}

	d = r.delta()
	for range 2 {
		r.nack(&spokev1.Nack{Cursor: d.Cursor, BundleUid: uid("db"), Code: spokev1.NackCode_NACK_CODE_UNSUPPORTED, Message: "upgrade the spoke"})
		r.list(held(web, d.Cursor))
	}
	h.because("edge-1", "db", yardarmv1.WhySpokeRefuses)

	h.retarget("web")
	h.because("edge-1", "web", yardarmv1.WhyLeaving)
	h.retarget("web", "prod")
	h.because("edge-1", "web", yardarmv1.WhyReady)
	r = connect(t, h, id)
	r.greet(id, nil) // and does not say that its reports are the same ones
	h.because("edge-1", "web", yardarmv1.WhyUnconfirmed)
	r.cancel()
	h.because("edge-1", "web", yardarmv1.WhyStale)
	h.stop()
	h.start()
	h.because("edge-1", "web", yardarmv1.WhyHubRestarted)
}

// Some assignments never leave the hub.
func TestWhyTheHubDoesNotSend(t *testing.T) {
	h := newHub(t, nil)
	h.group("prod", prod, "")
	h.publish("newer", text(100, "1"), "prod")
	h.publish("broken", text(100, "2"), "prod")
	h.publish("fine", text(100, "3"), "prod")
	h.update(func(tx *store.Tx) error {
		newer := proto.CloneOf(tx.Revision(uid("newer"), 1))
		newer.Spec.Customization = &yardarmv1.Customization{Substitute: true}
		broken := proto.CloneOf(tx.Revision(uid("broken"), 1))
		broken.Spec.Digest = manifest.DigestOf([]byte("what the database has lost")).String()
		return errors.Join(tx.PutRevision(newer), tx.PutRevision(broken))
	})
	id := enrol(t, h, "edge-1", prod)
	r := connect(t, h, id)
	r.greet(id, nil) // it knows no customization
	r.list()
	h.because("edge-1", "newer", yardarmv1.WhySpokeTooOld)
	h.because("edge-1", "broken", yardarmv1.WhyContentUnavailable)
	if d := r.delta(); len(d.Changes) != 1 || d.Changes[0].GetAssign().GetBundle() != "fine" {
		t.Errorf("sent: %v", d)
	}
}

// What was handed out after a backup is held, and asks; so does a removal that a spoke does not do by itself.
func TestWhyItIsHeld(t *testing.T) {
	h := newHub(t, nil)
	h.group("prod", prod, "")
	h.publish("web", text(100, "1"), "prod")
	h.publish("db", text(100, "1"), "prod")
	s := newSpoke(t, h, "edge-1", prod)
	s.asks = true
	s.start()
	h.awaitPhase("edge-1", "web", yardarmv1.PhaseReady, 1)
	backup := h.backup()
	h.publish("web", text(100, "2"), "prod")
	h.awaitPhase("edge-1", "web", yardarmv1.PhaseReady, 2)
	h.awaitPhase("edge-1", "db", yardarmv1.PhaseReady, 1)
	h.stop()
	h.dir = filepath.Join(t.TempDir(), "restored")
	if _, err := store.Restore(store.RestoreConfig{Source: backup, Dir: h.dir}); err != nil {
		t.Fatal(err)
	}
	h.start()
	h.because("edge-1", "web", yardarmv1.WhyHeldSinceRestore)
	h.retarget("db")
	h.because("edge-1", "db", yardarmv1.WhyDeletionAsks)
}
