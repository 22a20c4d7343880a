package api_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// overview is what a page makes of the stream.
type overview struct {
	t      *testing.T
	stream hubv1.FleetService_WatchOverviewClient
	cells  map[string]string
}

func openOverview(t *testing.T, c hubv1.FleetServiceClient, req *hubv1.WatchOverviewRequest) *overview {
	t.Helper()
	return &overview{t, must[hubv1.FleetService_WatchOverviewClient](t)(c.WatchOverview(t.Context(), req)), map[string]string{}}
}

// next takes in the messages of one step, and answers the kinds that have changed.
func (o *overview) next() []string {
	o.t.Helper()
	for {
		m, err := o.stream.Recv()
		if err != nil {
			o.t.Fatal(err)
		}
		for _, c := range m.Cells {
			o.cells[c.Name] = strings.TrimRight(fmt.Sprint(c.State, " ", c.Group, " ", c.Region), " ")
		}
		for _, name := range m.Gone {
			delete(o.cells, name)
		}
		if m.Complete {
			if m.Cursor == "" {
				o.t.Error("a step without a cursor")
			}
			return m.Changed
		}
	}
}

// until takes in steps until the cells are these.
func (o *overview) until(want map[string]string) {
	o.t.Helper()
	for !maps.Equal(o.cells, want) {
		if o.stream.Context().Err() != nil {
			o.t.Fatalf("cells %v, want %v", o.cells, want)
		}
		o.next()
	}
}

func TestOverview(t *testing.T) {
	h := smallFleet(t)
	o := openOverview(t, h, &hubv1.WatchOverviewRequest{Cells: true, Filter: "env=prod"})
	if changed := o.next(); !slices.Equal(changed, []string{"Bundle", "Cluster", "ClusterGroup", "Gate"}) {
		t.Errorf("at first, %v have changed: a page asks for all", changed)
	}
	states := map[string]string{}
	list := must[*hubv1.ListClustersResponse](t)(h.ListClusters(t.Context(), &hubv1.ListClustersRequest{Filter: "env=prod"}))
	for _, c := range list.Clusters {
		states[c.Metadata.Name] = strings.TrimRight(fmt.Sprint(c.Status.State, " prod ", c.Status.Facts.GetRegion()), " ")
	}
	if len(states) != 2 || !maps.Equal(o.cells, states) {
		t.Errorf("cells %v, want %v", o.cells, states)
	}
	// A cluster that goes, and one that leaves the filter, are gone; one that comes is there, in the smallest of its groups.
	name := list.Clusters[0].Metadata.Name
	must[*yardarmv1.Cluster](t)(h.LabelCluster(t.Context(), &hubv1.LabelClusterRequest{Name: name, Set: map[string]string{"env": "test"}, Overwrite: true}))
	delete(states, name)
	o.until(states)
	h.Enrolled(t, "ghent", map[string]string{"env": "prod", "region": "north"})
	states["ghent"] = "NeverConnected prod north"
	o.until(states)
	must[*hubv1.DeleteClusterResponse](t)(h.DeleteCluster(t.Context(), &hubv1.DeleteClusterRequest{Name: "ghent", Workloads: yardarmv1.Workloads_WORKLOADS_KEEP}))
	delete(states, "ghent")
	o.until(states)
}

// A page that shows what is frozen hears of it, whatever else changes.
func TestOverviewTellsOfGates(t *testing.T) {
	h := apitest.Start(t)
	o := openOverview(t, h, &hubv1.WatchOverviewRequest{})
	o.next()
	freeze := &yardarmv1.Gate{ApiVersion: yardarmv1.APIVersion, Kind: yardarmv1.KindGate, Metadata: &yardarmv1.ObjectMeta{Name: "freeze-all"}, Spec: &yardarmv1.GateSpec{Freeze: &yardarmv1.Freeze{}}}
	must[*hubv1.ApplyResponse](t)(h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{{Resource: &hubv1.Resource_Gate{Gate: freeze}}}}))
	for !slices.Contains(o.next(), yardarmv1.KindGate) {
	}
	must[*hubv1.DeleteGateResponse](t)(h.DeleteGate(t.Context(), &hubv1.DeleteGateRequest{Name: "freeze-all"}))
	for !slices.Contains(o.next(), yardarmv1.KindGate) {
	}
}

// Whoever sees a part of the fleet is told of that part, and of more once a binding gives it.
func TestOverviewIsScoped(t *testing.T) {
	h := smallFleet(t)
	made := must[*hubv1.CreateTokenResponse](t)(h.CreateToken(t.Context(), &hubv1.CreateTokenRequest{
		Name: "looker", Role: "viewer", ClusterGroups: &yardarmv1.Scope{Names: []string{"prod"}},
	}))
	o := openOverview(t, h.As(t, made.Secret), &hubv1.WatchOverviewRequest{Cells: true})
	o.next()
	if len(o.cells) != 2 {
		t.Errorf("sees %v, want those of prod", o.cells)
	}
	must[*hubv1.ApplyResponse](t)(h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{{Resource: &hubv1.Resource_RoleBinding{RoleBinding: &yardarmv1.RoleBinding{
		ApiVersion: yardarmv1.APIVersion, Kind: yardarmv1.KindRoleBinding, Metadata: &yardarmv1.ObjectMeta{Name: "all"},
		Spec: &yardarmv1.RoleBindingSpec{Role: "viewer", Subjects: []*yardarmv1.Subject{{Kind: yardarmv1.SubjectToken, Name: "looker"}}},
	}}}}}))
	for len(o.cells) != 4 {
		o.next()
	}
}

func TestOverviewRefusesBadFilters(t *testing.T) {
	h := apitest.Start(t)
	o := openOverview(t, h, &hubv1.WatchOverviewRequest{Filter: "nodes>many"})
	if _, err := o.stream.Recv(); status.Code(err) != codes.InvalidArgument {
		t.Errorf("answers %v", err)
	}
}
