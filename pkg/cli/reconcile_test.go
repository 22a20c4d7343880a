package cli

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestReconcile(t *testing.T) {
	for _, tc := range []struct {
		args string
		code int
		want *hubv1.ReconcileRequest // nil where nothing is to be asked
		out  string                  // all of it
		err  string                  // in it
	}{
		{"reconcile bundle/web", ExitYes, &hubv1.ReconcileRequest{Bundle: "web"},
			"assignment/eu-1.web is to be reconciled\nassignment/eu-2.web is to be reconciled\nassignment/us-1.web is to be reconciled\n", ""},
		{"reconcile bundle web --cluster eu-1", ExitYes, &hubv1.ReconcileRequest{Bundle: "web", Cluster: "eu-1"}, "assignment/eu-1.web is to be reconciled\n", ""},
		{"reconcile bundle/web --cluster cluster/eu-1", ExitYes, &hubv1.ReconcileRequest{Bundle: "web", Cluster: "eu-1"}, "assignment/eu-1.web is to be reconciled\n", ""},
		{"reconcile cluster/eu-1 bundle/db", ExitYes, &hubv1.ReconcileRequest{Bundle: "db", Cluster: "eu-1"}, "assignment/eu-1.db is to be reconciled\n", ""},
		{"reconcile cluster/eu-1", ExitYes, &hubv1.ReconcileRequest{Cluster: "eu-1"}, "assignment/eu-1.db is to be reconciled\nassignment/eu-1.web is to be reconciled\n", ""},
		{"reconcile cluster/lab-1", ExitNo, &hubv1.ReconcileRequest{Cluster: "lab-1"}, "", "nothing to reconcile"},
		{"reconcile", ExitError, nil, "", "needs cluster/NAME, bundle/NAME or both"},
		{"reconcile group/prod", ExitError, nil, "", "this is for clusters, bundles"},
		{"reconcile bundle/a bundle/b", ExitError, nil, "", "name one cluster, one bundle"},
		{"reconcile cluster/eu-1 --cluster eu-2", ExitError, nil, "", "name one cluster only"},
		{"reconcile bundle/web --wait --timeout -1s", ExitError, nil, "", "must not be negative"},
	} {
		t.Run(tc.args, func(t *testing.T) {
			h := serve(t, exampleFleet())
			got := h.run(t, strings.Fields(tc.args)...)
			if got.code != tc.code || got.out != tc.out || !strings.Contains(got.err, tc.err) {
				t.Errorf("exit %d, stdout %q, stderr %q", got.code, got.out, got.err)
			}
			if call := h.lastCall(); (call != nil) != (tc.want != nil) || tc.want != nil && !proto.Equal(call, tc.want) {
				t.Errorf("asked: %v", call)
			}
		})
	}
}

func TestReconcileWaits(t *testing.T) {
	failedAgain := newAssignment("eu-2", "web", 3, yardarmv1.PhaseFailed)
	failedAgain.Status.Report.Problems = []*yardarmv1.ObjectProblem{{Object: "apps/Deployment prod/web", Reason: "Forbidden", Message: "no"}}
	for _, tc := range []struct {
		name, args string
		// phase of the assignment in us-1 before.
		phase string
		steps func(h *hub, r *running)
		code  int
		want  string // in what is written
	}{
		{"until all are ready", "", yardarmv1.PhaseReady, func(h *hub, _ *running) {
			h.put(newAssignment("us-1", "web", 3, yardarmv1.PhaseReady), newAssignment("eu-2", "web", 3, yardarmv1.PhaseDegraded)) // which is no end
			h.put(newAssignment("eu-1", "web", 3, yardarmv1.PhaseReady), newAssignment("eu-2", "web", 3, yardarmv1.PhaseReady))
		}, ExitYes, "3 of 3 assignments ready\n"},
		{"until one fails", "", yardarmv1.PhaseReady, func(h *hub, _ *running) { h.put(failedAgain) }, ExitNo,
			"0 of 3 assignments ready\n  assignment/eu-2.web: Failed: apps/Deployment prod/web: Forbidden: no\n"},
		{"although one fails", "--fail-fast=false", yardarmv1.PhaseReady, func(h *hub, r *running) {
			h.put(failedAgain, newAssignment("us-1", "web", 3, yardarmv1.PhaseReady))
			until(h.t, "it waits on", func() bool { return strings.Contains(r.err.String(), "1 of 3") })
			h.put(newAssignment("eu-1", "web", 3, yardarmv1.PhaseReady), newAssignment("eu-2", "web", 3, yardarmv1.PhaseReady))
		}, ExitYes, "3 of 3"},
		{"not for those that are gone", "", yardarmv1.PhaseReady, func(h *hub, _ *running) {
			h.remove(yardarmv1.KindAssignment, "us-1.web")
			h.put(newAssignment("eu-1", "web", 3, yardarmv1.PhaseReady), newAssignment("eu-2", "web", 3, yardarmv1.PhaseReady))
		}, ExitYes, "2 of 2 assignments ready\n"},
		{"not for those that are not there", "--ignore-stale", yardarmv1.PhaseStale, func(h *hub, _ *running) {
			h.put(newAssignment("eu-1", "web", 3, yardarmv1.PhaseReady), newAssignment("eu-2", "web", 3, yardarmv1.PhaseReady))
		}, ExitYes, "2 of 2 assignments ready (1 left out: stale or never connected)\n"},
		{"until time is up", "", yardarmv1.PhaseStale, func(h *hub, r *running) {
			h.put(newAssignment("eu-1", "web", 3, yardarmv1.PhaseReady), newAssignment("eu-2", "web", 3, yardarmv1.PhaseReady))
			r.timeUp <- testTime
		}, ExitTimeout, "assignment/us-1.web: Stale"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := serve(t, waitingFleet(yardarmv1.PhaseFailed, yardarmv1.PhaseReady, tc.phase))
			r := h.background(t, invocation{terminal: true, args: append([]string{"reconcile", "bundle/web", "--wait"}, strings.Fields(tc.args)...)}) // where progress is seen at once
			until(t, "it waits", func() bool { return h.openStreams() == 1 && strings.Contains(r.err.String(), "0 of ") })
			tc.steps(h, r)
			if code := r.wait(t); code != tc.code {
				t.Errorf("exit %d, want %d", code, tc.code)
			}
			if written := r.out.String() + r.err.String(); !strings.Contains(written, tc.want) {
				t.Errorf("%q is not in\n%s", tc.want, written)
			}
		})
	}
}
