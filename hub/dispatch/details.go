package dispatch

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Bounds of the details of reports, which are most of what they cost: one with all that it may have is of some 64 KB, and a cluster may report 2,000. They are in the hub's
// memory, and its disk.
const (
	// maxDetails is how many bytes they have of one cluster together: some hundred bundles that fail in many ways.
	maxDetails = 1 << 20
	// allDetails is how many they have of all clusters together: beyond a thousand clusters, each may have less. In a fleet that grows, clusters keep what they
	// have reported until they report again: ten thousand that came one after the other, each with the most that it might have then, have 3.3 times as many.
	allDetails = 1 << 30
)

// detailsOfEach is what one of so many clusters may have.
func detailsOfEach(clusters int) int { return min(maxDetails, allDetails/max(clusters, 1)) }

// details is how many bytes a report's have.
func details(r *yardarmv1.Report) (bytes int) {
	for _, p := range r.GetProblems() {
		bytes += proto.Size(p)
	}
	for _, d := range r.GetDrift() {
		bytes += proto.Size(d)
	}
	for _, c := range r.GetConditions() {
		bytes += proto.Size(c)
	}
	return bytes
}

// withoutDetails is a report with a condition in the place of its details, which says which limit they are beyond.
func withoutDetails(r *yardarmv1.Report, most int, now *timestamppb.Timestamp) *yardarmv1.Report {
	r = proto.CloneOf(r)
	r.Problems, r.Drift = nil, nil
	r.Conditions = []*yardarmv1.Condition{{
		Type: yardarmv1.ConditionDetailed, Status: yardarmv1.ConditionFalse, Reason: yardarmv1.ReasonStatusLimit, LastTransitionTime: now,
		Message: fmt.Sprintf("what this cluster's bundles report of problems, drift and conditions comes to more than the %d bytes that are kept of one cluster: "+
			"of this bundle it is left out; mend what the others report", most),
	}}
	return r
}
