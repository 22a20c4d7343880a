package rollout

import (
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// String returns the phase in the words of the API.
func (p Phase) String() string {
	return word(int(p), yardarmv1.RolloutProgressing, yardarmv1.RolloutPaused, yardarmv1.RolloutCompleted, yardarmv1.RolloutRollingBack, yardarmv1.RolloutRolledBack)
}

// String returns what is waited for in the words of the API; nothing is empty.
func (w Wait) String() string {
	return word(int(w), "", yardarmv1.RolloutWaitOperator, yardarmv1.RolloutWaitApproval, yardarmv1.RolloutWaitClusters, yardarmv1.RolloutWaitGate,
		yardarmv1.RolloutWaitPresence, yardarmv1.RolloutWaitConfirmation, yardarmv1.RolloutWaitFailures)
}

// String returns the state in the words of the API.
func (s State) String() string {
	return word(int(s), yardarmv1.MemberWaiting, yardarmv1.MemberGiven, yardarmv1.MemberDone, yardarmv1.MemberFailed, yardarmv1.MemberLost,
		yardarmv1.MemberReturning, yardarmv1.MemberReturned, yardarmv1.MemberLeft, yardarmv1.MemberEntering, yardarmv1.MemberUnmoved)
}

// word is empty for a number that this hub does not know.
func word(i int, words ...string) string {
	if i < 0 || i >= len(words) {
		return ""
	}
	return words[i]
}
