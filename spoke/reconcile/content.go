package reconcile

import (
	"context"
	"fmt"
	"hash/maphash"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/apply"
)

// content answers a parsed artifact, as it came from the hub.
func (r *Reconciler) content(ctx context.Context, digest string) (*manifest.Set, error) {
	data, err := r.state.Content(ctx, digest)
	if err != nil {
		return nil, err
	}
	set, err := manifest.Decode(data, manifest.Limits{Bytes: max(len(data), 1)})
	if err != nil {
		return nil, &invalidArtifact{err}
	}
	return set, nil
}

// invalidArtifact is content that is what its digest says, and still no artifact.
type invalidArtifact struct{ err error }

func (e *invalidArtifact) Error() string { return fmt.Sprintf("invalid artifact: %v", e.err) }
func (e *invalidArtifact) Unwrap() error { return e.err }

// wants is which objects an artifact has, in 8 bytes each, so that another bundle can ask before it deletes one. Customization
// changes nothing about that.
type wants struct {
	// digest and of (the delivery's namespace) say what it was made from.
	digest, of string
	namespace  string // for objects that name none
	refs       map[uint64]struct{}
}

var seed = maphash.MakeSeed()

func hashRef(ref manifest.Ref) uint64 { return maphash.Comparable(seed, ref) }

func wantsOf(digest, namespace string, set *manifest.Set) wants {
	w := wants{digest: digest, of: namespace, namespace: namespace, refs: make(map[uint64]struct{}, set.Len())}
	if w.namespace == "" {
		w.namespace = apply.DefaultNamespace
	}
	for ref := range set.All() {
		w.refs[hashRef(ref)] = struct{}{}
	}
	return w
}

// has tells whether an object of the cluster is among them, whether its manifest names a namespace or not.
func (w *wants) has(ref manifest.Ref) bool {
	if _, ok := w.refs[hashRef(ref)]; ok {
		return true
	}
	if ref.Namespace != w.namespace {
		return false
	}
	ref.Namespace = ""
	_, ok := w.refs[hashRef(ref)]
	return ok
}
