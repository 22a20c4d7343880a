package notify

import (
	"fmt"
	"strings"
	"time"

	"github.com/yardarm-dev/yardarm/hub/rollout"
	"github.com/yardarm-dev/yardarm/hub/store"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// rolloutSubject is the rollout of a bundle, by its uid.
const rolloutSubject = "rollout/"

// rolloutEvents are what there is to tell of the rollout of a bundle as it stands. One that has gone back has failed before, also where nobody has looked in between.
func rolloutEvents(tx *store.ReadTx, bundleUID string) []*Event {
	b, row := tx.Bundle(bundleUID), tx.Rollout(bundleUID)
	if b == nil || row == nil || row.Retry {
		return nil
	}
	name, begun := b.GetMetadata().GetName(), row.GetBegun().AsTime()
	event := func(topic string, since time.Time, occasion any, summary, message string) *Event {
		e := &Event{ID: id(rolloutSubject, bundleUID, row.Revision, begun.UnixNano(), topic, occasion), Time: since, Topic: topic, Severity: severities[topic],
			Bundle: name, Revision: row.Revision, Groups: targetsOf(b), Summary: fmt.Sprintf("%s: revision %d %s", name, row.Revision, summary), Message: message}
		return e
	}
	since := row.GetSince().AsTime()
	switch rollout.Phase(row.Phase) {
	case rollout.Progressing:
		switch rollout.Wait(row.Wait) {
		case rollout.WaitConfirmation:
			changes := tx.Revision(bundleUID, row.Revision).GetSpec().GetStorageChanges()
			return []*Event{event(yardarmv1.TopicApproval, since, "confirmation", "awaits a confirmation",
				fmt.Sprintf("%s; `yardarm rollout approve bundle/%s` gives it", rollout.Confirmation(changes), name))}
		case rollout.WaitApproval:
			stage := stageOf(row)
			return []*Event{event(yardarmv1.TopicApproval, since, row.At, fmt.Sprintf("awaits an approval of stage %s", stage),
				fmt.Sprintf("`yardarm rollout approve bundle/%s` gives it", name))}
		}
	case rollout.Paused:
		if row.Failure != "" {
			return []*Event{event(yardarmv1.TopicFailure, since, since.UnixNano(), "has failed, and its rollout stops", row.Failure)}
		}
	case rollout.Completed:
		return []*Event{event(yardarmv1.TopicConvergence, since, "", "is where it should be", "")}
	case rollout.RollingBack:
		return []*Event{event(yardarmv1.TopicFailure, since, "", "has failed, and goes back", row.Failure)}
	case rollout.RolledBack:
		return []*Event{event(yardarmv1.TopicFailure, since, "", "has failed, and goes back", row.Failure),
			event(yardarmv1.TopicRollback, since, "", "is rolled back", row.Failure)}
	}
	return nil
}

func stageOf(row *storev1.Rollout) string {
	if int(row.At) < len(row.Stages) {
		return row.Stages[row.At].Name
	}
	return ""
}

// eventsOf are what there is to tell of a subject. Where it is about clusters, those of some groups count, or if none is named all.
func eventsOf(tx *store.ReadTx, subject string, groups []string) []*Event {
	if uid, ok := strings.CutPrefix(subject, rolloutSubject); ok {
		return rolloutEvents(tx, uid)
	}
	return occasionEvents(tx, subject, groups)
}
