package store

import (
	"iter"

	"google.golang.org/protobuf/proto"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Groups are keyed by name: bundles target them by name.
var groups = durable(Groups, hard, func(g *yardarmv1.ClusterGroup) string { return g.GetMetadata().GetName() })

// Group returns the group with the name, or nil.
func (tx *ReadTx) Group(name string) *yardarmv1.ClusterGroup { return groups.get(tx, name) }

// Groups yields all groups by name.
func (tx *ReadTx) Groups() iter.Seq[*yardarmv1.ClusterGroup] { return tx.GroupsFrom("") }

// GroupsFrom yields the groups whose names are at least name, by name.
func (tx *ReadTx) GroupsFrom(name string) iter.Seq[*yardarmv1.ClusterGroup] {
	return groups.from(tx, idIndex, name)
}

// PutGroup inserts or replaces a group and sets its resource version. Its members follow; they are computed over all clusters, within the transaction. A
// group that does not compile is stored, and has no members.
func (tx *Tx) PutGroup(g *yardarmv1.ClusterGroup) error {
	if err := tx.stamp(g.GetMetadata()); err != nil {
		return err
	}
	old, err := groups.put(tx, g)
	if err != nil {
		return err
	}
	if old != nil && proto.Equal(old.Spec, g.Spec) {
		return nil
	}
	return tx.placeGroup(g)
}

// DeleteGroup deletes a group, if there is one with the name, and its memberships. Bundles that target it go on to name it.
func (tx *Tx) DeleteGroup(name string) error {
	old, err := groups.remove(tx, name)
	if err != nil || old == nil {
		return err
	}
	return tx.unplaceGroup(name)
}
