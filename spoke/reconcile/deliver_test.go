package reconcile

import (
	"strings"
	"testing"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestApplies(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	spec := e.assign(assignment{bundle: "web", revision: 3, objects: several(3, "one")})
	r := s.awaitPhase("web", yardarmv1.PhaseReady)
	if r.Revision != 3 || r.Digest != spec.Digest || r.RenderedDigest != spec.Digest || r.Bundle != "web" {
		t.Errorf("report is about something else: %v", r)
	}
	if c := r.Objects; c.Total != 3 || c.Applied != 3 || c.Ready != 3 || c.Failed != 0 || c.Pruning != 0 {
		t.Errorf("counts: %v", c)
	}
	if r.Since == nil || r.ObservedTime == nil {
		t.Error("the report has no times")
	}
	for _, name := range []string{"m0", "m1", "m2"} {
		obj := e.get(name)
		if value(obj) != "one" {
			t.Fatalf("%s: %v", name, obj)
		}
		if obj.GetLabels()[yardarmv1.LabelBundle] != "web" || obj.GetAnnotations()[yardarmv1.AnnotationOwner] != "web" {
			t.Errorf("%s is not marked: %v %v", name, obj.GetLabels(), obj.GetAnnotations())
		}
		if m := obj.GetManagedFields(); len(m) != 1 || m[0].Manager != "yardarm" || m[0].Operation != "Apply" {
			t.Errorf("%s is managed by %v", name, m)
		}
	}
}

func TestWritesOnlyWhatChanged(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: several(4, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	before := map[string]string{}
	for _, name := range []string{"m0", "m1", "m2"} {
		before[name] = e.get(name).GetResourceVersion()
	}
	s.writes.take()
	objects := append(several(3, "one"), configMap("m3", "two"))
	e.assign(assignment{bundle: "web", revision: 2, objects: objects})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	var applied []string
	for _, path := range s.writes.take() {
		if strings.Contains(path, "/configmaps/") {
			applied = append(applied, path)
		}
	}
	if len(applied) != 1 || !strings.HasSuffix(applied[0], "/m3") {
		t.Errorf("written: %v, want m3 only", applied)
	}
	for name, version := range before {
		if got := e.get(name).GetResourceVersion(); got != version {
			t.Errorf("%s went from version %s to %s", name, version, got)
		}
	}
	if got := value(e.get("m3")); got != "two" {
		t.Errorf("m3 is %s", got)
	}
}

func TestOneBadObjectStopsNoOther(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	bad := "apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {ports: [{port: 99999}]}"
	e.assign(assignment{bundle: "web", revision: 1, objects: append(several(3, "one"), bad)})
	r := s.awaitPhase("web", yardarmv1.PhaseFailed)
	p := problemOf(r, "/bad")
	if p == nil || p.Reason != "Invalid" || !strings.Contains(p.Message, "spec.ports[0].port") || p.Since == nil {
		t.Errorf("problem: %v", p)
	}
	if r.Reason != "Invalid" || !strings.Contains(r.Message, "1 of 4") {
		t.Errorf("report: %s %s", r.Reason, r.Message)
	}
	if c := r.Objects; c.Total != 4 || c.Applied != 3 || c.Ready != 3 || c.Failed != 1 {
		t.Errorf("counts: %v", c)
	}
	e.want(true, "m0", "m1", "m2")
}

func TestFailureKeepsWhatLeftTheBundle(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: several(2, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	bad := "apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {ports: [{port: 99999}]}"
	e.assign(assignment{bundle: "web", revision: 2, objects: []string{configMap("m0", "one"), bad}})
	r := s.awaitPhase("web", yardarmv1.PhaseFailed)
	if r.Objects.Pruning != 1 {
		t.Errorf("counts: %v", r.Objects)
	}
	e.want(true, "m0", "m1")
	e.assign(assignment{bundle: "web", revision: 3, objects: []string{configMap("m0", "one")}})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	e.want(false, "m1")
}

func TestMissingNamespace(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	absent := e.ns + "-absent"
	e.assign(assignment{bundle: "web", revision: 1, objects: []string{configMap("here", "one"), configMapIn(absent, "there", "one")}})
	r := s.awaitPhase("web", yardarmv1.PhaseFailed)
	p := problemOf(r, "/there")
	if p == nil || p.Reason != "NamespaceNotFound" || !strings.Contains(p.Message, absent) {
		t.Fatalf("problem: %v", p)
	}
	e.want(true, "here")
	e.create(namespace(absent))
	s.awaitPhase("web", yardarmv1.PhaseReady)
}

func TestNamespaceOfAnotherBundleUnblocks(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	absent := e.ns + "-later"
	e.assign(assignment{bundle: "web", revision: 1, objects: []string{configMapIn(absent, "there", "one")}})
	s.awaitPhase("web", yardarmv1.PhaseFailed)
	e.assign(assignment{bundle: "base", revision: 1, objects: []string{namespace(absent)}})
	s.awaitPhase("base", yardarmv1.PhaseReady)
	s.awaitPhase("web", yardarmv1.PhaseReady)
}

func TestUnknownKind(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	widget := "apiVersion: nowhere.example/v1\nkind: Widget\nmetadata: {name: w}"
	e.assign(assignment{bundle: "web", revision: 1, objects: []string{configMap("m0", "one"), widget}})
	r := s.awaitPhase("web", yardarmv1.PhaseFailed)
	if p := problemOf(r, "Widget w"); p == nil || p.Reason != "UnknownKind" {
		t.Errorf("problem: %v", r.Problems)
	}
	e.want(true, "m0")
}

func TestNamespaceOnClusterScopedKind(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	role := "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: " + e.ns + ", namespace: " + e.ns + "}"
	e.assign(assignment{bundle: "web", revision: 1, objects: []string{configMap("m0", "one"), role}})
	r := s.awaitPhase("web", yardarmv1.PhaseFailed)
	if len(r.Problems) != 1 || r.Problems[0].Reason != "NamespaceOnClusterScoped" {
		t.Errorf("problems: %v", r.Problems)
	}
	e.want(true, "m0")
}

func crd(group, scope string) string {
	return `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.` + group + `}
spec:
  group: ` + group + `
  scope: ` + scope + `
  names: {kind: Widget, plural: widgets, singular: widget, listKind: WidgetList}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}}}}`
}

func TestDefinitionAndInstancesInOneBundle(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	group := e.ns + ".example"
	space := e.ns + "-own"
	objects := []string{
		crd(group, "Namespaced"),
		namespace(space),
		"apiVersion: " + group + "/v1\nkind: Widget\nmetadata: {name: a}\nspec: {size: 1}",
		"apiVersion: " + group + "/v1\nkind: Widget\nmetadata: {name: b, namespace: " + space + "}\nspec: {size: 2}",
	}
	e.assign(assignment{bundle: "web", revision: 1, objects: objects, atomic: true})
	r := s.awaitPhase("web", yardarmv1.PhaseReady)
	if r.Objects.Applied != 4 {
		t.Errorf("counts: %v", r.Objects)
	}
	// Drift of an instance is seen as of any other kind.
	widgets := e.dynamic.Resource(gvr(group, "v1", "widgets")).Namespace(e.ns)
	if err := widgets.Delete(t.Context(), "a", deleteNow); err != nil {
		t.Fatal(err)
	}
	e.until("the instance is there again", func() bool { _, err := widgets.Get(t.Context(), "a", getNow); return err == nil })
}

func TestAtomicWritesNothingIfOneFails(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	bad := "apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {ports: [{port: 99999}]}"
	e.assign(assignment{bundle: "web", revision: 1, atomic: true, objects: several(2, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	e.assign(assignment{bundle: "web", revision: 2, atomic: true, objects: append(several(3, "two"), bad)})
	r := s.awaitPhase("web", yardarmv1.PhaseFailed)
	if !strings.Contains(r.Message, "atomic") || problemOf(r, "/bad") == nil {
		t.Errorf("report: %s %v", r.Message, r.Problems)
	}
	if got := value(e.get("m0")); got != "one" {
		t.Errorf("m0 is %s", got)
	}
	e.want(false, "m2")
	// What the cluster holds is kept up.
	e.edit("m0", `{"data":{"key":"edited"}}`)
	e.until("m0 is repaired", func() bool { return value(e.get("m0")) == "one" })
}

func TestContentMissingThenThere(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	a := assignment{bundle: "web", revision: 1, objects: several(1, "one"), withhold: true}
	e.assign(a)
	if r := s.awaitPhase("web", yardarmv1.PhasePending); r.Reason != "ContentMissing" {
		t.Errorf("report: %v", r)
	}
	a.withhold = false
	e.assign(a)
	s.awaitPhase("web", yardarmv1.PhaseReady)
	// A later revision whose content is missing leaves the present one kept up.
	e.assign(assignment{bundle: "web", revision: 2, objects: several(2, "two"), withhold: true})
	s.awaitPhase("web", yardarmv1.PhasePending)
	e.delete("m0")
	e.until("m0 is there again", func() bool { return value(e.get("m0")) == "one" })
}

func TestInvalidArtifact(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	spec := e.assign(assignment{bundle: "web", revision: 1, objects: several(1, "one"), withhold: true})
	e.state.change(func() { e.state.contents[spec.Digest] = []byte("no artifact\n") })
	r := s.awaitPhase("web", yardarmv1.PhaseFailed)
	if r.Reason != "InvalidArtifact" {
		t.Errorf("report: %v", r)
	}
}

func TestHeldEntryIsKeptUp(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: several(2, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	e.hold("web")
	r := s.awaitPhase("web", yardarmv1.PhaseHeld)
	if r.Reason != yardarmv1.ReasonUnknownToHub || r.Message != "the hub was restored" || r.Objects.Ready != 2 {
		t.Errorf("report: %v", r)
	}
	e.delete("m1")
	e.until("m1 is there again", func() bool { return e.get("m1") != nil })
}
