package api

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/placement"
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
	return d
}

// storageChanges are the definitions that a revision, which is the bundle's next, stores in another way than what the bundle's clusters run now: not the
// revision before, which need not have reached them. Customizations, which say how clusters differ, are not looked into.
func (c *change) storageChanges(b *yardarmv1.Bundle, next *yardarmv1.RevisionSpec) ([]*yardarmv1.StorageChange, error) {
	defines := false
	for _, digest := range next.Digests() {
		definitions, err := c.definitionsIn(digest)
		if err != nil {
			return nil, err
		}
		defines = defines || len(definitions) > 0
	}
	if !defines {
		return nil, nil
	}
	var moves []rollout.Move
	for step := range c.moves(b, next) {
		before, err := c.definitionsIn(step.from)
		if err != nil {
			return nil, err
		}
		after, err := c.definitionsIn(step.to)
		if err != nil {
			return nil, err
		}
		moves = append(moves, rollout.Move{Before: before, After: after})
	}
	return rollout.StorageChanges(moves), nil
}

// move is from one artifact to another, by their digests.
type move struct{ from, to string }

// moves are those that a bundle's clusters make, each once, from what they run to the revision that is next. With variants, only clusters tell which of them
// follows which.
func (c *change) moves(b *yardarmv1.Bundle, next *yardarmv1.RevisionSpec) map[move]bool {
	out := make(map[move]bool)
	uid := b.GetMetadata().GetUid()
	runs := map[uint32]bool{placement.Settled(&c.ReadTx, b): true}
	for m := range c.RolloutMembers(uid) {
		runs[m.Runs] = true
	}
	varied := len(next.GetVariants()) > 0
	for number := range runs {
		spec := c.Revision(uid, number).GetSpec()
		out[move{spec.GetDigest(), next.GetDigest()}] = true
		varied = varied || len(spec.GetVariants()) > 0
	}
	if varied {
		clear(out)
		for cluster := range c.ClustersOf(uid) {
			groups := c.GroupsOf(cluster.GetMetadata().GetUid())
			spec := c.Revision(uid, placement.RevisionFor(&c.ReadTx, cluster.GetMetadata().GetUid(), b)).GetSpec()
			out[move{placement.ArtifactFor(spec, groups).GetDigest(), placement.ArtifactFor(next, groups).GetDigest()}] = true
		}
	}
	for step := range out {
		if step.from == "" || step.to == "" || step.from == step.to {
			delete(out, step)
		}
	}
	return out
}

// definitionsIn are the definitions in an artifact. Hubs before did not look for them: then it is done here, once.
func (c *change) definitionsIn(digest string) ([]*storev1.Definition, error) {
	row := c.Artifact(digest)
	defines := func(key string) bool { return strings.HasPrefix(key, definitionGroup+"/"+definitionKind+"/") }
	if len(row.GetDefinitions()) > 0 || !slices.ContainsFunc(row.GetObjects(), defines) {
		return row.GetDefinitions(), nil
	}
	encoded, err := c.content(digest)
	if err != nil {
		return nil, err
	}
	canonical, err := manifest.Decompress(encoded, int(row.Size))
	if err != nil {
		return nil, err
	}
	set, err := manifest.Decode(canonical, manifest.Limits{Bytes: max(len(canonical), 1)})
	if err != nil {
		return nil, err
	}
	row = proto.CloneOf(row)
	for _, object := range set.All() {
		if d := definitionOf(object); d != nil {
			row.Definitions = append(row.Definitions, d)
		}
	}
	return row.Definitions, c.PutArtifact(row, nil)
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
