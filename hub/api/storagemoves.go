package api

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/hub/rollout"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/pkg/manifest/customize"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// maxMade bounds how many ways in which clusters make definitions of artifacts are looked into for one revision: a fleet has some for its groups, and each
	// takes well below a millisecond. Definitions beyond are taken as the artifact has them.
	maxMade = 1000
	// maxWhole bounds how many of them are looked into with all of the definitions, schemas included, since their patches are about schemas.
	maxWhole = 16
)

// storageChanges are the definitions that a revision, which is the bundle's next, stores in another way than what the bundle's clusters run now: not the
// revision before, which need not have reached them. What counts is what clusters make of them by their customizations.
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
	d := &definer{change: c, made: map[making]*definitions{}}
	seen := map[[2]*definitions]bool{}
	var moves []rollout.Move
	for _, step := range c.moves(b, next) {
		before, err := d.of(step.from)
		if err != nil {
			return nil, err
		}
		after, err := d.of(step.to)
		if err != nil {
			return nil, err
		}
		if !seen[[2]*definitions{before, after}] {
			seen[[2]*definitions{before, after}] = true
			moves = append(moves, rollout.Move{Before: before.list, After: after.list})
		}
	}
	return rollout.StorageChanges(moves), nil
}

// move is from what a cluster runs to what it would.
type move struct{ from, to *yardarmv1.AssignmentSpec }

// moves are those that a bundle's clusters make to the revision that is next. Where neither variants nor customizations tell them apart, it is the
// revisions that move, whether or not they have reached anybody.
func (c *change) moves(b *yardarmv1.Bundle, next *yardarmv1.RevisionSpec) (out []move) {
	uid := b.GetMetadata().GetUid()
	runs := map[uint32]bool{placement.Settled(&c.ReadTx, b): true}
	for m := range c.RolloutMembers(uid) {
		runs[m.Runs] = true
	}
	apart := differs(next)
	for number := range runs {
		spec := c.Revision(uid, number).GetSpec()
		apart = apart || differs(spec)
		if from := spec.GetDigest(); from != "" && from != next.GetDigest() {
			out = append(out, move{&yardarmv1.AssignmentSpec{Digest: from}, &yardarmv1.AssignmentSpec{Digest: next.GetDigest()}})
		}
	}
	if !apart {
		return out
	}
	out = nil
	draft, assigners := placement.NewDraft(b, next), map[uint32]*placement.Assigner{}
	for cluster := range c.ClustersOf(uid) {
		number := placement.RevisionFor(&c.ReadTx, cluster.GetMetadata().GetUid(), b)
		if assigners[number] == nil {
			assigners[number] = placement.NewAssigner(&c.ReadTx, b, number)
		}
		from, to := assigners[number].Assign(&c.ReadTx, cluster), draft.Assign(&c.ReadTx, cluster)
		if from != nil && to != nil {
			out = append(out, move{from, to})
		}
	}
	return out
}

// differs tells whether clusters may differ in what they make of a revision.
func differs(spec *yardarmv1.RevisionSpec) bool {
	return len(spec.GetVariants()) > 0 || spec.GetCustomization() != nil ||
		slices.ContainsFunc(spec.GetTargets(), func(t *yardarmv1.Target) bool { return t.GetCustomization() != nil })
}

// definer finds out what clusters make of definitions, each way once.
type definer struct {
	*change
	made  map[making]*definitions
	whole int
}

// making is an artifact and its customization, of which clusters share one; and the values of a cluster, where these matter.
type making struct {
	digest        string
	customization *yardarmv1.Customization
	values        string
}

// definitions are those that clusters get.
type definitions struct {
	list []*storev1.Definition
	// varies says that other clusters may get others by the same customization.
	varies bool
}

// of answers the definitions that an assignment brings.
func (d *definer) of(a *yardarmv1.AssignmentSpec) (*definitions, error) {
	key := making{digest: a.GetDigest(), customization: a.GetCustomization()}
	out := d.made[key]
	if out != nil && out.varies {
		key.values = d.textOf(a)
		out = d.made[key]
	}
	if out != nil {
		return out, nil
	}
	plain, err := d.definitionsIn(a.GetDigest())
	if err != nil {
		return nil, err
	}
	out = &definitions{list: plain}
	if len(plain) > 0 && a.GetCustomization() != nil && len(d.made) < maxMade {
		if out, err = d.customized(plain, a); err != nil {
			return nil, err
		}
	}
	d.made[key] = out
	if out.varies && key.values == "" {
		key.values = d.textOf(a)
		d.made[key] = out
	}
	return out, nil
}

// customized looks at the definitions without their schemas first. What cannot be customized at all changes nothing in the cluster, and is taken as it is.
func (d *definer) customized(plain []*storev1.Definition, a *yardarmv1.AssignmentSpec) (*definitions, error) {
	out := &definitions{list: plain}
	objects := bare(plain)
	if objects != nil && d.customize(out, objects, a) || d.whole == maxWhole {
		return out, nil
	}
	d.whole++
	objects, err := d.definingObjects(d.Artifact(a.GetDigest()))
	if err != nil {
		return nil, err
	}
	d.customize(out, objects, a)
	return out, nil
}

// bare are definitions as they are kept, without their schemas; nil where some are not.
func bare(plain []*storev1.Definition) []manifest.Object {
	objects := make([]manifest.Object, len(plain))
	for i, definition := range plain {
		value, _ := manifest.ParseValue(definition.GetObject(), maxSkeleton)
		object, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		objects[i] = object
	}
	return objects
}

// customize notes what an assignment makes of objects. It answers false if they cannot be customized.
func (d *definer) customize(out *definitions, objects []manifest.Object, a *yardarmv1.AssignmentSpec) bool {
	set, err := manifest.NewSet(objects, manifest.Limits{})
	if err != nil {
		return false
	}
	set, out.varies, err = customize.Part(set, a.GetCustomization(), d.valuesOf(a))
	if err != nil {
		return false
	}
	out.list = nil
	for _, object := range set.All() {
		out.list = append(out.list, definitionOf(object))
	}
	return true
}

func (d *definer) valuesOf(a *yardarmv1.AssignmentSpec) customize.Values {
	cluster := d.ClusterByName(a.GetCluster()).GetMetadata().GetUid()
	return customize.Values{Name: a.GetCluster(), Labels: a.GetLabels(), Facts: d.Observed(cluster).GetFacts()}
}

// textOf is what tells the values of a cluster from those of others.
func (d *definer) textOf(a *yardarmv1.AssignmentSpec) string {
	v := d.valuesOf(a)
	var b strings.Builder
	fmt.Fprintf(&b, "%q %v", v.Name, v.Facts)
	for _, key := range slices.Sorted(maps.Keys(v.Labels)) {
		fmt.Fprintf(&b, " %q=%q", key, v.Labels[key])
	}
	return b.String()
}
