package reconcile

import (
	"context"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// mutate has the API server set data.key of the namespace's config maps at admission, until the test ends.
func (e *env) mutate(to string) {
	e.t.Helper()
	policies := gvr("admissionregistration.k8s.io", "v1", "mutatingadmissionpolicies")
	bindings := gvr("admissionregistration.k8s.io", "v1", "mutatingadmissionpolicybindings")
	name := "mutate-" + e.ns
	policy := e.set(fmt.Sprintf(`
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: %s}
spec:
  reinvocationPolicy: Never
  failurePolicy: Fail
  matchConstraints:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %s}}
    resourceRules: [{apiGroups: [""], apiVersions: [v1], resources: [configmaps], operations: [CREATE, UPDATE]}]
  mutations:
  - patchType: JSONPatch
    jsonPatch: {expression: '[JSONPatch{op: "add", path: "/data/key", value: "%s"}]'}
`, name, e.ns, to)).Objects()[0]
	binding := e.set(fmt.Sprintf(`
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: %s}
spec: {policyName: %s}
`, name, name)).Objects()[0]
	if _, err := e.dynamic.Resource(policies).Create(e.t.Context(), &unstructured.Unstructured{Object: policy.Clone()}, createNow); err != nil {
		e.t.Fatal(err)
	}
	if _, err := e.dynamic.Resource(bindings).Create(e.t.Context(), &unstructured.Unstructured{Object: binding.Clone()}, createNow); err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() {
		for _, resource := range []schema.GroupVersionResource{bindings, policies} {
			if err := e.dynamic.Resource(resource).Delete(context.Background(), name, deleteNow); err != nil {
				e.t.Error(err)
			}
		}
	})
	probe := &unstructured.Unstructured{Object: e.set(configMapIn(e.ns, "probe", "as-sent")).Objects()[0].Clone()}
	e.until("objects are mutated at admission", func() bool {
		made, err := e.dynamic.Resource(configMaps).Namespace(e.ns).Create(e.t.Context(), probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil {
			e.t.Fatal(err)
		}
		return value(made) == to
	})
}

// What a webhook or policy rewrites at admission is no drift, and is not fought over.
func TestObjectsRewrittenAtAdmissionAreNoDrift(t *testing.T) {
	e := newEnv(t)
	e.mutate("mutated")
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: []string{keyAnd("m0", "one", "one"), keyAnd("m1", "one", "one")}})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	if got := value(e.get("m0")); got != "mutated" {
		t.Fatalf("m0 is %s", got)
	}
	s.writes.take()
	for range 2 {
		e.reassign("web")
		s.awaitPhase("web", yardarmv1.PhaseReady)
	}
	if paths := s.writes.take(); len(paths) > 0 {
		t.Errorf("written: %v", paths)
	}
	// A real edit is told without the field that is rewritten, once.
	e.edit("m0", `{"data":{"key":"edited","other":"edited"}}`)
	r := s.await("web", "drift", func(r *yardarmv1.Report) bool { return driftOf(r, "/m0", "data.other") != nil })
	if len(r.Drift) != 1 || value(e.get("m0")) != "mutated" || otherOf(e.get("m0")) != "one" {
		t.Errorf("m0 is %s, %s; drift: %v", value(e.get("m0")), otherOf(e.get("m0")), r.Drift)
	}
	// An edit that comes to nothing gets its field back, and is not told.
	e.edit("m1", `{"data":{"key":"edited"}}`)
	e.until("m1 is ours again", func() bool { return strings.Contains(managed(e.get("m1"), "yardarm"), `"f:key"`) })
	e.reassign("web")
	s.awaitPhase("web", yardarmv1.PhaseReady)
	if r := s.report("web"); len(r.Drift) != 1 {
		t.Errorf("drift: %v", r.Drift)
	}
	if n := written(s.writes.take(), "/m0"); n != 1 {
		t.Errorf("m0 was written %d times", n)
	}
}

// managed answers what a manager has of an object, as JSON.
func managed(object *unstructured.Unstructured, manager string) string {
	for _, entry := range object.GetManagedFields() {
		if entry.Manager == manager {
			return string(entry.FieldsV1.GetRawBytes())
		}
	}
	return ""
}

// What the API server fills in or writes another way is no drift: defaults of a definition, and quantities.
func TestDefaultsAndNormalizedValuesAreNoDrift(t *testing.T) {
	e := newEnv(t)
	group := e.ns + ".example.com"
	definition := fmt.Sprintf(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ships.%s}
spec:
  group: %s
  scope: Namespaced
  names: {plural: ships, singular: ship, kind: Ship, listKind: ShipList}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              name: {type: string}
              masts: {type: integer, default: 3}
              crew:
                type: object
                default: {}
                properties: {size: {type: integer, default: 40}}
`, group, group)
	ship := fmt.Sprintf("apiVersion: %s/v1\nkind: Ship\nmetadata: {name: victory}\nspec: {name: Victory, crew: {}}", group)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: []string{definition, ship, scalable("web", "nginx:1", "")}})
	applied := func(r *yardarmv1.Report) bool { return r.Objects.Applied == 3 }
	s.await("web", "all is applied", applied)
	s.writes.take()
	for range 2 {
		e.reassign("web")
		s.await("web", "all is applied", applied)
	}
	if paths := s.writes.take(); len(paths) > 0 {
		t.Errorf("written: %v", paths)
	}
	ships := gvr(group, "v1", "ships")
	if _, err := e.dynamic.Resource(ships).Namespace(e.ns).Patch(t.Context(), "victory", types.MergePatchType,
		[]byte(`{"spec":{"name":"Redoubtable","masts":2}}`), metav1.PatchOptions{FieldManager: "someone"}); err != nil {
		t.Fatal(err)
	}
	e.change(deployments, "web", "someone", `{"spec":{"template":{"spec":{"containers":[{"name":"web","resources":{"requests":{"cpu":"2"}}}]}}}}`)
	r := s.await("web", "drift", func(r *yardarmv1.Report) bool { return len(r.Drift) == 2 })
	if d := driftOf(r, "/victory", "spec.name"); d == nil || d.Desired != `"Victory"` || d.Live != `"Redoubtable"` {
		t.Errorf("drift: %v", r.Drift)
	}
	// The manifest says 1000m.
	if d := driftOf(r, "/web", "spec.template.spec.containers[name=web].resources.requests.cpu"); d == nil || d.Desired != `"1"` || d.Live != `"2"` {
		t.Errorf("drift: %v", r.Drift)
	}
	// What nobody asked for is nobody's drift.
	found, err := e.dynamic.Resource(ships).Namespace(e.ns).Get(t.Context(), "victory", getNow)
	if err != nil {
		t.Fatal(err)
	}
	if masts, _, _ := unstructured.NestedInt64(found.Object, "spec", "masts"); masts != 2 {
		t.Errorf("%d masts", masts)
	}
}
