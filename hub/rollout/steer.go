package rollout

import (
	"errors"
	"fmt"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// ErrUnreadable is what is said of rows that this hub does not understand.
var ErrUnreadable = errors.New("its rows make no sense to this hub; was it written by a newer one?")

// maxActions is how many actions a rollout remembers.
const maxActions = 100

// Steer does to a rollout what somebody asks for: the row is the caller's clone, and who asks, when and why is in the action, of which it adds the
// stage. The error says what stands in the way, for people.
func Steer(row *storev1.Rollout, action *yardarmv1.RolloutAction) error {
	if int(row.At) >= len(row.Stages) || len(row.Stages) != len(row.Strategy.GetStages()) {
		return ErrUnreadable
	}
	action.Stage = row.Stages[row.At].Name
	phase := Phase(row.Phase)
	overrides := action.Action == yardarmv1.ActionOverride && phase != RolledBack // clusters may still wait, to go on or back
	if (phase == Completed || phase == RolledBack || phase == RollingBack) && action.Action != yardarmv1.ActionRetry && !overrides {
		return fmt.Errorf("the rollout of revision %d is %s: there is nothing to %s", row.Revision, phase.ended(), action.Action)
	}
	var err error
	switch action.Action {
	case yardarmv1.ActionPause:
		err = pause(row, action)
	case yardarmv1.ActionResume:
		err = resume(row, action)
	case yardarmv1.ActionApprove:
		err = approve(row, action)
	case yardarmv1.ActionPromote:
		err = promote(row)
	case yardarmv1.ActionRetry:
		if row.Failure == "" {
			return fmt.Errorf("the rollout of revision %d has not failed: there is nothing to try again", row.Revision)
		}
		row.Retry = true
	case yardarmv1.ActionOverride:
		if row.Override {
			return fmt.Errorf("the gates are overridden for revision %d already", row.Revision)
		}
		row.Override = true
	default:
		err = fmt.Errorf("nothing is called %q", action.Action)
	}
	if err != nil {
		return err
	}
	row.Actions = append(row.Actions, action)
	row.Actions = row.Actions[max(0, len(row.Actions)-maxActions):]
	return nil
}

func (p Phase) ended() string {
	switch p {
	case Completed:
		return "complete"
	case RollingBack:
		return "going back"
	}
	return "rolled back; `yardarm rollout retry` begins it anew"
}

func pause(row *storev1.Rollout, action *yardarmv1.RolloutAction) error {
	if Phase(row.Phase) == Paused {
		return fmt.Errorf("the rollout of revision %d is paused already", row.Revision)
	}
	row.Phase, row.Wait, row.Since = uint32(Paused), uint32(WaitOperator), action.Time
	return nil
}

func resume(row *storev1.Rollout, action *yardarmv1.RolloutAction) error {
	switch {
	case Phase(row.Phase) != Paused:
		return fmt.Errorf("the rollout of revision %d is not paused", row.Revision)
	case row.Failure != "":
		return fmt.Errorf("the rollout of revision %d has failed (%s): `yardarm rollout retry` begins it anew, `yardarm rollout undo` returns to the revision before",
			row.Revision, row.Failure)
	}
	row.Phase, row.Wait, row.Since = uint32(Progressing), uint32(WaitClusters), action.Time
	return nil
}

// approve gives the approval of the stage that the rollout is at, before or after it. Of one that waits for a confirmation it is that, and no approval of its
// first stage: each is asked for by itself.
func approve(row *storev1.Rollout, action *yardarmv1.RolloutAction) error {
	stage := row.Stages[row.At]
	switch {
	case row.Unconfirmed:
		row.Unconfirmed, action.Action = false, yardarmv1.ActionConfirm
		return nil
	case row.Strategy.Stages[row.At].GetApproval() == "":
		return fmt.Errorf("stage %s of revision %d needs no approval", stage.Name, row.Revision)
	case stage.Approved:
		return fmt.Errorf("stage %s of revision %d is approved already", stage.Name, row.Revision)
	case Wait(row.Wait) != WaitApproval && row.Strategy.Stages[row.At].GetApproval() == yardarmv1.ApprovalAfter:
		return fmt.Errorf("stage %s of revision %d is not over yet; it is approved once it is", stage.Name, row.Revision)
	}
	stage.Approved = true
	return nil
}

// promote goes on with the next stage. What is approved by others is not to be had so, nor is a failure passed over.
func promote(row *storev1.Rollout) error {
	stage := row.Stages[row.At]
	switch {
	case Phase(row.Phase) == Paused:
		return fmt.Errorf("the rollout of revision %d is paused; resume it first", row.Revision)
	case row.Unconfirmed:
		return fmt.Errorf("the rollout of revision %d waits for a confirmation; `yardarm rollout approve` gives it", row.Revision)
	case row.Strategy.Stages[row.At].GetApproval() != "" && !stage.Approved:
		return fmt.Errorf("stage %s of revision %d waits for an approval; `yardarm rollout approve` gives it", stage.Name, row.Revision)
	case int(row.At) == len(row.Stages)-1:
		return fmt.Errorf("stage %s of revision %d is the last one; there is nothing to go on with", stage.Name, row.Revision)
	}
	row.At++
	return nil
}
