package reconcile

import (
	"slices"
	"strings"
	"testing"
	"time"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func needs(state string, bundles ...string) *yardarmv1.DeliveryPolicy {
	p := &yardarmv1.DeliveryPolicy{}
	for _, b := range bundles {
		p.DependsOn = append(p.DependsOn, &yardarmv1.Dependency{Bundle: b, State: state})
	}
	return p
}

// available plays the controller of the test's Deployment.
func (e *env) available(generation, replicas int) {
	e.t.Helper()
	e.setStatus(gvr("apps", "v1", "deployments"), "web", map[string]any{
		"observedGeneration": generation, "replicas": 1, "updatedReplicas": 1, "readyReplicas": replicas, "availableReplicas": replicas,
		"conditions": []any{
			map[string]any{"type": "Available", "status": "True"},
			map[string]any{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
		},
	})
}

func TestDependencyComesFirst(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	app := assignment{bundle: "app", revision: 1, objects: several(2, "one"), delivery: needs("", "base")}
	base := assignment{bundle: "base", revision: 1, objects: []string{deployment}}
	e.assign(app, base)
	r := s.await("app", "it waits", func(r *yardarmv1.Report) bool {
		return r.Phase == yardarmv1.PhasePending && strings.Contains(r.Message, "bundle base is Progressing")
	})
	if r.Reason != "DependencyNotReady" || r.Objects.Applied != 0 {
		t.Errorf("report: %v", r)
	}
	s.await("base", "applied", func(r *yardarmv1.Report) bool { return r.Objects.Applied == 1 })
	e.want(false, "m0", "m1")
	e.available(1, 1)
	s.awaitPhase("base", yardarmv1.PhaseReady)
	started := time.Now()
	s.awaitPhase("app", yardarmv1.PhaseReady)
	if took := time.Since(started); took > time.Second {
		t.Errorf("it began %v after its dependency was ready", took) // it is woken, not polled
	}

	// What has begun goes on when the dependency fails, across restarts, too.
	e.available(1, 0)
	s.awaitPhase("base", yardarmv1.PhaseProgressing)
	e.delete("m0")
	e.until("m0 is there again", func() bool { return e.get("m0") != nil })
	s.awaitPhase("app", yardarmv1.PhaseReady)
	s.stop()
	e.delete("m1")
	s = e.start()
	e.until("m1 is there again", func() bool { return e.get("m1") != nil })
	s.awaitPhase("app", yardarmv1.PhaseReady)
	s.awaitPhase("base", yardarmv1.PhaseProgressing)

	// The next revision waits, and what the cluster holds is kept up meanwhile.
	app.revision, app.objects = 2, several(2, "two")
	e.assign(app)
	s.awaitPhase("app", yardarmv1.PhasePending)
	e.edit("m0", `{"data":{"key":"edited"}}`)
	e.until("m0 is repaired", func() bool { return value(e.get("m0")) == "one" })
	e.available(1, 1)
	s.awaitPhase("app", yardarmv1.PhaseReady)
	if got := value(e.get("m0")); got != "two" {
		t.Errorf("m0 is %s", got)
	}

	// Both get another revision in one update: the old one's being ready does not count for the new one.
	base.revision, base.objects = 2, []string{strings.Replace(deployment, ":broken", ":2", 1)}
	app.revision, app.objects = 3, several(2, "three")
	e.assign(app, base)
	s.awaitPhase("app", yardarmv1.PhasePending)
	e.available(2, 1)
	s.awaitPhase("app", yardarmv1.PhaseReady)
}

// An object that goes to the bundle which is waited for is handed over first, or the two would wait for each other.
func TestObjectMovesToADependency(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	app := assignment{bundle: "app", revision: 1, objects: several(2, "one"), delivery: needs("", "base")}
	base := assignment{bundle: "base", revision: 1, objects: []string{configMap("b0", "one")}}
	e.assign(app, base)
	s.awaitPhase("app", yardarmv1.PhaseReady)
	before := e.get("m0").GetUID()

	base.revision, base.objects = 2, append(base.objects, configMap("m0", "two"), deployment)
	app.revision, app.objects = 2, []string{configMap("m1", "two")}
	e.assign(app, base)
	s.await("base", "it has adopted m0", func(r *yardarmv1.Report) bool { return r.Objects.Applied == 3 })
	s.awaitPhase("app", yardarmv1.PhasePending)
	// What app has, and not what it had, is kept up meanwhile.
	e.edit("m1", `{"data":{"key":"edited"}}`)
	e.until("m1 is repaired", func() bool { return value(e.get("m1")) == "one" })
	s.await("app", "it has no problem", func(r *yardarmv1.Report) bool { return r.Phase == yardarmv1.PhasePending && len(r.Problems) == 0 })
	e.available(1, 1)
	s.awaitPhase("base", yardarmv1.PhaseReady)
	s.awaitPhase("app", yardarmv1.PhaseReady)
	if got := e.get("m0"); got == nil || got.GetUID() != before || value(got) != "two" {
		t.Errorf("m0 is %v", got)
	}
}

func TestDependencyThatIsNotHere(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "app", revision: 1, objects: several(1, "one"), delivery: needs("", "base")})
	r := s.awaitPhase("app", yardarmv1.PhasePending)
	if r.Reason != "DependencyMissing" || !strings.Contains(r.Message, "bundle base is not assigned") {
		t.Errorf("report: %v", r)
	}
	e.assign(assignment{bundle: "base", revision: 1, objects: []string{configMap("b0", "one")}})
	s.awaitPhase("app", yardarmv1.PhaseReady)
}

