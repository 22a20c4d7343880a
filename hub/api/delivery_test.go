package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/store"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// delivered is bundle web with a delivery policy.
func delivered(d *yardarmv1.DeliveryPolicy, groups ...string) *hubv1.Resource {
	b := bundle("web", groups...)
	b.GetBundle().Spec.Delivery = d
	return b
}

// waitsFor is a bundle that depends on others.
func waitsFor(name string, others ...string) *hubv1.Resource {
	b := bundle(name)
	b.GetBundle().Spec.Delivery = &yardarmv1.DeliveryPolicy{}
	for _, other := range others {
		b.GetBundle().Spec.Delivery.DependsOn = append(b.GetBundle().Spec.Delivery.DependsOn, &yardarmv1.Dependency{Bundle: other})
	}
	return b
}

func TestDeliveryIsChecked(t *testing.T) {
	h := apitest.Start(t)
	type policy = yardarmv1.DeliveryPolicy
	ignore := func(target *yardarmv1.ObjectSelector, paths ...string) *policy {
		return &policy{Ignore: []*yardarmv1.IgnoreRule{{Target: target, Paths: paths}}}
	}
	health := func(ready, failing, message string) *policy {
		return &policy{Health: []*yardarmv1.HealthRule{{Group: "example.com", Kind: "Widget", Ready: ready, Failing: failing, Message: message}}}
	}
	many := &policy{}
	for i := range 33 {
		many.DependsOn = append(many.DependsOn, &yardarmv1.Dependency{Bundle: "b" + number(i)})
	}
	for _, tc := range []struct {
		name     string
		delivery *policy
		field    string
		words    []string
	}{
		{"namespace", &policy{Namespace: "No_Namespace"}, "namespace", []string{"No_Namespace"}},
		{"takeover", &policy{Takeover: "sometimes"}, "takeover", []string{"sometimes", "always, if-no-diff, never"}},
		{"conflict", &policy{Conflict: "Force"}, "conflict", []string{"force, fail"}},
		{"drift", &policy{Drift: "repair"}, "drift", []string{"correct, report, ignore"}},
		{"a rule without paths", ignore(nil), "ignore[0].paths", []string{"1 to 64"}},
		{"a rule with many paths", ignore(nil, slices.Repeat([]string{"/a"}, 65)...), "ignore[0].paths", []string{"65"}},
		{"a path that is no pointer", ignore(nil, "/a", "spec.replicas"), "ignore[0].paths[1]", []string{"slash"}},
		{"a path to all", ignore(nil, "/"), "ignore[0].paths[0]", []string{"whole object"}},
		{"a tilde", ignore(nil, "/a~2"), "ignore[0].paths[0]", []string{"tilde"}},
		{"labels of a rule", ignore(&yardarmv1.ObjectSelector{Labels: "a=("}, "/a"), "ignore[0].target", []string{"labels"}},
		{"many rules", &policy{Ignore: slices.Repeat(ignore(nil, "/a").Ignore, 65)}, "ignore", []string{"65", "64"}},
		{"a dependency without a name", &policy{DependsOn: []*yardarmv1.Dependency{{}}}, "dependsOn[0].bundle", []string{"is missing"}},
		{"a dependency with a bad name", &policy{DependsOn: []*yardarmv1.Dependency{{Bundle: "DB"}}}, "dependsOn[0].bundle", []string{"lower-case"}},
		{"a dependency on itself", &policy{DependsOn: []*yardarmv1.Dependency{{Bundle: "db"}, {Bundle: "web"}}}, "dependsOn[1].bundle", []string{"itself"}},
		{"a dependency twice", &policy{DependsOn: []*yardarmv1.Dependency{{Bundle: "db"}, {Bundle: "db"}}}, "dependsOn[1].bundle", []string{"second time"}},
		{"a dependency's state", &policy{DependsOn: []*yardarmv1.Dependency{{Bundle: "db", State: "there"}}}, "dependsOn[0].state", []string{"ready, applied"}},
		{"many dependencies", many, "dependsOn", []string{"33", "32"}},
		{"a negative timeout", &policy{Timeout: durationpb.New(-time.Second)}, "timeout", []string{"24h"}},
		{"a long timeout", &policy{Timeout: durationpb.New(24*time.Hour + time.Second)}, "timeout", []string{"24h"}},
		{"a timeout that is none", &policy{Timeout: &durationpb.Duration{Seconds: 1, Nanos: -1}}, "timeout", nil},
		{"a health rule without a kind", &policy{Health: []*yardarmv1.HealthRule{{Ready: "true"}}}, "health[0].kind", []string{"is missing"}},
		{"a health rule that says nothing", health("", "", ""), "health[0].ready", []string{"is missing"}},
		{"a health rule that does not compile", health("object.status.", "", ""), "health[0].ready", nil},
		{"a health rule of another type", health("true", "1", ""), "health[0].failing", []string{"bool"}},
		{"a message of another type", health("true", "", "object.status.ready == true"), "health[0].message", []string{"string"}},
		{"a service account without a namespace", &policy{ServiceAccount: "deployer"}, "serviceAccount", []string{"NAMESPACE/NAME"}},
		{"a service account in a bad namespace", &policy{ServiceAccount: "App/deployer"}, "serviceAccount", []string{"NAMESPACE/NAME"}},
		{"a service account with a bad name", &policy{ServiceAccount: "app/system:admin"}, "serviceAccount", []string{"NAMESPACE/NAME"}},
		{"a service account with a long name", &policy{ServiceAccount: "app/" + strings.Repeat("a", 254+63)}, "serviceAccount", []string{"NAMESPACE/NAME"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{delivered(tc.delivery)}})
			st := refused(t, err, codes.InvalidArgument, tc.words...)
			if got, want := fields(st), []string{"resources[0].spec.delivery." + tc.field}; !slices.Equal(got, want) {
				t.Errorf("fields %q, want %q; %s", got, want, st.Message())
			}
		})
	}
	apply(t, h, delivered(&policy{
		Atomic: true, Namespace: "apps", Takeover: "if-no-diff", Conflict: "fail", Drift: "report", Keep: true, Recreate: true,
		Ignore:    []*yardarmv1.IgnoreRule{{Target: &yardarmv1.ObjectSelector{Kind: "Deployment", Labels: "app in (web)"}, Paths: []string{"/spec/replicas", "/metadata/annotations/a~1b"}}},
		DependsOn: []*yardarmv1.Dependency{{Bundle: "db", State: "applied"}, {Bundle: "queue"}}, Timeout: durationpb.New(24 * time.Hour),
		Health:         health("object.status.ready == true", "has(object.status.error)", "object.status.error").Health,
		ServiceAccount: "apps/deployer.v1",
	}))
}

