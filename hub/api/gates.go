package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/rollout/gate"
	"github.com/yardarm-dev/yardarm/hub/store"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// maxGates is how many there may be: each is asked about each cluster of each rollout that is under way.
const maxGates = 256

// maxWindowTimes is how many times of a window are told, as the proto says: a week of a nightly one, but for the weekend.
const maxWindowTimes = 5

// maxGateWarnings is how many bundles are named of those that a window leaves no moment.
const maxGateWarnings = 3

// ListGates implements FleetService.
func (s *Server) ListGates(ctx context.Context, req *hubv1.ListGatesRequest) (*hubv1.ListGatesResponse, error) {
	v := s.view(ctx)
	list := listRequest{req.GetPageSize(), req.GetPageToken(), req.GetFilter(), req.GetOrderBy(), "gates"}
	p, err := paginate(list, gateFields, func(add func(*yardarmv1.Gate)) {
		for g := range v.Gates() {
			if v.seesGate(g) {
				add(v.gate(g))
			}
		}
	}, func(g *yardarmv1.Gate) *yardarmv1.Gate { return g })
	if err != nil {
		return nil, err
	}
	return &hubv1.ListGatesResponse{Gates: p.items, NextPageToken: p.next, TotalSize: p.total}, nil
}

// GetGate implements FleetService.
func (s *Server) GetGate(ctx context.Context, req *hubv1.GetGateRequest) (*yardarmv1.Gate, error) {
	v := s.view(ctx)
	g := v.Gate(req.GetName())
	if g == nil || !v.seesGate(g) {
		return nil, gateNotFound(req.GetName())
	}
	return v.gate(g), nil
}

// DeleteGate implements FleetService.
func (s *Server) DeleteGate(ctx context.Context, req *hubv1.DeleteGateRequest) (*hubv1.DeleteGateResponse, error) {
	return transact(ctx, s, req, func(c *change) (func(view) *hubv1.DeleteGateResponse, error) {
		g := c.Gate(req.GetName())
		if g == nil || !c.view().seesGate(g) {
			return nil, gateNotFound(req.GetName())
		}
		if err := checkVersion(yardarmv1.KindGate, g.Metadata, req.GetResourceVersion()); err != nil {
			return nil, err
		}
		return as(&hubv1.DeleteGateResponse{}), errors.Join(c.DeleteGate(req.GetName()),
			c.event(&yardarmv1.Event{Reason: "GateDeleted", Message: fmt.Sprintf("gate %q (%s) deleted", req.GetName(), gate.Type(g))}))
	})
}

// gate shows a row, as it stands now.
func (v view) gate(row *yardarmv1.Gate) *yardarmv1.Gate {
	out := proto.CloneOf(row)
	out.ApiVersion, out.Kind = yardarmv1.APIVersion, yardarmv1.KindGate
	shut, changes := gate.Status(row, v.now)
	out.Status.State, out.Status.Changes = yardarmv1.GateOpen, stamp(changes)
	if shut {
		out.Status.State = yardarmv1.GateShut
	}
	for _, span := range gate.Times(row, v.now, maxWindowTimes) {
		out.Status.Times = append(out.Status.Times, &yardarmv1.WindowTime{Begins: stamp(span.Begins), Ends: stamp(span.Ends)})
	}
	return out
}

func gateNotFound(name string) error {
	return notFound(yardarmv1.KindGate, clip(name), "`yardarm get gates` lists them")
}

// gate checks what people write of a gate.
func (c checker) gate(g *yardarmv1.Gate) {
	spec := g.GetSpec()
	c.scope("spec.bundles", spec.GetBundles())
	c.scope("spec.clusters", spec.GetClusters())
	c.text("spec.reason", spec.GetReason())
	for _, v := range gate.Check(g) {
		c.add(v.Field, v.Message)
	}
}

