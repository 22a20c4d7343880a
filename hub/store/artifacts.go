package store

import (
	"fmt"
	"iter"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// Artifacts describe contents, which are on disk only: see [Store.Content].
var artifacts = durable(Artifacts, hard, func(a *storev1.Artifact) string { return a.GetDigest() })

// Artifact returns the description of the artifact with the digest, or nil.
func (tx *ReadTx) Artifact(digest string) *storev1.Artifact { return artifacts.get(tx, digest) }

// Artifacts yields the descriptions of all artifacts by digest.
func (tx *ReadTx) Artifacts() iter.Seq[*storev1.Artifact] { return artifacts.scan(tx, idIndex, "") }

// PutArtifact inserts or replaces an artifact's description and its content. The store takes encoded, too, which must not be changed any more. Nil keeps
// the content that is there.
func (tx *Tx) PutArtifact(a *storev1.Artifact, encoded []byte) error {
	if encoded == nil && tx.Artifact(a.GetDigest()) == nil {
		return tx.fail(fmt.Errorf("put artifact %s: no content: %w", a.GetDigest(), ErrNotFound))
	}
	if _, err := artifacts.put(tx, a); err != nil {
		return err
	}
	if encoded != nil {
		tx.contents = append(tx.contents, content{a.Digest, encoded})
	}
	return nil
}

// DeleteArtifact deletes an artifact, if there is one with the digest, and its content. A snapshot that still shows the artifact does not keep the
// content.
func (tx *Tx) DeleteArtifact(digest string) error {
	old, err := artifacts.remove(tx, digest)
	if err != nil || old == nil {
		return err
	}
	tx.contents = append(tx.contents, content{digest, nil})
	return nil
}
