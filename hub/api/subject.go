package api

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/index"
	"github.com/yardarm-dev/yardarm/hub/query"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// subject is what a watch is about: the resources of one kind that were asked for, as far as the caller sees them.
type subject interface {
	// snapshot are those that there are, by name.
	snapshot(view, *index.State) []seen
	// since are the steps from what there was at a seq to what there is, ends before everything else, since what has taken a name may follow; ok is
	// false where the index does not remember.
	since(v view, state *index.State, seq uint64) (steps []step, ok bool)
	// touched is what there is of that which has changed since, and the names of all that may have ended.
	touched(v view, state *index.State, seq uint64) (now []seen, names []string, ok bool)
}

// seen is one resource, as a watcher sees it at some time.
type seen struct {
	name, uid string
	// same tells whether a later state of it looks the same.
	same func(later seen) bool
	// content is what same compares.
	content any
	// alike says that the content looks the same to all who see everything.
	alike bool
	show  func(view) proto.Message
}

// is tells whether both are the same resource.
func (s seen) is(other seen) bool { return s.uid == other.uid && s.name == other.name }

// step is what has become of a resource.
type step struct {
	kind string
	seen
}

// entries are a subject made of the index's entries, each of which shows some resources.
type entries[E any] struct {
	all     func(*index.State) iter.Seq[*E]
	changes func(*index.State, uint64, func(*E) bool) ([]index.Change[E], bool)
	// shows are the resources of an entry that were asked for and that the caller sees; has tells whether there are any, and names are those of all.
	shows func(view, *E) []seen
	has   func(view, *E) bool
	names func(*E) []string
	// sought finds the changes for those who see everything, once for all of them; nil where each is to ask by itself.
	sought func(*index.State, uint64) ([]index.Change[E], bool)
}

func (e entries[E]) snapshot(v view, state *index.State) []seen {
	var out []seen
	for entry := range e.all(state) {
		out = append(out, e.of(v, entry)...)
	}
	slices.SortFunc(out, func(a, b seen) int { return strings.Compare(a.name, b.name) })
	return out
}

func (e entries[E]) since(v view, state *index.State, seq uint64) (steps []step, ok bool) {
	var changes []index.Change[E]
	if v.all && e.sought != nil {
		changes, ok = e.sought(state, seq)
	} else {
		changes, ok = e.changes(state, seq, func(entry *E) bool { return e.has(v, entry) })
	}
	if !ok {
		return nil, false
	}
	var after []step
	for _, c := range changes {
		before, now := e.of(v, c.Old), e.of(v, c.New)
		for _, old := range before {
			if !slices.ContainsFunc(now, old.is) {
				steps = append(steps, step{watchDeleted, old})
			}
		}
		for _, r := range now {
			switch i := slices.IndexFunc(before, r.is); {
			case i < 0:
				after = append(after, step{watchAdded, r})
			case !before[i].same(r):
				after = append(after, step{watchModified, r})
			}
		}
	}
	return append(steps, after...), true
}

func (e entries[E]) touched(v view, state *index.State, seq uint64) (now []seen, names []string, ok bool) {
	changes, ok := e.changes(state, seq, func(*E) bool { return true })
	for _, c := range changes {
		now = append(now, e.of(v, c.New)...)
		if c.Old != nil {
			names = append(names, e.names(c.Old)...)
		}
	}
	return now, names, ok
}

func (e entries[E]) of(v view, entry *E) []seen {
	if entry == nil || !e.has(v, entry) {
		return nil
	}
	return e.shows(v, entry)
}

// subjectOf makes the subject of a request, which is then checked.
func subjectOf(req *hubv1.WatchRequest) (subject, error) {
	if req.GetKind() != yardarmv1.KindAssignment {
		for field, value := range map[string]string{"cluster": req.GetCluster(), "bundle": req.GetBundle()} {
			if value != "" {
				return nil, invalid(field, "goes with assignments only; name the resource instead")
			}
		}
	}
	switch req.GetKind() {
	case yardarmv1.KindCluster:
		return clusterSubject(req)
	case yardarmv1.KindClusterGroup:
		return groupSubject(req)
	case yardarmv1.KindBundle:
		return bundleSubject(req)
	case yardarmv1.KindAssignment:
		return assignmentSubject(req)
	case yardarmv1.KindGate:
		return gateSubject(req)
	}
	return nil, invalid("kind", fmt.Sprintf("is %q; %s, %s, %s, %s and %s can be watched", clip(req.GetKind()),
		yardarmv1.KindCluster, yardarmv1.KindClusterGroup, yardarmv1.KindBundle, yardarmv1.KindAssignment, yardarmv1.KindGate))
}

