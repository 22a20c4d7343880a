package stream

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/index"
	"github.com/yardarm-dev/yardarm/hub/rollout"
	"github.com/yardarm-dev/yardarm/hub/rollout/drive"
	"github.com/yardarm-dev/yardarm/hub/store"
	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

var canary = map[string]string{"env": "prod", "tier": "canary"}

// canaryFirst has those labelled so go first, and then the rest. Nothing soaks to its end within a test.
func canaryFirst(onFailure string) *yardarmv1.RolloutStrategy {
	soak := durationpb.New(time.Hour)
	return &yardarmv1.RolloutStrategy{OnFailure: onFailure, Stages: []*yardarmv1.Stage{
		{Name: "canary", Selector: &yardarmv1.LabelSelector{MatchLabels: map[string]string{"tier": "canary"}}, Soak: soak, FailureBudget: "0"},
		{Name: "rest", Concurrency: "1", Soak: soak, Approval: yardarmv1.ApprovalBefore},
	}}
}

// drive has rollouts driven until the test ends.
func (h *hub) drive() {
	h.t.Helper()
	d, err := drive.New(drive.Config{Store: h.store, Logger: slog.New(slog.NewTextHandler(logTo{h.t, "rollouts"}, nil))})
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	h.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			h.t.Error(err)
		}
	})
}

// release makes a new revision of a bundle for the group prod, which goes by the strategy.
func (h *hub) release(bundle string, content []byte, strategy *yardarmv1.RolloutStrategy) {
	h.t.Helper()
	h.revise(bundle, content, func(b *yardarmv1.Bundle, _ string) {
		b.Spec.Targets, b.Spec.Rollout = []*yardarmv1.Target{{Group: "prod"}}, strategy
	})
}

func (h *hub) steer(bundle, action, message string) {
	h.t.Helper()
	h.update(func(tx *store.Tx) error {
		row := proto.CloneOf(tx.Rollout(uid(bundle)))
		if err := rollout.Steer(row, &yardarmv1.RolloutAction{Action: action, Actor: "anna", Message: message, Time: timestamppb.Now()}); err != nil {
			return err
		}
		return tx.PutRollout(row)
	})
}

// says checks what an answer and its remedy have in them.
func (h *hub) says(cluster, bundle string, parts ...string) {
	h.t.Helper()
	x := h.why(cluster, bundle)
	for _, part := range parts {
		if !strings.Contains(x.Answer+"\n"+x.Remedy, part) {
			h.t.Errorf("%q is not in %q, %q", part, x.Answer, x.Remedy)
		}
	}
}

// A cluster that is ready with the revision before is told to be behind, and what its rollout waits for.
func TestWhyItsRolloutWaits(t *testing.T) {
	h := newHub(t, nil)
	h.group("prod", prod, "")
	h.publish("web", text(100, "1"), "prod")
	for _, s := range []*spoke{newSpoke(t, h, "first", canary), newSpoke(t, h, "second", prod), newSpoke(t, h, "third", prod)} {
		s.start()
		h.because(s.cluster, "web", yardarmv1.WhyReady)
	}
	enrol(t, h, "away", prod)
	h.release("web", text(100, "2"), canaryFirst(""))
	h.because("second", "web", yardarmv1.WhyRolloutPending)
	h.drive()
	h.awaitPhase("first", "web", yardarmv1.PhaseReady, 2)
	h.because("first", "web", yardarmv1.WhyReady)
	h.says("first", "web", "revision 2 and ready", "1h0m0s", "stage canary")
	h.because("second", "web", yardarmv1.WhyWaitsForStage)
	tx := h.store.Read()
	c := tx.Cluster(uid("second"))
	item := index.ItemsOf(tx, c)[0]
	if st := index.Judge(tx, c, item, index.Spec(tx, c, item), h.now()); st.Phase != yardarmv1.PhaseReady || st.Reason != yardarmv1.ReasonBehind {
		t.Errorf("its status is %v", st)
	}
	h.says("second", "web", "is to run revision 1, and not yet revision 2", "stage canary", "stage rest", "rollout promote bundle/web")
	h.release("db", text(100, "1"), canaryFirst(""))
	h.because("second", "db", yardarmv1.WhyWaitsForStage) // its first revision
	h.steer("web", yardarmv1.ActionPause, "it is Friday")
	h.because("second", "web", yardarmv1.WhyRolloutPaused)
	h.says("second", "web", "by anna at stage canary: it is Friday", "rollout resume bundle/web")
	h.steer("web", yardarmv1.ActionResume, "")
	h.because("second", "web", yardarmv1.WhyWaitsForStage)
	h.steer("web", yardarmv1.ActionPromote, "")
	h.because("second", "web", yardarmv1.WhyWaitsForApproval)
	h.says("second", "web", "stage rest waits for an approval", "rollout approve bundle/web")
	h.steer("web", yardarmv1.ActionApprove, "")
	h.because("away", "web", yardarmv1.WhyWaitsForSpoke)
	waits := "second"
	eventually(t, "the next one has it", func() bool {
		tx := h.store.Read()
		second, _ := tx.Assigned(uid("web"), uid("second"))
		third, _ := tx.Assigned(uid("web"), uid("third"))
		if second == 2 {
			waits = "third"
		}
		return second+third == 3
	})
	h.because(waits, "web", yardarmv1.WhyWaitsForTurn)
}

