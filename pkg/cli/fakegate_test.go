package cli

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func (f *fleet) ListGates(_ context.Context, req *hubv1.ListGatesRequest) (*hubv1.ListGatesResponse, error) {
	resp := &hubv1.ListGatesResponse{}
	resp.Gates, resp.NextPageToken, resp.TotalSize = paged(f, sorted[*yardarmv1.Gate](f, yardarmv1.KindGate, nil), req.GetPageSize(), req.GetPageToken())
	return resp, nil
}

func (f *fleet) GetGate(_ context.Context, req *hubv1.GetGateRequest) (*yardarmv1.Gate, error) {
	return find[*yardarmv1.Gate](f, yardarmv1.KindGate, req.GetName())
}

func (f *fleet) GetSourceCredentials(_ context.Context, req *hubv1.GetSourceCredentialsRequest) (*yardarmv1.SourceCredentials, error) {
	return find[*yardarmv1.SourceCredentials](f, yardarmv1.KindSourceCredentials, req.GetName())
}

func (f *fleet) DeleteGate(_ context.Context, req *hubv1.DeleteGateRequest) (*hubv1.DeleteGateResponse, error) {
	f.note(req)
	return &hubv1.DeleteGateResponse{}, nil
}

func (f *fleet) OverrideGates(_ context.Context, req *hubv1.SteerRolloutRequest) (*yardarmv1.Rollout, error) {
	return f.steered(req)
}

// gatesFleet has two freezes and two windows.
func gatesFleet() *fleet {
	gate := func(name, state string, changes time.Duration, spec *yardarmv1.GateSpec) *yardarmv1.Gate {
		g := &yardarmv1.Gate{Kind: yardarmv1.KindGate, Metadata: &yardarmv1.ObjectMeta{Name: name, CreationTimestamp: ago(time.Hour), ResourceVersion: "7"}, Spec: spec,
			Status: &yardarmv1.GateStatus{Actor: "ann", Written: ago(time.Hour), State: state}}
		if changes > 0 {
			g.Status.Changes = ago(-changes)
		}
		return g
	}
	return newFleet(
		gate("friday", yardarmv1.GateShut, 0, &yardarmv1.GateSpec{Reason: "nobody is here", Freeze: &yardarmv1.Freeze{}}),
		gate("disks", yardarmv1.GateShut, 2*time.Hour, &yardarmv1.GateSpec{Bundles: &yardarmv1.Scope{Names: []string{"web", "db"}}, Groups: []string{"prod"},
			Clusters: &yardarmv1.Scope{Names: []string{"eu-1"}}, Freeze: &yardarmv1.Freeze{Until: ago(-2 * time.Hour)}}),
		gate("nightly", yardarmv1.GateOpen, time.Hour, &yardarmv1.GateSpec{Window: &yardarmv1.Window{Effect: yardarmv1.WindowAllow, Schedule: "0 22 * * 1-5",
			Duration: durationpb.New(6 * time.Hour), TimeZone: "Europe/Berlin"}}),
		gate("sale", yardarmv1.GateOpen, 48*time.Hour, &yardarmv1.GateSpec{Bundles: &yardarmv1.Scope{Selector: &yardarmv1.LabelSelector{MatchLabels: map[string]string{"team": "shop"}}},
			Window: &yardarmv1.Window{Effect: yardarmv1.WindowDeny, Schedule: "0 8 * * 6", Duration: durationpb.New(12 * time.Hour)}}))
}
