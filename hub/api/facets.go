package api

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/yardarm-dev/yardarm/hub/index"
	"github.com/yardarm-dev/yardarm/hub/query"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	maxFacets         = 32
	defaultFacetLimit = 50
	maxFacetLimit     = 1000
	// maxFacetValues is how many values of a facet are told apart while they are counted, which bounds what a facet such as a name costs.
	maxFacetValues = 10_000
	// maxFacetAnswers is how many answers are kept until something changes: those of the pages that many people look at.
	maxFacetAnswers = 64
)

// GetFacets implements FleetService.
func (s *Server) GetFacets(ctx context.Context, req *hubv1.GetFacetsRequest) (*hubv1.Facets, error) {
	if len(req.GetFacets()) > maxFacets {
		return nil, invalid("facets", fmt.Sprintf("has %d fields; at most %d are counted at once", len(req.GetFacets()), maxFacets))
	}
	if req.GetLimit() > maxFacetLimit {
		return nil, invalid("limit", fmt.Sprintf("is %d; at most %d values of each facet are answered", req.GetLimit(), maxFacetLimit))
	}
	switch req.GetKind() {
	case yardarmv1.KindCluster:
		return facets(ctx, s, req, clusterFields, []string{"presence", "state", "phase", "version", "distribution", "provider", "region", "group", "label"},
			func(v view, state *index.State, add func(*index.Cluster)) {
				for c := range state.Clusters() {
					if v.seesEntry(c) {
						add(v.clusterPart(c))
					}
				}
			})
	case yardarmv1.KindAssignment:
		return facets(ctx, s, req, assignmentFields, []string{"phase", "reason", "bundle"},
			func(v view, state *index.State, add func(pair)) {
				eachPair(state, "", "", func(p pair) {
					if v.seesPair(p) {
						add(pair{v.clusterPart(p.cluster), p.Assignment})
					}
				})
			})
	case yardarmv1.KindBundle:
		return facets(ctx, s, req, bundleFields, []string{"group"}, func(v view, state *index.State, add func(*index.Bundle)) {
			for b := range state.Bundles() {
				if v.seesBundle(b.Row) {
					add(v.bundlePart(b))
				}
			}
		})
	}
	return nil, invalid("kind", fmt.Sprintf("is %q; %s, %s and %s can be counted", clip(req.GetKind()),
		yardarmv1.KindCluster, yardarmv1.KindAssignment, yardarmv1.KindBundle))
}

func facets[R any](ctx context.Context, s *Server, req *hubv1.GetFacetsRequest, schema *query.Schema[R], usual []string, all func(view, *index.State, func(R))) (*hubv1.Facets, error) {
	filter, err := schema.Filter(req.GetFilter())
	if err != nil {
		return nil, invalid("filter", err.Error())
	}
	names := req.GetFacets()
	if len(names) == 0 {
		names = usual
	}
	tallies := make([]*tally[R], len(names))
	for i, name := range names {
		field, ok := schema.Field(name)
		if !ok || field.Time {
			return nil, invalid(fmt.Sprintf("facets[%d]", i), fmt.Sprintf("%q is no field that can be counted", clip(name)))
		}
		tallies[i] = &tally[R]{field: field, counts: make(map[string]*uint32)}
	}
	limit := cmp.Or(int(req.GetLimit()), defaultFacetLimit)
	key := fmt.Sprintf("%q %q %q %d", req.GetKind(), req.GetFilter(), names, limit)
	var out *hubv1.Facets
	s.read(ctx, func(v view, state *index.State) {
		// Answers are kept of those who see everything.
		if v.all {
			if out = s.facets.get(state.Seq, key); out != nil {
				return
			}
		}
		out = &hubv1.Facets{}
		all(v, state, func(resource R) {
			if !filter.Matches(resource) {
				return
			}
			out.TotalSize++
			for _, t := range tallies {
				t.add(resource)
			}
		})
		for _, t := range tallies {
			out.Facets = append(out.Facets, t.facet(limit))
		}
		if v.all {
			s.facets.put(state.Seq, key, out)
		}
	})
	return out, nil
}

// tally counts resources by what they have of one field.
type tally[R any] struct {
	field  query.Field[R]
	counts map[string]*uint32
	// last is the value that was counted last, as the next one often is, and where.
	last         string
	at           *uint32
	others, none uint32
}

func (t *tally[R]) add(r R) {
	switch {
	case t.field.Number != nil:
		t.count(strconv.FormatInt(t.field.Number(r), 10))
	case t.field.Text != nil:
		t.count(t.field.Text(r))
	default:
		values := t.field.Texts(r)
		for _, value := range values {
			t.count(value)
		}
		if len(values) == 0 {
			t.none++
		}
	}
}

func (t *tally[R]) count(value string) {
	switch {
	case value == "":
		t.none++
		return
	case t.at != nil && value == t.last:
		*t.at++
		return
	}
	at := t.counts[value]
	if at == nil {
		if len(t.counts) >= maxFacetValues {
			t.others++
			return
		}
		at = new(uint32)
		t.counts[value] = at
	}
	*at++
	t.last, t.at = value, at
}

// facet is the result: the most frequent values, by their text where they are equally so.
func (t *tally[R]) facet(limit int) *hubv1.Facet {
	out := &hubv1.Facet{Name: t.field.Name, Others: t.others, None: t.none}
	for value, n := range t.counts {
		out.Values = append(out.Values, &hubv1.FacetValue{Value: value, Count: *n})
	}
	slices.SortFunc(out.Values, func(a, b *hubv1.FacetValue) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Value, b.Value))
	})
	if len(out.Values) > limit {
		for _, v := range out.Values[limit:] {
			out.Others += v.Count
		}
		out.Values = slices.Clip(out.Values[:limit])
	}
	return out
}

// facetAnswers keeps answers for as long as nothing changes.
type facetAnswers struct {
	mu    sync.Mutex // guards all
	seq   uint64
	byKey map[string]*hubv1.Facets
}

// get answers what was counted at this seq; nil where nothing was. It must not be changed.
func (f *facetAnswers) get(seq uint64, key string) *hubv1.Facets {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seq != seq {
		return nil
	}
	return f.byKey[key]
}

func (f *facetAnswers) put(seq uint64, key string, answer *hubv1.Facets) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seq != seq || len(f.byKey) >= maxFacetAnswers {
		f.seq, f.byKey = seq, make(map[string]*hubv1.Facets)
	}
	f.byKey[key] = answer
}
