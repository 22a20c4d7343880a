package store

import (
	"errors"
	"testing"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestDeleteClusterTakesAll(t *testing.T) {
	s := opened(t, Config{})
	update(t, s, func(tx *Tx) error {
		for _, uid := range []string{"c1", "c10"} {
			if err := errors.Join(
				tx.PutCluster(cluster(uid, uid, nil)),
				tx.PutIdentity(&storev1.Identity{ClusterUid: uid}),
				tx.PutToken(&storev1.EnrolmentToken{Id: "t" + uid, ClusterUid: uid}),
				tx.PutAcceptance(&storev1.Acceptance{ClusterUid: uid, BundleUid: "b", HoldingHash: []byte{1}}),
				tx.AddReconciliation(uid, "b"),
				tx.PutObserved(&storev1.Observed{ClusterUid: uid}),
				tx.PutObservedBundle(&storev1.ObservedBundle{ClusterUid: uid, Report: &yardarmv1.Report{BundleUid: "b"}}),
				tx.PutPresence(&Presence{ClusterUID: uid}),
			); err != nil {
				return err
			}
		}
		return tx.PutGroup(group("all", nil))
	})
	update(t, s, func(tx *Tx) error { return tx.DeleteCluster("c1") })
	check := func(s *Store) {
		t.Helper()
		tx := s.Read()
		for uid, there := range map[string]bool{"c1": false, "c10": true} {
			got := map[string]bool{
				"identity":        tx.Identity(uid) != nil,
				"token":           tx.Token("t"+uid) != nil,
				"acceptance":      first(tx.Acceptances(uid, "b")) != nil,
				"reconciliation":  tx.Reconciliations(uid, "b") > 0,
				"observed":        tx.Observed(uid) != nil,
				"observed bundle": tx.ObservedBundle(uid, "b") != nil,
				"membership":      len(tx.GroupsOf(uid)) > 0,
			}
			if uid != "c10" || tx.Presence("c10") != nil { // presence is gone after a restart
				got["presence"] = tx.Presence(uid) != nil
			}
			for what, is := range got {
				if is != there {
					t.Errorf("%s of %s: there is %v, want %v", what, uid, is, there)
				}
			}
		}
	}
	check(s)
	if s.Read().Presence("c10") == nil {
		t.Error("the presence of another cluster is gone")
	}
	// A session may end after its cluster.
	observe(t, s, func(tx *Tx) error {
		return errors.Join(tx.PutObserved(&storev1.Observed{ClusterUid: "c1"}),
			tx.PutObservedBundle(&storev1.ObservedBundle{ClusterUid: "c1", Report: &yardarmv1.Report{BundleUid: "b"}}),
			tx.PutPresence(&Presence{ClusterUID: "c1"}))
	})
	check(s)
	check(reopened(t, s))
}

func TestDeleteBundleTakesRevisions(t *testing.T) {
	s := opened(t, Config{})
	update(t, s, func(tx *Tx) error {
		return errors.Join(
			tx.PutBundle(bundle("b1", "one")), tx.PutBundle(bundle("b10", "ten")),
			tx.PutRevision(revision("b1", 1, "d")), tx.PutRevision(revision("b10", 1, "d")),
			tx.PutAcceptance(&storev1.Acceptance{ClusterUid: "c", BundleUid: "b1", HoldingHash: []byte{1}}),
			tx.PutAcceptance(&storev1.Acceptance{ClusterUid: "c", BundleUid: "b10", HoldingHash: []byte{1}}))
	})
	update(t, s, func(tx *Tx) error { return tx.DeleteBundle("b1") })
	tx := s.Read()
	if tx.Revision("b1", 1) != nil || first(tx.Acceptances("c", "b1")) != nil {
		t.Error("something of the deleted bundle is left")
	}
	if tx.Revision("b10", 1) == nil || first(tx.Acceptances("c", "b10")) == nil {
		t.Error("something of the other bundle is gone")
	}
}