func TestDependenciesDoNotGoRound(t *testing.T) {
	h := apitest.Start(t)
	// The order in which bundles are made does not matter, and what is not there yet is told.
	resp := apply(t, h, waitsFor("web", "api", "db"))
	if got := resp.Results[0].Warnings; len(got) != 1 || !strings.Contains(got[0], `"web" waits for "api", "db"`) {
		t.Errorf("warnings %q", got)
	}
	if got := apply(t, h, waitsFor("api", "queue"), waitsFor("db"), waitsFor("queue", "db")).Results; len(got[0].Warnings)+len(got[1].Warnings)+len(got[2].Warnings) > 0 {
		t.Errorf("warnings of bundles that are all there: %v", got)
	}
	_, err := h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{waitsFor("db", "other", "web")}})
	st := refused(t, err, codes.FailedPrecondition, "db waits for web waits for api waits for queue waits for db", "dependsOn")
	if reason(st) != "DEPENDENCY_CYCLE" {
		t.Errorf("reason %q", reason(st))
	}
	// Nothing of the refused change is left, and a change that turns all round at once is fine.
	if b := must[*yardarmv1.Bundle](t)(h.GetBundle(t.Context(), &hubv1.GetBundleRequest{Name: "db"})); len(b.GetSpec().GetDelivery().GetDependsOn()) != 0 {
		t.Errorf("bundle %v", b)
	}
	apply(t, h, waitsFor("web"), waitsFor("db", "web"), waitsFor("queue"))
	_, err = h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{waitsFor("a", "b"), waitsFor("b", "a")}})
	refused(t, err, codes.FailedPrecondition, "waits for")
	// Many ways lead to one bundle, and are not all followed.
	var wide []*hubv1.Resource
	for i := range 20 {
		wide = append(wide, waitsFor(fmt.Sprintf("l%02d", i), fmt.Sprintf("l%02d", i+1), fmt.Sprintf("r%02d", i+1)), waitsFor(fmt.Sprintf("r%02d", i), fmt.Sprintf("l%02d", i+1), fmt.Sprintf("r%02d", i+1)))
	}
	apply(t, h, wide...)
}

