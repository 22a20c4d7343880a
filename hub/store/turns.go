package store

import (
	"iter"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

var turns = durable(Turns, hard, func(t *storev1.Turn) string { return join(t.GetBundleUid(), t.GetClusterUid()) },
	by(clusterIndex, func(t *storev1.Turn) []string { return []string{t.GetClusterUid()} }).
		in(ofFirstDigits, func(t *storev1.Turn) ends { return ends{t.GetClusterUid(), t.GetBundleUid()} })).
	in(ofLastDigits, func(t *storev1.Turn) ends { return ends{t.GetBundleUid(), t.GetClusterUid()} })

// Turn returns what a cluster waits for with a bundle; nil where it does not.
func (tx *ReadTx) Turn(bundleUID, clusterUID string) *storev1.Turn {
	return turns.get(tx, bundleUID, clusterUID)
}

// TurnsOf yields the turns that clusters wait for with a bundle, by cluster uid.
func (tx *ReadTx) TurnsOf(bundleUID string) iter.Seq[*storev1.Turn] {
	return turns.scan(tx, idIndex, bundleUID+separator)
}

// Before returns what a cluster was before its labels or groups have changed, where what follows from that with a bundle waits for its turn; nil otherwise.
func (tx *ReadTx) Before(bundleUID, clusterUID string) *storev1.Before {
	return tx.Turn(bundleUID, clusterUID).GetBefore()
}

func (tx *Tx) putTurn(t *storev1.Turn) error {
	_, err := turns.put(tx, t)
	tx.touchTurn(t)
	return err
}

// TakeTurn ends the wait of a cluster, unless it waits for something else by now than for this; nil is no wait.
func (tx *Tx) TakeTurn(t *storev1.Turn) error {
	if t == nil || tx.Turn(t.BundleUid, t.ClusterUid) != t {
		return nil
	}
	_, err := turns.remove(tx, turns.key(t))
	tx.touchTurn(t)
	return err
}

func (tx *Tx) deleteTurnsOfCluster(uid string) error {
	for t := range turns.scan(&tx.ReadTx, clusterIndex, uid+separator) {
		if _, err := turns.remove(tx, turns.key(t)); err != nil {
			return err
		}
	}
	return nil
}

// touchTurn lets subscribers of Assigned know that a cluster is to run something else.
func (tx *Tx) touchTurn(t *storev1.Turn) {
	tx.touched = append(tx.touched, touch{Assigned, join(t.GetClusterUid(), t.GetBundleUid())})
}
