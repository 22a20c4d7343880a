package rollout

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/yardarm-dev/yardarm/pkg/selector"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	maxStages = 32
	// maxWait bounds soaks and deadlines. What takes longer is no rollout any more.
	maxWait = 7 * 24 * time.Hour
	// slack is what the default deadline adds to the time that the delivery policy allows: a spoke tells itself that it took too
	// long, and only one that does not even tell is judged by the deadline.
	slack = 5 * time.Minute

	defaultConcurrency = "25%"
	// defaultBudget is the share that may fail, at least one cluster.
	defaultBudget = "2%"
)

// Stage is a stage as it counts for one rollout: its shares are numbers of clusters.
type Stage struct {
	Name string
	// Concurrency is how many of its clusters may be on their way at a time, Budget how many may fail.
	Concurrency, Budget int
	// Tolerant: all may fail, and what comes of the stage is waited for however many do.
	Tolerant bool
	// Soak and Deadline are a cluster's.
	Soak, Deadline time.Duration
	// Any: which clusters it has does not matter, as long as they are there.
	Any bool
	// Whether somebody has to approve, and has.
	ApproveBefore, ApprovedBefore bool
	ApproveAfter, ApprovedAfter   bool
}

// bears tells whether so many may fail.
func (s *Stage) bears(failed int) bool { return s.Tolerant || failed <= s.Budget }

// approved tells whether it may begin.
func (s *Stage) approved() bool { return !s.ApproveBefore || s.ApprovedBefore }

// Violation is one thing that is wrong with what a person wrote.
type Violation struct {
	Field   string // as a path in the strategy: stages[0].failureBudget
	Message string
}

// Default is the strategy of a bundle that names none.
func Default() *yardarmv1.RolloutStrategy {
	return &yardarmv1.RolloutStrategy{Stages: []*yardarmv1.Stage{
		{Name: "canary", Clusters: 1, Concurrency: "1", FailureBudget: "0"},
		{Name: "early", Percent: 10},
		{Name: "rest"},
	}}
}

// Check finds what is wrong with a strategy whatever the clusters are, in the order of its fields. Groups are those that the
// bundle targets.
func Check(strategy *yardarmv1.RolloutStrategy, groups []string) []Violation {
	c := checker{}
	stages := strategy.GetStages()
	if len(stages) > maxStages {
		c.add("stages", "there are %d, and at most %d are allowed", len(stages), maxStages)
		stages = stages[:maxStages]
	}
	names := map[string]bool{}
	for i, s := range stages {
		c.at = fmt.Sprintf("stages[%d]", i)
		c.stage(s)
		if name := nameOf(s, i); names[name] {
			c.add(".name", "%q is the name of two stages", name)
		} else {
			names[name] = true
		}
	}
	c.at = ""
	c.covers(stages, groups)
	switch strategy.GetOnFailure() {
	case "", yardarmv1.OnFailureRollback, yardarmv1.OnFailurePause:
	default:
		c.add("onFailure", "%q is neither %q nor %q", strategy.OnFailure, yardarmv1.OnFailureRollback, yardarmv1.OnFailurePause)
	}
	return c.violations
}

type checker struct {
	at         string
	violations []Violation
}

func (c *checker) add(field, format string, args ...any) {
	c.violations = append(c.violations, Violation{c.at + field, fmt.Sprintf(format, args...)})
}

func (c *checker) stage(s *yardarmv1.Stage) {
	said := 0
	for _, is := range []bool{s.GetGroup() != "", s.GetSelector() != nil, s.GetClusters() > 0, s.GetPercent() > 0} {
		if is {
			said++
		}
	}
	if said > 1 {
		c.add("", "says by more than one of group, selector, clusters and percent which clusters it is for; say one")
	}
	if s.GetPercent() > 100 {
		c.add(".percent", "%d is more than all", s.GetPercent())
	}
	if s.GetSelector() != nil {
		if _, err := matcher(s.GetSelector()); err != nil {
			c.add(".selector", "%v", err)
		}
	}
	if n, err := share(s.GetConcurrency(), 100, true); err != nil {
		c.add(".concurrency", "%v", err)
	} else if s.GetConcurrency() != "" && n == 0 {
		c.add(".concurrency", "with 0 at a time nobody ever gets it; write an approval to stop here")
	}
	if _, err := share(s.GetFailureBudget(), 100, false); err != nil {
		c.add(".failureBudget", "%v", err)
	}
	for field, d := range map[string]time.Duration{".soak": s.GetSoak().AsDuration(), ".progressDeadline": s.GetProgressDeadline().AsDuration()} {
		if d < 0 || d > maxWait {
			c.add(field, "has to be between 0 and 7 days")
		}
	}
	switch s.GetApproval() {
	case "", yardarmv1.ApprovalBefore, yardarmv1.ApprovalAfter:
	default:
		c.add(".approval", "%q is neither %q nor %q", s.Approval, yardarmv1.ApprovalBefore, yardarmv1.ApprovalAfter)
	}
}

