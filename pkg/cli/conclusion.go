package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// conclusion is what has become of a revision that was waited for, as programs read it.
type conclusion struct {
	*readyWait
	began time.Time
	took  time.Duration
	// code is the exit code, and message what people read.
	code    int
	message string
}

// concluded waits, and writes the conclusion where the format is for programs: also one of a wait that never began. published is nil where nothing was.
func (a *app) concluded(ctx context.Context, output string, published *hubv1.PublishRevisionResponse, wait func() (*readyWait, error)) error {
	out := a.io.Out
	if output != formatTable {
		a.io.Out = a.io.Err // standard output has one document
	}
	c := conclusion{began: a.io.Now()}
	var err error
	c.readyWait, err = wait()
	a.io.Out = out
	c.took, c.code = a.io.Now().Sub(c.began), exitCode(ctx, err)
	switch {
	case err == nil:
		c.message = c.success()
	case c.code == ExitInterrupted:
		c.message = "interrupted"
	default:
		c.message = strings.TrimSpace(a.explain(err))
	}
	var broken error
	switch output {
	case formatJUnit:
		broken = a.writeJUnit(&c)
	case formatJSON, formatYAML:
		broken = a.printConclusion(output, published, &c)
	}
	if broken != nil {
		return broken
	}
	return err
}

// printConclusion writes what was published, and what came of it.
func (a *app) printConclusion(output string, published *hubv1.PublishRevisionResponse, c *conclusion) error {
	value := jsonObject{}
	if published != nil {
		var err error
		if value, err = resource.Value(published); err != nil {
			return err
		}
	}
	value["verdict"] = c.value()
	return a.printValue(output, value)
}

// value is the conclusion as JSON. docs/ci.md tells what its fields mean: they are added over time, and keep their meaning.
func (c *conclusion) value() jsonObject {
	v := jsonObject{"result": verdictOf(c.code), "exitCode": c.code, "message": c.message, "bundle": c.question.bundle, "revision": c.question.revision,
		"began": c.began.UTC().Format(time.RFC3339), "seconds": c.took.Seconds(),
		"clusters": jsonObject{"total": c.verdict.total, "ready": c.verdict.ready, "leftOut": c.verdict.absent}}
	if c.verdict.revision != 0 {
		v["supersededBy"] = c.verdict.revision
	}
	if failure := c.rollout().GetFailure(); failure != "" {
		v["failure"] = failure
	}
	if stage := c.rollout().GetStage(); stage != "" {
		v["stage"] = stage
	}
	v["notReady"], v["failed"] = assignmentValues(c.verdict.blocking), assignmentValues(c.failures())
	return v
}

// rollout is that of the revision, as it was at the end; nil where nothing is known of it.
func (c *conclusion) rollout() *yardarmv1.RolloutSummary {
	if r := c.bundle.GetStatus().GetRollout(); r.GetRevision() == c.question.revision {
		return r
	}
	return nil
}

// failures are the assignments whose clusters have said that the revision failed there, by cluster, as they were when they did.
func (c *conclusion) failures() []*yardarmv1.Assignment {
	var list []*yardarmv1.Assignment
	for _, x := range c.failed {
		list = append(list, asReported(x))
	}
	slices.SortFunc(list, func(a, b *yardarmv1.Assignment) int {
		return strings.Compare(a.GetSpec().GetCluster(), b.GetSpec().GetCluster())
	})
	return list
}

// asReported is an assignment as its cluster sees it, whatever was assigned to it since.
func asReported(x *yardarmv1.Assignment) *yardarmv1.Assignment {
	r := x.GetStatus().GetReport()
	return &yardarmv1.Assignment{Metadata: x.GetMetadata(),
		Spec:   &yardarmv1.AssignmentSpec{Cluster: x.GetSpec().GetCluster(), Bundle: x.GetSpec().GetBundle(), Revision: r.GetRevision(), Size: x.GetSpec().GetSize()},
		Status: &yardarmv1.AssignmentStatus{Phase: r.GetPhase(), Reason: r.GetReason(), Message: r.GetMessage(), AsOf: x.GetStatus().GetAsOf(), Report: r}}
}

// success is as in "bundle/web revision 3 is ready in 2 clusters (1 cluster left out: stale or never connected)".
func (w *readyWait) success() string {
	text := fmt.Sprintf("bundle/%s revision %d is ready in %s", w.question.bundle, w.question.revision, plural(w.verdict.total, "cluster"))
	if w.verdict.absent > 0 {
		text += fmt.Sprintf(" (%s left out: stale or never connected)", plural(w.verdict.absent, "cluster"))
	}
	return table.Clean(text)
}
