package api_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// freezing is a gate that freezes the bundles in the clusters of the groups, all of them where none is named.
func freezing(name, bundles string, groups ...string) *hubv1.Resource {
	spec := &yardarmv1.GateSpec{Freeze: &yardarmv1.Freeze{}, Groups: groups}
	if bundles != "" {
		spec.Bundles = &yardarmv1.Scope{Names: strings.Fields(bundles)}
	}
	return gateOf(name, spec)
}

func windowed(name, effect, schedule string, d time.Duration) *hubv1.Resource {
	return gateOf(name, &yardarmv1.GateSpec{Window: &yardarmv1.Window{Effect: effect, Schedule: schedule, Duration: durationpb.New(d)}})
}

func gateOf(name string, spec *yardarmv1.GateSpec) *hubv1.Resource {
	return &hubv1.Resource{Resource: &hubv1.Resource_Gate{Gate: &yardarmv1.Gate{Metadata: &yardarmv1.ObjectMeta{Name: name}, Spec: spec}}}
}

func TestGatesAreKept(t *testing.T) {
	h := apitest.Start(t)
	frozen := freezing("friday", "", "prod")
	frozen.GetGate().Spec.Reason = "nobody is here"
	if got := outcomes(apply(t, h, frozen, windowed("nightly", "allow", "0 22 * * *", time.Hour), group("prod", "env=prod"))); got != "created created created" {
		t.Errorf("outcomes %s", got) // a group and what is about it in one call
	}
	before := must[*yardarmv1.Gate](t)(h.GetGate(t.Context(), &hubv1.GetGateRequest{Name: "friday"}))
	if st := before.Status; before.Kind != "Gate" || st.State != "Shut" || st.Actor != "local-admin" || st.Written == nil || st.Changes != nil {
		t.Errorf("%v", before)
	}
	// Applied again as it is, nothing changes, nor who wrote it.
	if got := outcomes(apply(t, h, frozen)); got != "unchanged" {
		t.Errorf("outcomes %s", got)
	}
	list := must[*hubv1.ListGatesResponse](t)(h.ListGates(t.Context(), &hubv1.ListGatesRequest{Filter: "type=window"}))
	if len(list.Gates) != 1 || list.Gates[0].Metadata.Name != "nightly" || list.Gates[0].Status.Changes == nil {
		t.Errorf("%v", list)
	}
	_, err := h.DeleteClusterGroup(t.Context(), &hubv1.DeleteClusterGroupRequest{Name: "prod"})
	refused(t, err, codes.FailedPrecondition, "gates are about", "friday")
	_, err = h.DeleteGate(t.Context(), &hubv1.DeleteGateRequest{Name: "friday", ResourceVersion: "1"})
	refused(t, err, codes.Aborted, "friday")
	must[*hubv1.DeleteGateResponse](t)(h.DeleteGate(t.Context(), &hubv1.DeleteGateRequest{Name: "friday"}))
	_, err = h.GetGate(t.Context(), &hubv1.GetGateRequest{Name: "friday"})
	refused(t, err, codes.NotFound, "friday")
}

// What makes no sense is refused by field and reason.
func TestGatesAreChecked(t *testing.T) {
	h := apitest.Start(t)
	past := freezing("past", "")
	past.GetGate().Spec.Freeze.Until = timestamppb.New(time.Now().Add(-time.Hour))
	empty := freezing("empty", "")
	empty.GetGate().Spec.Clusters = &yardarmv1.Scope{}
	zone := windowed("zone", "deny", "0 22 * * *", time.Hour)
	zone.GetGate().Spec.Window.TimeZone = "Europe/Nowhere"
	long := freezing("long", "")
	long.GetGate().Spec.Reason = strings.Repeat("x", 2000)
	for field, gate := range map[string]*hubv1.Resource{
		"spec.groups[0]":       freezing("unknown", "", "nowhere"),
		"spec.freeze.until":    past,
		"spec.clusters":        empty,
		"spec.window.timeZone": zone,
		"spec.window.schedule": windowed("never", "allow", "0 0 30 2 *", time.Hour),
		"spec.window.duration": windowed("short", "allow", "0 22 * * *", 0),
		"spec":                 gateOf("nothing", &yardarmv1.GateSpec{}),
		"spec.reason":          long,
	} {
		_, err := h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{gate}})
		if got := fields(refused(t, err, codes.InvalidArgument, gate.GetGate().Metadata.Name)); len(got) != 1 || got[0] != "resources[0]."+field {
			t.Errorf("fields %v, want %s", got, field)
		}
	}
}

