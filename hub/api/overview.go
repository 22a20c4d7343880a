package api

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"google.golang.org/grpc"

	"github.com/yardarm-dev/yardarm/hub/index"
	"github.com/yardarm-dev/yardarm/hub/query"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// maxCells is how many cells go into one message: some tens of KiB of JSON, which a page can draw before it has all of them.
const maxCells = 1000

// regionLabel is what tells a cluster's region where its spoke does not.
const regionLabel = "region"

// WatchOverview implements FleetService. Like Watch it is level-triggered: it compares what the caller was told with what there is, and queues nothing.
// One that the index's log has left behind is told what differs all the same, so it never has to be opened anew for that.
func (s *Server) WatchOverview(req *hubv1.WatchOverviewRequest, stream grpc.ServerStreamingServer[hubv1.WatchOverviewResponse]) error {
	filter, err := clusterFields.Filter(req.GetFilter())
	if err != nil {
		return invalid("filter", err.Error())
	}
	done, err := s.admitWatch()
	if err != nil {
		return err
	}
	defer done()
	defer s.index.Watching()()
	scope := s.store.Subscribe(scopeTables...)
	defer scope.Close()
	o := &overview{server: s, cells: req.GetCells(), filter: filter, sent: make(map[string]cell)}
	if err := open(stream); err != nil {
		return err
	}
	heartbeat := time.NewTicker(s.cfg.Heartbeat)
	defer heartbeat.Stop()
	for first, beat := true, false; ; first = false {
		grown := s.index.Grown()
		messages := o.round(stream.Context(), first || !scope.Take().Empty())
		if first || beat || len(messages) > 1 || len(messages[0].Cells)+len(messages[0].Gone)+len(messages[0].Changed) > 0 {
			for _, m := range messages {
				if err := stream.Send(m); err != nil {
					return err
				}
			}
		}
		if err := s.pause(stream.Context()); err != nil {
			return err
		}
		beat = false
		select {
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-s.stopping:
			return errStopping
		case <-heartbeat.C:
			beat = true
		case <-grown:
		case <-scope.C():
		}
	}
}

// overview is one watch. It belongs to its call's goroutine.
type overview struct {
	server *Server
	cells  bool
	filter query.Filter[*index.Cluster]
	// seq is how far the caller has been told.
	seq uint64
	// sent are the cells that the caller has, by name.
	sent map[string]cell
}

// cell is a [hubv1.Cell] that can be compared.
type cell struct{ state, group, region string }

// round is what the caller is to be told now: at least one message, the last with the cursor. anew says that not only resources may have changed, but
// also what the caller sees of them.
func (o *overview) round(ctx context.Context, anew bool) []*hubv1.WatchOverviewResponse {
	var cells []*hubv1.Cell
	last := &hubv1.WatchOverviewResponse{Complete: true}
	o.server.read(ctx, func(v view, state *index.State) {
		last.Cursor = cursorText(o.server.store.Epoch(), state.Tx.Index())
		clusters, regrouped := o.since(v, state, anew, last)
		o.seq = state.Seq
		if !o.cells {
			return
		}
		place := placer(v, state)
		if regrouped {
			cells, last.Gone = o.all(v, state, place)
			return
		}
		for _, c := range clusters {
			cells = o.compare(v, c.Old, c.New, place, cells, last)
		}
	})
	slices.SortFunc(cells, func(a, b *hubv1.Cell) int { return cmp.Compare(a.Name, b.Name) })
	var out []*hubv1.WatchOverviewResponse
	for len(cells) > maxCells {
		out = append(out, &hubv1.WatchOverviewResponse{Cells: cells[:maxCells]})
		cells = cells[maxCells:]
	}
	last.Cells = cells
	return append(out, last)
}

