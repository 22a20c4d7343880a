package drive

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/rollout"
	"github.com/yardarm-dev/yardarm/hub/rollout/gate"
	"github.com/yardarm-dev/yardarm/hub/store"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// maxGatesShown is how many gates are listed that hold a rollout's clusters.
const maxGatesShown = 16

// Hold is what the gates make of a rollout's cluster now; nothing holds it where somebody has overridden them for its revision. Opens is when it may go on;
// zero where that is not to be foreseen.
func Hold(tx *store.ReadTx, b *yardarmv1.Bundle, row *storev1.Rollout, clusterUID string, now time.Time) (v gate.Verdict, opens time.Time) {
	h := newHolds(tx, b, row, now)
	if h.set == nil {
		return v, now
	}
	s := subject(tx, b, clusterUID)
	return h.moment.Judge(s), h.set.About(s).Opens(now)
}

// holds are the gates that hold clusters of a rollout, by name.
type holds struct {
	tx     *store.ReadTx
	bundle *yardarmv1.Bundle
	row    *storev1.Rollout
	now    time.Time
	// set is nil where the gates do not count.
	set    *gate.Set
	moment *gate.Moment
	gates  map[string]*yardarmv1.RolloutGate
	// opens is known by the gates that are about a cluster.
	opens map[string]time.Time
}

func newHolds(tx *store.ReadTx, b *yardarmv1.Bundle, row *storev1.Rollout, now time.Time) *holds {
	h := &holds{tx: tx, bundle: b, row: row, now: now, gates: map[string]*yardarmv1.RolloutGate{}, opens: map[string]time.Time{}}
	if !row.GetOverride() {
		h.set = gate.NewSet(tx.Gates())
		h.moment = h.set.At(now)
	}
	return h
}

// add counts a cluster that is there, if a gate holds it when it is its turn, to get the revision or to go back.
func (h *holds) add(m store.RolloutMember) {
	state, phase := rollout.State(m.State), rollout.Phase(h.row.Phase)
	newcomer := m.From == 0 && h.row.Settled != 0
	goes := state == rollout.Waiting && (newcomer || rollout.Reached(h.row, m.Stage) && (phase == rollout.Progressing || phase == rollout.Completed))
	returns := state.Touched() && m.Good != 0 && phase == rollout.RollingBack
	if goes || returns {
		h.hold(m.UID, returns)
	}
}

// hold counts a cluster if a gate holds it.
func (h *holds) hold(clusterUID string, returns bool) {
	if h.set == nil {
		return
	}
	s := subject(h.tx, h.bundle, clusterUID)
	v := h.moment.Judge(s)
	if v.Gate == rollout.Open || returns && !v.Gate.Keeps() {
		return
	}
	name := v.By.Metadata.Name
	g := h.gates[name]
	if g == nil {
		g = &yardarmv1.RolloutGate{Gate: name, Type: gate.Type(v.By), Reason: v.By.GetSpec().GetReason(), Actor: v.By.GetStatus().GetActor()}
		h.gates[name] = g
	}
	g.Clusters++
	if opens := h.opensFor(s); !opens.IsZero() && (g.Opens == nil || opens.Before(g.Opens.AsTime())) {
		g.Opens = timestamppb.New(opens)
	}
}

func (h *holds) opensFor(s gate.Subject) time.Time {
	about := h.set.About(s)
	key := strings.Join(about.Names(), ",")
	opens, known := h.opens[key]
	if !known {
		opens = about.Opens(h.now)
		h.opens[key] = opens
	}
	return opens
}

// show lists them, those that hold the most clusters first.
func (h *holds) show() []*yardarmv1.RolloutGate {
	var out []*yardarmv1.RolloutGate
	for _, g := range h.gates {
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b *yardarmv1.RolloutGate) int {
		return cmp.Or(cmp.Compare(b.Clusters, a.Clusters), cmp.Compare(a.Gate, b.Gate))
	})
	return out[:min(len(out), maxGatesShown)]
}
