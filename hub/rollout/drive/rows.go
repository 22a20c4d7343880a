package drive

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/rollout"
	"github.com/yardarm-dev/yardarm/hub/store"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// maxBlamed is how many clusters a failure names.
const maxBlamed = 3

// maxSaid is how much of why one of them has failed a failure quotes, in characters: a few lines of a chat.
const maxSaid = 300

// readRows takes the rollout and its members from the track's row, and what belongs to it.
func (t *track) readRows(tx *store.ReadTx, latest *yardarmv1.Revision) error {
	row := t.row
	t.strategy, t.chunks, t.override, t.timeout = row.Strategy, max(1, row.Chunks), row.Override, timeoutOf(latest)
	stages := row.Strategy.GetStages()
	if len(stages) != len(row.Stages) || int(row.At) >= len(stages) || rollout.Phase(row.Phase) > rollout.RolledBack {
		return rollout.ErrUnreadable
	}
	t.done = make([]uint32, len(stages))
	for i, s := range row.Stages {
		t.done[i] = s.Done
	}
	t.r = &rollout.Rollout{Revision: row.Revision, Settled: t.settled, Pauses: row.Strategy.OnFailure == yardarmv1.OnFailurePause,
		Phase: rollout.Phase(row.Phase), At: int(row.At), Unconfirmed: row.Unconfirmed}
	members := slices.SortedFunc(tx.RolloutMembers(row.BundleUid), func(a, b store.RolloutMember) int { return int(a.Place) - int(b.Place) })
	for i, m := range members {
		if int(m.Stage) >= len(stages) || rollout.State(m.State) > rollout.Unmoved {
			return rollout.ErrUnreadable
		}
		t.r.Members = append(t.r.Members, rollout.Member{UID: m.UID, Stage: int(m.Stage), State: rollout.State(m.State), From: m.From, Good: m.Good, Prior: m.Prior})
		t.add(i, rollout.Seen{}, m)
	}
	t.readStages()
	return nil
}

// readStages takes the stages from the row. Their shares grow with who has joined, and never shrink: who leaves takes nobody's place away.
func (t *track) readStages() {
	sizes := make([]int, len(t.row.Stages))
	for i, done := range t.done {
		sizes[i] = int(done)
	}
	for _, m := range t.r.Members {
		if m.State != rollout.Unmoved {
			sizes[m.Stage]++
		}
	}
	t.r.Stages = rollout.Resolve(t.strategy.Stages, sizes, t.timeout)
	for i, s := range t.row.Stages {
		stage := &t.r.Stages[i]
		stage.Name, stage.Concurrency, stage.Budget, stage.Tolerant = s.Name, max(stage.Concurrency, int(s.Concurrency)), max(stage.Budget, int(s.Budget)), s.Tolerant
		stage.ApprovedBefore, stage.ApprovedAfter = s.Approved, s.Approved
	}
}

// write puts what differs from the rows. The track is thrown away if the transaction fails.
func (t *track) write(tx *store.Tx, now time.Time) error {
	was := t.row
	if t.begins {
		was = &storev1.Rollout{BundleUid: t.uid(), Revision: t.r.Revision, Strategy: t.strategy, Begun: timestamppb.New(now), Since: timestamppb.New(now),
			Supersedes: rollout.Supersedes(t.row, t.r.Revision)}
		if t.row.GetRevision() == t.r.Revision {
			was.Actions, was.Override = t.row.Actions, t.row.Override // it is tried again
		}
	}
	row := proto.CloneOf(was)
	t.fill(tx, row, now)
	kept := t.members(row, now)
	// The settled revision first; see store.PutRollout.
	if t.begins || !proto.Equal(row, was) {
		if err := tx.PutRollout(row); err != nil {
			return err
		}
	} else {
		row = t.row
	}
	if err := t.writeMembers(tx, kept); err != nil {
		return err
	}
	for _, turn := range t.taken() {
		if err := tx.TakeTurn(turn); err != nil {
			return err
		}
		delete(t.turns, turn.ClusterUid)
	}
	if err := t.tell(tx, row, now); err != nil {
		return err
	}
	t.wrote(row, kept)
	return nil
}

// fill says in a row how the rollout stands.
func (t *track) fill(tx *store.Tx, row *storev1.Rollout, now time.Time) {
	if rollout.Phase(row.Phase) != t.r.Phase {
		row.Since = timestamppb.New(now)
	}
	row.Phase, row.Wait, row.At, row.Chunks, row.Settled = uint32(t.r.Phase), uint32(t.out.Wait), uint32(t.r.At), t.chunks, t.r.Settled
	if t.begins {
		row.Unconfirmed = t.r.Unconfirmed
	}
	for i, s := range t.r.Stages {
		if t.begins {
			row.Stages = append(row.Stages, &storev1.RolloutStage{Name: s.Name, Tolerant: s.Tolerant})
		}
		row.Stages[i].Done = t.done[i]
		row.Stages[i].Concurrency, row.Stages[i].Budget = uint32(s.Concurrency), uint32(s.Budget)
	}
	if t.breach != nil {
		row.Failure = t.failure(tx)
	}
}

