package reconcile

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/spoke/state"
)

// keyAnd is a config map with a second field.
func keyAnd(name, value, other string) string {
	return configMap(name, value)[:len(configMap(name, value))-1] + ", other: " + other + "}"
}

func otherOf(obj *unstructured.Unstructured) string {
	v, _, _ := unstructured.NestedString(obj.Object, "data", "other")
	return v
}

func TestIgnoredFieldsAreLeftAsTheyAreFound(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	delivery := &yardarmv1.DeliveryPolicy{Ignore: []*yardarmv1.IgnoreRule{
		{Target: &yardarmv1.ObjectSelector{Kind: "ConfigMap", Name: "m*"}, Paths: []string{"/data/key"}},
	}}
	objects := func(value, other string, more ...string) []string {
		return append(more, keyAnd("m0", value, other), keyAnd("m1", value, other), keyAnd("m2", value, other), keyAnd("x", value, other))
	}
	e.assign(assignment{bundle: "web", revision: 1, objects: objects("one", "one"), delivery: delivery})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	s.writes.take()

	// A change in an ignored field alone is no drift, and is judged once.
	e.edit("m0", `{"data":{"key":"theirs"}}`)
	e.edit("m2", `{"data":{"key":null}}`)
	e.edit("x", `{"data":{"key":"theirs"}}`)
	s.await("web", "what is not ignored is repaired", func(r *yardarmv1.Report) bool { return driftOf(r, "/x", "data.key") != nil })
	path := "/api/v1/namespaces/" + e.ns + "/configmaps/"
	// Each was read once before it was made, in case it was there.
	e.until("m0 and m2 are judged", func() bool { return s.writes.read(path+"m0") == 2 && s.writes.read(path+"m2") == 2 })
	e.edit("m0", `{"data":{"key":"theirs again"}}`)
	e.reassign("web")
	r := s.awaitPhase("web", yardarmv1.PhaseReady)
	if r.Objects.Drifted != 0 || len(r.Drift) != 1 {
		t.Errorf("drift: %v", r.Drift)
	}
	if n := written(s.writes.take(), "/m0"); n != 1 {
		t.Errorf("m0 was tried or written %d times", n)
	}
	if value(e.get("m0")) != "theirs again" || value(e.get("m2")) != "" {
		t.Errorf("m0 is %s, m2 is %s", value(e.get("m0")), value(e.get("m2")))
	}

	// A restart asks nothing about them.
	s.stop()
	s = e.start()
	s.awaitPhase("web", yardarmv1.PhaseReady)
	if paths := s.writes.take(); written(paths, "/m0")+written(paths, "/m2") > 0 {
		t.Errorf("written after a restart: %v", paths)
	}

	// Drift beside it is repaired, and leaves it alone.
	e.edit("m0", `{"data":{"other":"edited"}}`)
	e.until("m0 is repaired", func() bool { return otherOf(e.get("m0")) == "one" })
	if got := value(e.get("m0")); got != "theirs again" {
		t.Errorf("m0 is %s after a repair", got)
	}

	// So does other content. What nobody changed keeps its value, and what is new gets the manifest's.
	e.assign(assignment{bundle: "web", revision: 2, objects: objects("two", "two", keyAnd("m3", "two", "two")), delivery: delivery})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	for name, want := range map[string]string{"m0": "theirs again", "m1": "one", "m2": "", "m3": "two", "x": "two"} {
		if obj := e.get(name); value(obj) != want || otherOf(obj) != "two" {
			t.Errorf("%s has %q and %q, want %q and two", name, value(obj), otherOf(obj), want)
		}
	}
	// An object that is gone comes back as the manifest says.
	e.delete("m0")
	e.until("m0 is there again", func() bool { return e.get("m0") != nil })
	if got := value(e.get("m0")); got != "two" {
		t.Errorf("m0 is %s after its deletion", got)
	}

	// Without the rule, all is as the manifest says.
	e.assign(assignment{bundle: "web", revision: 3, objects: objects("two", "two", keyAnd("m3", "two", "two"))})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	for _, name := range []string{"m0", "m1", "m2", "m3"} {
		if got := value(e.get(name)); got != "two" {
			t.Errorf("%s is %s without the rule", name, got)
		}
	}
}

