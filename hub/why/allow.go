package why

import (
	"fmt"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/hub/rollout"
	"github.com/yardarm-dev/yardarm/hub/rollout/drive"
	"github.com/yardarm-dev/yardarm/hub/store"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// part is a cluster's in a rollout.
type part struct {
	of     *yardarmv1.Bundle
	bundle string
	row    *storev1.Rollout
	member store.RolloutMember
	// joined: it is a member. Others run what came to the end of its rollout.
	joined bool
	// changed: its labels or groups have, and it runs what it ran before.
	changed bool
	// latest is the bundle's revision, and runs the one that the cluster is to run; 0 for none.
	latest, runs uint32
}

func (e *explainer) partIn(b *yardarmv1.Bundle) part {
	uid := b.GetMetadata().GetUid()
	p := part{of: b, bundle: b.GetMetadata().GetName(), row: e.tx.Rollout(uid), latest: b.GetStatus().GetLatestRevision(), runs: placement.RevisionFor(e.tx, e.uid, b)}
	p.member, p.joined = e.tx.RolloutMember(uid, e.uid)
	p.changed = e.tx.Before(uid, e.uid) != nil
	return p
}

// readable tells whether the stages are there that the row speaks of, as they are but for rows of a newer hub.
func (p part) readable() bool {
	n := len(p.row.GetStages())
	return int(p.row.GetAt()) < n && int(p.member.Stage) < n && n == len(p.row.GetStrategy().GetStages())
}

// allowed tells whether the cluster is to run the bundle's latest revision, as it is now. Where it is not, it says what its rollout waits for.
func (e *explainer) allowed(p part) bool {
	if p.runs != p.latest || p.changed {
		return e.keptBack(p)
	}
	message := "nothing holds the revision back"
	if p.joined && rollout.State(p.member.State) == rollout.Unmoved {
		message = "the revision changes nothing in the cluster, so that it waits for no stage"
	} else if p.joined && p.readable() {
		message = fmt.Sprintf("stage %s of its rollout has reached the cluster", p.stage())
	}
	if p.member.Prior {
		message += "; it was failing before, so that its failing does not count"
	}
	e.done(message+e.staysBy(p), nil)
	return true
}

// soaks is what there is to say of a cluster that is ready and does not count as done.
func (p part) soaks() string {
	if !p.joined || !p.readable() || rollout.State(p.member.State) != rollout.Given {
		return ""
	}
	soak := p.row.Strategy.Stages[p.member.Stage].GetSoak().AsDuration()
	if soak == 0 {
		return ""
	}
	return fmt.Sprintf(", and has to stay so for %s before it counts for stage %s", soak, p.stage())
}

// stage is the name of the cluster's.
func (p part) stage() string { return p.row.Stages[p.member.Stage].Name }

// keptBack explains why the rollout has the cluster run another revision than the latest.
func (e *explainer) keptBack(p part) bool {
	row, command := p.row, func(verb string) string { return fmt.Sprintf("yardarm rollout %s bundle/%s", verb, p.bundle) }
	switch {
	case row.GetRevision() < p.latest || row.GetRetry():
		return e.keep(p, yardarmv1.WhyRolloutPending, "its rollout is about to begin", "", nil)
	case !p.readable():
		return e.keep(p, yardarmv1.WhyRolloutPending, "of its rollout, "+rollout.ErrUnreadable.Error(), "upgrade the hub", nil)
	case p.enters(): // however the rollout stands
	case rollout.Phase(row.Phase) == rollout.RollingBack:
		return e.keep(p, yardarmv1.WhyRollingBack, "it goes back: "+row.Failure, "see how far it is: "+command("status"), row.Since)
	case rollout.Phase(row.Phase) == rollout.RolledBack:
		return e.keep(p, yardarmv1.WhyRolledBack, "it was rolled back: "+row.Failure, "publish what mends it, or try it again: "+command("retry"), row.Since)
	case row.Failure != "":
		return e.keep(p, yardarmv1.WhyRolloutFailed, "its rollout has failed: "+row.Failure,
			"try it again: "+command("retry")+", or return to the revision before: "+command("undo"), row.Since)
	case rollout.Phase(row.Phase) == rollout.Paused:
		return e.keep(p, yardarmv1.WhyRolloutPaused, "its rollout is paused"+pausedBy(row), command("resume"), row.Since)
	case row.Unconfirmed:
		changes := e.tx.Revision(p.of.GetMetadata().GetUid(), row.Revision).GetSpec().GetStorageChanges()
		return e.keep(p, yardarmv1.WhyWaitsForConfirmation, "it waits for a confirmation: "+rollout.Confirmation(changes), command("approve"), row.Since)
	case !p.joined:
		return e.keep(p, yardarmv1.WhyRolloutPending, "its rollout is about to take the cluster in", "", nil)
	case rollout.Phase(row.Phase) == rollout.Progressing && !rollout.Reached(row, p.member.Stage):
		if rollout.Wait(row.Wait) == rollout.WaitApproval {
			return e.keep(p, yardarmv1.WhyWaitsForApproval, fmt.Sprintf("stage %s waits for an approval", row.Stages[row.At].Name), command("approve"), nil)
		}
		return e.keep(p, yardarmv1.WhyWaitsForStage, fmt.Sprintf("it is at stage %s%s, and the cluster goes with stage %s", row.Stages[row.At].Name,
			waiting(rollout.Wait(row.Wait)), p.stage()), "see how far it is: "+command("status")+"; do not wait for the stage: "+command("promote"), nil)
	}
	if presence := e.tx.Presence(e.uid); presence == nil || presence.State != yardarmv1.PresenceConnected || !presence.Confirmed {
		return e.keep(p, yardarmv1.WhyWaitsForSpoke, "its rollout gives it to a cluster whose spoke is there, and this one's is not",
			"see whether the cluster is up, and in it: yardarm-spoke preflight", nil)
	}
	if v, opens := drive.Hold(e.tx, p.of, row, e.uid, e.now); v.Gate != rollout.Open {
		return e.gated(p, v, opens)
	}
	if rollout.Wait(row.Wait) == rollout.WaitFailures {
		return e.keep(p, yardarmv1.WhyWaitsForTurn, fmt.Sprintf("it is new or late, and more clusters of stage %s fail than the %d that may", p.stage(),
			row.Stages[p.member.Stage].Budget), "see why they do: yardarm problems bundle/"+p.bundle, nil)
	}
	stage := row.Stages[p.member.Stage]
	if p.enters() {
		return e.keep(p, yardarmv1.WhyWaitsForTurn, fmt.Sprintf("it is new to the bundle, and clusters that are new to stage %s enter by turns, while no more than %d of it fail",
			stage.Name, stage.Budget), "see how far they are: "+command("status"), nil)
	}
	return e.keep(p, yardarmv1.WhyWaitsForTurn, fmt.Sprintf("stage %s is under way, %d of its clusters at a time", stage.Name, stage.Concurrency), "", nil)
}

// enters tells whether the cluster is new to the bundle, and waits for its turn to run the first revision of it.
func (p part) enters() bool {
	return p.joined && p.runs == 0 && p.row.GetSettled() != 0 && rollout.State(p.member.State) == rollout.Waiting
}

// keep is stop, with what the cluster is to run instead.
func (e *explainer) keep(p part, reason, why, remedy string, since *timestamppb.Timestamp) bool {
	if p.changed && p.runs == p.latest {
		return e.stop(reason, fmt.Sprintf("it is to run revision %d as before its labels or groups have changed: %s", p.runs, why), remedy, since)
	}
	instead := "nothing"
	if p.runs != 0 {
		instead = fmt.Sprintf("revision %d", p.runs)
	}
	return e.stop(reason, fmt.Sprintf("it is to run %s, and not yet revision %d: %s", instead, p.latest, why), remedy, since)
}

// pausedBy is as in " by anna at stage early: it is Friday".
func pausedBy(row *storev1.Rollout) string {
	for i := len(row.Actions) - 1; i >= 0; i-- {
		a := row.Actions[i]
		if a.Action != yardarmv1.ActionPause {
			continue
		}
		text := fmt.Sprintf(" by %s at stage %s", a.Actor, a.Stage)
		if a.Message != "" {
			text += ": " + a.Message
		}
		return text
	}
	return ""
}

// waiting says what a stage waits for.
func waiting(w rollout.Wait) string {
	switch w {
	case rollout.WaitClusters:
		return ", whose clusters are on their way or soak"
	case rollout.WaitGate:
		return ", whose clusters are held by gates"
	case rollout.WaitPresence:
		return ", of which no cluster is there that got ready with it"
	}
	return ""
}
