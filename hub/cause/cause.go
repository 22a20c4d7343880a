package cause

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/index"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Cause is why something fails, as far as it may be the same elsewhere.
type Cause struct {
	Phase, Reason string
	// Kind is as in "apps/Deployment"; empty where it is about no object.
	Kind string
	// Message is masked.
	Message string
}

// Failure is one assignment that fails, or did when its cluster was last heard.
type Failure struct {
	Cluster *index.Cluster
	*index.Assignment
	// Object and Said are those of the worst problem, or of the whole.
	Object, Said string
	Since        *timestamppb.Timestamp
	// Heard says that it is so now.
	Heard bool
}

// of answers why an assignment fails; false where it does not. What a cluster that is away said last is judged by what it said, and not heard.
func of(c *index.Cluster, a *index.Assignment) (Cause, Failure, bool) {
	f := Failure{Cluster: c, Assignment: a, Heard: a.Phase != yardarmv1.PhaseStale}
	phase, reason, message := a.Phase, a.Reason, a.Message
	if !f.Heard {
		phase, reason, message = a.Report.GetPhase(), a.Report.GetReason(), a.Report.GetMessage()
	}
	switch phase {
	case yardarmv1.PhaseFailed, yardarmv1.PhaseDegraded, yardarmv1.PhaseHeld:
	default:
		return Cause{}, f, false
	}
	f.Said = message
	if a.Report.GetPhase() == phase {
		f.Since = a.Report.GetSince()
	}
	out := Cause{Phase: phase, Reason: reason}
	names := []string{c.Name()}
	// What is held is so by a decision, and not by how its objects are.
	if p := worst(a.Report); p != nil && a.Report.GetPhase() == phase && phase != yardarmv1.PhaseHeld {
		f.Object, f.Said, f.Since = p.GetObject(), p.GetMessage(), cmp.Or(p.GetSince(), f.Since)
		out.Reason = p.GetReason()
		kind, name, _ := strings.Cut(p.GetObject(), " ")
		out.Kind = kind
		namespace, own, namespaced := strings.Cut(name, "/")
		if namespaced {
			names = append(names, own, namespace)
		} else {
			names = append(names, name)
		}
	}
	out.Message = Mask(f.Said, names...)
	return out, f, true
}

func worst(r *yardarmv1.Report) *yardarmv1.ObjectProblem {
	if len(r.GetProblems()) == 0 {
		return nil
	}
	return r.Problems[0]
}

// Problem is a cause and all that fail by it.
type Problem struct {
	Cause
	// Clusters are those in which it is so now, and Unheard those in which it only was, each once.
	Clusters, Unheard []*index.Cluster
	// UnheardSince is when the first of those was last heard; Since is since when it is so in any of all.
	UnheardSince time.Time
	Since        *timestamppb.Timestamp
	// Bundles are their names, sorted.
	Bundles []string
	// Failures are those heard now, then the others; each by cluster and bundle.
	Failures []Failure
}

// Gathering collects failures, one assignment after the other, those of a cluster in a row.
type Gathering struct {
	// visible tells of which clusters the caller may know labels and facts.
	visible  func(*index.Cluster) bool
	problems map[Cause]*Problem
	members  map[*index.Cluster]*member
	last     *member
	failing  int
	// population are the clusters that are to run each bundle and of which it is known how they are.
	population map[string][]*member
	traits     traits
}

// member is a cluster that was looked at.
type member struct {
	*index.Cluster
	fails bool
	// traits are what it has, once that was asked for; none where the caller may not know.
	traits          []int
	visible, looked bool
}

// NewGathering makes an empty one.
func NewGathering(visible func(*index.Cluster) bool) *Gathering {
	return &Gathering{
		visible: visible, problems: map[Cause]*Problem{}, members: map[*index.Cluster]*member{}, population: map[string][]*member{},
		traits: traits{ids: map[Trait]int{}, of: map[string]*having{}},
	}
}

// Add takes an assignment in.
func (g *Gathering) Add(c *index.Cluster, a *index.Assignment) {
	m := g.member(c)
	switch a.Phase {
	case yardarmv1.PhaseStale, yardarmv1.PhaseNeverConnected, yardarmv1.PhasePending:
	default:
		g.population[a.Bundle] = append(g.population[a.Bundle], m)
	}
	cause, failure, ok := of(c, a)
	if !ok {
		return
	}
	if failure.Heard && !m.fails {
		m.fails = true
		g.failing++
	}
	p := g.problems[cause]
	if p == nil {
		p = &Problem{Cause: cause}
		g.problems[cause] = p
	}
	p.Failures = append(p.Failures, failure)
}

func (g *Gathering) member(c *index.Cluster) *member {
	if g.last != nil && g.last.Cluster == c {
		return g.last
	}
	m := g.members[c]
	if m == nil {
		m = &member{Cluster: c}
		g.members[c] = m
	}
	g.last = m
	return m
}

// Clusters answers how many there are, and in how many of them something fails now.
func (g *Gathering) Clusters() (all, failing int) { return len(g.members), g.failing }

// Problems answers all: those of the most clusters first, then the oldest.
func (g *Gathering) Problems() []*Problem {
	out := make([]*Problem, 0, len(g.problems))
	for _, p := range g.problems {
		p.sum()
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b *Problem) int {
		return cmp.Or(cmp.Compare(len(b.Clusters), len(a.Clusters)), cmp.Compare(len(b.Unheard), len(a.Unheard)),
			cmp.Compare(a.Since.AsTime().UnixNano(), b.Since.AsTime().UnixNano()), strings.Compare(a.Phase, b.Phase), strings.Compare(a.Reason, b.Reason),
			strings.Compare(a.Kind, b.Kind), strings.Compare(a.Message, b.Message))
	})
	return out
}

// sum derives what is counted of the failures.
func (p *Problem) sum() {
	slices.SortFunc(p.Failures, func(a, b Failure) int {
		switch {
		case a.Heard && !b.Heard:
			return -1
		case b.Heard && !a.Heard:
			return 1
		}
		return cmp.Or(strings.Compare(a.Cluster.Name(), b.Cluster.Name()), strings.Compare(a.Bundle, b.Bundle))
	})
	bundles := map[string]bool{}
	var last *index.Cluster
	for _, f := range p.Failures {
		if !bundles[f.Bundle] {
			bundles[f.Bundle] = true
			p.Bundles = append(p.Bundles, f.Bundle)
		}
		if f.Since != nil && (p.Since == nil || f.Since.AsTime().Before(p.Since.AsTime())) {
			p.Since = f.Since
		}
		if f.Cluster != last {
			last = f.Cluster
			p.count(f)
		}
	}
	slices.Sort(p.Bundles)
}

func (p *Problem) count(f Failure) {
	if f.Heard {
		p.Clusters = append(p.Clusters, f.Cluster)
		return
	}
	p.Unheard = append(p.Unheard, f.Cluster)
	if heard := LastHeard(f.Cluster); p.UnheardSince.IsZero() || heard.Before(p.UnheardSince) {
		p.UnheardSince = heard
	}
}

// LastHeard is when a cluster that is not connected was last heard.
func LastHeard(c *index.Cluster) time.Time {
	if c.Presence != nil && !c.Presence.LastSeen.IsZero() {
		return c.Presence.LastSeen
	}
	return c.Observed.GetLastSeen().AsTime()
}
