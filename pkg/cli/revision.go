package cli

import (
	"fmt"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// historyRow is a revision in its bundle's history.
func historyRow(a *app, bundle *yardarmv1.Bundle, r *yardarmv1.Revision) []table.Cell {
	spec := r.GetSpec()
	number := fmt.Sprint(spec.GetNumber())
	switch st := bundle.GetStatus(); spec.GetNumber() {
	case st.GetRevision():
		number += " (current)"
	case st.GetLatestRevision():
		number += fmt.Sprintf(" (%s)", rolloutPhase(st.GetRollout()))
	}
	return []table.Cell{
		table.Text(number),
		table.Text(revisionDigest(spec)),
		table.Text(revisionObjects(spec)),
		table.Text(spec.GetProvenance().GetActor()),
		table.Text(a.age(revisionTime(r))),
		table.Text(spec.GetProvenance().GetCommit()),
		table.Text(revisionMessage(r)),
	}
}

// revisionTime is when a revision was made.
func revisionTime(r *yardarmv1.Revision) *timestamppb.Timestamp {
	if t := r.GetSpec().GetProvenance().GetTime(); t != nil {
		return t
	}
	return r.GetMetadata().GetCreationTimestamp()
}

// revisionMessage is what a revision is about, and what it returns to.
func revisionMessage(r *yardarmv1.Revision) string {
	p := r.GetSpec().GetProvenance()
	if p.GetUndoOf() == 0 {
		return p.GetMessage()
	}
	undo := fmt.Sprintf("return to revision %d", p.GetUndoOf())
	if p.GetMessage() == "" || p.GetMessage() == undo { // the hub writes it where nobody has given a message
		return undo
	}
	return p.GetMessage() + " (" + undo + ")"
}