// A gate that holds a cluster back is told by name, with who wrote it, why, and when it opens.
func TestWhyItIsGated(t *testing.T) {
	h := newHub(t, nil)
	h.group("prod", prod, "")
	h.publish("web", text(100, "1"), "prod")
	s := newSpoke(t, h, "first", canary)
	s.start()
	h.because("first", "web", yardarmv1.WhyReady)
	gate := func(spec *yardarmv1.GateSpec) {
		t.Helper()
		h.update(func(tx *store.Tx) error {
			return tx.PutGate(&yardarmv1.Gate{Metadata: &yardarmv1.ObjectMeta{Name: "friday"}, Spec: spec, Status: &yardarmv1.GateStatus{Actor: "anna"}})
		})
	}
	until := time.Now().Add(time.Hour)
	gate(&yardarmv1.GateSpec{Reason: "nobody is here", Freeze: &yardarmv1.Freeze{Until: timestamppb.New(until)}})
	h.release("web", text(100, "2"), canaryFirst(""))
	h.drive()
	h.because("first", "web", yardarmv1.WhyGatedByFreeze)
	h.says("first", "web", `freeze "friday" of anna until `+until.UTC().Format(time.RFC3339)+": nobody is here", "rollout override bundle/web")
	gate(&yardarmv1.GateSpec{Window: &yardarmv1.Window{Effect: yardarmv1.WindowDeny, Schedule: "* * * * *", Duration: durationpb.New(time.Hour)}})
	h.because("first", "web", yardarmv1.WhyGatedByWindow)
	h.says("first", "web", `window "friday" of anna`, "leave no moment")
	h.steer("web", yardarmv1.ActionOverride, "the shop is down")
	h.awaitPhase("first", "web", yardarmv1.PhaseReady, 2)
	h.because("first", "web", yardarmv1.WhyReady)
}

// What has failed in one cluster is told to all that do not get it for that.
func TestWhyItsRolloutFailed(t *testing.T) {
	for _, onFailure := range []string{yardarmv1.OnFailurePause, yardarmv1.OnFailureRollback} {
		t.Run(onFailure, func(t *testing.T) {
			h := newHub(t, nil)
			h.group("prod", prod, "")
			h.publish("web", text(100, "1"), "prod")
			enrol(t, h, "behind", prod)
			id := enrol(t, h, "first", canary)
			r := connect(t, h, id)
			r.greet(id, func(hello *spokev1.Hello) { hello.HoldingsHash = []byte("another") })
			r.list()
			follow := func(phase string) {
				d := r.delta()
				web := d.Changes[0].GetAssign()
				r.ack(d.Cursor, web.GetDigest())
				r.reports(&spokev1.ReportUpdate{Reports: []*yardarmv1.Report{about(web, phase)}, ReportsHash: d.Cursor.GetMac(), Complete: true})
			}
			follow(yardarmv1.PhaseReady)
			h.because("first", "web", yardarmv1.WhyReady)
			h.release("web", text(100, "2"), canaryFirst(onFailure))
			h.drive()
			follow(yardarmv1.PhaseFailed)
			if onFailure == yardarmv1.OnFailurePause {
				h.because("behind", "web", yardarmv1.WhyRolloutFailed)
				h.says("behind", "web", "stage canary: first failed", "rollout retry bundle/web", "rollout undo bundle/web")
				return
			}
			h.because("first", "web", yardarmv1.WhyRollingBack)
			follow(yardarmv1.PhaseReady)
			h.because("first", "web", yardarmv1.WhyRolledBack)
			h.because("behind", "web", yardarmv1.WhyRolledBack)
			h.says("behind", "web", "stage canary: first failed", "rollout retry bundle/web")
		})
	}
}