// A bundle waits for ever in a cluster that what it waits for does not go to.
func TestDependenciesGoToTheSameClusters(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("all", ""), group("prod", "env=prod"), group("eu", "region=eu"), group("none", "env=none"))
	h.Enrolled(t, "paris", map[string]string{"region": "eu"})
	h.Enrolled(t, "berlin", map[string]string{"env": "prod", "region": "eu"})
	h.Enrolled(t, "tokyo", map[string]string{"env": "prod"})
	leaving := h.Enrolled(t, "athens", map[string]string{"env": "leaving"})
	h.Update(t, func(tx *store.Tx) error {
		c := proto.CloneOf(tx.Cluster(leaving))
		c.Spec = &yardarmv1.ClusterSpec{Removal: &yardarmv1.Removal{}}
		return tx.PutCluster(c)
	})
	web := func(groups ...string) *hubv1.Resource {
		return delivered(&yardarmv1.DeliveryPolicy{DependsOn: []*yardarmv1.Dependency{{Bundle: "db"}}}, groups...)
	}
	for _, tc := range []struct {
		name    string
		web, db []string
		want    string // of the warning, after the bundle's name; empty for none
	}{
		{"the same group", []string{"prod"}, []string{"prod"}, ""},
		{"fewer groups", []string{"prod"}, []string{"eu", "prod"}, ""},
		{"another group with the same clusters", []string{"all"}, []string{"prod", "eu"}, ""},
		{"a smaller group", []string{"prod"}, []string{"all"}, ""},
		{"a larger group", []string{"all"}, []string{"prod"}, `1 of its 3 clusters, such as "paris"`},
		{"another group", []string{"prod"}, []string{"eu"}, `1 of its 2 clusters, such as "tokyo"`},
		{"one group more", []string{"prod", "eu"}, []string{"eu"}, `1 of its 3 clusters, such as "tokyo"`},
		{"a group without clusters", []string{"all"}, []string{"none"}, `3 of its 3 clusters, such as "berlin"`},
		{"no group", []string{"prod"}, nil, `2 of its 2 clusters, such as "berlin"`},
		{"no clusters of its own", []string{"none"}, []string{"eu"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want := ""
			if tc.want != "" {
				want = `bundle "web" waits for "db", which does not go to ` + tc.want + `; there it waits until "db" targets them, too`
			}
			resources := []*hubv1.Resource{web(tc.web...), bundle("db", tc.db...)}
			dry := must[*hubv1.ApplyResponse](t)(h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: resources, DryRun: true}))
			for _, resp := range []*hubv1.ApplyResponse{dry, apply(t, h, resources...)} {
				if got := strings.Join(resp.Results[0].Warnings, "\n"); got != want || len(resp.Results[1].Warnings) > 0 {
					t.Errorf("apply warns %q, want %q", got, want)
				}
			}
			resp := publish(t, h, "web", "'"+tc.name+"'")
			got := slices.DeleteFunc(resp.Warnings, func(w string) bool { return strings.Contains(w, "matches no cluster") })
			if strings.Join(got, "\n") != want {
				t.Errorf("publish warns %q, want %q", got, want)
			}
		})
	}
	t.Run("several", func(t *testing.T) {
		b := web("all")
		b.GetBundle().Spec.Delivery.DependsOn = []*yardarmv1.Dependency{{Bundle: "queue"}, {Bundle: "later"}, {Bundle: "db"}}
		got := apply(t, h, bundle("db", "prod"), bundle("queue", "eu"), b).Results[2].Warnings
		if len(got) != 3 || !strings.Contains(got[0], `"later", of which there is none yet`) || !strings.Contains(got[1], `"db"`) || !strings.Contains(got[2], `"queue"`) {
			t.Errorf("warnings %q", got)
		}
	})
}