// failure says which clusters have failed, what was allowed, and what the first of them says.
func (t *track) failure(tx *store.Tx) string {
	var names []string
	for _, uid := range t.breach.UIDs[:min(len(t.breach.UIDs), maxBlamed)] {
		names = append(names, tx.Cluster(uid).GetMetadata().GetName())
	}
	text := strings.Join(names, ", ")
	if more := len(t.breach.UIDs) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	stage := t.r.Stages[t.breach.Stage]
	if len(t.breach.UIDs) <= stage.Budget {
		return fmt.Sprintf("stage %s: nothing but failures has come of it: %s%s", stage.Name, text, t.said(tx))
	}
	return fmt.Sprintf("stage %s: %s failed, and at most %d may%s", stage.Name, text, stage.Budget, t.said(tx))
}

// said is why the first of the clusters that have failed is not ready, as in " (berlin: apps/Deployment prod/web: ImagePullBackOff: no such image)". The
// cluster is about to be given something else, and then nobody knows it any more.
func (t *track) said(tx *store.Tx) string {
	uid := t.breach.UIDs[0]
	report := tx.ObservedBundle(uid, t.uid()).GetReport()
	if report.GetRevision() != t.r.Revision {
		return ""
	}
	parts := []string{tx.Cluster(uid).GetMetadata().GetName(), report.GetReason(), report.GetMessage()}
	if problems := report.GetProblems(); len(problems) > 0 {
		parts = []string{parts[0], problems[0].GetObject(), problems[0].GetReason(), problems[0].GetMessage()}
	}
	parts = slices.DeleteFunc(parts, func(part string) bool { return part == "" })
	if len(parts) < 2 {
		return ""
	}
	text := []rune(strings.ReplaceAll(strings.Join(parts, ": "), "\n", " "))
	if len(text) > maxSaid {
		text = append(text[:maxSaid-1], '…')
	}
	return " (" + string(text) + ")"
}

// members are those of the track as they are to be on disk, side by side with t.kept. Those that are not members any more, since all is said of them by
// the revision that has come to its end, are without a uid, and counted in the row.
func (t *track) members(row *storev1.Rollout, now time.Time) []store.RolloutMember {
	place := uint32(0)
	for _, m := range t.kept {
		if m.UID != "" {
			place = max(place, m.Place+1)
		}
	}
	out := make([]store.RolloutMember, len(t.kept))
	var done []store.RolloutMember
	left := false
	for i := range t.r.Members {
		m := &t.r.Members[i]
		is := store.RolloutMember{
			UID: m.UID, Runs: t.r.Runs(m), State: uint32(m.State), Stage: uint32(m.Stage), From: m.From, Good: m.Good, Prior: m.Prior, Place: t.kept[i].Place}
		t.record(row, i, &is, now)
		switch completed := t.r.Phase == rollout.Completed; {
		case completed && (m.State == rollout.Done && !m.Kept || m.State == rollout.Unmoved):
			row.Stages[m.Stage].Done++
			done = append(done, is)
			continue
		case completed && m.State == rollout.Left:
			continue
		}
		left = true
		if t.kept[i].UID == "" {
			is.Place, place = place, place+1
		}
		out[i] = is
	}
	if t.r.Phase == rollout.Completed && (t.begins || rollout.Phase(t.row.Phase) != rollout.Completed) {
		row.Pace = paceOf(done)
	}
	if !left && t.r.Phase == rollout.Completed {
		row.Chunks = 0
	}
	return out
}

// writeMembers puts the chunks of which anything has changed.
func (t *track) writeMembers(tx *store.Tx, members []store.RolloutMember) error {
	dirty := map[uint32][]store.RolloutMember{}
	if t.chunks != t.row.GetChunks() || t.begins {
		for chunk := range max(t.chunks, t.row.GetChunks()) {
			dirty[chunk] = nil
		}
	}
	for i, m := range members {
		if m != t.kept[i] {
			dirty[t.chunk[i]] = nil
		}
	}
	for i, m := range members {
		if rows, ok := dirty[t.chunk[i]]; ok && m.UID != "" {
			dirty[t.chunk[i]] = append(rows, m)
		}
	}
	for chunk, rows := range dirty {
		if err := tx.PutRolloutMembers(t.uid(), chunk, rows); err != nil {
			return err
		}
	}
	return nil
}

