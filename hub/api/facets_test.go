package api_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// counted is facets in a line each, as in "presence: Connected 2, Stale 1; none 1".
func counted(f *hubv1.Facets) string {
	var lines []string
	for _, facet := range f.GetFacets() {
		var values []string
		for _, v := range facet.Values {
			values = append(values, fmt.Sprint(v.Value, " ", v.Count))
		}
		line := facet.Name + ": " + strings.Join(values, ", ")
		if facet.Others > 0 {
			line += fmt.Sprint("; others ", facet.Others)
		}
		if facet.None > 0 {
			line += fmt.Sprint("; none ", facet.None)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func TestFacets(t *testing.T) {
	h := smallFleet(t)
	for _, tc := range []struct {
		req  *hubv1.GetFacetsRequest
		want string
	}{
		{&hubv1.GetFacetsRequest{Kind: "Cluster", Facets: []string{"presence", "phase", "env", "region", "group", "label", "nodes"}}, `presence: Connected 2, NeverConnected 1, Stale 1
phase: Active 4, Failed 1, Ready 1
env: prod 2, test 2
region: eu 3; none 1
group: all 4, prod 2
label: env 4, phase 4
nodes: 0 1, 4 1, 5 1, 6 1`},
		{&hubv1.GetFacetsRequest{Kind: "Cluster", Filter: "env=prod", Facets: []string{"version", "labels.phase"}}, `version: v1.30.7+k3s1 1, v1.31.2 1
labels.phase: blue 2`},
		{&hubv1.GetFacetsRequest{Kind: "Cluster", Facets: []string{"name", "missing"}, Limit: 1}, `name: berlin 1; others 3
missing: ; none 4`},
		{&hubv1.GetFacetsRequest{Kind: "Assignment"}, `phase: Failed 1, Ready 1
reason: FailedReason 1, ReadyReason 1
bundle: web 2`},
		{&hubv1.GetFacetsRequest{Kind: "Bundle"}, "group: prod 1"},
	} {
		for range 2 { // the second answer is one that was kept
			got := must[*hubv1.Facets](t)(h.GetFacets(t.Context(), tc.req))
			if text := counted(got); text != tc.want {
				t.Errorf("%v:\n%s\nwant\n%s", tc.req, text, tc.want)
			}
		}
	}
	// What was kept ends with a change.
	must[any](t)(h.DeleteCluster(t.Context(), &hubv1.DeleteClusterRequest{Name: "oslo", Workloads: yardarmv1.Workloads_WORKLOADS_KEEP}))
	if got := must[*hubv1.Facets](t)(h.GetFacets(t.Context(), &hubv1.GetFacetsRequest{Kind: "Bundle"})); got.TotalSize != 1 {
		t.Errorf("bundles %v", got)
	}
	all := must[*hubv1.Facets](t)(h.GetFacets(t.Context(), &hubv1.GetFacetsRequest{Kind: "Cluster"}))
	if all.TotalSize != 3 || len(all.Facets) != 9 || !strings.HasPrefix(counted(all), "presence: Connected 2, Stale 1\n") {
		t.Errorf("after a deletion: %v", all)
	}
}

// TestFacetsFollow changes a fleet at random, and compares what is counted by what has changed with what is counted anew. Two limits are two questions, and so are
// never answered from each other's counts.
func TestFacetsFollow(t *testing.T) {
	h := smallFleet(t)
	random := rand.New(rand.NewPCG(6, 8))
	names := []string{"berlin", "oslo"}
	for i := range 60 {
		name := names[random.IntN(len(names))]
		switch random.IntN(6) {
		case 0, 1:
			must[any](t)(h.LabelCluster(t.Context(), &hubv1.LabelClusterRequest{Name: name, Overwrite: true, Set: map[string]string{"env": fmt.Sprint("e", random.IntN(4)), "n": fmt.Sprint(i)}}))
		case 2:
			must[any](t)(h.BanCluster(t.Context(), &hubv1.BanClusterRequest{Name: name}))
		case 3:
			must[any](t)(h.UnbanCluster(t.Context(), &hubv1.UnbanClusterRequest{Name: name}))
		case 4:
			names = append(names, fmt.Sprint("new-", i))
			must[any](t)(h.EnrollCluster(t.Context(), &hubv1.EnrollClusterRequest{Name: names[len(names)-1], Labels: map[string]string{"env": "prod"}}))
		case 5: // it comes and goes between two questions
			brief := fmt.Sprint("brief-", i)
			must[any](t)(h.EnrollCluster(t.Context(), &hubv1.EnrollClusterRequest{Name: brief}))
			must[any](t)(h.DeleteCluster(t.Context(), &hubv1.DeleteClusterRequest{Name: brief, Workloads: yardarmv1.Workloads_WORKLOADS_KEEP}))
		}
		for _, req := range []*hubv1.GetFacetsRequest{
			{Kind: "Cluster", Facets: []string{"phase", "env", "group", "label", "n", "bundles.total"}},
			{Kind: "Cluster", Filter: "env=prod"}, {Kind: "Assignment"}, {Kind: "Bundle", Facets: []string{"clusters.total", "group"}},
		} {
			req.Limit = 900
			follows := must[*hubv1.Facets](t)(h.GetFacets(t.Context(), req))
			req.Limit = uint32(100 + i)
			anew := must[*hubv1.Facets](t)(h.GetFacets(t.Context(), req))
			if counted(follows) != counted(anew) || follows.TotalSize != anew.TotalSize {
				t.Fatalf("after %d changes, %v: %d\n%s\nanew: %d\n%s", i+1, req, follows.TotalSize, counted(follows), anew.TotalSize, counted(anew))
			}
		}
	}
}

func TestFacetRefusals(t *testing.T) {
	h := apitest.Start(t)
	for field, req := range map[string]*hubv1.GetFacetsRequest{
		"kind":             {Kind: "Pod"},
		"kind: ":           {},
		"filter: column 1": {Kind: "Cluster", Filter: "(a"},
		"facets[1]":        {Kind: "Cluster", Facets: []string{"name", "created"}},
		"facets: has 40":   {Kind: "Cluster", Facets: make([]string, 40)},
		"limit":            {Kind: "Cluster", Limit: 1001},
	} {
		_, err := h.GetFacets(t.Context(), req)
		refused(t, err, codes.InvalidArgument, field)
	}
}