func TestDependencyThatNeedBeAppliedOnly(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "app", revision: 1, objects: several(1, "one"), delivery: needs(yardarmv1.DependencyApplied, "base")},
		assignment{bundle: "base", revision: 1, objects: []string{deployment, "apiVersion: nowhere.example/v1\nkind: Widget\nmetadata: {name: w}"}})
	s.awaitPhase("base", yardarmv1.PhaseFailed)
	s.awaitPhase("app", yardarmv1.PhasePending)
	e.want(false, "m0")
	e.assign(assignment{bundle: "base", revision: 2, objects: []string{deployment}})
	s.awaitPhase("app", yardarmv1.PhaseReady)
	s.awaitPhase("base", yardarmv1.PhaseProgressing)
}

// Bundles that wait for each other say so, and go on when one of them waits no more.
func TestDependenciesInACircle(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	a := assignment{bundle: "a", revision: 1, objects: []string{configMap("a0", "one")}, delivery: needs("", "b")}
	b := assignment{bundle: "b", revision: 1, objects: []string{configMap("b0", "one")}, delivery: needs("", "a")}
	self := assignment{bundle: "self", revision: 1, objects: []string{configMap("s0", "one")}, delivery: needs("", "self")}
	e.assign(a, b, self)
	for name, way := range map[string]string{"a": "a → b → a", "b": "b → a → b", "self": "self → self"} {
		s.await(name, "the circle is told", func(r *yardarmv1.Report) bool {
			return r.Phase == yardarmv1.PhaseFailed && r.Reason == "DependencyCycle" && strings.Contains(r.Message, way)
		})
	}
	e.want(false, "a0", "b0", "s0")
	b.revision, b.delivery = 2, nil
	e.assign(b)
	s.awaitPhase("a", yardarmv1.PhaseReady)
	s.awaitPhase("b", yardarmv1.PhaseReady)
}

// Of two bundles that are removed, the one that depends on the other goes first.
func TestDependentsAreRemovedFirst(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	held := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a0, finalizers: [example.com/hold]}"
	e.assign(assignment{bundle: "base", revision: 1, objects: []string{configMap("b0", "one")}},
		assignment{bundle: "app", revision: 1, objects: []string{held}, delivery: needs("", "base")})
	s.awaitPhase("app", yardarmv1.PhaseReady)
	e.tombstone("app", yardarmv1.Workloads_WORKLOADS_REMOVE, true)
	e.tombstone("base", yardarmv1.Workloads_WORKLOADS_REMOVE, true)
	s.await("base", "it waits", func(r *yardarmv1.Report) bool {
		return r.Phase == yardarmv1.PhaseRemoving && strings.Contains(r.Message, "bundle app depends on it")
	})
	s.await("app", "it is held up", func(r *yardarmv1.Report) bool { return problemOf(r, "/a0") != nil })
	e.want(true, "b0")
	e.edit("a0", `{"metadata":{"finalizers":null}}`)
	e.until("both are removed", func() bool { return e.state.gone("app") && e.state.gone("base") })
	e.want(false, "a0", "b0")
}

func TestCycle(t *testing.T) {
	for name, c := range map[string]struct {
		needs map[string][]string
		want  []string
	}{
		"none":            {map[string][]string{"a": {"b"}, "b": {"c"}}, nil},
		"itself":          {map[string][]string{"a": {"a"}}, []string{"a", "a"}},
		"two":             {map[string][]string{"a": {"b"}, "b": {"a"}}, []string{"a", "b", "a"}},
		"three":           {map[string][]string{"a": {"b"}, "b": {"c"}, "c": {"a"}}, []string{"a", "b", "c", "a"}},
		"shortest":        {map[string][]string{"a": {"b", "c"}, "b": {"d"}, "c": {"a"}, "d": {"a"}}, []string{"a", "c", "a"}},
		"beside it":       {map[string][]string{"a": {"b"}, "b": {"c"}, "c": {"b"}}, nil},
		"named twice":     {map[string][]string{"a": {"b", "b"}, "b": {"c", "c"}}, nil},
		"not here at all": {map[string][]string{}, nil},
	} {
		if got := cycle("a", c.needs); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}
