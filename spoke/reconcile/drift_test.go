package reconcile

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

var (
	createNow = metav1.CreateOptions{FieldManager: "someone"}
	deleteNow = metav1.DeleteOptions{}
	getNow    = metav1.GetOptions{}
)

func gvr(group, version, resource string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: group, Version: version, Resource: resource}
}

// hold has the hub hold an entry.
func (e *env) hold(uid string) {
	e.state.change(func() {
		entry := e.state.entries[uid]
		entry.Hold = &spokev1.Hold{Bundle: uid, BundleUid: uid, Reason: yardarmv1.ReasonUnknownToHub, Message: "the hub was restored"}
		e.state.entries[uid] = entry
	})
}

func TestDriftIsRepaired(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: several(5, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)

	for _, c := range []struct {
		name, what, patch string
	}{
		{"m0", "a changed value", `{"data":{"key":"edited"}}`},
		{"m1", "a removed field", `{"data":{"key":null}}`},
		{"m2", "a removed label", `{"metadata":{"labels":{"yardarm.dev/bundle":null}}}`},
		{"m3", "a removed owner", `{"metadata":{"annotations":{"yardarm.dev/owner":null}}}`},
	} {
		started := time.Now()
		e.edit(c.name, c.patch)
		e.until(c.what+" is repaired", func() bool {
			obj := e.get(c.name)
			return value(obj) == "one" && obj.GetLabels()[yardarmv1.LabelBundle] == "web" && obj.GetAnnotations()[yardarmv1.AnnotationOwner] == "web"
		})
		t.Logf("%s was repaired after %v", c.what, time.Since(started))
	}
	started := time.Now()
	e.delete("m4")
	e.until("a deleted object is there again", func() bool { return value(e.get("m4")) == "one" })
	t.Logf("a deleted object was there again after %v", time.Since(started))
	s.awaitPhase("web", yardarmv1.PhaseReady)
}

