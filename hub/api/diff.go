package api

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/pkg/manifest/customize"
	"github.com/yardarm-dev/yardarm/pkg/manifest/difference"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// maxDiffInputs is how many different customizations are compared: a fleet has some for its groups and regions. The clusters beyond are counted.
	maxDiffInputs = 100
	// maxDiffObjects is how many objects are told of one part, and maxDiffBytes after how many bytes of all parts none are told any more, but counted:
	// gRPC clients take 4 MiB.
	maxDiffObjects  = 100
	maxDiffBytes    = 2 << 20
	maxDiffExamples = 3
)

// assigned is what clusters are to run of a bundle, by their uids.
type assigned map[string]*yardarmv1.AssignmentSpec

// assignedIn is what clusters are to run of a bundle by a snapshot: of the revision with the number, or where that is 0 of the one that the bundle's rollout
// has given to each.
func assignedIn(tx *store.ReadTx, b *yardarmv1.Bundle, number uint32) assigned {
	out := assigned{}
	if b == nil {
		return out
	}
	assigners := map[uint32]*placement.Assigner{}
	for cluster := range tx.ClustersOf(b.GetMetadata().GetUid()) {
		if cluster.GetSpec().GetRemoval() != nil {
			continue
		}
		uid, runs := cluster.GetMetadata().GetUid(), number
		if runs == 0 {
			runs = placement.RevisionFor(tx, uid, b)
		}
		if assigners[runs] == nil {
			assigners[runs] = placement.NewAssigner(tx, b, runs)
		}
		if spec := assigners[runs].Assign(tx, cluster); spec != nil {
			out[uid] = spec
		}
	}
	return out
}

// differ compares what clusters are to run with what they would, outside of the transaction that tells it.
type differ struct {
	*Server
	view
	// was and would are as of before the transaction, and as of what it would have written.
	was, would *store.ReadTx
	// before and after are by cluster, and groups the first target of each.
	before, after assigned
	groups        map[string]string
	// contents are artifacts by digest, with the published one among them.
	contents map[string]*content
	// inputs are by the hash of an assignment.
	inputs map[string]input
}

// input is what objects follow from, and whether the cluster's name and facts are among it.
type input struct {
	text        string
	name, facts bool
}

// content is an artifact, and what of a cluster its texts refer to.
type content struct {
	set         *manifest.Set
	name, facts bool
}

// derive finds what clusters are to run of a bundle and what they would, and the first target of each.
func (d *differ) derive(bundle string) {
	var both sync.WaitGroup
	defer both.Wait()
	both.Go(func() { d.before = assignedIn(d.was, d.was.BundleByName(bundle), 0) })
	b := d.would.BundleByName(bundle)
	d.after = assignedIn(d.would, b, b.GetStatus().GetLatestRevision())
	for uid := range d.after {
		groups := d.would.GroupsOf(uid)
		for _, t := range b.GetSpec().GetTargets() {
			if slices.Contains(groups, t.GetGroup()) {
				d.groups[uid] = t.GetGroup()
				break
			}
		}
	}
}

// mayDiff refuses whoever may not see manifests.
func (v view) mayDiff(call call, bundle string, targets []string) error {
	b := v.BundleByName(bundle)
	meta := cmp.Or(b.GetMetadata(), &yardarmv1.ObjectMeta{Name: bundle})
	if len(targets) == 0 || b != nil {
		targets = groupsOf(b.GetSpec().GetTargets())
	}
	if v.access.BundleAnywhere(yardarmv1.VerbGet, yardarmv1.ResourceArtifacts, meta, targets) {
		return nil
	}
	return denied(call.who, yardarmv1.VerbGet, yardarmv1.ResourceArtifacts, fmt.Sprintf("%q", clip(bundle)))
}

// diff answers what changes. published is nil where what would be is of artifacts that there are.
func (d *differ) diff(ctx context.Context, published *artifact) (*hubv1.Diff, error) {
	weight, sizes := int64(0), map[string]bool{}
	if published != nil {
		weight = previewWeight * int64(len(published.canonical))
	}
	for _, spec := range d.before {
		if !sizes[spec.GetDigest()] {
			sizes[spec.GetDigest()] = true
			weight += previewWeight * int64(spec.GetSize())
		}
	}
	turn, cancel := d.turn(ctx, "diffs")
	defer cancel()
	leave, err := d.enterPreview(turn)
	if err != nil {
		return nil, err
	}
	defer leave()
	share, err := d.downloads.take(turn, weight)
	if err != nil {
		return nil, err
	}
	defer share.keep(0)
	d.contents, d.inputs = map[string]*content{}, map[string]input{}
	if published != nil {
		if d.contents[published.row.Digest], err = newContent(published.canonical); err != nil {
			return nil, err
		}
	}
	for _, side := range []assigned{d.before, d.after} {
		for _, spec := range side {
			if err := d.load(spec.GetDigest()); err != nil {
				return nil, err
			}
		}
	}
	return d.parts(ctx)
}

func newContent(canonical []byte) (*content, error) {
	set, err := manifest.Decode(canonical, manifest.Limits{Bytes: max(len(canonical), 1)})
	if err != nil {
		return nil, err
	}
	return &content{set: set, name: strings.Contains(string(canonical), "${name"), facts: len(customize.FactsIn(canonical)) > 0}, nil
}

// load gets an artifact, once.
func (d *differ) load(digest string) error {
	if d.contents[digest] != nil {
		return nil
	}
	row := d.Artifact(digest)
	if row == nil {
		return artifactNotFound(manifest.Digest(digest))
	}
	canonical, err := d.canonical(row)
	if err == nil {
		d.contents[digest], err = newContent(canonical)
	}
	return err
}

