package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/index"
	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/pkg/manifest/customize"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// maxPatchClusters is how many clusters a patch may name, as the proto says; more are a group.
	maxPatchClusters = 1000
	// maxDriftedFields is how many fields one call may name: as many as a report tells of.
	maxDriftedFields = 20
	// maxAcceptedValue is how long a value may be that a report tells whole, in bytes of JSON.
	maxAcceptedValue = 256
)

// AcceptDrift implements FleetService. What it writes is a customization as people write them, so everything else follows as it does from one: a revision,
// its rollout, previews, and the way back. It is worked out before the transaction, since it takes the bundle's objects, and counts for the bundle as it was then.
func (s *Server) AcceptDrift(ctx context.Context, req *hubv1.AcceptDriftRequest) (*hubv1.PublishRevisionResponse, error) {
	if err := checkAcceptDrift(req); err != nil {
		return nil, err
	}
	uid, err := s.newUID()
	if err != nil {
		return nil, err
	}
	v := s.view(ctx)
	// Refused in the transaction only, where it is known whether the call was made before.
	a, refusal := s.driftAcceptance(ctx, v, req)
	var changes *differ
	if req.GetDryRun() && v.mayDiff(callOf(ctx), req.GetBundle(), nil) == nil {
		changes = &differ{Server: s, view: v, groups: map[string]string{}}
	}
	resp, err := transact(ctx, s, req, func(c *change) (func(view) *hubv1.PublishRevisionResponse, error) {
		if refusal != nil {
			return nil, refusal
		}
		b := c.BundleByName(req.GetBundle())
		if b == nil {
			return nil, bundleNotFound(req.GetBundle())
		}
		if err := checkVersion(yardarmv1.KindBundle, b.Metadata, a.bundle.Metadata.ResourceVersion); err != nil {
			return nil, err
		}
		if changes != nil {
			changes.was = c.Snapshot()
		}
		next := proto.CloneOf(b)
		next.Spec = proto.CloneOf(a.spec)
		next.Metadata.Generation++
		rev, err := c.addRevision(next, uid, a.revision.Spec, &yardarmv1.Provenance{Message: a.message()})
		if err != nil {
			return nil, err
		}
		if err := c.PutBundle(next); err != nil {
			return nil, err
		}
		if changes != nil {
			changes.would = c.Snapshot()
		}
		return func(v view) *hubv1.PublishRevisionResponse {
			resp := publishedAs(rev, outcomePublished, req)(v)
			resp.Warnings = append(resp.Warnings, a.warnings(v)...)
			return resp
		}, nil
	})
	if err != nil || changes == nil {
		return resp, err
	}
	changes.derive(req.GetBundle())
	resp.Diff, err = changes.diff(ctx, nil)
	return resp, err
}

func checkAcceptDrift(req *hubv1.AcceptDriftRequest) error {
	var v violations
	check := checker{v: &v}
	switch n := len(req.GetClusters()); {
	case n == 0:
		check.add("clusters", "is empty; name those whose live values are to be accepted")
	case n > maxPatchClusters:
		check.add("clusters", fmt.Sprintf("has %d entries; name at most %d, or a group by one of its clusters", n, maxPatchClusters))
	}
	if n := len(req.GetFields()); n > maxDriftedFields {
		check.add("fields", fmt.Sprintf("has %d entries; name at most %d, or none for all", n, maxDriftedFields))
	}
	return v.err()
}

// driftAcceptance is one call's: what of a bundle becomes desired.
type driftAcceptance struct {
	// bundle and revision are as they were looked at, and spec is what the bundle's comes to.
	bundle   *yardarmv1.Bundle
	revision *yardarmv1.Revision
	spec     *yardarmv1.BundleSpec
	values   []*liveValue
}

// liveValue is that of a field in some clusters that go by the same target.
type liveValue struct {
	target   int
	object   manifest.Ref
	path     string
	live     string // JSON; empty where there is none
	value    any
	clusters []string
	field    *customize.Field
}

