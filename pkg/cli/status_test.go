package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/pkg/client"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// heldUnknown is what a cluster holds of a bundle that the hub does not know, as after a restore.
func heldUnknown(cluster, bundle string) *yardarmv1.Assignment {
	x := newAssignment(cluster, bundle, 7, yardarmv1.PhaseHeld)
	x.Spec.Size = 0
	x.Status.Reason, x.Status.Message = yardarmv1.ReasonUnknownToHub, "the hub knows no such bundle; the cluster keeps what it has of it"
	x.Status.Report.Problems = []*yardarmv1.ObjectProblem{{Object: "apps/Deployment prod/api", Reason: "NotReady", Message: "0 of 1 pods"}}
	return x
}

// readyFleet is two clusters in which bundle web is ready; counts are those of the clusters, which include what nothing assigns.
func readyFleet(counts *yardarmv1.PhaseCounts, more ...client.Object) *fleet {
	f := newFleet(newBundle("web", 3, &yardarmv1.PhaseCounts{Total: 2, Ready: 2}, "prod"))
	for _, name := range []string{"eu-1", "eu-2"} {
		c := newCluster(name, yardarmv1.ClusterActive, yardarmv1.PresenceConnected, nil, "prod")
		c.Status.Bundles = proto.CloneOf(counts)
		f.put(c, newAssignment(name, "web", 3, yardarmv1.PhaseReady))
	}
	f.put(more...)
	return f
}

// TestStatusNamesWhatNothingAssigns: counts of bundles do not tell it.
func TestStatusNamesWhatNothingAssigns(t *testing.T) {
	leaving := newAssignment("eu-2", "old", 2, yardarmv1.PhaseRemoving)
	leaving.Spec.Size = 0
	leaving.Status.Reason, leaving.Status.Message = yardarmv1.ReasonBundleDeleted, "the bundle was deleted"
	h := serve(t, readyFleet(&yardarmv1.PhaseCounts{Total: 2, Ready: 1, Held: 1}, heldUnknown("eu-1", "api"), leaving))
	var b strings.Builder
	for _, args := range []string{"status --exit-code", "status cluster/eu-1 --exit-code", "status -o wide", "status -o json"} {
		b.WriteString(transcript(strings.Fields(args), h.run(t, strings.Fields(args)...)) + "\n")
	}
	golden(t, "status-unassigned", b.String())
}

func TestStatusIsReady(t *testing.T) {
	h := serve(t, readyFleet(&yardarmv1.PhaseCounts{Total: 1, Ready: 1}))
	got := h.run(t, "status", "--exit-code")
	want := "Hub:       HUB (context test), version v1.2.3\nClusters:  2 connected\nBundles:   1 ready everywhere\n\nEverything is ready.\n"
	if got.code != ExitYes || got.out != want {
		t.Errorf("%+v", got)
	}
}

// TestStatusOfARollout: a cluster that is ready with the revision before is not said to be all that it should be.
func TestStatusOfARollout(t *testing.T) {
	f := readyFleet(&yardarmv1.PhaseCounts{Total: 1, Ready: 1})
	web := newBundle("web", 3, &yardarmv1.PhaseCounts{Total: 2, Ready: 2}, "prod")
	web.Status.LatestRevision = 4
	web.Status.Rollout = &yardarmv1.RolloutSummary{Revision: 4, Phase: yardarmv1.RolloutProgressing, WaitsFor: yardarmv1.RolloutWaitApproval, Stage: "rest"}
	behind := newAssignment("eu-1", "web", 3, yardarmv1.PhaseReady)
	behind.Status.Reason, behind.Status.Message = yardarmv1.ReasonBehind, "revision 4 has not come to it; see yardarm why eu-1 web"
	f.put(web, behind, newRevision("web", 3, "sha256:"+strings.Repeat("3", 64)))
	h := serve(t, f)
	var b strings.Builder
	for _, args := range []string{"status --exit-code", "status cluster/eu-1 --exit-code", "status bundle/web --exit-code", "describe assignment eu-1.web", "describe bundle web", "status -o json"} {
		b.WriteString(transcript(strings.Fields(args), h.run(t, strings.Fields(args)...)) + "\n")
	}
	golden(t, "status-rollout", b.String())
}

// TestRolloutsWaitInWords: a rollout that waits for somebody or something says so in the list, and one that goes on names its stage.
func TestRolloutsWaitInWords(t *testing.T) {
	for waits, want := range map[string]string{
		yardarmv1.RolloutWaitClusters:     "4: rest",
		yardarmv1.RolloutWaitApproval:     "4: awaits approval of rest",
		yardarmv1.RolloutWaitConfirmation: "4: awaits confirmation",
		yardarmv1.RolloutWaitGate:         "4: rest, held by a gate",
		yardarmv1.RolloutWaitPresence:     "4: rest, until clusters come back",
	} {
		b := newBundle("web", 3, nil)
		b.Status.Rollout = &yardarmv1.RolloutSummary{Revision: 4, Phase: yardarmv1.RolloutProgressing, WaitsFor: waits, Stage: "rest"}
		if got := rolloutText(b); got != want {
			t.Errorf("%s: got %q, want %q", waits, got, want)
		}
	}
}