// A removal that is held, or a freeze, goes by the ignore rules also after a restart.
func TestIgnoredFieldsOfWhatIsHeld(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	delivery := &yardarmv1.DeliveryPolicy{Ignore: []*yardarmv1.IgnoreRule{{Target: &yardarmv1.ObjectSelector{Kind: "ConfigMap"}, Paths: []string{"/data/key"}}}}
	var objects []string
	for i := range 8 {
		objects = append(objects, keyAnd(fmt.Sprint("m", i), "one", "one"))
	}
	e.assign(assignment{bundle: "web", revision: 1, objects: objects, delivery: delivery})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	e.edit("m0", `{"data":{"key":"theirs"}}`)
	s.stop()

	e.policy.set("freeze: {reason: stocktaking}")
	e.edit("m1", `{"data":{"other":"edited"}}`)
	s = e.start()
	s.await("web", "the drift is told", func(r *yardarmv1.Report) bool {
		return r.Phase == yardarmv1.PhaseHeld && driftOf(r, "/m1", "data.other") != nil && driftOf(r, "/m0", "data.key") == nil
	})
	s.stop()

	e.policy.set("")
	e.tombstone("web", yardarmv1.Workloads_WORKLOADS_REMOVE, false)
	s = e.start()
	s.await("web", "its removal asks", func(r *yardarmv1.Report) bool { return r.Reason == yardarmv1.ReasonMassDeletion })
	e.until("m1 is repaired", func() bool { return otherOf(e.get("m1")) == "one" })
	if m0 := value(e.get("m0")); m0 != "theirs" {
		t.Errorf("m0 is %s", m0)
	}
}

func TestAnUnreadableIgnoreRuleStopsTheBundle(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	unreadable := &yardarmv1.DeliveryPolicy{Ignore: []*yardarmv1.IgnoreRule{{Paths: []string{"data/key"}}}}
	e.assign(assignment{bundle: "web", revision: 1, objects: several(1, "one"), delivery: unreadable})
	r := s.awaitPhase("web", yardarmv1.PhaseFailed)
	if r.Reason != "InvalidDelivery" || !strings.Contains(r.Message, "ignore[0].paths[0]: ") {
		t.Errorf("got %s: %s", r.Reason, r.Message)
	}
	e.want(false, "m0")
	// What the cluster holds is kept up all the same.
	e.assign(assignment{bundle: "web", revision: 2, objects: several(1, "two")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	e.assign(assignment{bundle: "web", revision: 3, objects: several(1, "two"), delivery: unreadable})
	s.awaitPhase("web", yardarmv1.PhaseFailed)
	e.edit("m0", `{"data":{"key":"edited"}}`)
	e.until("m0 is repaired", func() bool { return value(e.get("m0")) == "two" })
	// But not where it is not known by which rules it was applied.
	s.stop()
	e.state.change(func() {
		entry := e.state.entries["web"]
		entry.Applied = state.Applied{}
		e.state.entries["web"] = entry
	})
	e.edit("m0", `{"data":{"key":"edited"}}`)
	s = e.start()
	s.awaitPhase("web", yardarmv1.PhaseFailed)
	e.until("a pass is over", func() bool { return s.metric("yardarm_spoke_pass_seconds") > 0 })
	if got := value(e.get("m0")); got != "edited" {
		t.Errorf("m0 was made %s by rules that cannot be read", got)
	}
}

func TestReplicasOfAnAutoscalerAreLeftToIt(t *testing.T) {
	const autoscaler = "kube-controller-manager"
	e := newEnv(t)
	s := e.start()
	two := scalable("web", "nginx:1", "  replicas: 2\n")
	e.assign(assignment{bundle: "web", revision: 1, objects: []string{two, configMap("m0", "one")}})
	s.await("web", "all is applied", func(r *yardarmv1.Report) bool { return r.Objects.Applied == 2 })
	s.writes.take()
	replicas := func(want int64) {
		t.Helper()
		e.until(fmt.Sprintf("%d replicas", want), func() bool { return e.field("web", "spec", "replicas") == want })
	}
	// quiet makes passes, and sees that none writes.
	quiet := func(want int64) {
		t.Helper()
		for range 2 {
			e.reassign("web")
			e.edit("m0", `{"data":{"key":"edited"}}`)
			e.until("m0 is repaired", func() bool { return value(e.get("m0")) == "one" })
		}
		s.await("web", "a pass", func(r *yardarmv1.Report) bool { return r.Objects.Applied == 2 })
		if got := e.field("web", "spec", "replicas"); got != want {
			t.Errorf("%v replicas, want %d", got, want)
		}
		if r := s.report("web"); r.Objects.Drifted != 0 || driftOf(r, "/web", "spec.replicas") != nil {
			t.Errorf("drift: %v", r.Drift)
		}
	}
	e.scale("web", autoscaler, 5)
	quiet(5)
	e.scale("web", autoscaler, 7)
	quiet(7)
	if n := written(s.writes.take(), "/web"); n != 1 {
		t.Errorf("the Deployment was tried or written %d times", n)
	}

	// Nor do other content, a repair of another field, and a restart reset it.
	e.assign(assignment{bundle: "web", revision: 2, objects: []string{scalable("web", "nginx:2", "  replicas: 2\n"), configMap("m0", "one")}})
	s.await("web", "all is applied", func(r *yardarmv1.Report) bool { return r.Objects.Applied == 2 })
	quiet(7)
	e.change(deployments, "web", "someone", `{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"evil"}]}}}}`)
	s.await("web", "the image is repaired", func(r *yardarmv1.Report) bool {
		return driftOf(r, "/web", "spec.template.spec.containers[name=web].image") != nil
	})
	quiet(7)
	s.stop()
	s = e.start()
	s.await("web", "all is applied", func(r *yardarmv1.Report) bool { return r.Objects.Applied == 2 })
	quiet(7)
	if paths := s.writes.take(); written(paths, "/web") > 0 {
		t.Errorf("written after a restart: %v", paths)
	}

	// A person who scales it is another matter.
	e.scale("web", "kubectl", 9)
	r := s.await("web", "the scale is told", func(r *yardarmv1.Report) bool { return driftOf(r, "/web", "spec.replicas") != nil })
	d := driftOf(r, "/web", "spec.replicas")
	if d.Desired != "2" || d.Live != "9" || d.Manager != "kubectl (scale)" || d.Corrected == nil {
		t.Errorf("drift: %v", d)
	}
	replicas(2)
}

// An object that was scaled before the bundle got it is taken over as it is.
func TestReplicasOfAnAutoscalerSurviveTakingOver(t *testing.T) {
	e := newEnv(t)
	theirs := &unstructured.Unstructured{Object: e.set(scalable("web", "nginx:1", "  replicas: 2\n")).Objects()[0].Clone()}
	if _, err := e.dynamic.Resource(deployments).Namespace(e.ns).Create(t.Context(), theirs, createNow); err != nil {
		t.Fatal(err)
	}
	e.scale("web", "kube-controller-manager", 5)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: []string{scalable("web", "nginx:2", "  replicas: 2\n")}})
	s.await("web", "all is applied", func(r *yardarmv1.Report) bool { return r.Objects.Applied == 1 })
	if got := e.field("web", "spec", "replicas"); got != int64(5) {
		t.Errorf("%v replicas", got)
	}
}

