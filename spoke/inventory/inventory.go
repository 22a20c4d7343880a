package inventory

import (
	"crypto/sha256"
	"maps"
	"slices"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/kube"
)

// Entry is one object that a bundle has applied, or is about to.
type Entry struct {
	// Version of the API in which it was applied.
	Version string
	// UID of the live object; empty until an apply was answered.
	UID string
	// Content identifies what was applied, and Fields our entry in the live object's managedFields after that. An object whose
	// live state still has both needs no request. 0: not known to be applied.
	Content, Fields uint64
	// Ended is how a Job came to its end, once it has: one that deletes itself after that is not missed. Round is the request to
	// reconcile under which it failed; another one runs it again.
	Ended Ended
	Round uint64
	// Condemned is set from the moment that its deletion is decided on, until it is gone.
	Condemned bool
}

// Ended is how a Job came to its end; empty before, and for everything else.
type Ended string

// Ends of Jobs.
const (
	EndedWell  Ended = "complete"
	EndedBadly Ended = "failed"
)

// Inventory of one bundle. It is a value of its owner: not safe for concurrent use.
type Inventory struct {
	BundleUID, Bundle string
	// Digest is that of what the cluster holds, or is being brought to, after customization; with the namespace that was the
	// bundle's default then, and the revision, both for reports. Empty before the first.
	Digest    string
	Namespace string
	Revision  uint32
	Entries   map[manifest.Ref]Entry

	version kube.Version      // of what is stored; empty: nothing is
	stored  [sha256.Size]byte // of its encoded form
}

// New answers an empty inventory.
func New(bundleUID, bundle string) *Inventory {
	return &Inventory{BundleUID: bundleUID, Bundle: bundle, Entries: map[manifest.Ref]Entry{}}
}

// Refs answers all objects, ascending.
func (i *Inventory) Refs() []manifest.Ref {
	return slices.SortedFunc(maps.Keys(i.Entries), manifest.Ref.Compare)
}

// Condemned counts the objects whose deletion is under way.
func (i *Inventory) Condemned() int {
	n := 0
	for _, e := range i.Entries {
		if e.Condemned {
			n++
		}
	}
	return n
}
