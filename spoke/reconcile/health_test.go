package reconcile

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: example.com/web:broken}]}`

const webPod = `
apiVersion: v1
kind: Pod
metadata: {name: web-1, labels: {app: web, pod-template-hash: abc}}
spec: {containers: [{name: main, image: example.com/web:broken}]}`

// setStatus plays the controller or the kubelet.
func (e *env) setStatus(resource schema.GroupVersionResource, name string, status map[string]any) {
	e.t.Helper()
	patch, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		e.t.Fatal(err)
	}
	_, err = e.dynamic.Resource(resource).Namespace(e.ns).Patch(e.t.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil {
		e.t.Fatal(err)
	}
}

func TestPodsSayWhyAWorkloadIsNotReady(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: append(several(2, "one"), deployment)})
	s.awaitPhase("web", yardarmv1.PhaseProgressing)
	r := s.await("web", "the deployment is waited for", func(r *yardarmv1.Report) bool { return r.Objects.Applied == 3 })
	if r.Objects.Ready != 2 || problemOf(r, "Deployment "+e.ns+"/web") == nil {
		t.Errorf("report: %v", r)
	}
	e.create(webPod)
	e.setStatus(podGVR, "web-1", map[string]any{"phase": "Pending", "containerStatuses": []any{map[string]any{
		"name": "main", "image": "example.com/web:broken", "imageID": "", "ready": false, "restartCount": 0,
		"state": map[string]any{"waiting": map[string]any{"reason": "ImagePullBackOff", "message": "Back-off pulling image"}},
	}}})
	started := time.Now()
	r = s.awaitPhase("web", yardarmv1.PhaseDegraded)
	if took := time.Since(started); took > 10*time.Second {
		t.Errorf("reported after %v", took)
	}
	p := problemOf(r, "/web")
	if r.Reason != "ImagePullBackOff" || p == nil || p.Reason != "ImagePullBackOff" || !strings.Contains(p.Message, "web-1") ||
		!strings.Contains(p.Message, "example.com/web:broken") {
		t.Errorf("report: %v", r)
	}
	e.setStatus(gvr("apps", "v1", "deployments"), "web", map[string]any{
		"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1,
		"conditions": []any{
			map[string]any{"type": "Available", "status": "True"},
			map[string]any{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
		},
	})
	r = s.awaitPhase("web", yardarmv1.PhaseReady)
	if r.Objects.Ready != 3 || len(r.Problems) != 0 {
		t.Errorf("report: %v", r)
	}
	// It becomes unready later: the watch tells.
	e.setStatus(gvr("apps", "v1", "deployments"), "web", map[string]any{"readyReplicas": 0, "availableReplicas": 0})
	s.awaitPhase("web", yardarmv1.PhaseDegraded)
}

func TestJobIsReadyWhenComplete(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: []string{`
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: example.com/job}]}}}`}})
	s.await("web", "the job is waited for", func(r *yardarmv1.Report) bool {
		return r.Phase == yardarmv1.PhaseProgressing && r.Objects.Applied == 1
	})
	jobs := gvr("batch", "v1", "jobs")
	now := time.Now().UTC().Format(time.RFC3339)
	e.setStatus(jobs, "once", map[string]any{"startTime": now, "active": 1})
	e.setStatus(jobs, "once", map[string]any{
		"active": 0, "succeeded": 1, "completionTime": now, "ready": 0, "terminating": 0, "uncountedTerminatedPods": map[string]any{},
		"conditions": []any{
			map[string]any{"type": "SuccessCriteriaMet", "status": "True", "lastProbeTime": now, "lastTransitionTime": now},
			map[string]any{"type": "Complete", "status": "True", "lastProbeTime": now, "lastTransitionTime": now},
		},
	})
	s.awaitPhase("web", yardarmv1.PhaseReady)
}
