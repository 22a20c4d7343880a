package cli

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/yardarm-dev/yardarm/pkg/client"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// fleetState is what status shows of the whole.
type fleetState struct {
	hub      *hubv1.Hub
	clusters []*yardarmv1.Cluster
	bundles  []*yardarmv1.Bundle
	// away are the clusters that are not connected.
	away []*yardarmv1.Cluster
	// waiting are, worst first, the assignments that are not ready, and what clusters hold or remove though nothing assigns it.
	waiting []*yardarmv1.Assignment
	// drifted are those, ready or not, of which objects differ from what was applied.
	drifted []*yardarmv1.Assignment
}

// ready tells whether there is nothing to do or to wait for.
func (s *fleetState) ready() bool {
	return len(s.waiting) == 0 && len(s.away) == 0 && !slices.ContainsFunc(s.bundles, rollsOut) && s.hub.GetReadOnly() == ""
}

// readFleet asks for assignments only where counts say that some are not ready.
func readFleet(ctx context.Context, hub *client.Client) (*fleetState, error) {
	s := &fleetState{}
	var err error
	if s.hub, err = hub.GetHub(ctx, &hubv1.GetHubRequest{}); err != nil {
		return nil, err
	}
	if s.clusters, err = collect(hub.Clusters(ctx, &hubv1.ListClustersRequest{})); err != nil {
		return nil, err
	}
	if s.bundles, err = collect(hub.Bundles(ctx, &hubv1.ListBundlesRequest{})); err != nil {
		return nil, err
	}
	seen := make(map[string]bool)
	missing := make(map[string]int) // by cluster: how many are not ready beyond those that are known
	for _, c := range s.clusters {
		if n := c.GetStatus().GetBundles(); n.GetTotal() > n.GetReady() {
			missing[c.GetMetadata().GetName()] = int(n.GetTotal() - n.GetReady())
		}
		if c.GetStatus().GetPresence() != yardarmv1.PresenceConnected {
			s.away = append(s.away, c)
		}
	}
	take := func(req *hubv1.ListAssignmentsRequest) error {
		list, err := collect(hub.Assignments(ctx, req))
		if err != nil && !isCode(err, codes.NotFound) { // deleted meanwhile
			return err
		}
		for _, x := range list {
			key := x.GetSpec().GetCluster() + "." + x.GetSpec().GetBundle()
			if seen[key] {
				continue
			}
			seen[key] = true
			if drifted(x) != "" {
				s.drifted = append(s.drifted, x)
			}
			if x.GetStatus().GetPhase() == yardarmv1.PhaseReady {
				continue
			}
			missing[x.GetSpec().GetCluster()]--
			s.waiting = append(s.waiting, x)
		}
		return nil
	}
	for _, bundle := range s.bundles {
		if c := bundle.GetStatus().GetClusters(); c.GetReady() < c.GetTotal() || c.GetDrifted() > 0 {
			if err := take(&hubv1.ListAssignmentsRequest{Bundle: bundle.GetMetadata().GetName()}); err != nil {
				return nil, err
			}
		}
	}
	// What is left is of bundles that the hub does not list: it has deleted them, or was restored to a time before them.
	var unexplained []string
	for _, c := range s.clusters {
		if name := c.GetMetadata().GetName(); missing[name] > 0 {
			unexplained = append(unexplained, name)
		}
	}
	requests := []*hubv1.ListAssignmentsRequest{{}}
	if len(unexplained) <= maxSingleLists {
		requests = nil
		for _, name := range unexplained {
			requests = append(requests, &hubv1.ListAssignmentsRequest{Cluster: name})
		}
	}
	for _, req := range requests {
		if err := take(req); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(s.waiting, func(x, y *yardarmv1.Assignment) int {
		return cmp.Or(cmp.Compare(severity(x), severity(y)),
			strings.Compare(x.GetSpec().GetBundle(), y.GetSpec().GetBundle()), strings.Compare(x.GetSpec().GetCluster(), y.GetSpec().GetCluster()))
	})
	return s, nil
}

// maxSingleLists is for how many clusters assignments are listed one cluster at a time; beyond, one list of all is less work.
const maxSingleLists = 20

// collect reads a list to its end.
func collect[T any](list iter.Seq2[T, error]) ([]T, error) {
	var all []T
	for one, err := range list {
		if err != nil {
			return all, err
		}
		all = append(all, one)
	}
	return all, nil
}