func (s *Server) driftAcceptance(ctx context.Context, v view, req *hubv1.AcceptDriftRequest) (*driftAcceptance, error) {
	b := v.BundleByName(req.GetBundle())
	if b == nil {
		return nil, bundleNotFound(req.GetBundle())
	}
	if err := checkVersion(yardarmv1.KindBundle, b.Metadata, req.GetResourceVersion()); err != nil {
		return nil, err
	}
	a := &driftAcceptance{bundle: b, revision: v.Revision(b.Metadata.Uid, b.GetStatus().GetLatestRevision()), spec: proto.CloneOf(b.GetSpec())}
	if a.revision == nil {
		return nil, precondition(reasonState, yardarmv1.KindBundle, b.Metadata.Name, fmt.Sprintf("bundle %q has no revision yet, so nothing differs from it", b.Metadata.Name))
	}
	assigner := placement.NewAssigner(v.ReadTx, b, a.revision.Spec.Number)
	specs := map[string]*yardarmv1.AssignmentSpec{}
	seen := make([]bool, len(req.GetFields()))
	for _, name := range slices.Compact(slices.Sorted(slices.Values(req.GetClusters()))) {
		c := v.ClusterByName(name)
		if c == nil || !v.seesCluster(c) {
			return nil, clusterNotFound(name)
		}
		specs[name] = assigner.Assign(v.ReadTx, c)
		if err := a.take(v, req, c, specs[name], seen); err != nil {
			return nil, err
		}
	}
	for i, f := range req.GetFields() {
		if !seen[i] {
			return nil, notDrifted(b, fmt.Sprintf("%s %s differs in none of these clusters", clip(f.GetObject()), clip(f.GetPath())))
		}
	}
	if err := s.patch(ctx, v, a, specs, req.GetGroup() != ""); err != nil {
		return nil, err
	}
	return a, nil
}

// take adds what is to be accepted of one cluster.
func (a *driftAcceptance) take(v view, req *hubv1.AcceptDriftRequest, c *yardarmv1.Cluster, spec *yardarmv1.AssignmentSpec, seen []bool) error {
	b, name := a.bundle, c.Metadata.Name
	target := slices.IndexFunc(b.GetSpec().GetTargets(), func(t *yardarmv1.Target) bool { return slices.Contains(v.GroupsOf(c.Metadata.Uid), t.GetGroup()) })
	switch {
	case target < 0:
		return notFound(yardarmv1.KindAssignment, assignmentName(name, b.Metadata.Name), "no group that the bundle targets has the cluster")
	case req.GetGroup() != "" && b.Spec.Targets[target].GetGroup() != req.GetGroup():
		return invalid("group", fmt.Sprintf("is %q, but of the bundle's targets cluster %q goes by %q", clip(req.GetGroup()), name, b.Spec.Targets[target].GetGroup()))
	}
	it := index.Item{Bundle: b.Metadata.Name, BundleUID: b.Metadata.Uid, Target: b}
	st := index.Judge(v.ReadTx, c, it, spec, v.now)
	switch st.GetPhase() {
	case yardarmv1.PhaseStale, yardarmv1.PhaseNeverConnected, yardarmv1.PhasePending:
		return notDrifted(b, fmt.Sprintf("what is live in cluster %q is not known now: %s", name, st.GetMessage()))
	}
	if !bytes.Equal(st.GetReport().GetAssignmentHash(), spec.GetHash()) {
		return notDrifted(b, fmt.Sprintf("cluster %q is not at revision %d yet, which is what its live values would be accepted beside; see yardarm why %s %s",
			name, a.revision.Spec.Number, name, b.Metadata.Name))
	}
	found := false
	for _, d := range st.GetReport().GetDrift() {
		i := slices.IndexFunc(req.GetFields(), func(f *hubv1.DriftedField) bool { return f.GetObject() == d.GetObject() && f.GetPath() == d.GetPath() })
		if d.GetCorrected() != nil || i < 0 && len(req.GetFields()) > 0 {
			continue
		}
		if i >= 0 {
			seen[i] = true
			if seenLive := req.Fields[i].GetLive(); seenLive != "" && seenLive != d.GetLive() {
				return refuse(codes.Aborted, reasonStaleVersion, nil, fmt.Sprintf("the live value of %s %s in cluster %q has changed since; look at it again", d.GetObject(), d.GetPath(), name))
			}
		}
		value, err := acceptable(d)
		if err != nil {
			return notDrifted(b, fmt.Sprintf("%s %s in cluster %q cannot be accepted: %v", d.GetObject(), d.GetPath(), name, err))
		}
		found, value.target = true, target
		a.add(value, name)
	}
	if !found {
		return notDrifted(b, fmt.Sprintf("none of it differs in cluster %q, as far as its spoke has said", name))
	}
	return nil
}