// asked is the filter of a request, with the name that it gives.
func asked[R any](req *hubv1.WatchRequest, schema *query.Schema[R]) (query.Filter[R], error) {
	filter, err := schema.Filter(req.GetFilter())
	if err != nil {
		return filter, invalid("filter", err.Error())
	}
	if name := req.GetName(); name != "" {
		filter = filter.And(func(r R) bool { return schema.Name(r) == name })
	}
	return filter, nil
}

// seekClusters shares a look at clusters among those who see everything.
func seekClusters(keep func(*index.Cluster) bool) func(*index.State, uint64) ([]index.Change[index.Cluster], bool) {
	among := index.NewAmong(keep)
	return func(state *index.State, seq uint64) ([]index.Change[index.Cluster], bool) {
		return state.ClustersAmong(seq, among)
	}
}

// labelled are the clusters among which all are that pass a filter.
func labelled[R any](filter query.Filter[R]) func(*index.State) iter.Seq[*index.Cluster] {
	return func(state *index.State) iter.Seq[*index.Cluster] { return state.Labelled(filter.Labels()) }
}

func clusterSubject(req *hubv1.WatchRequest) (subject, error) {
	filter, err := asked(req, clusterFields)
	return entries[index.Cluster]{
		all: labelled(filter), changes: (*index.State).ClustersSince,
		has:    func(v view, c *index.Cluster) bool { return v.seesEntry(c) && filter.Matches(v.clusterPart(c)) },
		names:  func(c *index.Cluster) []string { return []string{c.Name()} },
		sought: seekClusters(filter.Matches),
		shows: func(v view, c *index.Cluster) []seen {
			c = v.clusterPart(c)
			return []seen{{name: c.Name(), uid: c.UID(), content: c, alike: true,
				same: func(later seen) bool { return c.SameItself(later.content.(*index.Cluster)) },
				show: func(v view) proto.Message { return v.showCluster(c) }}}
		},
	}, err
}

func groupSubject(req *hubv1.WatchRequest) (subject, error) {
	filter, err := asked(req, groupFields)
	return entries[index.Group]{
		all: (*index.State).Groups, changes: (*index.State).GroupsSince,
		has:   func(v view, g *index.Group) bool { return v.seesGroup(g.Row) && filter.Matches(v.groupPart(g)) },
		names: func(g *index.Group) []string { return []string{g.Name()} },
		shows: func(v view, g *index.Group) []seen {
			g = v.groupPart(g)
			return []seen{{name: g.Name(), uid: g.Row.GetMetadata().GetUid(), content: g,
				same: func(later seen) bool { return g.Same(later.content.(*index.Group)) },
				show: func(v view) proto.Message { return v.showGroup(g) }}}
		},
	}, err
}

func bundleSubject(req *hubv1.WatchRequest) (subject, error) {
	filter, err := asked(req, bundleFields)
	return entries[index.Bundle]{
		all: (*index.State).Bundles, changes: (*index.State).BundlesSince,
		has:   func(v view, b *index.Bundle) bool { return v.seesBundle(b.Row) && filter.Matches(v.bundlePart(b)) },
		names: func(b *index.Bundle) []string { return []string{b.Row.GetMetadata().GetName()} },
		shows: func(v view, b *index.Bundle) []seen {
			b = v.bundlePart(b)
			return []seen{{name: b.Row.GetMetadata().GetName(), uid: b.UID(), content: b, alike: true,
				same: func(later seen) bool { return b.Same(later.content.(*index.Bundle)) },
				show: func(view) proto.Message { return showBundle(b) }}}
		},
	}, err
}

// gateSubject tells what people write: that a gate opens or shuts by itself is no change of it.
func gateSubject(req *hubv1.WatchRequest) (subject, error) {
	filter, err := asked(req, gateFields)
	return entries[yardarmv1.Gate]{
		all: (*index.State).Gates, changes: (*index.State).GatesSince,
		has:   func(v view, g *yardarmv1.Gate) bool { return v.seesGate(g) && filter.Matches(v.gate(g)) },
		names: func(g *yardarmv1.Gate) []string { return []string{g.GetMetadata().GetName()} },
		shows: func(v view, g *yardarmv1.Gate) []seen {
			return []seen{{name: g.GetMetadata().GetName(), uid: g.GetMetadata().GetUid(), content: g,
				same: func(later seen) bool { return g == later.content.(*yardarmv1.Gate) },
				show: func(v view) proto.Message { return v.gate(g) }}}
		},
	}, err
}

