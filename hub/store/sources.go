package store

import (
	"iter"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Source is what the hub has seen of a bundle's source. It is in memory only: what it has led to is in the bundle's revisions.
type Source struct {
	BundleUID string
	Status    *yardarmv1.SourceStatus
}

var sources = inMemory(Sources, func(s *Source) string { return s.BundleUID })

// Source returns what was seen of a bundle's source, or nil where nothing has been since the hub's start.
func (tx *ReadTx) Source(bundleUID string) *yardarmv1.SourceStatus {
	if row := sources.get(tx, bundleUID); row != nil {
		return row.Status
	}
	return nil
}

// Sources yields what was seen of all bundles' sources, by bundle uid.
func (tx *ReadTx) Sources() iter.Seq[*yardarmv1.SourceStatus] {
	return func(yield func(*yardarmv1.SourceStatus) bool) {
		for row := range sources.scan(tx, idIndex, "") {
			if !yield(row.Status) {
				return
			}
		}
	}
}

// PutSource inserts or replaces what was seen of a bundle's source; nil is nothing. That of a bundle that does not exist is dropped.
func (tx *Tx) PutSource(bundleUID string, status *yardarmv1.SourceStatus) error {
	if status == nil || tx.Bundle(bundleUID) == nil {
		_, err := sources.remove(tx, bundleUID)
		return err
	}
	_, err := sources.put(tx, &Source{BundleUID: bundleUID, Status: status})
	return err
}
