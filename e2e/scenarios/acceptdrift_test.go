package scenarios

import (
	"errors"
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Somebody changes a workload by hand, and is right: what is live in that cluster becomes desired there, by a revision like any other. The workload is
// not touched, neither there nor elsewhere, and undoing it puts back what was published.
func TestAcceptDrift(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrol(lisbon, boston)
	w.group("all")
	w.apply("apiVersion: yardarm.dev/v1\nkind: Bundle\nmetadata: {name: web}\nspec: {targets: [{group: all}], delivery: {drift: report}}\n")
	w.ready("web", w.republish("web", namespace, `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: NS}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: "registry.example.com/web:1", env: [{name: LEVEL, value: info}, {name: SHOP, value: "7"}]}
`))
	_, err := w.objects(lisbon, deployments).Patch(w.ctx, "web", types.StrategicMergePatchType,
		[]byte(`{"spec":{"replicas":2,"template":{"spec":{"containers":[{"name":"web","env":[{"name":"LEVEL","value":"debug"}]}]}}}}`), metav1.PatchOptions{FieldManager: "kubectl-edit"})
	w.must(err)
	const env = "spec.template.spec.containers[name=web].env[name=LEVEL].value"
	for _, path := range []string{"spec.replicas", env} {
		w.drifts(lisbon, "web", func(d *yardarmv1.Drift) bool {
			return d.Path == path && d.Manager == "kubectl-edit" && d.Reason == "ReportOnly"
		})
	}
	w.said(w.cli.Run(w.ctx, "drift", "bundle/web"), 0, "spec.replicas", env, `"debug"`, "kubectl-edit", lisbon)
	generations := map[string]int64{lisbon: w.deploymentGeneration(lisbon, "web"), boston: w.deploymentGeneration(boston, "web")}

	// One field alone leaves the other to the new revision, and that is said before.
	w.said(w.cli.Run(w.ctx, "drift", "accept", "bundle/web", "cluster/"+lisbon, "--field", "spec.replicas", "--dry-run"), 0,
		"1 cluster of group all", "spec.replicas: 1 → 2", "Nothing changes in 1 cluster.", "(dry run)", "fields: 1, in clusters: 1")
	w.refused(1, []string{"drift", "accept", "bundle/web", "cluster/" + boston}, "none of it differs in cluster \"boston\"")
	revision := w.published("drift", "accept", "bundle/web", "cluster/"+lisbon)
	w.ready("web", revision)
	w.eventually("nothing differs", func() error {
		if r := w.cli.Run(w.ctx, "drift"); r.Err() != nil || r.Stdout != "" {
			return errors.Join(r.Err(), fmt.Errorf("it says %q", r.Stdout))
		}
		return nil
	})
	w.previews(lisbon, "web", "debug", "replicas: 2")
	w.runs(lisbon, 2, "debug")
	w.runs(boston, 1, "info")
	for cluster, before := range generations {
		if now := w.deploymentGeneration(cluster, "web"); now != before {
			t.Errorf("the workload in %s was touched: generation %d, %d before", cluster, now, before)
		}
	}
	w.said(w.cli.Run(w.ctx, "audit", "bundle/web"), 0, "AcceptDrift")

	w.do("rollout", "undo", "bundle/web")
	w.ready("web", revision+1)
	w.runs(lisbon, 1, "info")
}

func (w *world) deploymentGeneration(cluster, deployment string) int64 {
	w.t.Helper()
	o, err := w.objects(cluster, deployments).Get(w.ctx, deployment, metav1.GetOptions{})
	w.must(err)
	return o.GetGeneration()
}

// runs fails unless the Deployment web in a cluster has so many replicas, and this level.
func (w *world) runs(cluster string, replicas int64, level string) {
	w.t.Helper()
	o, err := w.objects(cluster, deployments).Get(w.ctx, "web", metav1.GetOptions{})
	w.must(err)
	n, _, _ := unstructured.NestedInt64(o.Object, "spec", "replicas")
	containers, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
	env := containers[0].(map[string]any)["env"].([]any)
	if got := env[0].(map[string]any)["value"]; n != replicas || got != level || len(env) != 2 {
		w.t.Errorf("%s runs %d replicas with %v, want %d and %s", cluster, n, env, replicas, level)
	}
}