// gate applies a gate. Rollouts take it in with the driver's next step, which waits for this commit.
func (a *application) gate(c *change, i int, in *yardarmv1.Gate) error {
	current := c.Gate(in.Metadata.Name)
	if err := checkMeta(yardarmv1.KindGate, current.GetMetadata(), in.Metadata); err != nil {
		return err
	}
	sameSpec := current != nil && proto.Equal(current.Spec, in.Spec)
	if !sameSpec {
		c.checkGate(a.checker(i), in, current == nil)
	}
	next := replacing(current, &yardarmv1.Gate{})
	next.Spec = proto.CloneOf(in.Spec)
	if !sameSpec {
		next.Status = &yardarmv1.GateStatus{Actor: c.actor, Written: c.time()}
	}
	var same bool
	next.Metadata, same = c.meta(current.GetMetadata(), in.Metadata, a.uids[i], sameSpec)
	if a.note(i, current != nil, same && sameSpec, current, next) {
		return nil
	}
	message := fmt.Sprintf("gate %q (%s) %s", in.Metadata.Name, gate.Type(in), a.outcomes[i])
	if reason := in.GetSpec().GetReason(); reason != "" {
		message += ": " + clip(reason)
	}
	return errors.Join(c.PutGate(next), c.event(&yardarmv1.Event{Reason: "GateConfigured", Message: message}))
}

// checkGate notes what is wrong with a gate now, which it need not be later on, when it is applied again as it is.
func (c *change) checkGate(check checker, in *yardarmv1.Gate, isNew bool) {
	for i, group := range in.GetSpec().GetGroups() {
		if c.Group(group) == nil {
			check.add(fmt.Sprintf("spec.groups[%d]", i), unknownGroup(group))
		}
	}
	if until := in.GetSpec().GetFreeze().GetUntil(); until != nil && !until.AsTime().After(c.now) {
		check.add("spec.freeze.until", fmt.Sprintf("is over already: it is %s now", c.now.UTC().Format(time.RFC3339)))
	}
	if isNew {
		n := 0
		for range c.Gates() {
			n++
		}
		if n >= maxGates {
			check.add("metadata.name", fmt.Sprintf("there are %d gates already, which is as many as a hub keeps; delete those that are over", n))
		}
	}
}

// gatesNaming are the gates that are about the clusters of a group.
func (c *change) gatesNaming(group string) (names []string) {
	for g := range c.Gates() {
		if slices.Contains(g.GetSpec().GetGroups(), group) {
			names = append(names, g.Metadata.Name)
		}
	}
	return names
}

// gateWarnings tells in which clusters of a bundle windows leave no moment at which its revisions go on.
func gateWarnings(tx *store.ReadTx, b *yardarmv1.Bundle, now time.Time) []string {
	windows := gate.NewSet(tx.Gates()).Windows()
	if windows.Empty() {
		return nil
	}
	never := make(map[string][]string) // the clusters, by the gates that leave no moment there; none of those that do
	for c := range tx.ClustersOf(b.GetMetadata().GetUid()) {
		about := windows.About(gate.Subject{Bundle: b.Metadata, Cluster: c.Metadata, Groups: tx.GroupsOf(c.Metadata.Uid)})
		names := strings.Join(about.Names(), ", ")
		clusters, known := never[names]
		switch {
		case !known && !about.Opens(now).IsZero():
			never[names] = nil
		case !known || len(clusters) > 0:
			never[names] = append(clusters, c.Metadata.Name)
		}
	}
	var warnings []string
	for names, clusters := range never {
		if len(clusters) > 0 {
			warnings = append(warnings, fmt.Sprintf("the windows of gates %s leave no moment at which a revision of bundle %q goes on to %d of its clusters, such as %q",
				names, b.Metadata.Name, len(clusters), slices.Min(clusters)))
		}
	}
	slices.Sort(warnings)
	return warnings
}

// gateWarnings tells of the bundles that a window is about.
func (v view) gateWarnings(g *yardarmv1.Gate) (warnings []string) {
	if g.GetSpec().GetWindow() == nil {
		return nil
	}
	for b := range v.Bundles() {
		if len(warnings) < maxGateWarnings && v.seesBundle(b) {
			warnings = append(warnings, slices.DeleteFunc(gateWarnings(v.ReadTx, b, v.now), func(w string) bool { return !strings.Contains(w, g.Metadata.Name) })...)
		}
	}
	return warnings
}
