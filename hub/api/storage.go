package api

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/rollout"
	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	definitionGroup = "apiextensions.k8s.io"
	definitionKind  = "CustomResourceDefinition"
	// maxVersions is how many versions are kept of one definition, which is in memory; real ones have a few.
	maxVersions = 64
	// maxSkeleton bounds what is kept of one definition for customizations, in bytes: without schemas, real ones have some hundred.
	maxSkeleton = 16 << 10
)

// definitionOf is what an object says of a CustomResourceDefinition's versions; nil of any other object. What the API server would refuse is told as far as
// it goes.
func definitionOf(object manifest.Object) *storev1.Definition {
	if object.Group() != definitionGroup || object.Kind() != definitionKind {
		return nil
	}
	d := &storev1.Definition{Name: object.Name()}
	spec, _ := object["spec"].(map[string]any)
	versions, _ := spec["versions"].([]any)
	for _, v := range versions[:min(len(versions), maxVersions)] {
		version, _ := v.(map[string]any)
		name, _ := version["name"].(string)
		if stored, _ := version["storage"].(bool); stored {
			d.Stored = name
		}
		d.Versions = append(d.Versions, name)
	}
	slices.Sort(d.Versions)
	if bare := withoutSchemas(object).JSON(); len(bare) <= maxSkeleton {
		d.Object = bare
	}
	return d
}

// withoutSchemas answers a definition without what is most of it.
func withoutSchemas(object manifest.Object) manifest.Object {
	object = object.Clone()
	spec, _ := object["spec"].(map[string]any)
	versions, _ := spec["versions"].([]any)
	for _, v := range versions {
		if version, ok := v.(map[string]any); ok {
			delete(version, "schema")
		}
	}
	return object
}

// definitionsIn are the definitions in an artifact. Hubs before did not look for them: then it is done here, once.
func (c *change) definitionsIn(digest string) ([]*storev1.Definition, error) {
	row := c.Artifact(digest)
	defines := func(key string) bool { return strings.HasPrefix(key, definitionGroup+"/"+definitionKind+"/") }
	if len(row.GetDefinitions()) > 0 || !slices.ContainsFunc(row.GetObjects(), defines) {
		return row.GetDefinitions(), nil
	}
	objects, err := c.definingObjects(row)
	if err != nil {
		return nil, err
	}
	row = proto.CloneOf(row)
	for _, object := range objects {
		row.Definitions = append(row.Definitions, definitionOf(object))
	}
	return row.Definitions, c.PutArtifact(row, nil)
}

// definingObjects reads the definitions of an artifact as they are.
func (c *change) definingObjects(row *storev1.Artifact) (out []manifest.Object, err error) {
	encoded, err := c.content(row.GetDigest())
	if err != nil {
		return nil, err
	}
	canonical, err := manifest.Decompress(encoded, int(row.GetSize()))
	if err != nil {
		return nil, err
	}
	set, err := manifest.Decode(canonical, manifest.Limits{Bytes: max(len(canonical), 1)})
	if err != nil {
		return nil, err
	}
	for _, object := range set.All() {
		if object.Group() == definitionGroup && object.Kind() == definitionKind {
			out = append(out, object)
		}
	}
	return out, nil
}

// storageWarnings tell that the latest revision of a bundle waits, or will wait, for a confirmation.
func storageWarnings(tx *store.ReadTx, b *yardarmv1.Bundle) []string {
	uid, latest := b.GetMetadata().GetUid(), b.GetStatus().GetLatestRevision()
	changes := tx.Revision(uid, latest).GetSpec().GetStorageChanges()
	if row := tx.Rollout(uid); len(changes) == 0 || row.GetRevision() == latest && !row.GetUnconfirmed() {
		return nil
	}
	return []string{fmt.Sprintf("its rollout waits for a confirmation, which `yardarm rollout approve bundle/%s` gives: %s", b.GetMetadata().GetName(), rollout.Confirmation(changes))}
}