// Windows that leave no moment are warned of, where the gate is applied and where a bundle is published.
func TestGatesThatLeaveNoMoment(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"))
	h.Enrolled(t, "berlin", map[string]string{"env": "prod"})
	publish(t, h, "web", "1", "prod")
	if got := apply(t, h, windowed("nightly", "allow", "0 22 * * *", time.Hour)).Results[0].Warnings; len(got) != 0 {
		t.Errorf("warnings %q", got)
	}
	want := `gates nightly, quiet leave no moment at which a revision of bundle "web" goes on to 1 of its clusters, such as "berlin"`
	if got := apply(t, h, windowed("quiet", "deny", "0 20 * * *", 10*time.Hour)).Results[0].Warnings; len(got) != 1 || !strings.Contains(got[0], want) {
		t.Errorf("warnings %q", got)
	}
	if got := publish(t, h, "web", "2").Warnings; len(got) != 1 || !strings.Contains(got[0], want) {
		t.Errorf("warnings %q", got)
	}
}

// Whoever has a role for some bundles and groups has it for gates that are about nothing else.
func TestGatesWithinScope(t *testing.T) {
	h, c := scoped(t, "operator")
	apply(t, h, freezing("all", ""))
	asked := func(gate *hubv1.Resource) error {
		_, err := c.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{gate}})
		return err
	}
	if err := asked(freezing("own", "web", "prod")); err != nil {
		t.Fatal(err)
	}
	for _, beyond := range []*hubv1.Resource{freezing("x", ""), freezing("x", "web"), freezing("x", "", "prod"), freezing("x", "web db", "prod"),
		freezing("x", "web", "prod", "staging"), freezing("all", "web", "prod")} {
		refused(t, asked(beyond), codes.PermissionDenied, "more than their bindings are")
	}
	list := must[*hubv1.ListGatesResponse](t)(c.ListGates(t.Context(), &hubv1.ListGatesRequest{}))
	if len(list.Gates) != 1 || list.Gates[0].Metadata.Name != "own" {
		t.Errorf("it sees %v", list.Gates)
	}
	for _, hidden := range []string{"all", "nothing"} {
		_, err := c.GetGate(t.Context(), &hubv1.GetGateRequest{Name: hidden})
		refused(t, err, codes.NotFound, hidden)
		_, err = c.DeleteGate(t.Context(), &hubv1.DeleteGateRequest{Name: hidden})
		refused(t, err, codes.NotFound, hidden)
	}
	if _, err := c.DeleteGate(t.Context(), &hubv1.DeleteGateRequest{Name: "own"}); err != nil {
		t.Error(err)
	}
	_, err := c.OverrideGates(t.Context(), &hubv1.SteerRolloutRequest{Bundle: "web", Message: "now"})
	refused(t, err, codes.PermissionDenied, "may not override")
}

// A watch tells what people do to gates, and to a caller with a scope of those alone that are within it.
func TestWatchGates(t *testing.T) {
	h, c := scoped(t, "viewer")
	apply(t, h, freezing("all", ""), freezing("own", "web", "prod"))
	for name, client := range map[string]hubv1.FleetServiceClient{"all": h.FleetServiceClient, "within": c} {
		stream := must[hubv1.FleetService_WatchClient](t)(client.Watch(t.Context(), &hubv1.WatchRequest{Kind: yardarmv1.KindGate}))
		var told []string
		next := func(until string) {
			t.Helper()
			for {
				m := must[*hubv1.WatchResponse](t)(stream.Recv())
				if m.Type == "HEARTBEAT" {
					continue
				}
				told = append(told, strings.TrimSpace(m.Type+" "+m.GetGate().GetMetadata().GetName()))
				if told[len(told)-1] == until {
					return
				}
			}
		}
		next("BOOKMARK")
		if name == "all" {
			apply(t, h, windowed("nightly", "allow", "0 22 * * *", time.Hour))
			next("ADDED nightly")
			must[any](t)(h.DeleteGate(t.Context(), &hubv1.DeleteGateRequest{Name: "nightly"}))
			next("DELETED nightly")
		}
		changed := freezing("own", "web", "prod")
		changed.GetGate().Spec.Reason = name
		apply(t, h, changed)
		next("MODIFIED own")
		want := "ADDED own,BOOKMARK,MODIFIED own"
		if name == "all" {
			want = "ADDED all,ADDED own,BOOKMARK,ADDED nightly,DELETED nightly,MODIFIED own"
		}
		if got := strings.Join(told, ","); got != want {
			t.Errorf("%s: told %s, want %s", name, got, want)
		}
	}
}
