package cli

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/pkg/client"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// waitingFleet has bundle web at revision 3 in two clusters.
func waitingFleet(phases ...string) *fleet {
	objects := []client.Object{newBundle("web", 3, &yardarmv1.PhaseCounts{Total: uint32(len(phases))}, "prod")}
	for i, phase := range phases {
		objects = append(objects, newAssignment([]string{"eu-1", "eu-2", "us-1"}[i], "web", 3, phase))
	}
	return newFleet(objects...)
}

// TestWaitAnswersAtOnce is for waits whose answer is there when they begin.
func TestWaitAnswersAtOnce(t *testing.T) {
	ready, stale := yardarmv1.PhaseReady, yardarmv1.PhaseStale
	noRevision := newFleet(newBundle("web", 0, nil, "prod"))
	noGroup := newFleet(newBundle("web", 1, nil))
	cluster := newFleet(newCluster("eu-1", yardarmv1.ClusterActive, yardarmv1.PresenceConnected, nil), newCluster("eu-2", yardarmv1.ClusterEnrolling, yardarmv1.PresenceNeverConnected, nil))
	for _, tc := range []struct {
		name string
		f    *fleet
		args string
		code int
		out  string // all of it
		err  string // in it
	}{
		{"ready", waitingFleet(ready, ready), "wait bundle/web --timeout 10s", ExitYes, "bundle/web revision 3 is ready in 2 clusters\n", ""},
		{"by type and name", waitingFleet(ready), "wait bundle web --revision 3", ExitYes, "bundle/web revision 3 is ready in 1 cluster\n", ""},
		{"leaving out", waitingFleet(ready, stale), "wait bundle/web --ignore-stale", ExitYes, "bundle/web revision 3 is ready in 1 cluster (1 cluster left out: stale or never connected)\n", ""},
		{"all left out", waitingFleet(stale, stale), "wait bundle/web --ignore-stale", ExitNo, "", "all of its 2 clusters are stale or have never connected"},
		{"an earlier revision", waitingFleet(ready), "wait bundle/web --revision 2", ExitSuperseded, "", "revision 2 is superseded: the bundle is at revision 3"},
		{"no revision at all", noRevision, "wait bundle/web", ExitNo, "", "has no revision yet"},
		{"no such bundle", waitingFleet(ready), "wait bundle/nope", ExitNo, "", `there is no bundle "nope"`},
		{"no cluster", waitingFleet(), "wait bundle/web", ExitNo, "", "no cluster is to run bundle/web: none belongs to prod"},
		{"no cluster is fine", waitingFleet(), "wait bundle/web --allow-none", ExitYes, "bundle/web revision 3 is ready in 0 clusters\n", ""},
		{"no group", noGroup, "wait bundle/web", ExitNo, "", "targets no group"},
		{"failed", waitingFleet(ready, yardarmv1.PhaseFailed), "wait bundle/web", ExitNo, "", "revision 3 has failed; 1 of 2 clusters ready (1 Failed)\n  cluster/eu-2: Failed for 3m"},
		{"connected", cluster, "wait cluster/eu-1", ExitYes, "cluster/eu-1 is connected\n", ""},
		{"no such cluster", cluster, "wait cluster/nope --for connected", ExitNo, "", `there is no cluster "nope"`},
		{"deleted", cluster, "wait cluster/nope --for deleted", ExitYes, "cluster/nope is deleted\n", ""},
		{"nothing to wait for", cluster, "wait", ExitError, "", "needs bundle/NAME or cluster/NAME"},
		{"a group", cluster, "wait group/prod", ExitError, "", "this is for bundles, clusters"},
		{"a cluster is not ready", cluster, "wait cluster/eu-1 --for ready", ExitError, "", "connected or deleted"},
		{"a bundle is not connected", cluster, "wait bundle/web --for connected", ExitError, "", "ready or deleted"},
		{"revision of a cluster", cluster, "wait cluster/eu-1 --revision 2", ExitError, "", "--revision goes with"},
		{"negative time", cluster, "wait cluster/eu-1 --timeout -1s", ExitError, "", "must not be negative"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := serve(t, tc.f).run(t, strings.Fields(tc.args)...)
			if got.code != tc.code || got.out != tc.out || !strings.Contains(got.err, tc.err) {
				t.Errorf("exit %d, stdout %q, stderr %q", got.code, got.out, got.err)
			}
		})
	}
}

