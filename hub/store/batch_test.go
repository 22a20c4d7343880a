package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Whatever a batch's updates have written, and those among them that fail have taken back, each reads the same rows as a snapshot that asks go-memdb.
func TestBatchReadsItsWrites(t *testing.T) {
	s := opened(t, Config{})
	random := rand.New(rand.NewPCG(1, 2))
	const some = 6 // so few that names are given up and taken again
	uid := func(i int) string { return fmt.Sprintf("u%d", i) }
	name := func(i int) string { return fmt.Sprintf("n%d", i) }
	compare := func(tx *Tx, done string) {
		snapshot := tx.Snapshot()
		for i := range some {
			if got, want := tx.Cluster(uid(i)), snapshot.Cluster(uid(i)); got != want {
				t.Errorf("%s: %s is %v, want %v", done, uid(i), got, want)
			}
			if got, want := tx.ClusterByName(name(i)), snapshot.ClusterByName(name(i)); got != want {
				t.Errorf("%s: the cluster with the name %s is %v, want %v", done, name(i), got, want)
			}
		}
	}
	errTest := errors.New("test")
	for round := range 40 {
		var requests []*request
		for n := range 5 {
			requests = append(requests, &request{done: make(chan struct{}), fn: func(tx *Tx) error {
				compare(tx, fmt.Sprintf("round %d, update %d", round, n))
				for range random.IntN(4) {
					i := random.IntN(some)
					if random.IntN(3) == 0 {
						if err := tx.DeleteCluster(uid(i)); err != nil {
							return err
						}
					} else if to := name(random.IntN(some)); tx.ClusterByName(to) == nil {
						if err := tx.PutCluster(&yardarmv1.Cluster{Metadata: &yardarmv1.ObjectMeta{Uid: uid(i), Name: to}}); err != nil {
							return err
						}
					}
					compare(tx, fmt.Sprintf("round %d, within update %d", round, n))
				}
				if random.IntN(3) == 0 {
					return errTest
				}
				return nil
			}})
		}
		s.turn <- struct{}{}
		taken := s.commitUpdates(requests)
		<-s.turn
		for _, r := range requests[:taken] {
			if r.err != nil && !errors.Is(r.err, errTest) {
				t.Fatal(r.err)
			}
		}
	}
}