// covers: some stage has to take each cluster. A stage without a limit does; and so do stages for all the groups.
func (c *checker) covers(stages []*yardarmv1.Stage, groups []string) {
	if len(stages) == 0 {
		return
	}
	named, percent := map[string]bool{}, uint32(0)
	for i, s := range stages {
		switch {
		case s.GetGroup() != "":
			if named[s.GetGroup()] {
				c.add(fmt.Sprintf("stages[%d].group", i), "the clusters of %q go with a stage before already", s.GetGroup())
			}
			named[s.GetGroup()] = true
		case s.GetSelector() != nil || s.GetClusters() > 0:
		case s.GetPercent() > 0:
			if s.Percent <= percent {
				c.add(fmt.Sprintf("stages[%d].percent", i), "%d %% have it already after the stage before; percentages include the stages before, so they have to grow", percent)
			}
			percent = s.Percent
		default:
			if i < len(stages)-1 {
				c.add(fmt.Sprintf("stages[%d]", i), "takes all that are left, so that the stages after it get none; put it last, or say which clusters it is for")
			}
			return
		}
	}
	if percent >= 100 {
		return
	}
	var missing []string
	for _, g := range groups {
		if !named[g] {
			missing = append(missing, g)
		}
	}
	if len(missing) > 0 {
		c.add("stages", "take not all clusters (those of %s); end with a stage that says nothing about clusters, which takes all that are left", strings.Join(missing, ", "))
	}
}

// Resolve makes the stages of a rollout: sizes are the numbers of clusters of each, timeout what the delivery policy allows one.
func Resolve(stages []*yardarmv1.Stage, sizes []int, timeout time.Duration) []Stage {
	out := make([]Stage, len(stages))
	for i, s := range stages {
		out[i] = Stage{
			Name: nameOf(s, i), Any: s.Clusters > 0, Soak: s.GetSoak().AsDuration(), Deadline: Deadline(s, timeout),
			ApproveBefore: s.Approval == yardarmv1.ApprovalBefore, ApproveAfter: s.Approval == yardarmv1.ApprovalAfter,
			Concurrency: max(1, mustShare(s.Concurrency, defaultConcurrency, sizes[i], true)),
			Budget:      mustShare(s.FailureBudget, defaultBudget, sizes[i], false),
		}
		out[i].Tolerant = s.FailureBudget == yardarmv1.ShareAll
		if s.FailureBudget == "" {
			out[i].Budget = max(1, out[i].Budget)
		}
	}
	return out
}

// Deadline is how long a cluster of a stage may take, of which the delivery policy allows timeout.
func Deadline(s *yardarmv1.Stage, timeout time.Duration) time.Duration {
	if said := s.GetProgressDeadline().AsDuration(); said > 0 {
		return said
	}
	return timeout + slack
}

func nameOf(s *yardarmv1.Stage, i int) string {
	if s.GetName() != "" {
		return s.Name
	}
	return fmt.Sprintf("stage-%d", i+1)
}

// share reads "3" or "25%" of a number of clusters. An empty text is 0.
func share(text string, of int, up bool) (int, error) {
	if text == "" {
		return 0, nil
	}
	digits, percent := strings.CutSuffix(text, "%")
	n, err := strconv.ParseUint(digits, 10, 24)
	switch {
	case err != nil:
		return 0, fmt.Errorf(`%q is neither a number of clusters, as in "3", nor a share, as in "25%%"`, text)
	case !percent:
		return int(n), nil
	case n > 100:
		return 0, fmt.Errorf("%q is more than all", text)
	case up:
		return (int(n)*of + 99) / 100, nil
	}
	return int(n) * of / 100, nil
}

// mustShare is share of a text that has been checked, or of the default in place of an empty one.
func mustShare(text, otherwise string, of int, up bool) int {
	if text == "" {
		text = otherwise
	}
	n, err := share(text, of, up)
	if err != nil {
		panic("rollout: a strategy that was not checked: " + err.Error())
	}
	return n
}

func matcher(s *yardarmv1.LabelSelector) (selector.Selector, error) {
	var requirements []selector.Requirement
	for _, e := range s.GetMatchExpressions() {
		requirements = append(requirements, selector.Requirement{Key: e.GetKey(), Operator: selector.Operator(e.GetOperator()), Values: e.GetValues()})
	}
	return selector.New(s.GetMatchLabels(), requirements)
}
