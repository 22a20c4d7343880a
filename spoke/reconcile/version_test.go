package reconcile

import (
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// A kind goes on being watched when the version in which it was first used is served no more. Regression: drift of it went unseen until the spoke was
// restarted.
func TestKindIsFollowedToAnotherVersion(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	group := e.ns + ".example"
	const schema = "schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}}}}"
	definition := func(revision uint32, v1 bool) assignment {
		return assignment{bundle: "kinds", revision: revision, objects: []string{fmt.Sprintf(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.%s}
spec:
  group: %s
  scope: Namespaced
  names: {kind: Widget, plural: widgets, singular: widget, listKind: WidgetList}
  versions: [{name: v1, served: %v, storage: false, %s}, {name: v2, served: true, storage: true, %s}]`, group, group, v1, schema, schema)}}
	}
	widget := func(version string) assignment {
		return assignment{bundle: "web-" + version, revision: 1, objects: []string{
			"apiVersion: " + group + "/" + version + "\nkind: Widget\nmetadata: {name: " + version + "}\nspec: {size: 1}",
		}}
	}
	e.assign(definition(1, true))
	s.awaitPhase("kinds", yardarmv1.PhaseReady)
	e.assign(widget("v1"))
	s.awaitPhase("web-v1", yardarmv1.PhaseReady)
	e.assign(widget("v2"))
	s.awaitPhase("web-v2", yardarmv1.PhaseReady)

	e.assign(definition(2, false))
	s.awaitPhase("kinds", yardarmv1.PhaseReady)
	e.until("it is watched in v2", func() bool { return s.writes.watched("/apis/"+group+"/v2/widgets") == 1 })
	widgets := e.dynamic.Resource(gvr(group, "v2", "widgets")).Namespace(e.ns)
	if _, err := widgets.Patch(t.Context(), "v2", types.MergePatchType, []byte(`{"spec":{"size":2}}`), metav1.PatchOptions{FieldManager: "someone"}); err != nil {
		t.Fatal(err)
	}
	e.until("drift of it is repaired", func() bool {
		o, err := widgets.Get(t.Context(), "v2", getNow)
		if err != nil {
			return false
		}
		size, _, _ := unstructured.NestedInt64(o.Object, "spec", "size")
		return size == 1
	})
	// Drift of what was applied in the old version is seen, too, and that it cannot be repaired is told.
	if err := widgets.Delete(t.Context(), "v1", deleteNow); err != nil {
		t.Fatal(err)
	}
	s.await("web-v1", "it cannot be made again", func(r *yardarmv1.Report) bool { return problemOf(r, "/v1") != nil })
}
