package api

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/pkg/selector"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// maxTried is how many clusters are asked at once, as the proto says: each puts its API server to some work, for somebody who waits.
	maxTried = 50
	// maxTrialBytes is after how many bytes of objects none are told any more, but counted. With a diff's, an answer stays below the 4 MiB that gRPC clients take.
	maxTrialBytes = 1 << 20
	// How long a trial may take, as the proto says.
	trialDefault = 30 * time.Second
	trialLeast   = 5 * time.Second
	trialMost    = 2 * time.Minute
	// trialsAtOnce is how many may be under way. Each keeps the place of one of the publications, of which others are to have some meanwhile.
	trialsAtOnce = 2
)

// Trials try assignments in clusters.
type Trials interface {
	// Try answers what would come of an assignment whose content is encoded (zstd), or why that cannot be told; when ctx ends, at the latest.
	Try(ctx context.Context, clusterUID string, a *yardarmv1.AssignmentSpec, encoded []byte) *yardarmv1.TrialResult
}

func (c checker) trial(t *hubv1.TrialRequest) {
	if len(t.GetClusters()) > maxTried {
		c.add("clusters", fmt.Sprintf("has %d entries; at most %d clusters are asked", len(t.GetClusters()), maxTried))
		return
	}
	for i, name := range t.GetClusters() {
		c.name(fmt.Sprintf("clusters[%d]", i), name)
	}
	if t.GetGroup() != "" {
		c.name("group", t.GetGroup())
	}
	if _, err := selector.Parse(t.GetSelector()); err != nil {
		c.add("selector", err.Error())
	}
	if d := t.GetTimeout(); d != nil && (d.CheckValid() != nil || d.AsDuration() < trialLeast || d.AsDuration() > trialMost) {
		c.add("timeout", fmt.Sprintf("is to be from %s to %s", trialLeast, trialMost))
	}
}

// tried is what came of a trial in one cluster.
type tried struct {
	name   string
	uid    string
	result *yardarmv1.TrialResult // nil as long as it has not been asked
}

// try has clusters try what the publication would assign to them.
func (d *differ) try(ctx context.Context, p *hubv1.Publication, a *artifact) (*hubv1.Trial, error) {
	select {
	case d.trials <- struct{}{}:
		defer func() { <-d.trials }()
	default:
		return nil, busy("trials")
	}
	chosen, err := d.chosen(callOf(ctx), p)
	if err != nil {
		return nil, err
	}
	encoded := a.encoded
	if encoded == nil {
		encoded = manifest.Compress(a.canonical)
	}
	timeout := trialDefault
	if t := p.GetTrial().GetTimeout(); t != nil {
		timeout = t.AsDuration()
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	out := &hubv1.Trial{}
	var group sync.WaitGroup
	asked := 0
	for _, t := range chosen {
		if t.result != nil {
			continue
		}
		if asked++; asked > maxTried {
			out.NotAsked++
			continue
		}
		group.Go(func() { t.result = d.cfg.Trials.Try(ctx, t.uid, d.after[t.uid], encoded) })
	}
	group.Wait()
	out.Parts = trialParts(chosen)
	return out, nil
}

// chosen are the clusters that are meant, by name. Those that need not be asked have their result.
func (d *differ) chosen(call call, p *hubv1.Publication) ([]*tried, error) {
	req := p.GetTrial()
	labels, err := selector.Parse(req.GetSelector())
	if err != nil {
		return nil, invalid("publication.trial.selector", err.Error())
	}
	if name := req.GetGroup(); name != "" {
		if group := d.Group(name); group == nil || !d.seesGroup(group) {
			return nil, groupNotFound(name)
		}
	}
	meant := func(c *yardarmv1.Cluster) bool {
		return labels.Matches(c.GetMetadata().GetLabels()) && (req.GetGroup() == "" || slices.Contains(d.GroupsOf(c.GetMetadata().GetUid()), req.GetGroup()))
	}
	bundle := cmp.Or(d.BundleByName(p.GetBundle()).GetMetadata(), &yardarmv1.ObjectMeta{Name: p.GetBundle()})
	may := func(c *yardarmv1.Cluster) bool {
		return d.access.Assignment(yardarmv1.VerbGet, yardarmv1.ResourceArtifacts, bundle, d.GroupsOf(c.GetMetadata().GetUid()))
	}
	var out []*tried
	if len(req.GetClusters()) == 0 {
		for uid := range d.after {
			if c := d.Cluster(uid); c != nil && d.seesCluster(c) && may(c) && meant(c) {
				out = append(out, d.candidate(c))
			}
		}
	}
	for _, name := range req.GetClusters() {
		c := d.ClusterByName(name)
		switch {
		case c == nil || !d.seesCluster(c):
			return nil, clusterNotFound(name)
		case !may(c):
			return nil, denied(call.who, yardarmv1.VerbGet, yardarmv1.ResourceArtifacts, fmt.Sprintf("%q in cluster %q", clip(p.GetBundle()), clip(name)))
		case meant(c):
			out = append(out, d.candidate(c))
		}
	}
	slices.SortFunc(out, func(a, b *tried) int { return strings.Compare(a.name, b.name) })
	return slices.CompactFunc(out, func(a, b *tried) bool { return a.uid == b.uid }), nil
}

// candidate is a cluster that is meant. One that is away is told to be, rather than waited for.
func (d *differ) candidate(c *yardarmv1.Cluster) *tried {
	t := &tried{name: c.GetMetadata().GetName(), uid: c.GetMetadata().GetUid()}
	switch presence := d.Presence(t.uid); {
	case d.after[t.uid] == nil:
		t.result = &yardarmv1.TrialResult{Reason: yardarmv1.TrialNotTargeted, Message: "the bundle would not be for the cluster: no group that it targets has it"}
	case presence == nil || presence.State != yardarmv1.PresenceConnected || d.cfg.Trials == nil:
		t.result = &yardarmv1.TrialResult{Reason: yardarmv1.TrialNotConnected, Message: "the cluster is not connected"}
	}
	return t
}

// trialParts puts clusters together of which the same is true.
func trialParts(all []*tried) []*hubv1.TrialPart {
	var out []*hubv1.TrialPart
	parts := map[string]*hubv1.TrialPart{}
	room := maxTrialBytes
	for _, t := range all {
		if t.result == nil {
			continue
		}
		key, err := proto.MarshalOptions{Deterministic: true}.Marshal(t.result)
		if err != nil {
			continue // texts of spokes are made valid when they come in
		}
		part := parts[string(key)]
		if part == nil {
			part = &hubv1.TrialPart{Result: t.result}
			parts[string(key)] = part
			out = append(out, part)
			if room -= len(key); room < 0 {
				part.Result = proto.CloneOf(t.result)
				part.Result.MoreObjects += uint32(len(part.Result.Objects))
				part.Result.Objects = nil
			}
		}
		if part.Clusters++; len(part.Names) < maxTried {
			part.Names = append(part.Names, t.name)
		}
	}
	rank := func(p *hubv1.TrialPart) int {
		switch {
		case p.Result.Refused > 0:
			return 0
		case p.Result.Reason != "":
			return 1
		}
		return 2
	}
	slices.SortStableFunc(out, func(a, b *hubv1.TrialPart) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(b.Clusters, a.Clusters))
	})
	return out
}
