package store

import (
	"iter"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// digestIndex finds revisions by the artifacts that they name.
const digestIndex = "digest"

var revisions = durable(Revisions, hard,
	func(r *yardarmv1.Revision) string {
		return revisionKey(r.GetSpec().GetBundleUid(), r.GetSpec().GetNumber())
	},
	by(digestIndex, func(r *yardarmv1.Revision) []string { return r.GetSpec().Digests() }))

func revisionKey(bundleUID string, number uint32) string { return join(bundleUID, digits(number)) }

// Revision returns a revision of a bundle, or nil.
func (tx *ReadTx) Revision(bundleUID string, number uint32) *yardarmv1.Revision {
	return revisions.get(tx, bundleUID, digits(number))
}

// Revisions yields the revisions of a bundle, the newest first.
func (tx *ReadTx) Revisions(bundleUID string) iter.Seq[*yardarmv1.Revision] {
	return revisions.scanBack(tx, bundleUID+separator)
}

// RevisionsWith yields the revisions of all bundles that name the artifact.
func (tx *ReadTx) RevisionsWith(digest string) iter.Seq[*yardarmv1.Revision] {
	return revisions.scan(tx, digestIndex, digest+separator)
}

// PutRevision inserts or replaces a revision and sets its resource version.
func (tx *Tx) PutRevision(r *yardarmv1.Revision) error {
	if err := tx.stamp(r.GetMetadata()); err != nil {
		return err
	}
	_, err := revisions.put(tx, r)
	return err
}

// DeleteRevision deletes a revision, if there is such a one. Its artifact stays.
func (tx *Tx) DeleteRevision(bundleUID string, number uint32) error {
	_, err := revisions.remove(tx, revisionKey(bundleUID, number))
	return err
}
