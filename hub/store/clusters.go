package store

import (
	"fmt"
	"iter"
	"maps"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const nameIndex = "name"

var clusters = func() *table[yardarmv1.Cluster] {
	uid := func(c *yardarmv1.Cluster) string { return c.GetMetadata().GetUid() }
	return durable(Clusters, hard, uid, uniqueBy(nameIndex, func(c *yardarmv1.Cluster) string { return c.GetMetadata().GetName() })).
		in(ofFirstDigits, func(c *yardarmv1.Cluster) ends { return ends{last: uid(c)} })
}()

// Cluster returns the cluster with the uid, or nil.
func (tx *ReadTx) Cluster(uid string) *yardarmv1.Cluster { return clusters.get(tx, uid) }

// ClusterByName returns the cluster with the name, or nil.
func (tx *ReadTx) ClusterByName(name string) *yardarmv1.Cluster {
	return clusters.first(tx, nameIndex, name)
}

// Clusters yields all clusters by name.
func (tx *ReadTx) Clusters() iter.Seq[*yardarmv1.Cluster] { return tx.ClustersFrom("") }

// ClustersFrom yields the clusters whose names are at least name, by name.
func (tx *ReadTx) ClustersFrom(name string) iter.Seq[*yardarmv1.Cluster] {
	return clusters.from(tx, nameIndex, name)
}

// PutCluster inserts or replaces a cluster and sets its resource version. Its memberships follow. The error wraps [ErrNameTaken] if another cluster
// has the name.
func (tx *Tx) PutCluster(c *yardarmv1.Cluster) error {
	if err := tx.stamp(c.GetMetadata()); err != nil {
		return err
	}
	if other := tx.ClusterByName(c.Metadata.Name); other != nil && other.Metadata.Uid != c.Metadata.Uid {
		return tx.fail(fmt.Errorf("put cluster %s: %w", c.Metadata.Name, ErrNameTaken))
	}
	old, err := clusters.put(tx, c)
	if err != nil {
		return err
	}
	tx.state.labelled = nil
	if old != nil && old.Metadata.Name == c.Metadata.Name && maps.Equal(old.Metadata.Labels, c.Metadata.Labels) {
		return nil
	}
	return tx.placeCluster(c, false)
}

// DeleteCluster deletes a cluster, if there is one with the uid, and all that belongs to it: identity, tokens, acceptances, reconciliations, turns,
// observed state, presence and memberships.
func (tx *Tx) DeleteCluster(uid string) error {
	old, err := clusters.remove(tx, uid)
	if err != nil || old == nil {
		return err
	}
	tx.state.labelled = nil
	if _, err := identities.remove(tx, uid); err != nil {
		return err
	}
	for token := range tx.TokensOf(uid) {
		if err := tx.DeleteToken(token.Id); err != nil {
			return err
		}
	}
	if err := acceptances.removeAll(tx, uid+separator); err != nil {
		return err
	}
	if err := tx.deleteReconciliationsOfCluster(uid); err != nil {
		return err
	}
	if err := tx.deleteTurnsOfCluster(uid); err != nil {
		return err
	}
	if _, err := observed.remove(tx, uid); err != nil {
		return err
	}
	if err := observedBundles.removeAll(tx, uid+separator); err != nil {
		return err
	}
	if _, err := presences.remove(tx, uid); err != nil {
		return err
	}
	return tx.unplaceCluster(uid)
}