// An undo brings back what a bundle waited for, which may wait for it by now.
func TestUndoDoesNotMakeACycle(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"), waitsFor("web", "db"), bundle("db"))
	publish(t, h, "web", "1")
	apply(t, h, waitsFor("web"))
	apply(t, h, waitsFor("db", "web"))
	_, err := h.UndoRollout(t.Context(), &hubv1.UndoRolloutRequest{Bundle: "web", ToRevision: 1})
	refused(t, err, codes.FailedPrecondition, "web waits for db waits for web")
	if resp := publish(t, h, "web", "2"); len(resp.Warnings) != 1 || strings.Contains(resp.Warnings[0], "waits") {
		t.Errorf("warnings %q", resp.Warnings)
	}
	apply(t, h, waitsFor("web", "later"))
	if resp := publish(t, h, "web", "3"); !slices.ContainsFunc(resp.Warnings, func(w string) bool { return strings.Contains(w, `waits for "later"`) }) {
		t.Errorf("warnings %q", resp.Warnings)
	}
}

func TestDefaultsThatAreWrittenOutAreNoChange(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"), delivered(&yardarmv1.DeliveryPolicy{DependsOn: []*yardarmv1.Dependency{{Bundle: "db"}}}, "prod"))
	h.Enrolled(t, "berlin", map[string]string{"env": "prod"})
	publish(t, h, "web", "1")
	before := assignment(t, h, "berlin", "web").Spec.Hash
	b := apply(t, h, delivered(&yardarmv1.DeliveryPolicy{Namespace: "default", Takeover: "always", Conflict: "force", Drift: "correct",
		DependsOn: []*yardarmv1.Dependency{{Bundle: "db", State: "ready"}}, Timeout: durationpb.New(10 * time.Minute)}, "prod")).Results[0].GetResource().GetBundle()
	if b.Status.LatestRevision != 1 || b.Spec.Delivery.Takeover != "always" || string(assignment(t, h, "berlin", "web").Spec.Hash) != string(before) {
		t.Errorf("bundle %v", b)
	}
	for i, d := range []*yardarmv1.DeliveryPolicy{
		{Takeover: "never"}, {Conflict: "fail"}, {Drift: "ignore"}, {Keep: true}, {Recreate: true}, {Timeout: durationpb.New(time.Minute)}, {ServiceAccount: "a/b"},
		{Ignore: []*yardarmv1.IgnoreRule{{Paths: []string{"/a"}}}}, {Health: []*yardarmv1.HealthRule{{Kind: "A", Ready: "true"}}}, {DependsOn: []*yardarmv1.Dependency{{Bundle: "db", State: "applied"}}},
	} {
		b := apply(t, h, delivered(d, "prod")).Results[0].GetResource().GetBundle()
		if int(b.Status.LatestRevision) != i+2 {
			t.Errorf("%v makes revision %d", d, b.Status.LatestRevision)
		}
	}
}