// add joins clusters of a target in which a field has the same value.
func (a *driftAcceptance) add(value *liveValue, cluster string) {
	for _, known := range a.values {
		if known.target == value.target && known.object == value.object && known.path == value.path && known.live == value.live {
			known.clusters = append(known.clusters, cluster)
			return
		}
	}
	value.clusters = []string{cluster}
	a.values = append(a.values, value)
}

// acceptable answers the live value of a drift, or why it is not to be accepted.
func acceptable(d *yardarmv1.Drift) (*liveValue, error) {
	ref, err := manifest.ParseRef(d.GetObject())
	value := &liveValue{object: ref, path: d.GetPath(), live: d.GetLive()}
	switch {
	case err != nil:
		return nil, err
	case ref.Group == "" && ref.Kind == "Secret":
		return nil, errors.New("values of Secrets are told to nobody; publish what it is to be")
	case d.GetPath() == "":
		return nil, errors.New("the whole object is gone, and objects leave a bundle by being published without")
	case d.GetLive() == "":
		return value, nil
	}
	// What was cut is no JSON any more.
	if value.value, err = manifest.ParseValue([]byte(d.GetLive()), maxAcceptedValue); err != nil || !json.Valid([]byte(d.GetLive())) {
		return nil, errors.New("it is longer than what reports tell of; publish what it is to be")
	}
	return value, nil
}

func notDrifted(b *yardarmv1.Bundle, message string) error {
	return precondition(reasonState, yardarmv1.KindBundle, b.Metadata.Name, message)
}

// message is as in "accepts apps/Deployment shop/web spec.replicas as it is in edge-1 and 2 more clusters". It holds no value.
func (a *driftAcceptance) message() string {
	value, clusters := a.values[0], map[string]bool{}
	for _, x := range a.values {
		for _, name := range x.clusters {
			clusters[name] = true
		}
	}
	text := fmt.Sprintf("accepts %s %s", value.object, value.path)
	fields := map[string]bool{}
	for _, x := range a.values {
		fields[x.object.String()+" "+x.path] = true
	}
	if more := len(fields) - 1; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	text += " as it is in " + value.clusters[0]
	if more := len(clusters) - 1; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// warnings tell of what differs and is not accepted: a new revision is applied whatever the policy says of drift.
func (a *driftAcceptance) warnings(v view) []string {
	fields, clusters := 0, 0
	for o := range v.ObservedOfBundle(a.bundle.Metadata.Uid) {
		others := 0
		for _, d := range o.GetReport().GetDrift() {
			if d.GetReason() == yardarmv1.ReasonReportOnly && !a.accepts(v.Cluster(o.GetClusterUid()).GetMetadata().GetName(), d) {
				others++
			}
		}
		if others > 0 {
			fields, clusters = fields+others, clusters+1
		}
	}
	if fields == 0 {
		return nil
	}
	return []string{fmt.Sprintf("what else differs (fields: %d, in clusters: %d) is put right where the new revision comes, as by every revision; what is to stay has to be accepted in the same call",
		fields, clusters)}
}

func (a *driftAcceptance) accepts(cluster string, d *yardarmv1.Drift) bool {
	return slices.ContainsFunc(a.values, func(x *liveValue) bool {
		return x.object.String() == d.GetObject() && x.path == d.GetPath() && slices.Contains(x.clusters, cluster)
	})
}