// An object that is made anew is as the manifest says: what was left to the autoscaler went with the old one.
func TestReplicasOfAnObjectMadeAnewAreTheManifests(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	delivery := &yardarmv1.DeliveryPolicy{Recreate: true}
	web := scalable("web", "nginx:1", "  replicas: 2\n")
	e.assign(assignment{bundle: "web", revision: 1, objects: []string{web}, delivery: delivery})
	applied := func(r *yardarmv1.Report) bool { return r.Objects.Applied == 1 }
	s.await("web", "all is applied", applied)
	e.scale("web", "kube-controller-manager", 5)
	e.assign(assignment{bundle: "web", revision: 2, objects: []string{strings.ReplaceAll(web, "{app: web}", "{app: other}")}, delivery: delivery})
	s.await("web", "all is applied", applied)
	if got := e.field("web", "spec", "replicas"); got != int64(2) {
		t.Errorf("%v replicas", got)
	}
}

// A real HorizontalPodAutoscaler, with no metrics: it raises the replicas to its least.
func TestAHorizontalPodAutoscalerIsLeftAlone(t *testing.T) {
	e := newFullEnv(t)
	s := e.start()
	const autoscaler = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: web}\n" +
		"spec: {minReplicas: 3, maxReplicas: 5, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}"
	objects := func(image string) []string { return []string{scalable("web", image, "  replicas: 1\n"), autoscaler} }
	e.assign(assignment{bundle: "web", revision: 1, objects: objects("nginx:1")})
	scaled := func() bool { return e.field("web", "spec", "replicas") == int64(3) }
	applied := func(r *yardarmv1.Report) bool { return r.Objects.Applied == 2 }
	s.await("web", "all is applied", applied)
	e.until("it is scaled", scaled)
	s.writes.take()
	e.assign(assignment{bundle: "web", revision: 2, objects: objects("nginx:2")})
	r := s.await("web", "all is applied", applied)
	if !scaled() || len(r.Drift) > 0 {
		t.Errorf("%v replicas, drift: %v", e.field("web", "spec", "replicas"), r.Drift)
	}
	for range 2 {
		e.reassign("web")
		s.await("web", "all is applied", applied)
	}
	// The new content, and at most one look at what the autoscaler did.
	if n := written(s.writes.take(), "/deployments/web"); n > 2 || !scaled() {
		t.Errorf("the Deployment was written or tried %d times, and has %v replicas", n, e.field("web", "spec", "replicas"))
	}
}
