package scenarios

import (
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// lost is an object in a namespace that does not exist.
const lost = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: lost, namespace: NS-nowhere}\n"

// One object that cannot be applied does not stop the others, unless the bundle is atomic; and what is wrong is said.
func TestOneBadObject(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrol(boston)
	w.group("all")
	w.ready("base", w.publish("base", "all", namespace))

	w.publish("web", "all", settings("one", "1"), lost, settings("two", "1"))
	w.nowhereToGo("web")
	w.holds("one", "value", "1", boston)
	w.holds("two", "value", "1", boston)
	r := w.cli.Run(w.ctx, "wait", "bundle/web", "--timeout", "10s")
	if r.ExitCode == 0 {
		t.Errorf("it counts as ready: %s", r.Stdout)
	}
	w.refused(0, []string{"status"}, "web", boston, w.id+"-nowhere")

	w.apply("apiVersion: yardarm.dev/v1\nkind: Bundle\nmetadata: {name: whole}\nspec: {targets: [{group: all}], delivery: {atomic: true}}\n")
	w.publish("whole", "all", settings("three", "1"), strings.ReplaceAll(lost, "name: lost", "name: lost-too"))
	w.nowhereToGo("whole")
	if _, err := w.value(boston, "three", "value"); !apierrors.IsNotFound(err) {
		t.Errorf("part of an atomic bundle was applied (%v)", err)
	}
	w.ready("base", 1)

	// It is put right in the next revision.
	w.ready("web", w.publish("web", "all", settings("one", "2"), settings("two", "1")))
	w.ready("whole", w.publish("whole", "all", settings("three", "2")))
	w.holds("three", "value", "2", boston)
}

// nowhereToGo waits until a bundle has failed for the namespace that is missing, with words that help.
func (w *world) nowhereToGo(bundle string) {
	w.t.Helper()
	a := w.phase(boston, bundle, "Failed")
	for _, p := range a.GetStatus().GetReport().GetProblems() {
		if strings.Contains(p.Object, "ConfigMap "+w.id+"-nowhere/lost") && p.Reason == "NamespaceNotFound" && strings.Contains(p.Message, w.id+"-nowhere") {
			w.t.Logf("%s: %s", p.Object, p.Message)
			return
		}
	}
	w.t.Errorf("%s does not name the object whose namespace is missing: %+v", bundle, a.GetStatus().GetReport().GetProblems())
}

// A definition and objects of its kind come in one bundle.
func TestDefinitionAndItsObjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrol(tokyo)
	w.group("all")
	const definition = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ships.NS.example}
spec:
  group: NS.example
  scope: Namespaced
  names: {kind: Ship, plural: ships, singular: ship}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
`
	ship := "apiVersion: NS.example/v1\nkind: Ship\nmetadata: {name: argo, namespace: NS}\nspec: {masts: 3}\n"
	w.ready("fleet", w.publish("fleet", "all", ship, definition, namespace))
	ships := configMaps
	ships.Group, ships.Resource = w.id+".example", "ships"
	if _, err := w.objects(tokyo, ships).Get(w.ctx, "argo", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
	w.do("delete", "bundle", "fleet", "--remove", "--yes")
	w.gone(tokyo, definitions, "ships."+w.id+".example")
}

// Images that cannot be pulled and programs that crash are named within ten seconds, and colour no other bundle.
func TestWorkloadsThatFail(t *testing.T) {
	t.Parallel()
	const soon = 10 * time.Second
	w := newWorld(t)
	w.enrol(lisbon)
	w.group("all")
	w.ready("good", w.publish("good", "all", namespace, settings("one", "1"), workload("good", "registry.example/good:1")))
	for _, test := range []struct{ bundle, image, reason string }{
		{"unpulled", "registry.example/web:broken", "ImagePull"},
		{"crashing", "registry.example/crash:1", "CrashLoopBackOff"},
	} {
		w.publish(test.bundle, "all", workload(test.bundle, test.image))
		w.within(soon, test.bundle+" says why", func() error { return w.blames(lisbon, test.bundle, test.bundle, test.reason) })
		r := w.cli.Run(w.ctx, "wait", "bundle/"+test.bundle, "--timeout", "1s")
		if r.ExitCode != 1 && r.ExitCode != 124 || !strings.Contains(r.Stderr, test.reason) {
			t.Errorf("wait ended with %d: %s", r.ExitCode, r.Stderr)
		}
	}
	w.ready("good", 1)
}

func workload(name, image string) string {
	return strings.NewReplacer("NAME", name, "IMAGE", image).Replace(`apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME, namespace: NS}
spec:
  replicas: 1
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec: {containers: [{name: main, image: IMAGE}]}
`)
}

// blames fails unless a bundle's report names an object with a reason.
func (w *world) blames(cluster, bundle, object, reason string) error {
	a, err := w.assignment(cluster, bundle)
	if err != nil {
		return err
	}
	for _, p := range a.GetStatus().GetReport().GetProblems() {
		if strings.Contains(p.Object, object) && strings.Contains(p.Reason, reason) {
			return nil
		}
	}
	return fmt.Errorf("it is %s (%s): %s", a.Status.Phase, a.Status.Reason, a.Status.Message)
}