func TestWhatIsNotOursIsLeftAlone(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: several(2, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	s.writes.take()
	e.edit("m0", `{"data":{"other":"theirs"},"metadata":{"labels":{"theirs":"yes"}}}`)
	// A repair of another object shows that the first edit has been seen.
	e.edit("m1", `{"data":{"key":"edited"}}`)
	e.until("m1 is repaired", func() bool { return value(e.get("m1")) == "one" })
	for _, path := range s.writes.take() {
		if strings.HasSuffix(path, "/m0") {
			t.Errorf("m0 was written for a field that is not ours: %s", path)
		}
	}
	if got := e.get("m0").GetLabels()["theirs"]; got != "yes" {
		t.Errorf("their label is %q", got)
	}
}

func TestIdleSpokeWritesNothing(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: several(3, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	s.writes.take()
	// Whole passes, as after a resync, compare and write nothing.
	for range 3 {
		e.reassign("web")
		s.awaitPhase("web", yardarmv1.PhaseReady)
	}
	if paths := s.writes.take(); len(paths) > 0 {
		t.Errorf("written: %v", paths)
	}
}

func TestFightBacksOff(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: several(1, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	r := s.fight()
	if d := driftOf(r, "/m0", "data.key"); d == nil || d.Reason != "Contended" || d.Manager != "someone" || d.Corrected != nil {
		t.Errorf("drift: %v", r.Drift)
	}
	if p := problemOf(r, "/m0"); !strings.Contains(p.Message, "someone keeps changing") || r.Objects.Drifted != 1 {
		t.Errorf("problem %v, %d objects drifted", p, r.Objects.Drifted)
	}
	// It is repaired still, later.
	e.until("the last edit is repaired", func() bool { return value(e.get("m0")) == "one" })
	r = s.awaitPhase("web", yardarmv1.PhaseReady)
	if d := driftOf(r, "/m0", "data.key"); d == nil || d.Reason != "" || d.Corrected == nil || r.Objects.Drifted != 0 {
		t.Errorf("drift: %v, of %d objects", r.Drift, r.Objects.Drifted)
	}
}

// driftOf answers the report's line about a field of an object whose name ends so.
func driftOf(r *yardarmv1.Report, suffix, path string) *yardarmv1.Drift {
	for _, d := range r.GetDrift() {
		if strings.HasSuffix(d.Object, suffix) && d.Path == path {
			return d
		}
	}
	return nil
}

// written counts the writes of an object whose path ends so, dry runs among them.
func written(paths []string, suffix string) int {
	n := 0
	for _, path := range paths {
		if strings.HasSuffix(path, suffix) {
			n++
		}
	}
	return n
}

var deployments = gvr("apps", "v1", "deployments")

// scalable is a Deployment of one container, with more fields of its spec.
func scalable(name, image, more string) string {
	return "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: " + name + "}\nspec:\n" + more +
		"  selector: {matchLabels: {app: " + name + "}}\n  template:\n    metadata: {labels: {app: " + name + "}}\n" +
		"    spec: {containers: [{name: web, image: " + image + ", resources: {requests: {cpu: 1000m, memory: 1024Mi}}, ports: [{containerPort: 80}]}]}"
}

// change patches any object of the test's namespace, as the manager says.
func (e *env) change(resource schema.GroupVersionResource, name, manager, patch string, subresources ...string) {
	e.t.Helper()
	_, err := e.dynamic.Resource(resource).Namespace(e.ns).Patch(e.t.Context(), name, types.StrategicMergePatchType, []byte(patch),
		metav1.PatchOptions{FieldManager: manager}, subresources...)
	if err != nil {
		e.t.Fatal(err)
	}
}

// scale sets a Deployment's replicas by the scale subresource, as the HorizontalPodAutoscaler and kubectl scale do.
func (e *env) scale(name, manager string, replicas int) {
	e.t.Helper()
	_, err := e.dynamic.Resource(deployments).Namespace(e.ns).Patch(e.t.Context(), name, types.MergePatchType,
		fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas), metav1.PatchOptions{FieldManager: manager}, "scale")
	if err != nil {
		e.t.Fatal(err)
	}
}

// field reads a field of a Deployment.
func (e *env) field(name string, path ...string) any {
	e.t.Helper()
	obj, err := e.dynamic.Resource(deployments).Namespace(e.ns).Get(e.t.Context(), name, getNow)
	if err != nil {
		e.t.Fatal(err)
	}
	v, _, _ := unstructured.NestedFieldNoCopy(obj.Object, path...)
	return v
}

func TestDriftIsTold(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	secret := "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: hunter2}"
	e.assign(assignment{bundle: "web", revision: 1, objects: append(several(3, "one"), secret, scalable("web", "nginx:1", ""))})
	s.awaitPhase("web", yardarmv1.PhaseProgressing)
	s.await("web", "all is applied", func(r *yardarmv1.Report) bool { return r.Objects.Applied == 5 })

	before := time.Now().Add(-time.Second)
	e.edit("m0", `{"data":{"key":"edited"}}`)
	e.edit("m1", `{"data":{"key":null}}`)
	e.delete("m2")
	e.change(gvr("", "v1", "secrets"), "s", "someone", `{"stringData":{"password":"other"}}`)
	e.change(deployments, "web", "someone", `{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"evil"}]}}}}`)
	for _, want := range []struct{ object, path, desired, live, manager string }{
		{"ConfigMap " + e.ns + "/m0", "data.key", `"one"`, `"edited"`, "someone"},
		{"ConfigMap " + e.ns + "/m1", "data", `{"key":"one"}`, "", ""},
		{"ConfigMap " + e.ns + "/m2", "", "", "", ""},
		{"Secret " + e.ns + "/s", "data.password", "(secret)", "(secret)", "someone"},
		{"apps/Deployment " + e.ns + "/web", "spec.template.spec.containers[name=web].image", `"nginx:1"`, `"evil"`, "someone"},
	} {
		r := s.await("web", "drift of "+want.object, func(r *yardarmv1.Report) bool { return driftOf(r, want.object, want.path) != nil })
		d := driftOf(r, want.object, want.path)
		if d.Object != want.object || d.Desired != want.desired || d.Live != want.live || d.Manager != want.manager || d.Reason != "" {
			t.Errorf("got %v, want %+v", d, want)
		}
		if d.Corrected.AsTime().Before(before) || d.Since.AsTime().Before(before) || d.Since.AsTime().After(d.Corrected.AsTime()) {
			t.Errorf("since %v, corrected %v", d.Since.AsTime(), d.Corrected.AsTime())
		}
	}
	r := s.awaitPhase("web", yardarmv1.PhaseProgressing) // nothing runs the Deployment's pods
	if len(r.Drift) != 5 || r.Objects.Drifted != 0 || value(e.get("m0")) != "one" || value(e.get("m1")) != "one" || value(e.get("m2")) != "one" {
		t.Errorf("told: %v, drifted %d", r.Drift, r.Objects.Drifted)
	}
}

// A repair is news once: what follows it says the same.
func TestARepairIsToldOnce(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: several(2, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	e.edit("m0", `{"data":{"key":"edited"}}`)
	s.await("web", "m0 is told", func(r *yardarmv1.Report) bool { return driftOf(r, "/m0", "data.key") != nil })
	for i := range 5 { // each is seen, and needs nothing
		e.edit("m0", fmt.Sprintf(`{"metadata":{"labels":{"theirs":"%d"}}}`, i))
	}
	e.edit("m1", `{"data":{"key":"edited"}}`)
	var news *yardarmv1.Report
	e.until("there is news", func() bool {
		update, ok := s.book.Take()
		if ok {
			news = update.Reports[0]
		}
		return ok
	})
	if driftOf(news, "/m1", "data.key") == nil {
		t.Errorf("told again: %v", news.Drift)
	}
}

func TestDriftIsOnlyReported(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	delivery := &yardarmv1.DeliveryPolicy{Drift: yardarmv1.DriftReport}
	e.assign(assignment{bundle: "web", revision: 1, objects: several(3, "one"), delivery: delivery})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	s.writes.take()

	e.edit("m0", `{"data":{"key":"edited"}}`)
	e.delete("m1")
	standing := func(r *yardarmv1.Report) bool {
		return r.Phase == yardarmv1.PhaseReady && r.Objects.Drifted == 2 && len(r.Drift) == 2
	}
	r := s.await("web", "two objects drifted", standing)
	d := driftOf(r, "/m0", "data.key")
	if d == nil || d.Desired != `"one"` || d.Live != `"edited"` || d.Manager != "someone" || d.Reason != "ReportOnly" || d.Corrected != nil {
		t.Errorf("m0: %v", r.Drift)
	}
	if d := driftOf(r, "/m1", ""); d == nil || d.Reason != "ReportOnly" {
		t.Errorf("m1: %v", r.Drift)
	}
	// What was judged is not asked about again in further passes, and nothing is written.
	asked := written(s.writes.take(), "/m0")
	reads := s.writes.read("/api/v1/namespaces/" + e.ns + "/configmaps/m0")
	if asked != 1 || reads != 1 {
		t.Errorf("m0 was read %d times, and tried %d times", reads, asked)
	}
	for range 3 {
		e.reassign("web")
		s.await("web", "a pass", standing)
	}
	if paths := s.writes.take(); written(paths, "/m0")+written(paths, "/m1") > 0 || value(e.get("m0")) != "edited" || e.get("m1") != nil {
		t.Errorf("written: %v", paths)
	}
	if now := driftOf(s.report("web"), "/m0", "data.key"); now == nil || !now.Since.AsTime().Equal(d.Since.AsTime()) {
		t.Errorf("since %v, then %v", d, now)
	}

	// Edited back, which our entry in managedFields does not tell.
	e.edit("m0", `{"data":{"key":"one"}}`)
	s.await("web", "one object drifted", func(r *yardarmv1.Report) bool { return r.Objects.Drifted == 1 && len(r.Drift) == 1 })
	// And once more away.
	e.edit("m0", `{"data":{"key":"again"}}`)
	s.await("web", "two objects drifted again", standing)

	// A new revision is what somebody wants now, whatever it changes.
	e.assign(assignment{bundle: "web", revision: 2, objects: append(several(3, "one"), configMap("new", "x")), delivery: delivery})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	if value(e.get("m0")) != "one" || value(e.get("m1")) != "one" {
		t.Errorf("m0 is %s, m1 is %s", value(e.get("m0")), value(e.get("m1")))
	}
	r = s.await("web", "no drift", func(r *yardarmv1.Report) bool { return r.Objects.Drifted == 0 })
	if d := driftOf(r, "/m0", "data.key"); d == nil || d.Corrected == nil || d.Reason != "" {
		t.Errorf("m0: %v", r.Drift)
	}
	// The next edit is drift again.
	e.edit("m2", `{"data":{"key":"edited"}}`)
	s.await("web", "m2 drifted", func(r *yardarmv1.Report) bool { return r.Objects.Drifted == 1 })
}

func TestReportedDriftIsNotRepairedByARestart(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: several(1, "one"), delivery: &yardarmv1.DeliveryPolicy{Drift: yardarmv1.DriftReport}})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	e.edit("m0", `{"data":{"key":"edited"}}`)
	drifted := func(r *yardarmv1.Report) bool { return r.Objects.Drifted == 1 }
	s.await("web", "drift", drifted)
	s.stop()
	s = e.start()
	s.await("web", "drift", drifted)
	if got := value(e.get("m0")); got != "edited" {
		t.Errorf("m0 is %s", got)
	}
}

func TestDriftIsNotLookedFor(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	unseen := func(name, value string) string {
		return strings.Replace(configMap(name, value), "metadata: {", "metadata: {annotations: {yardarm.dev/drift: ignore}, ", 1)
	}
	e.assign(assignment{bundle: "web", revision: 1, objects: []string{unseen("a", "one"), unseen("b", "one"), configMap("m0", "one")}})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	s.writes.take()
	e.edit("a", `{"data":{"key":"edited"}}`)
	e.delete("b")
	// A repair of another object shows that these have been seen.
	e.edit("m0", `{"data":{"key":"edited"}}`)
	e.until("m0 is repaired", func() bool { return value(e.get("m0")) == "one" })
	r := s.awaitPhase("web", yardarmv1.PhaseReady)
	paths := s.writes.take()
	if written(paths, "/a")+written(paths, "/b") > 0 || s.writes.read("/api/v1/namespaces/"+e.ns+"/configmaps/a") > 0 {
		t.Errorf("looked at: %v", paths)
	}
	if value(e.get("a")) != "edited" || e.get("b") != nil || r.Objects.Drifted != 0 || driftOf(r, "/a", "data.key") != nil {
		t.Errorf("a is %s, b is %s, told %v", value(e.get("a")), value(e.get("b")), r.Drift)
	}
	// New content counts.
	e.assign(assignment{bundle: "web", revision: 2, objects: []string{unseen("a", "two"), unseen("b", "two"), configMap("m0", "one")}})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	if value(e.get("a")) != "two" || value(e.get("b")) != "two" {
		t.Errorf("a is %s, b is %s", value(e.get("a")), value(e.get("b")))
	}
}

func TestWatchesEndWithTheirKind(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	service := "apiVersion: v1\nkind: Service\nmetadata: {name: svc}\nspec: {ports: [{port: 80}]}"
	e.assign(assignment{bundle: "web", revision: 1, objects: []string{configMap("m0", "one"), service}},
		assignment{bundle: "other", revision: 1, objects: []string{configMap("m1", "one")}})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	watches := func(resource string, want int) {
		t.Helper()
		e.until(fmt.Sprintf("%d watches of %s", want, resource), func() bool { return s.writes.watched("/api/v1/"+resource) == want })
	}
	watches("services", 1)
	watches("configmaps", 1) // of both bundles
	e.assign(assignment{bundle: "web", revision: 2, objects: []string{configMap("m0", "one")}})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	e.reassign("web") // the next pass finds the kind unused
	s.awaitPhase("web", yardarmv1.PhaseReady)
	watches("services", 0)
	e.tombstone("web", yardarmv1.Workloads_WORKLOADS_REMOVE, true)
	e.until("the bundle is gone", func() bool { return e.state.gone("web") })
	watches("configmaps", 1)
	e.tombstone("other", yardarmv1.Workloads_WORKLOADS_REMOVE, true)
	e.until("the other bundle is gone", func() bool { return e.state.gone("other") })
	watches("configmaps", 0)
}

// TestRepairLatency logs how long repairs take; spokebench keeps the target.
func TestRepairLatency(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	const objects, rounds = 50, 4
	e.assign(assignment{bundle: "web", revision: 1, objects: several(objects, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	var took []time.Duration
	for round := range rounds {
		for i := range objects {
			name := fmt.Sprintf("m%d", i)
			started := time.Now()
			if round%2 == 0 {
				e.edit(name, `{"data":{"key":"edited"}}`)
			} else {
				e.delete(name)
			}
			for value(e.get(name)) != "one" {
				if time.Since(started) > deadline {
					t.Fatalf("%s is not repaired", name)
				}
			}
			took = append(took, time.Since(started))
		}
	}
	slices.Sort(took)
	t.Logf("%d edits and deletions: repaired after %v at p50, %v at p99", len(took), took[len(took)/2], took[len(took)*99/100])
}
