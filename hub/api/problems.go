package api

import (
	"cmp"
	"context"
	"fmt"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/cause"
	"github.com/yardarm-dev/yardarm/hub/index"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

const (
	defaultProblems = 100
	maxProblems     = 1000
	defaultExamples = 3
	maxExamples     = 100
	// maxProblemBundles is how many bundles of a problem are named.
	maxProblemBundles = 10
)

// ListProblems implements FleetService.
func (s *Server) ListProblems(ctx context.Context, req *hubv1.ListProblemsRequest) (*hubv1.ListProblemsResponse, error) {
	switch {
	case req.GetLimit() > maxProblems:
		return nil, invalid("limit", fmt.Sprintf("is %d; at most %d problems are answered", req.GetLimit(), maxProblems))
	case req.GetExamples() > maxExamples:
		return nil, invalid("examples", fmt.Sprintf("is %d; at most %d of each problem are answered", req.GetExamples(), maxExamples))
	}
	filter, err := assignmentFields.Filter(req.GetFilter())
	if err != nil {
		return nil, invalid("filter", err.Error())
	}
	var out *hubv1.ListProblemsResponse
	v := s.read(ctx, func(v view, state *index.State) {
		found := cause.NewGathering(v.seesEntry)
		eachPair(state, req.GetCluster(), req.GetBundle(), func(p pair) {
			if v.seesPair(p) && filter.Matches(pair{v.clusterPart(p.cluster), p.Assignment}) {
				found.Add(p.cluster, p.Assignment)
			}
		})
		out = v.problems(found, req)
	})
	switch cluster, bundle := req.GetCluster(), req.GetBundle(); {
	case cluster != "" && v.ClusterByName(cluster) == nil:
		return nil, clusterNotFound(cluster)
	case bundle != "" && out.GetClusters() == 0 && req.GetFilter() == "" && v.BundleByName(bundle) == nil:
		return nil, bundleNotFound(bundle)
	}
	return out, nil
}

// problems shows those of the most clusters.
func (v view) problems(found *cause.Gathering, req *hubv1.ListProblemsRequest) *hubv1.ListProblemsResponse {
	all := found.Problems()
	clusters, failing := found.Clusters()
	out := &hubv1.ListProblemsResponse{TotalSize: uint32(len(all)), Clusters: uint32(clusters), FailingClusters: uint32(failing)}
	for _, p := range all[:min(len(all), cmp.Or(int(req.GetLimit()), defaultProblems))] {
		shown := v.problem(p, cmp.Or(int(req.GetExamples()), defaultExamples))
		for _, s := range found.Shared(p) {
			shown.Shared = append(shown.Shared, &hubv1.SharedTrait{
				Type: s.Type, Key: s.Key, Value: s.Value, Failing: uint32(s.Failing), FailingTotal: uint32(s.FailingTotal),
				Others: uint32(s.Others), OthersTotal: uint32(s.OthersTotal),
			})
		}
		out.Problems = append(out.Problems, shown)
	}
	return out
}

func (v view) problem(p *cause.Problem, examples int) *hubv1.Problem {
	out := &hubv1.Problem{
		Phase: p.Phase, Reason: p.Reason, Kind: p.Kind, Message: p.Message, Bundles: p.Bundles[:min(len(p.Bundles), maxProblemBundles)],
		Clusters: uint32(len(p.Clusters)), UnheardClusters: uint32(len(p.Unheard)), UnheardSince: stamp(p.UnheardSince), Since: p.Since,
	}
	for _, f := range p.Failures[:min(len(p.Failures), examples)] {
		e := &hubv1.ProblemExample{
			Cluster: f.Cluster.Name(), Bundle: f.Bundle, Revision: f.Revision, Object: f.Object, Message: f.Said, Since: f.Since, AsOf: timestamppb.New(v.now),
		}
		if !f.Heard {
			e.Revision, e.AsOf = f.Report.GetRevision(), stamp(cause.LastHeard(f.Cluster))
		}
		out.Examples = append(out.Examples, e)
	}
	return out
}
