package dispatch

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/hub/store"
)

// deleteCluster ends a cluster whose spoke has removed all that it held. If the deletion was called off meanwhile, it
// changes nothing.
func deleteCluster(tx *store.Tx, uid string, now time.Time) error {
	cluster := tx.Cluster(uid)
	if cluster.GetSpec().GetRemoval() == nil {
		return nil
	}
	if err := tx.DeleteCluster(uid); err != nil {
		return err
	}
	if err := tx.PutDeletedCluster(&storev1.DeletedCluster{Uid: uid, Name: cluster.Metadata.Name, Time: timestamppb.New(now)}); err != nil {
		return err
	}
	return tx.AddEvent(&yardarmv1.Event{
		Time: timestamppb.New(now), Type: yardarmv1.EventNormal, Reason: "ClusterDeleted",
		Message: "its spoke has removed the workloads", Cluster: cluster.Metadata.Name, Actor: cluster.Spec.Removal.Actor,
	})
}