// input is what a cluster's objects follow from: clusters with the same have the same objects.
func (d *differ) input(uid string, a *yardarmv1.AssignmentSpec) string {
	if a == nil {
		return "-"
	}
	in, known := d.inputs[string(a.GetHash())]
	if !known {
		in = d.inputOf(a)
		d.inputs[string(a.GetHash())] = in
	}
	text := in.text
	if in.name {
		text += " " + a.GetCluster()
	}
	if in.facts {
		f := d.Observed(uid).GetFacts()
		text += fmt.Sprintf(" %t %q %q %q %q %d", f != nil, f.GetDistribution(), f.GetKubernetesVersion(), f.GetProvider(), f.GetRegion(), f.GetNodes())
	}
	return text
}

// inputOf is the input that clusters with the same assignment share.
func (d *differ) inputOf(a *yardarmv1.AssignmentSpec) input {
	c, custom := d.contents[a.GetDigest()], a.GetCustomization()
	in := input{text: fmt.Sprintf("%s %p", a.GetDigest(), custom)} // merged once for all clusters of a target
	if !custom.GetSubstitute() {
		return in
	}
	for _, key := range slices.Sorted(maps.Keys(a.GetLabels())) {
		in.text += fmt.Sprintf(" %q=%q", key, a.GetLabels()[key])
	}
	in.name = c.name || strings.Contains(custom.String(), "${name")
	in.facts = c.facts || len(customize.Facts(custom)) > 0
	return in
}

// parts compares each input once, and puts clusters of a group together in which the same changes.
func (d *differ) parts(ctx context.Context) (*hubv1.Diff, error) {
	uids := map[string]bool{}
	for _, side := range []assigned{d.before, d.after} {
		for uid := range side {
			uids[uid] = true
		}
	}
	out := &hubv1.Diff{}
	compared := map[string]*hubv1.DiffPart{} // by input
	alike := map[string]*hubv1.DiffPart{}    // the first of those that are, by what they say
	type place struct {
		group string
		part  *hubv1.DiffPart
	}
	parts := map[place]*hubv1.DiffPart{}
	room := maxDiffBytes
	for _, uid := range slices.Sorted(maps.Keys(uids)) {
		input := d.input(uid, d.before[uid]) + "\x00" + d.input(uid, d.after[uid])
		part, ok := compared[input]
		if !ok {
			if len(compared) == maxDiffInputs {
				out.NotCompared++
				continue
			}
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			part = d.compare(uid, room)
			text, err := proto.MarshalOptions{Deterministic: true}.Marshal(part)
			if err != nil {
				return nil, err
			}
			room -= len(text)
			if first := alike[string(text)]; first != nil {
				part = first
			}
			alike[string(text)], compared[input] = part, part
		}
		if part.Problem == "" && part.Added+part.Changed+part.Pruned == 0 {
			out.Unchanged++
			continue
		}
		key := place{d.groups[uid], part}
		shown := parts[key]
		if shown == nil {
			shown = proto.CloneOf(part)
			shown.Group = d.groups[uid]
			parts[key] = shown
			out.Parts = append(out.Parts, shown)
		}
		shown.Clusters++
		if len(shown.Examples) < maxDiffExamples {
			if c := d.Cluster(uid); d.seesCluster(c) {
				shown.Examples = append(shown.Examples, c.GetMetadata().GetName())
			}
		}
	}
	slices.SortStableFunc(out.Parts, func(a, b *hubv1.DiffPart) int {
		return cmp.Or(cmp.Compare(b.Clusters, a.Clusters), strings.Compare(a.Group, b.Group))
	})
	return out, nil
}

// compare answers what changes in one cluster; at most so many bytes of objects are told.
func (d *differ) compare(uid string, room int) *hubv1.DiffPart {
	out := &hubv1.DiffPart{}
	before, err := d.objects(uid, d.before[uid])
	after, afterErr := d.objects(uid, d.after[uid])
	if afterErr != nil {
		out.Problem = "it cannot be customized: " + clip(afterErr.Error())
		return out
	}
	if err != nil {
		before = &manifest.Set{} // the cluster could not have it either
	}
	refs := slices.Concat(before.Refs(), after.Refs())
	slices.SortFunc(refs, manifest.Ref.Compare)
	for _, ref := range slices.Compact(refs) {
		x := &hubv1.ObjectDiff{Object: ref.String()}
		old, had := before.Get(ref)
		next, has := after.Get(ref)
		switch {
		case !had:
			x.Action = "added"
			out.Added++
		case !has:
			x.Action = "pruned"
			out.Pruned++
		case reflect.DeepEqual(old, next):
			continue
		default:
			x.Action = "changed"
			out.Changed++
			fields, more := difference.Between(old, next)
			x.MoreFields = uint32(more)
			for _, f := range fields {
				x.Fields = append(x.Fields, &hubv1.FieldDiff{Path: f.Path, Before: f.Before, After: f.After})
			}
		}
		if room -= proto.Size(x); room < 0 || len(out.Objects) == maxDiffObjects {
			out.MoreObjects++
			continue
		}
		out.Objects = append(out.Objects, x)
	}
	return out
}

// objects are those that a cluster gets by an assignment; none by none.
func (d *differ) objects(uid string, a *yardarmv1.AssignmentSpec) (*manifest.Set, error) {
	if a == nil {
		return &manifest.Set{}, nil
	}
	return customize.Apply(d.contents[a.GetDigest()].set, a.GetCustomization(),
		customize.Values{Name: a.GetCluster(), Labels: a.GetLabels(), Facts: d.Observed(uid).GetFacts()})
}
