package reconcile

import (
	"strings"
	"testing"
	"time"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// workload is a Deployment, or another kind with pods, whose containers have the images.
func workload(kind, image, init string) string {
	if init != "" {
		init = "initContainers: [{name: init, image: '" + init + "'}], "
	}
	return `
apiVersion: apps/v1
kind: ` + kind + `
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {` + init + `containers: [{name: main, image: '` + image + `'}]}`
}

// A good revision that comes after one that can never be ready replaces it at once, and is not taken for bad by the pods that it ends.
func TestGoodRevisionReplacesAStuckOne(t *testing.T) {
	for _, kind := range []string{"Deployment", "DaemonSet"} {
		t.Run(kind, func(t *testing.T) {
			e := newFullEnv(t)
			s := e.start()
			e.assign(assignment{bundle: "web", revision: 1, objects: []string{workload(kind, "example.com/web:1", "")}})
			s.awaitPhase("web", yardarmv1.PhaseReady)
			e.assign(assignment{bundle: "web", revision: 2, objects: []string{workload(kind, "example.com/broken:2", "")}})
			assigned := time.Now()
			r := s.awaitPhase("web", yardarmv1.PhaseDegraded)
			if p := problemOf(r, "/web"); p == nil || !strings.Contains(p.Message, "example.com/broken:2") || time.Since(assigned) > 10*time.Second {
				t.Errorf("report after %v: %v", time.Since(assigned), r)
			}
			// Back to the first, whose pods and ReplicaSet are older than the bad ones.
			e.assign(assignment{bundle: "web", revision: 3, objects: []string{workload(kind, "example.com/web:1", "")}})
			s.await("web", "ready, and never bad before", func(r *yardarmv1.Report) bool {
				if r.Phase == yardarmv1.PhaseDegraded || r.Phase == yardarmv1.PhaseFailed {
					t.Fatalf("report: %v", r)
				}
				return r.Phase == yardarmv1.PhaseReady
			})
		})
	}
}

// What keeps pods from running is said within 10 s: by containers, by init containers, by the scheduler.
func TestPodsSayWhyWithinSeconds(t *testing.T) {
	nowhere := strings.Replace(workload("Deployment", "example.com/web:1", ""), "spec: {containers", "spec: {nodeSelector: {disk: none}, containers", 1)
	for name, c := range map[string]struct{ object, reason string }{
		"container":      {workload("Deployment", "example.com/broken:1", ""), "ImagePullBackOff ErrImagePull"},
		"init container": {workload("Deployment", "example.com/web:1", "example.com/broken:1"), "ImagePullBackOff ErrImagePull"},
		"crash":          {workload("StatefulSet", "example.com/crash:1", ""), "CrashLoopBackOff"},
		"scheduler":      {nowhere, "Unschedulable"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newFullEnv(t)
			s := e.start()
			e.assign(assignment{bundle: "web", revision: 1, objects: []string{c.object}})
			s.await("web", "applied", func(r *yardarmv1.Report) bool { return r.Objects.GetApplied() == 1 })
			started := time.Now()
			r := s.await("web", c.reason, func(r *yardarmv1.Report) bool {
				return strings.Contains(c.reason, r.Reason) && r.Phase == yardarmv1.PhaseDegraded
			})
			if took := time.Since(started); took > 10*time.Second {
				t.Errorf("said after %v: %v", took, r)
			}
		})
	}
}
