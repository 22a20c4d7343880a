package scenarios

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var pods = schema.GroupVersionResource{Version: "v1", Resource: "pods"}

// gift gives a cluster an API group of the test's own, or takes it away, and waits until its spoke has told: it observes at once when it starts, and then
// every two minutes.
func (w *world) gift(cluster, group string, there bool) {
	w.t.Helper()
	name := "gifts." + w.id + ".example.com"
	w.must(w.spokes[cluster].Stop())
	if there {
		_, err := w.objects(cluster, definitions).Create(w.ctx, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": name},
			"spec": map[string]any{
				"group": w.id + ".example.com", "scope": "Namespaced", "names": map[string]any{"plural": "gifts", "singular": "gift", "kind": "Gift"},
				"versions": []any{map[string]any{"name": "v1", "served": true, "storage": true, "schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object"}}}},
			},
		}}, metav1.CreateOptions{})
		w.must(err)
	} else {
		w.must(w.objects(cluster, definitions).Delete(w.ctx, name, metav1.DeleteOptions{}))
	}
	served := schema.GroupVersionResource{Group: w.id + ".example.com", Version: "v1", Resource: "gifts"}
	w.eventually("the API server has noticed", func() error {
		if _, err := w.objects(cluster, served).List(w.ctx, metav1.ListOptions{}); (err == nil) != there {
			return fmt.Errorf("it is served: %v, want %v", err == nil, there)
		}
		return nil
	})
	w.must(w.spokes[cluster].Start(w.ctx, ""))
	w.eventually("the hub knows", func() error {
		c, err := w.cluster(cluster)
		if err == nil && (c.Status.Presence != "Connected" || slices.Contains(c.Status.Groups, group) != there) {
			err = fmt.Errorf("it is %s, in %v", c.Status.Presence, c.Status.Groups)
		}
		return err
	})
}

// workloads are the test's pods and config maps in a cluster, by what changes when they are made anew or written.
func (w *world) workloads(cluster string) map[string]string {
	w.t.Helper()
	out := map[string]string{}
	list, err := w.objects(cluster, pods).List(w.ctx, metav1.ListOptions{})
	w.must(err)
	for _, o := range list.Items {
		out["pod "+string(o.GetUID())] = ""
	}
	for kind, gvr := range map[string]schema.GroupVersionResource{"config map": configMaps, "deployment": deployments} {
		list, err := w.objects(cluster, gvr).List(w.ctx, metav1.ListOptions{})
		w.must(err)
		for _, o := range list.Items {
			// A deployment's status is its controller's; what we write moves its generation or its managed fields.
			managed := ""
			for _, f := range o.GetManagedFields() {
				if f.Manager == "yardarm" {
					managed = f.Time.String()
				}
			}
			if managed != "" {
				out[kind+" "+o.GetName()] = fmt.Sprint(o.GetUID(), o.GetGeneration(), managed)
			}
		}
	}
	return out
}

// A fact that flaps moves no workload: not where a bundle is for the cluster by that fact alone, and not where the fact decides what the cluster makes of
// one whose rollout has yet to come round.
func TestFlappingFactMovesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrol(lisbon)
	w.group("all")
	w.ready("base", w.publish("base", "all", namespace))
	w.apply("apiVersion: yardarm.dev/v1\nkind: ClusterGroup\nmetadata: {name: gifted}\nspec: {selector: {matchLabels: {test: \"yes\"}}, expression: \"'" + w.id + ".example.com/v1' in facts.apiGroups\"}\n")
	w.gift(lisbon, "gifted", true)
	w.ready("web", w.publish("web", "gifted", settings("one", "1"), workload("web", "registry.example/web:1")))
	w.apply(`apiVersion: yardarm.dev/v1
kind: Bundle
metadata: {name: shop}
spec: {targets: [{group: gifted, customization: {patches: [{target: {kind: ConfigMap, name: two}, patch: "data: {value: gifted}"}]}}, {group: all}]}
`)
	w.republish("shop", settings("two", "plain"), workload("shop", "registry.example/shop:1"))
	w.ready("shop", 1)
	w.holds("two", "value", "gifted", lisbon)
	w.do("freeze", "calm", "--bundle", "shop", "--reason", "nothing may move")
	before, writes := w.workloads(lisbon), w.watchConfigMaps(lisbon)

	for range 2 {
		w.gift(lisbon, "gifted", false)
		w.held(lisbon, "web", "LeftByFact", "fact")
		w.why(lisbon, "shop", "GatedByFreeze", "nothing may move")
		w.gift(lisbon, "gifted", true)
		w.why(lisbon, "web", "Ready", "revision 1") // a spoke that has just come back says that it holds it until it is told otherwise, which who waits takes for a failure
		w.ready("shop", 1)
	}
	w.do("unfreeze", "calm")
	w.ready("shop", 1)
	w.why(lisbon, "shop", "Ready", "revision 1")
	w.why(lisbon, "web", "Ready", "revision 1")
	if after := w.workloads(lisbon); !maps.Equal(before, after) {
		t.Errorf("workloads have moved:\n%v\n%v", before, after)
	}
	seen := slices.DeleteFunc(writes(), func(state string) bool { return strings.HasPrefix(state, "kube-root-ca.crt=") })
	if slices.Sort(seen); !slices.Equal(seen, []string{"one=1", "two=gifted"}) { // as they were when the watch began
		t.Errorf("config maps were written: %v", seen)
	}
}