// wrote notes what is on disk.
func (t *track) wrote(row *storev1.Rollout, kept []store.RolloutMember) {
	t.row, t.settled, t.begins, t.grown, t.breach = row, row.Settled, false, false, nil
	for i, s := range row.Stages {
		t.done[i] = s.Done
	}
	if !slices.ContainsFunc(kept, func(m store.RolloutMember) bool { return m.UID == "" }) {
		t.kept = kept
		return
	}
	members, seen := t.r.Members, t.seen
	t.r.Members, t.seen, t.kept, t.chunk, t.at = nil, nil, nil, nil, map[string]int{}
	for i, m := range kept {
		if m.UID != "" {
			t.r.Members = append(t.r.Members, members[i])
			t.add(len(t.r.Members)-1, seen[i], m)
		}
	}
}

// over tells whether nothing can happen any more.
func (t *track) over() bool {
	return !t.begins && (t.r.Phase == rollout.RolledBack && !t.r.Unsettled() || t.r.Phase == rollout.Completed && len(t.r.Members) == 0)
}

// plural is a number and its noun.
func plural(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// tell adds to the story what has become of the rollout since its row was written.
func (t *track) tell(tx *store.Tx, row *storev1.Rollout, now time.Time) error {
	say := func(kind, reason, format string, args ...any) error {
		return tx.AddEvent(&yardarmv1.Event{Time: timestamppb.New(now), Type: kind, Reason: reason, Bundle: t.bundle.Metadata.Name,
			Revision: t.r.Revision, Message: fmt.Sprintf(format, args...)})
	}
	var err error
	was, at := rollout.Phase(t.row.GetPhase()), t.row.GetAt()
	if t.begins {
		was, at = rollout.Progressing, 0
		unmoved := 0
		for _, m := range t.r.Members {
			if m.State == rollout.Unmoved {
				unmoved++
			}
		}
		text := fmt.Sprintf("revision %d begins its way through %s in %s", t.r.Revision, plural(len(t.r.Members)-unmoved, "cluster"), plural(len(t.r.Stages), "stage"))
		if unmoved > 0 {
			text += fmt.Sprintf("; nothing changes in %d more", unmoved)
		}
		if row.Supersedes != 0 {
			text += fmt.Sprintf("; it takes over from revision %d", row.Supersedes)
		}
		err = say(yardarmv1.EventNormal, "RolloutBegun", "%s", text)
	}
	stage := t.r.Stages[t.r.At].Name
	if row.At != at && t.r.Phase == rollout.Progressing {
		err = errors.Join(err, say(yardarmv1.EventNormal, "RolloutStage", "revision %d has reached stage %s", t.r.Revision, stage))
	}
	if t.r.Phase == rollout.Progressing && t.out.Wait == rollout.WaitApproval && (t.begins || rollout.Wait(t.row.GetWait()) != rollout.WaitApproval) {
		err = errors.Join(err, say(yardarmv1.EventNormal, "RolloutAwaitsApproval", "stage %s of revision %d waits for an approval", stage, t.r.Revision))
	}
	if t.begins && t.r.Unconfirmed {
		latest := tx.Revision(t.uid(), t.r.Revision)
		err = errors.Join(err, say(yardarmv1.EventNormal, "RolloutAwaitsConfirmation", "revision %d waits for a confirmation: %s", t.r.Revision,
			rollout.Confirmation(latest.GetSpec().GetStorageChanges())))
	}
	if t.out.Wait == rollout.WaitFailures && (t.begins || rollout.Wait(t.row.GetWait()) != rollout.WaitFailures) {
		err = errors.Join(err, say(yardarmv1.EventWarning, "RolloutHeldBack",
			"clusters that are new or late are not given revision %d: more of those before them fail than their stage allows", t.r.Revision))
	}
	if t.r.Phase == was {
		return err
	}
	switch t.r.Phase {
	case rollout.Completed:
		err = errors.Join(err, say(yardarmv1.EventNormal, "RolloutCompleted", "revision %d has come to the end of its rollout", t.r.Revision))
	case rollout.Paused:
		err = errors.Join(err, say(yardarmv1.EventWarning, "RolloutFailed", "revision %d stops: %s", t.r.Revision, row.Failure))
	case rollout.RollingBack, rollout.RolledBack:
		if was != rollout.RollingBack {
			err = errors.Join(err, say(yardarmv1.EventWarning, "RolloutFailed", "revision %d goes back: %s", t.r.Revision, row.Failure))
		}
		if t.r.Phase == rollout.RolledBack {
			err = errors.Join(err, say(yardarmv1.EventNormal, "RolloutRolledBack", "the clusters that revision %d had reached are to run again what was good there", t.r.Revision))
		}
	}
	return err
}
