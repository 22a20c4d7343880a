package scenarios

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A definition that stores objects in another version waits for somebody to confirm it before any cluster gets it, and so does the way back; everything is
// said before it is published.
func TestStoredVersionsAreConfirmed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrol(lisbon)
	w.group("all")
	definition := func(stored, other string) string {
		version := func(name string, storage bool) string {
			return fmt.Sprintf("{name: %s, served: true, storage: %t, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}", name, storage)
		}
		return "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: ships.NS.example}\nspec:\n  group: NS.example\n  scope: Namespaced\n" +
			"  names: {kind: Ship, plural: ships, singular: ship}\n  versions: [" + version(stored, true) + ", " + version(other, false) + "]\n"
	}
	stored := func(want ...string) {
		t.Helper()
		o, err := w.objects(lisbon, definitions).Get(w.ctx, "ships."+w.id+".example", metav1.GetOptions{})
		w.must(err)
		got, _, err := unstructured.NestedStringSlice(o.Object, "status", "storedVersions")
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("stored versions are %v (%v), want %v", got, err, want)
		}
	}
	w.ready("fleet", w.publish("fleet", "all", definition("v1", "v2")))
	stored("v1")

	next := w.files(definition("v2", "v1"))
	says := "ships." + w.id + ".example: objects are stored as v2 instead of v1"
	w.refused(1, []string{"diff", next, "--bundle", "fleet"}, says, "rollout approve bundle/fleet")
	w.published("publish", next, "--bundle", "fleet")
	w.refused(4, []string{"wait", "bundle/fleet", "--revision", "2", "--timeout", patience.String()}, "confirmation", "rollout approve bundle/fleet")
	w.why(lisbon, "fleet", "WaitsForConfirmation", says)
	if out := w.do("rollout", "status", "bundle/fleet"); !strings.Contains(out, "confirms this: "+says) {
		t.Errorf("status does not say what is to be confirmed:\n%s", out)
	}
	w.refused(1, []string{"rollout", "promote", "bundle/fleet"}, "waits for a confirmation")
	stored("v1")
	w.do("rollout", "approve", "bundle/fleet", "-m", "no ship is old")
	w.ready("fleet", 2)
	stored("v1", "v2")
	w.rolloutSays("fleet", "confirm", "no ship is old")

	w.do("rollout", "undo", "bundle/fleet")
	w.refused(4, []string{"wait", "bundle/fleet", "--revision", "3", "--timeout", patience.String()}, "confirmation")
	w.why(lisbon, "fleet", "WaitsForConfirmation", "objects are stored as v1 instead of v2")
}
