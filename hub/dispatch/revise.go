package dispatch

import (
	"bytes"
	"sync"

	"github.com/hashicorp/golang-lru/simplelru"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/holdings"
)

const (
	// revisionEntries bounds what is remembered of brief changes. A change of one bundle needs one for all clusters that get the same
	// and come from the same.
	revisionEntries = 256
	// maxRevision is the largest content of a brief change, in bytes: a larger one is not brief, and is kept once as it is.
	maxRevision = 8 << 10
)

// revisions makes brief changes, encoded once for all spokes that go from one assignment to another. Safe for concurrent use.
type revisions struct {
	contents *contents

	mu    sync.Mutex
	cache *simplelru.LRU // revisionKey → *pendingRevision
}

// revisionKey is the hashes of two assignments.
type revisionKey struct{ from, to string }

// pendingRevision is made once, by whoever asks first: a change that all get has all ask at once.
type pendingRevision struct {
	once sync.Once
	made *inlineRevision
	err  error
}

// inlineRevision is a change as it travels within a delta.
type inlineRevision struct {
	// encoded is the field of the delta, and digest the artifact whose content is in it; empty for none.
	encoded []byte
	digest  string
}

func newRevisions(c *contents) *revisions {
	cache, err := simplelru.NewLRU(revisionEntries, nil)
	if err != nil {
		panic("dispatch: " + err.Error()) // only for a size below one
	}
	return &revisions{contents: c, cache: cache}
}

// artifacts is what a revision reads of one snapshot of the store.
type artifacts interface {
	Artifact(digest string) *storev1.Artifact
}

// inline answers the change from what a spoke holds, content and all, to a, or nil where it takes more than a revision.
func (r *revisions) inline(tx artifacts, from holding, a *yardarmv1.AssignmentSpec) (*inlineRevision, error) {
	key := revisionKey{string(from.hash), string(a.Hash)}
	r.mu.Lock()
	value, ok := r.cache.Get(key)
	if !ok {
		value = &pendingRevision{}
		r.cache.Add(key, value)
	}
	r.mu.Unlock()
	p := value.(*pendingRevision)
	p.once.Do(func() {
		if p.made, p.err = r.encode(tx, from, a); p.err != nil {
			r.forget(key)
		}
	})
	return p.made, p.err
}

// forget makes a failure be tried again.
func (r *revisions) forget(key revisionKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cache.Remove(key)
}

func (r *revisions) encode(tx artifacts, from holding, a *yardarmv1.AssignmentSpec) (*inlineRevision, error) {
	base := tx.Artifact(from.digest)
	if base == nil || !revises(from, base.Size, a) {
		return nil, nil
	}
	change := &spokev1.Revise{Revision: a.Revision, Hash: a.Hash[:holdings.ProofSize]}
	made := &inlineRevision{}
	if from.digest != a.Digest {
		content, err := r.contents.inline(from.digest, a.Digest)
		if err != nil || content == nil || content.BaseDigest != from.digest || len(content.Data) > maxRevision {
			return nil, err
		}
		change.Size, change.Delta, made.digest = content.Size, content.Data, a.Digest
	}
	value, err := proto.Marshal(&spokev1.Change{Change: &spokev1.Change_Revise{Revise: change}, BaseHash: holdings.Cut(from.hash)})
	made.encoded = protowire.AppendBytes(protowire.AppendTag(nil, changesField, protowire.BytesType), value)
	return made, err
}

// revises tells whether what a spoke holds becomes a by another revision number and another artifact alone: whether a with those
// of the holding is the assignment that it holds.
func revises(from holding, size uint64, a *yardarmv1.AssignmentSpec) bool {
	old := proto.CloneOf(a)
	old.Revision, old.Digest, old.Size = from.revision, from.digest, size
	return bytes.Equal(holdings.AssignmentHash(old), from.hash)
}