// TestStatusOfManyClusters has more clusters with something that nothing assigns than are asked for one by one.
func TestStatusOfManyClusters(t *testing.T) {
	f := newFleet()
	for i := range maxSingleLists + 5 {
		name := fmt.Sprintf("eu-%02d", i)
		c := newCluster(name, yardarmv1.ClusterActive, yardarmv1.PresenceConnected, nil)
		c.Status.Bundles = &yardarmv1.PhaseCounts{Total: 1, Held: 1}
		f.put(c, heldUnknown(name, "api"))
	}
	got := serve(t, f).run(t, "status", "--exit-code")
	if got.code != ExitNo || !strings.Contains(got.out, "Bundles:   1 unknown to the hub\n") ||
		!strings.Contains(got.out, "\napi      25 clusters: eu-00, eu-01, eu-02…   7          Held    UnknownToHub: the hub knows no such bundle; the cluster keeps what it has of it\n") {
		t.Errorf("%+v", got)
	}
}

// TestStatusGroupsEqualCauses: messages may name pods.
func TestStatusGroupsEqualCauses(t *testing.T) {
	f := newFleet(newBundle("web", 3, &yardarmv1.PhaseCounts{Total: 6, Failed: 4, Stale: 2}, "prod"))
	for i := range 6 {
		name := fmt.Sprintf("eu-%d", i)
		x := newAssignment(name, "web", 3, yardarmv1.PhaseDegraded)
		if i < 4 {
			x.Status.Report.Problems = []*yardarmv1.ObjectProblem{{Object: "apps/Deployment prod/web", File: "web.yaml", Reason: "CrashLoopBackOff",
				Message: fmt.Sprintf("pod web-%d: %s the end", i, strings.Repeat("very ", 100)), Since: ago(0)}}
		} else {
			x.Status.Phase, x.Status.Reason, x.Status.Message = yardarmv1.PhaseStale, "SpokeStale", fmt.Sprintf("not heard since %d", i)
		}
		f.put(x, newCluster(name, yardarmv1.ClusterActive, yardarmv1.PresenceConnected, nil))
	}
	f.put(newRevision("web", 3, "sha256:"+strings.Repeat("3", 64)))
	h := serve(t, f)
	golden(t, "status-alike", transcript([]string{"status"}, h.run(t, "status"))+transcript([]string{"status", "--limit", "1"}, h.run(t, "status", "--limit", "1")))
	// The whole text is for programs, and for who asks for it.
	var value struct {
		Ready    bool
		NotReady []struct{ Cluster, Object, File, Reason, Message string }
	}
	if err := json.Unmarshal([]byte(h.run(t, "status", "-o", "json").out), &value); err != nil || value.Ready || len(value.NotReady) != 6 ||
		value.NotReady[0].File != "web.yaml" || value.NotReady[0].Reason != "CrashLoopBackOff" || len(value.NotReady[0].Message) < 500 {
		t.Errorf("%v: %+v", err, value)
	}
	if got := h.run(t, "describe", "bundle", "web"); strings.Contains(got.out, "…") || !strings.Contains(got.out, "the end") {
		t.Errorf("%+v", got)
	}
	for _, line := range strings.Split(h.run(t, "status", "bundle/web").out, "\n") {
		if _, why, ok := strings.Cut(line, "now     "); ok && len([]rune(why)) > maxWhy {
			t.Errorf("%d characters: %s", len([]rune(why)), why)
		}
	}
}

func TestStatusColors(t *testing.T) {
	h := serve(t, exampleFleet())
	got := h.invoke(t, invocation{args: []string{"status"}, terminal: true})
	for _, want := range []string{"\x1b[32m2 connected\x1b[0m", "\x1b[31m1 failed somewhere\x1b[0m", "\x1b[31mFailed\x1b[0m"} {
		if !strings.Contains(got.out, want) {
			t.Errorf("%q is not in %q", want, got.out)
		}
	}
}

// TestWhyOfHeld: an operator is asked for a decision about the hold, not about an object.
func TestWhyOfHeld(t *testing.T) {
	a := &app{io: IO{Now: func() time.Time { return testTime }}}
	x := heldUnknown("eu-1", "api")
	const want = "UnknownToHub: the hub knows no such bundle; the cluster keeps what it has of it"
	if got := a.why(x); got != want {
		t.Errorf("why: %q", got)
	}
	if got := a.blocker(x, 7); got != "cluster/eu-1: Held for 3m: "+want {
		t.Errorf("blocker: %q", got)
	}
	x.Status.Report.Since = ago(0)
	x.Status.Reason, x.Status.Message = "", ""
	if got := a.blocker(x, 7); got != "cluster/eu-1: Held: apps/Deployment prod/api: NotReady: 0 of 1 pods" {
		t.Errorf("without a reason: %q", got)
	}
}
