package reconcile

import (
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func ttlJob(image, ttl, note string) string {
	return `
apiVersion: batch/v1
kind: Job
metadata: {name: once, annotations: {example.com/note: '` + note + `'}}
spec:
  ttlSecondsAfterFinished: ` + ttl + `
  backoffLimit: 0
  template: {spec: {restartPolicy: Never, containers: [{name: main, image: '` + image + `'}]}}`
}

// goneJob waits until the Job has deleted itself.
func (e *env) goneJob() {
	e.t.Helper()
	e.until("the job has deleted itself", func() bool {
		_, err := e.dynamic.Resource(gvr("batch", "v1", "jobs")).Namespace(e.ns).Get(e.t.Context(), "once", metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
}

// runs counts how often the Job was written since the last call.
func (s *spoke) runs() int {
	n := 0
	for _, path := range s.writes.take() {
		if strings.HasSuffix(path, "/jobs/once") {
			n++
		}
	}
	return n
}

// A Job that deletes itself once it is done is done for good: across passes, restarts and requests, and until its content changes.
func TestJobThatDeletesItselfIsDone(t *testing.T) {
	for _, ttl := range []string{"0", "2"} {
		t.Run(ttl, func(t *testing.T) {
			e := newFullEnv(t)
			s := e.start()
			a := assignment{bundle: "web", revision: 1, objects: []string{ttlJob("example.com/job", ttl, "one"), configMap("m0", "one")}}
			e.assign(a)
			s.awaitPhase("web", yardarmv1.PhaseReady)
			e.goneJob()
			e.reconcileNow("web")
			r := s.awaitPhase("web", yardarmv1.PhaseReady)
			if c := r.Objects; c.Total != 2 || c.Applied != 2 || c.Ready != 2 || len(r.Drift) > 0 {
				t.Errorf("report: %v", r)
			}
			if n := s.runs(); n != 1 {
				t.Errorf("it was applied %d times", n)
			}
			// Nor is it missed in a cluster that is frozen or read-only.
			e.policy.set("freeze: {reason: stocktaking}")
			r = s.awaitPhase("web", yardarmv1.PhaseHeld)
			if r.Objects.Applied != 2 || len(r.Drift) > 0 {
				t.Errorf("frozen: %v", r)
			}
			e.policy.set("readOnly: true")
			r = s.awaitPhase("web", yardarmv1.PhaseReady)
			if len(r.Drift) > 0 {
				t.Errorf("read-only: %v", r)
			}
			e.policy.set("")
			s.stop()
			s = e.start()
			s.awaitPhase("web", yardarmv1.PhaseReady)
			e.delete("m0") // drift of others is repaired, by a pass that sees the Job, too
			e.until("m0 is there again", func() bool { return e.get("m0") != nil })
			s.awaitPhase("web", yardarmv1.PhaseReady)
			if n := s.runs(); n != 0 {
				t.Errorf("it was applied %d times after a restart", n)
			}
			a.revision, a.objects[0] = 2, ttlJob("example.com/job", ttl, "two")
			e.assign(a)
			s.awaitPhase("web", yardarmv1.PhaseReady)
			if n := s.runs(); n != 1 {
				t.Errorf("changed, it was applied %d times", n)
			}
			// Its removal finds nothing to delete.
			e.goneJob()
			e.tombstone("web", yardarmv1.Workloads_WORKLOADS_REMOVE, true)
			e.until("it is removed", func() bool { return e.state.gone("web") })
		})
	}
}

// A Job that has failed and deleted itself stays failed, and is run again when somebody asks.
func TestJobThatDeletesItselfStaysFailed(t *testing.T) {
	for _, ttl := range []string{"0", "2"} {
		t.Run(ttl, func(t *testing.T) { staysFailed(t, ttl) })
	}
}

func staysFailed(t *testing.T, ttl string) {
	e := newFullEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: []string{ttlJob("example.com/crash", ttl, "one")}})
	said := func(r *yardarmv1.Report) bool {
		p := problemOf(r, "/once")
		return r.Phase == yardarmv1.PhaseDegraded && p != nil && p.Reason == "JobFailed" && strings.Contains(p.Message, "ask to reconcile")
	}
	s.await("web", "it stays failed", said)
	if n := s.runs(); n != 1 {
		t.Errorf("it was applied %d times", n)
	}
	s.stop()
	s = e.start()
	s.await("web", "it stays failed after a restart", said)
	if n := s.runs(); n != 0 {
		t.Errorf("it was applied %d times after a restart", n)
	}
	e.reconcileNow("web")
	s.until("it is run again", func() bool { return s.runs() == 1 })
	s.awaitPhase("web", yardarmv1.PhaseDegraded)
}
