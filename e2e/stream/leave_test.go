package stream

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/store"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
	"github.com/yardarm-dev/yardarm/spoke/session"
)

// deleteAtOnce deletes a cluster as the API does where nothing waits for its spoke.
func deleteAtOnce(tx *store.Tx, cluster string) error {
	if err := tx.DeleteCluster(uid(cluster)); err != nil {
		return err
	}
	return tx.PutDeletedCluster(&storev1.DeletedCluster{Uid: uid(cluster), Name: cluster, Time: timestamppb.Now()})
}

func remove(h *hub, cluster string, w yardarmv1.Workloads) {
	h.changeCluster(cluster, func(c *yardarmv1.Cluster) { c.Spec.Removal = &yardarmv1.Removal{Workloads: w, Time: timestamppb.Now()} })
}

// A cluster that is removed with its workloads ends when its spoke has removed them, whatever the spoke was doing.
func TestClusterRemovalCompletes(t *testing.T) {
	for _, tc := range []struct {
		name             string
		bundles, offline bool
		asks, emptied    bool
	}{
		{"with bundles", true, false, false, false},
		// Regression: with nothing to remove, nothing ever said so.
		{"with nothing", false, false, false, false},
		{"offline, with bundles", true, true, false, false},
		{"offline, with nothing", false, true, false, false},
		// Its hash says already when it comes back that it holds what it should: nothing.
		{"offline, with nothing any more", false, true, false, true},
		{"while a removal is asked about", true, false, true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHub(t, nil)
			h.group("prod", prod, "")
			s := newSpoke(t, h, "edge-1", prod)
			s.asks = tc.asks
			s.start()
			s.awaitConnected(h)
			if tc.bundles {
				h.publish("web", text(100, "1"), "prod")
				h.publish("db", text(100, "2"), "prod")
				h.awaitPhase("edge-1", "web", yardarmv1.PhaseReady, 1)
				h.awaitPhase("edge-1", "db", yardarmv1.PhaseReady, 1)
			}
			if tc.emptied {
				h.publish("web", text(100, "1"), "prod")
				h.awaitPhase("edge-1", "web", yardarmv1.PhaseReady, 1)
				h.retarget("web")
				eventually(t, "it holds nothing any more", func() bool { return len(s.state.Entries()) == 0 })
			}
			if tc.asks {
				h.retarget("web")
				h.awaitPhase("edge-1", "web", yardarmv1.PhaseHeld, 1)
			}
			if tc.offline {
				s.halt()
			}
			remove(h, "edge-1", yardarmv1.Workloads_WORKLOADS_REMOVE)
			if tc.offline {
				s.start()
			}
			eventually(t, "the cluster is gone", func() bool {
				tx := h.store.Read()
				return tx.Cluster(uid("edge-1")) == nil && tx.DeletedCluster(uid("edge-1")) != nil
			})
			if n := len(s.state.Entries()); n != 0 {
				t.Errorf("it was gone while its spoke held %d bundles", n)
			}
			eventually(t, "the spoke gives up", func() bool { return errors.Is(s.ended(), session.ErrDeleted) })
			if h.countEvents("edge-1", "ClusterDeleted") != 1 {
				t.Errorf("events %v", h.events("edge-1"))
			}
		})
	}
}

