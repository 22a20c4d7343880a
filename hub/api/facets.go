package api

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

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
	// maxFacetCounts is how many counts are kept, and brought up to what has changed when they are asked for again: those of the pages that many people look
	// at. maxKeptValues is how many values one may have told apart for that, some 100 bytes each.
	maxFacetCounts = 64
	maxKeptValues  = 4096
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
			}, clusterChanges)
	case yardarmv1.KindAssignment:
		return facets(ctx, s, req, assignmentFields, []string{"phase", "reason", "bundle"},
			func(v view, state *index.State, add func(pair)) {
				eachPair(state, "", "", func(p pair) {
					if v.seesPair(p) {
						add(pair{v.clusterPart(p.cluster), p.Assignment})
					}
				})
			}, pairChanges)
	case yardarmv1.KindBundle:
		return facets(ctx, s, req, bundleFields, []string{"group"}, func(v view, state *index.State, add func(*index.Bundle)) {
			for b := range state.Bundles() {
				if v.seesBundle(b.Row) {
					add(v.bundlePart(b))
				}
			}
		}, bundleChanges)
	}
	return nil, invalid("kind", fmt.Sprintf("is %q; %s, %s and %s can be counted", clip(req.GetKind()),
		yardarmv1.KindCluster, yardarmv1.KindAssignment, yardarmv1.KindBundle))
}

// facets counts all that the caller sees: anew, or, for those who see everything, by what has changed since it was counted last.
func facets[R any](ctx context.Context, s *Server, req *hubv1.GetFacetsRequest, schema *query.Schema[R], usual []string,
	all func(view, *index.State, func(R)), changes changesOf[R]) (*hubv1.Facets, error) {
	filter, err := schema.Filter(req.GetFilter())
	if err != nil {
		return nil, invalid("filter", err.Error())
	}
	names := req.GetFacets()
	if len(names) == 0 {
		names = usual
	}
	fresh := &facetCount[R]{filter: filter, tallies: make([]*tally[R], len(names)), limit: cmp.Or(int(req.GetLimit()), defaultFacetLimit)}
	for i, name := range names {
		field, ok := schema.Field(name)
		if !ok || field.Time {
			return nil, invalid(fmt.Sprintf("facets[%d]", i), fmt.Sprintf("%q is no field that can be counted", clip(name)))
		}
		fresh.tallies[i] = &tally[R]{field: field, counts: make(map[string]*uint32)}
	}
	key := fmt.Sprintf("%q %q %q %d", req.GetKind(), req.GetFilter(), names, fresh.limit)
	var out *hubv1.Facets
	s.read(ctx, func(v view, state *index.State) {
		if v.all {
			if out = followed(&s.facets, key, state, changes); out != nil {
				return
			}
		}
		all(v, state, func(resource R) { fresh.count(resource, 1) })
		fresh.seq = state.Seq
		out = fresh.facets()
		if v.all {
			s.facets.keep(key, fresh)
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

// count counts a resource in, or out where n is -1.
func (t *tally[R]) count(r R, n int) {
	switch {
	case t.field.Number != nil:
		t.value(strconv.FormatInt(t.field.Number(r), 10), n)
	case t.field.Text != nil:
		t.value(t.field.Text(r), n)
	default:
		values := t.field.Texts(r)
		for _, value := range values {
			t.value(value, n)
		}
		if len(values) == 0 {
			t.none += uint32(n) // wraps around, and so subtracts
		}
	}
}

func (t *tally[R]) value(value string, n int) {
	switch {
	case value == "":
		t.none += uint32(n)
		return
	case t.at != nil && value == t.last && n > 0:
		*t.at++
		return
	}
	at := t.counts[value]
	if at == nil {
		if len(t.counts) >= maxFacetValues {
			t.others += uint32(n)
			return
		}
		at = new(uint32)
		t.counts[value] = at
	}
	*at += uint32(n)
	t.last, t.at = value, at
	if *at == 0 {
		delete(t.counts, value)
		t.at = nil
	}
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