// assignmentSubject takes CLUSTER.BUNDLE as a name, too.
func assignmentSubject(req *hubv1.WatchRequest) (subject, error) {
	cluster, bundle := req.GetCluster(), req.GetBundle()
	if req.GetName() != "" {
		var ok bool
		if cluster, bundle, ok = strings.Cut(req.GetName(), "."); !ok || req.GetCluster() != "" || req.GetBundle() != "" {
			return nil, invalid("name", "must be CLUSTER.BUNDLE, without cluster and bundle beside it")
		}
	}
	filter, err := asked(req, assignmentFields)
	matches := func(v view, c *index.Cluster) iter.Seq[pair] {
		return func(yield func(pair) bool) {
			if cluster != "" && cluster != c.Name() {
				return
			}
			part := v.clusterPart(c)
			for _, a := range part.Assignments {
				if p := (pair{part, a}); (bundle == "" || bundle == a.Bundle) && filter.Matches(p) && !yield(p) {
					return
				}
			}
		}
	}
	return entries[index.Cluster]{
		all: labelled(filter), changes: (*index.State).ClustersSince,
		has:    func(v view, c *index.Cluster) bool { return !isEmpty(matches(v, c)) },
		sought: seekClusters(func(c *index.Cluster) bool { return !isEmpty(matches(view{all: true}, c)) }),
		names: func(c *index.Cluster) (names []string) {
			for _, a := range c.Assignments {
				names = append(names, pair{c, a}.name())
			}
			return names
		},
		shows: func(v view, c *index.Cluster) []seen {
			var out []seen
			for p := range matches(v, c) {
				out = append(out, seen{name: p.name(), uid: assignmentName(c.UID(), p.BundleUID), content: p,
					same: func(later seen) bool { return p.Same(later.content.(pair).Assignment) },
					show: func(v view) proto.Message { return v.assignment(c.Row, p.Item) }})
			}
			return out
		},
	}, err
}

// response is what a watcher is sent of a step, but for its type.
func (st step) response(kind string, v view) *hubv1.WatchResponse {
	message := proto.Message(nil)
	if st.kind == watchDeleted {
		message = ended(kind, st.name, st.uid)
	} else {
		message = st.show(v)
	}
	out := &hubv1.WatchResponse{}
	switch m := message.(type) {
	case *yardarmv1.Cluster:
		out.Resource = &hubv1.WatchResponse_Cluster{Cluster: m}
	case *yardarmv1.ClusterGroup:
		out.Resource = &hubv1.WatchResponse_ClusterGroup{ClusterGroup: m}
	case *yardarmv1.Bundle:
		out.Resource = &hubv1.WatchResponse_Bundle{Bundle: m}
	case *yardarmv1.Gate:
		out.Resource = &hubv1.WatchResponse_Gate{Gate: m}
	case *yardarmv1.Assignment:
		out.Resource = &hubv1.WatchResponse_Assignment{Assignment: m}
	}
	return out
}

// ended is a resource that is no more, or no more what was asked for: its identity alone.
func ended(kind, name, uid string) proto.Message {
	meta, api := &yardarmv1.ObjectMeta{Name: name, Uid: uid}, yardarmv1.APIVersion
	switch kind {
	case yardarmv1.KindCluster:
		return &yardarmv1.Cluster{ApiVersion: api, Kind: kind, Metadata: meta}
	case yardarmv1.KindClusterGroup:
		return &yardarmv1.ClusterGroup{ApiVersion: api, Kind: kind, Metadata: meta}
	case yardarmv1.KindBundle:
		return &yardarmv1.Bundle{ApiVersion: api, Kind: kind, Metadata: meta}
	case yardarmv1.KindGate:
		return &yardarmv1.Gate{ApiVersion: api, Kind: kind, Metadata: meta}
	}
	cluster, bundle, _ := strings.Cut(name, ".")
	return &yardarmv1.Assignment{ApiVersion: api, Kind: kind, Metadata: meta, Spec: &yardarmv1.AssignmentSpec{Cluster: cluster, Bundle: bundle}}
}