func TestWaitFollowsChanges(t *testing.T) {
	for _, tc := range []struct {
		name  string
		steps func(h *hub)
		code  int
		want  string // in what is written
	}{
		{"until ready", func(h *hub) {
			h.put(newAssignment("eu-2", "web", 3, yardarmv1.PhaseReady))
			h.put(newAssignment("eu-1", "web", 3, yardarmv1.PhaseDegraded)) // which is no end
			h.put(newAssignment("eu-1", "web", 3, yardarmv1.PhaseReady))
		}, ExitYes, "bundle/web revision 3 is ready in 2 clusters"},
		{"until a cluster fails", func(h *hub) { h.put(newAssignment("eu-2", "web", 3, yardarmv1.PhaseFailed)) }, ExitNo, "cluster/eu-2: Failed"},
		{"until superseded", func(h *hub) { h.put(newBundle("web", 4, nil, "prod")) }, ExitSuperseded, "revision 3 is superseded: the bundle is at revision 4"},
		{"until deleted", func(h *hub) { h.remove(yardarmv1.KindBundle, "web") }, ExitNo, "bundle/web has been deleted"},
		{"until the clusters have left", func(h *hub) {
			h.remove(yardarmv1.KindAssignment, "eu-1.web")
			h.remove(yardarmv1.KindAssignment, "eu-2.web")
			h.put(newBundle("web", 3, nil, "prod"))
		}, ExitNo, "no cluster is to run bundle/web"},
		{"over a restart of the hub", func(h *hub) {
			h.cutStreams()
			until(h.t, "the watches are back", func() bool { h.mu.Lock(); defer h.mu.Unlock(); return h.watches >= 4 && h.open == 2 })
			h.put(newAssignment("eu-1", "web", 3, yardarmv1.PhaseReady), newAssignment("eu-2", "web", 3, yardarmv1.PhaseReady))
		}, ExitYes, ": the hub is stopping; trying again\nthe hub is back\n"},
		{"until the hub refuses the credential", func(h *hub) {
			h.failWith("Watch", status.Error(codes.Unauthenticated, "revoked"))
			h.cutStreams()
		}, ExitError, `does not accept the credential of context "test": revoked`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := serve(t, waitingFleet(yardarmv1.PhaseProgressing, yardarmv1.PhasePending))
			r := h.background(t, invocation{args: []string{"wait", "bundle/web", "--timeout", "20s"}})
			until(t, "it waits", func() bool { return h.openStreams() == 2 && strings.Contains(r.err.String(), "0 of 2") })
			tc.steps(h)
			if code := r.wait(t); code != tc.code {
				t.Errorf("exit %d, want %d", code, tc.code)
			}
			if written := r.out.String() + r.err.String(); !strings.Contains(written, tc.want) {
				t.Errorf("%q is not in\n%s", tc.want, written)
			}
		})
	}
}

// TestWaitForARevisionThatIsNotThereYet is of pipelines that wait before another one publishes.
func TestWaitForARevisionThatIsNotThereYet(t *testing.T) {
	for _, before := range []uint32{0, 3} {
		h := serve(t, newFleet(newBundle("web", before, nil, "prod")))
		start := func(revision string) *running {
			r := h.background(t, invocation{args: []string{"wait", "bundle/web", "--revision", revision, "--timeout", "1m"}})
			until(t, "it says so", func() bool { return strings.Contains(r.err.String(), "bundle/web has no revision "+revision+" yet") })
			return r
		}
		late, comes := start("5"), start("4")
		h.put(newBundle("web", 4, &yardarmv1.PhaseCounts{Total: 1}, "prod"))
		h.put(newAssignment("eu-1", "web", 4, yardarmv1.PhaseReady))
		if code := comes.wait(t); code != ExitYes || comes.out.String() != "bundle/web revision 4 is ready in 1 cluster\n" {
			t.Errorf("exit %d, %q, %q", code, comes.out.String(), comes.err.String())
		}
		late.endTime()
		if code := late.wait(t); code != ExitTimeout || !strings.HasPrefix(late.err.String(), "bundle/web has no revision 5 yet") ||
			!strings.Contains(late.err.String(), "error: bundle/web has no revision 5 yet") || !strings.HasSuffix(late.err.String(), " after 1m0s\n") {
			t.Errorf("exit %d, %q", code, late.err.String())
		}
	}
}