// A cluster that leaves a group by its labels lets go; by a fact, it asks, each time.
func TestLeavingAGroup(t *testing.T) {
	h := newHub(t, nil)
	h.group("large", prod, "facts.nodes >= 3")
	h.group("prod", prod, "")
	h.publish("web", text(100, "1"), "large")
	h.publish("db", text(100, "2"), "prod")
	s := newSpoke(t, h, "edge-1", prod)
	s.start()
	h.awaitPhase("edge-1", "web", yardarmv1.PhaseReady, 1)
	nodes := func(n uint32) {
		s.halt()
		s.setFacts(&yardarmv1.Facts{Nodes: n})
		s.start()
	}
	for round := range 2 {
		nodes(1)
		r := h.awaitPhase("edge-1", "web", yardarmv1.PhaseHeld, 1)
		if r.Reason != yardarmv1.ReasonLeftByFact {
			t.Fatalf("round %d: %v", round, r)
		}
		if e := s.entry("web"); e.Hold == nil || e.Removal != nil {
			t.Fatalf("round %d: %+v", round, e)
		}
		// The next changes do not wear the hold away.
		h.publish("db", text(100, "next"), "prod")
		h.awaitPhase("edge-1", "db", yardarmv1.PhaseReady, uint32(2+round))
		if e := s.entry("web"); e == nil || e.Hold == nil {
			t.Fatalf("round %d, a delta later: %+v", round, e)
		}
		if round == 0 {
			// Back in the group: nothing was lost.
			nodes(3)
			h.awaitPhase("edge-1", "web", yardarmv1.PhaseReady, 1)
		}
	}
	h.accept("edge-1", "web")
	eventually(t, "web is gone", func() bool { return s.entry("web") == nil && h.report("edge-1", "web") == nil })
	// Regression: what was accepted once was accepted for ever.
	nodes(3)
	h.awaitPhase("edge-1", "web", yardarmv1.PhaseReady, 1)
	nodes(1)
	if r := h.awaitPhase("edge-1", "web", yardarmv1.PhaseHeld, 1); r.Reason != yardarmv1.ReasonLeftByFact {
		t.Errorf("the second time: %v", r)
	}
	// Regression: the deletion of a bundle that a cluster held without being its target reached nobody.
	h.update(func(tx *store.Tx) error {
		if err := tx.PutDeletedBundle(&storev1.DeletedBundle{Uid: uid("web"), Name: "web", Workloads: yardarmv1.Workloads_WORKLOADS_REMOVE}); err != nil {
			return err
		}
		return tx.DeleteBundle(uid("web"))
	})
	eventually(t, "web is gone", func() bool { return s.entry("web") == nil })
	// By labels it is a matter of people.
	h.changeCluster("edge-1", func(c *yardarmv1.Cluster) { c.Metadata.Labels = nil })
	eventually(t, "db is gone", func() bool { return s.entry("db") == nil })
}

// A removal that a spoke stops to ask about waits; the answer reaches it also when its stream has been another one since.
// Regression: what is being removed is in no hash, so after a reconnect the hub did not know of it.
func TestAcceptedDeletionReachesTheSpoke(t *testing.T) {
	h := newHub(t, nil)
	h.group("prod", prod, "")
	h.group("other", map[string]string{"env": "other"}, "")
	digest := h.publish("web", text(100, "1"), "prod")
	s := newSpoke(t, h, "edge-1", prod)
	s.asks = true
	s.start()
	h.awaitPhase("edge-1", "web", yardarmv1.PhaseReady, 1)
	h.retarget("web", "other")
	if r := h.awaitPhase("edge-1", "web", yardarmv1.PhaseHeld, 1); r.Reason != yardarmv1.ReasonMassDeletion {
		t.Fatalf("report %v", r)
	}
	s.restart()
	eventually(t, "the new process is connected", func() bool { return s.status().Connected })
	if e := s.entry("web"); e == nil || e.Removal.GetAccepted() {
		t.Fatalf("not asked: %+v", e)
	}
	accept := func(from string) {
		h.update(func(tx *store.Tx) error {
			return tx.PutAcceptance(&storev1.Acceptance{ClusterUid: uid("edge-1"), BundleUid: uid("web"), Deletion: &yardarmv1.AcceptedDeletion{FromDigest: from}})
		})
	}
	accept("sha256:another")
	time.Sleep(200 * time.Millisecond)
	if e := s.entry("web"); e == nil || e.Removal.GetAccepted() {
		t.Fatalf("another step was accepted: %+v", e)
	}
	accept(digest)
	eventually(t, "web is gone", func() bool { return s.entry("web") == nil })
	eventually(t, "the acceptance has served", func() bool {
		n := 0
		for a := range h.store.Read().Acceptances(uid("edge-1"), uid("web")) {
			n++
			if a.Deletion.FromDigest == digest {
				return false
			}
		}
		return n == 1
	})
}