// since says of which kinds anything has changed, and answers what has become of clusters; or that all of them have to be looked at: where that is not remembered,
// where the caller may see other ones, and where groups have changed, since which is the smallest can change with every member.
func (o *overview) since(v view, state *index.State, anew bool, m *hubv1.WatchOverviewResponse) (clusters []index.Change[index.Cluster], all bool) {
	m.Changed = []string{yardarmv1.KindBundle, yardarmv1.KindCluster, yardarmv1.KindClusterGroup, yardarmv1.KindGate}
	if anew {
		return nil, true
	}
	clusters, known := state.ClustersSince(o.seq, v.seesEntry)
	bundles, knownBundles := state.BundlesSince(o.seq, func(b *index.Bundle) bool { return v.seesBundle(b.Row) })
	groups, knownGroups := state.GroupsSince(o.seq, func(g *index.Group) bool { return v.seesGroup(g.Row) })
	gates, knownGates := state.GatesSince(o.seq, v.seesGate)
	if !known || !knownBundles || !knownGroups || !knownGates {
		return nil, true
	}
	changed := map[string]bool{
		yardarmv1.KindCluster: len(clusters) > 0, yardarmv1.KindBundle: len(bundles) > 0, yardarmv1.KindClusterGroup: len(groups) > 0, yardarmv1.KindGate: len(gates) > 0,
	}
	m.Changed = slices.DeleteFunc(m.Changed, func(kind string) bool { return !changed[kind] })
	return clusters, len(groups) > 0
}

// all compares everything.
func (o *overview) all(v view, state *index.State, place func(*index.Cluster) cell) (cells []*hubv1.Cell, gone []string) {
	now := make(map[string]cell, len(o.sent))
	for c := range state.Clusters() {
		part, ok := o.part(v, c)
		if !ok {
			continue
		}
		name, next := part.Name(), place(part)
		now[name] = next
		if old, had := o.sent[name]; !had || old != next {
			cells = append(cells, next.named(name))
		}
	}
	for name := range o.sent {
		if _, has := now[name]; !has {
			gone = append(gone, name)
		}
	}
	slices.Sort(gone)
	o.sent = now
	return cells, gone
}

// compare adds what has become of one cluster. A name may go from one to another.
func (o *overview) compare(v view, old, next *index.Cluster, place func(*index.Cluster) cell, cells []*hubv1.Cell, m *hubv1.WatchOverviewResponse) []*hubv1.Cell {
	part, shown := o.part(v, next)
	if shown {
		name, c := part.Name(), place(part)
		if had, ok := o.sent[name]; !ok || had != c {
			o.sent[name] = c
			cells = append(cells, c.named(name))
		}
		return cells
	}
	for _, entry := range []*index.Cluster{old, next} {
		if entry == nil {
			continue
		}
		if _, had := o.sent[entry.Name()]; had {
			delete(o.sent, entry.Name())
			m.Gone = append(m.Gone, entry.Name())
		}
	}
	return cells
}

// part is what the caller sees of a cluster, if it was asked for.
func (o *overview) part(v view, c *index.Cluster) (*index.Cluster, bool) {
	if c == nil || !v.seesEntry(c) {
		return nil, false
	}
	part := v.clusterPart(c)
	return part, o.filter.Matches(part)
}

func (c cell) named(name string) *hubv1.Cell {
	return &hubv1.Cell{Name: name, State: c.state, Group: c.group, Region: c.region}
}

// placer says where a cluster is drawn: in the smallest of its groups, which tells most of it; in the first by name of those that are as small.
func placer(v view, state *index.State) func(*index.Cluster) cell {
	sizes := maps.Collect(func(yield func(string, uint32) bool) {
		for g := range state.Groups() {
			if v.seesGroup(g.Row) && !yield(g.Name(), g.Clusters) {
				return
			}
		}
	})
	return func(c *index.Cluster) cell {
		out := cell{state: c.State, region: cmp.Or(factsOf(c).GetRegion(), c.Row.GetMetadata().GetLabels()[regionLabel])}
		if len(c.Groups) > 0 {
			out.group = slices.MinFunc(c.Groups, func(a, b string) int { return cmp.Compare(sizes[a], sizes[b]) })
		}
		return out
	}
}