func TestWaitTimeoutNamesWhatBlocks(t *testing.T) {
	f := exampleFleet()
	for _, name := range []string{"eu-2"} { // degraded rather than failed, which would end it at once
		x := proto.CloneOf(f.objects[yardarmv1.KindAssignment][name+".web"].(*yardarmv1.Assignment))
		x.Status.Phase, x.Status.Report.Phase = yardarmv1.PhaseDegraded, yardarmv1.PhaseDegraded
		f.put(x)
	}
	behind := newAssignment("us-2", "web", 2, yardarmv1.PhaseReady)
	never := newAssignment("us-3", "web", 3, yardarmv1.PhaseNeverConnected)
	never.Status.Report, never.Status.Message, never.Status.AsOf = nil, "its spoke has never connected", nil
	f.put(behind, never)
	h := serve(t, f)
	var b strings.Builder
	for _, command := range []string{
		"wait bundle/web --timeout 2m", "wait bundle/web --timeout 2m --ignore-stale", "wait cluster/us-1", "wait cluster/old-1",
		"wait cluster/lab-1", "wait cluster/eu-1 --for deleted",
	} {
		args := strings.Fields(command)
		r := h.background(t, invocation{args: args})
		until(t, "it waits", func() bool { return strings.Contains(r.err.String(), "\n") })
		r.endTime()
		code := r.wait(t)
		b.WriteString(transcript(args, result{code, r.out.String(), r.err.String()}) + "\n")
		until(t, "the hub has noticed", func() bool { return h.openStreams() == 0 })
	}
	golden(t, "wait-timeout", b.String())
}

func TestWaitForACluster(t *testing.T) {
	t.Run("connected", func(t *testing.T) {
		h := serve(t, newFleet(newCluster("eu-1", yardarmv1.ClusterActive, yardarmv1.PresenceStale, nil)))
		r := h.background(t, invocation{args: []string{"wait", "cluster/eu-1"}})
		until(t, "it waits", func() bool { return h.openStreams() == 1 })
		h.put(newCluster("eu-1", yardarmv1.ClusterActive, yardarmv1.PresenceConnected, nil))
		if code := r.wait(t); code != ExitYes || r.out.String() != "cluster/eu-1 is connected\n" {
			t.Errorf("exit %d: %s", code, r.out.String())
		}
	})
	t.Run("deleted while it is to connect", func(t *testing.T) {
		h := serve(t, newFleet(newCluster("eu-1", yardarmv1.ClusterActive, yardarmv1.PresenceStale, nil)))
		r := h.background(t, invocation{args: []string{"wait", "cluster/eu-1"}})
		until(t, "it waits", func() bool { return h.openStreams() == 1 })
		h.remove(yardarmv1.KindCluster, "eu-1")
		if code := r.wait(t); code != ExitNo || !strings.Contains(r.err.String(), "has been deleted") {
			t.Errorf("exit %d: %s", code, r.err.String())
		}
	})
	t.Run("deleted", func(t *testing.T) {
		h := serve(t, newFleet(newCluster("eu-1", yardarmv1.ClusterDeleting, yardarmv1.PresenceStale, nil)))
		r := h.background(t, invocation{args: []string{"wait", "cluster/eu-1", "--for", "deleted"}})
		until(t, "it waits", func() bool { return h.openStreams() == 1 })
		h.remove(yardarmv1.KindCluster, "eu-1")
		if code := r.wait(t); code != ExitYes || r.out.String() != "cluster/eu-1 is deleted\n" {
			t.Errorf("exit %d: %s", code, r.out.String())
		}
	})
}

func TestWaitIsInterrupted(t *testing.T) {
	h := serve(t, waitingFleet(yardarmv1.PhaseProgressing))
	for _, args := range []string{"wait bundle/web", "get clusters -w", "events -w", "get as -w"} {
		t.Run(args, func(t *testing.T) {
			r := h.background(t, invocation{args: strings.Fields(args)})
			until(t, "it waits", func() bool { return h.openStreams() > 0 })
			begin := time.Now()
			r.interrupt()
			if code := r.wait(t); code != ExitInterrupted || !strings.HasSuffix(r.err.String(), "interrupted\n") {
				t.Errorf("exit %d: %s", code, r.err.String())
			}
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("it took %s to end", took)
			}
			until(t, "the hub has noticed", func() bool { return h.openStreams() == 0 })
		})
	}
}

// On a terminal, progress is one line that is rewritten and leaves nothing behind.
func TestWaitOnATerminal(t *testing.T) {
	h := serve(t, waitingFleet(yardarmv1.PhaseProgressing))
	r := h.background(t, invocation{args: []string{"wait", "bundle/web"}, terminal: true})
	until(t, "it shows progress", func() bool {
		return strings.Contains(r.err.String(), "\r\x1b[Kbundle/web revision 3: 0 of 1 cluster ready (1 Progressing)")
	})
	h.put(newAssignment("eu-1", "web", 3, yardarmv1.PhaseReady))
	if code := r.wait(t); code != ExitYes {
		t.Errorf("exit %d", code)
	}
	if !strings.HasSuffix(r.err.String(), "\r\x1b[K") || strings.Contains(r.err.String(), "\n") {
		t.Errorf("stderr is %q", r.err.String())
	}
}
