package store

import (
	"fmt"
	"iter"
	"slices"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// targetIndex finds bundles by the groups that they target.
const targetIndex = "target"

var bundles = durable(Bundles, hard,
	func(b *yardarmv1.Bundle) string { return b.GetMetadata().GetUid() },
	uniqueBy(nameIndex, func(b *yardarmv1.Bundle) string { return b.GetMetadata().GetName() }),
	by(targetIndex, targetsOf))

func targetsOf(b *yardarmv1.Bundle) []string {
	names := make([]string, 0, len(b.GetSpec().GetTargets()))
	for _, t := range b.GetSpec().GetTargets() {
		names = append(names, t.GetGroup())
	}
	return names
}

// Bundle returns the bundle with the uid, or nil.
func (tx *ReadTx) Bundle(uid string) *yardarmv1.Bundle { return bundles.get(tx, uid) }

// BundleByName returns the bundle with the name, or nil.
func (tx *ReadTx) BundleByName(name string) *yardarmv1.Bundle {
	return bundles.first(tx, nameIndex, name)
}

// Bundles yields all bundles by name.
func (tx *ReadTx) Bundles() iter.Seq[*yardarmv1.Bundle] { return tx.BundlesFrom("") }

// BundlesFrom yields the bundles whose names are at least name, by name.
func (tx *ReadTx) BundlesFrom(name string) iter.Seq[*yardarmv1.Bundle] {
	return bundles.from(tx, nameIndex, name)
}

// BundlesTargeting yields the bundles that target the group, in no particular order. The group need not exist.
func (tx *ReadTx) BundlesTargeting(group string) iter.Seq[*yardarmv1.Bundle] {
	return bundles.scan(tx, targetIndex, group+separator)
}

// PutBundle inserts or replaces a bundle and sets its resource version. The error wraps [ErrNameTaken] if another bundle has the name.
func (tx *Tx) PutBundle(b *yardarmv1.Bundle) error {
	if err := tx.stamp(b.GetMetadata()); err != nil {
		return err
	}
	if other := tx.BundleByName(b.Metadata.Name); other != nil && other.Metadata.Uid != b.Metadata.Uid {
		return tx.fail(fmt.Errorf("put bundle %s: %w", b.Metadata.Name, ErrNameTaken))
	}
	old, err := bundles.put(tx, b)
	if err != nil {
		return err
	}
	before, after := targetsOf(old), targetsOf(b)
	for _, group := range before {
		if !slices.Contains(after, group) {
			tx.touchMembers(group)
		}
	}
	for _, group := range after {
		if !slices.Contains(before, group) {
			tx.touchMembers(group)
		}
	}
	return nil
}

// DeleteBundle deletes a bundle, if there is one with the uid, with its revisions, rollout, source, acceptances and reconciliations. Artifacts stay, since other
// bundles may have the same; so does what spokes report about it.
func (tx *Tx) DeleteBundle(uid string) error {
	old, err := bundles.remove(tx, uid)
	if err != nil || old == nil {
		return err
	}
	for _, group := range targetsOf(old) {
		tx.touchMembers(group)
	}
	if err := revisions.removeAll(tx, uid+separator); err != nil {
		return err
	}
	if err := tx.PutSource(uid, nil); err != nil {
		return err
	}
	if err := tx.deleteRollout(uid); err != nil {
		return err
	}
	for a := range acceptances.scan(&tx.ReadTx, bundleIndex, uid+separator) {
		if _, err := acceptances.remove(tx, acceptanceKey(a)); err != nil {
			return err
		}
	}
	return tx.deleteReconciliationsOfBundle(uid)
}
