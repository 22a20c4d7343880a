package cause

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/index"
	"github.com/yardarm-dev/yardarm/hub/store"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// everybody is of whom a caller knows who may know all.
func everybody(*index.Cluster) bool { return true }

func newCluster(name, provider string, labels map[string]string) *index.Cluster {
	return &index.Cluster{
		Row:      &yardarmv1.Cluster{Metadata: &yardarmv1.ObjectMeta{Name: name, Uid: "uid-" + name, Labels: labels}},
		Observed: &storev1.Observed{Facts: &yardarmv1.Facts{Provider: provider}, SpokeVersion: "v1"},
		Presence: &store.Presence{State: yardarmv1.PresenceConnected},
	}
}

func ready(bundle string) *index.Assignment {
	return &index.Assignment{Item: index.Item{Bundle: bundle}, Phase: yardarmv1.PhaseReady, Report: &yardarmv1.Report{Phase: yardarmv1.PhaseReady}}
}

func failing(bundle, object, reason, message string, minutes int) *index.Assignment {
	since := timestamppb.New(noon.Add(time.Duration(minutes) * time.Minute))
	return &index.Assignment{Item: index.Item{Bundle: bundle}, Phase: yardarmv1.PhaseFailed, Reason: "ApplyFailed", Message: "1 of 2 objects", Report: &yardarmv1.Report{
		Phase: yardarmv1.PhaseFailed, Reason: "ApplyFailed", Message: "1 of 2 objects", Since: since,
		Problems: []*yardarmv1.ObjectProblem{{Object: object, Reason: reason, Message: message, Since: since}}}}
}

// away is what was last said of an assignment in a cluster that has left.
func away(c *index.Cluster, a *index.Assignment, heard time.Time) *index.Assignment {
	c.Presence = &store.Presence{State: yardarmv1.PresenceStale, LastSeen: heard}
	a.Phase, a.Reason, a.Message = yardarmv1.PhaseStale, "SpokeStale", "not heard"
	return a
}

func TestGathering(t *testing.T) {
	g := NewGathering(everybody)
	for i := range 12 {
		c := newCluster(fmt.Sprintf("aws-%02d", i), "aws", nil)
		g.Add(c, failing("web", "apps/Deployment prod/web", "ImagePullBackOff", fmt.Sprintf("pod web-7d9f8b6c5-x2k4%d cannot pull", i%7+2), 12-i))
	}
	lost := newCluster("lost", "aws", nil)
	g.Add(lost, away(lost, failing("web", "apps/Deployment prod/web", "ImagePullBackOff", "pod web-7d9f8b6c5-x2k4q cannot pull", 0), noon.Add(-time.Hour)))
	gone := newCluster("gone", "aws", nil)
	g.Add(gone, away(gone, ready("web"), noon))
	for i := range 100 {
		provider := "gcp"
		if i < 3 {
			provider = "aws"
		}
		g.Add(newCluster(fmt.Sprintf("other-%d", i), provider, nil), ready("web"))
	}
	held := newCluster("held", "gcp", nil)
	g.Add(held, &index.Assignment{Item: index.Item{Bundle: "db"}, Phase: yardarmv1.PhaseHeld, Reason: "MassDeletion", Message: "7 of 9 objects would go",
		Report: &yardarmv1.Report{Phase: yardarmv1.PhaseHeld, Reason: "MassDeletion", Problems: []*yardarmv1.ObjectProblem{{Object: "ConfigMap a/b", Reason: "Waiting"}}}})

	if all, failing := g.Clusters(); all != 115 || failing != 13 {
		t.Errorf("%d clusters, %d fail", all, failing)
	}
	problems := g.Problems()
	if len(problems) != 2 {
		t.Fatalf("%d problems: %v", len(problems), problems)
	}
	p := problems[0]
	if want := (Cause{"Failed", "ImagePullBackOff", "apps/Deployment", "pod <name> cannot pull"}); p.Cause != want {
		t.Errorf("cause %+v", p.Cause)
	}
	if len(p.Clusters) != 12 || len(p.Unheard) != 1 || !p.UnheardSince.Equal(noon.Add(-time.Hour)) || !p.Since.AsTime().Equal(noon) || !slices.Equal(p.Bundles, []string{"web"}) {
		t.Errorf("%d clusters, %d unheard since %s, since %s, of %s", len(p.Clusters), len(p.Unheard), p.UnheardSince, p.Since.AsTime(), p.Bundles)
	}
	if first, last := p.Failures[0], p.Failures[12]; first.Cluster.Name() != "aws-00" || !first.Heard || last.Cluster != lost || last.Heard {
		t.Errorf("examples from %v to %v", first, last)
	}
	shared := g.Shared(p)
	if want := []Shared{{Trait{TraitFact, "provider", "aws"}, 12, 12, 3, 100}}; !slices.Equal(shared, want) {
		t.Errorf("shared %v, want %v", shared, want)
	}
	if held := problems[1]; held.Reason != "MassDeletion" || held.Kind != "" || len(held.Clusters) != 1 || g.Shared(held) != nil {
		t.Errorf("what is held: %+v", held)
	}
}

// TestShared is the rule: each bound is met just so, and just not.
func TestShared(t *testing.T) {
	for _, tc := range []struct {
		name                            string
		failing, with, others, otherHas int
		told                            bool
	}{
		{"all and none", 12, 12, 100, 0, true},
		{"all and few", 12, 12, 100, 3, true},
		{"nine in ten", 20, 18, 200, 20, true},
		{"less than nine in ten", 20, 17, 200, 0, false},
		{"half as many", 40, 40, 200, 100, true},
		{"more than half as many", 40, 40, 200, 101, false},
		{"everybody", 12, 12, 100, 100, false},
		{"one fails", 1, 1, 100, 0, false},
		{"two of many", 2, 2, 100, 0, true},
		{"two of few, which chance may do", 2, 2, 4, 0, false},
		{"no others", 12, 12, 0, 0, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := NewGathering(everybody)
			add := func(n, with int, name string, a func() *index.Assignment) {
				for i := range n {
					labels := map[string]string{}
					if i < with {
						labels["tier"] = "edge"
					}
					g.Add(newCluster(fmt.Sprint(name, i), "", labels), a())
				}
			}
			add(tc.failing, tc.with, "f", func() *index.Assignment { return failing("web", "Service a/b", "Invalid", "no", 0) })
			add(tc.others, tc.otherHas, "o", func() *index.Assignment { return ready("web") })
			var told []string
			for _, s := range g.Shared(g.Problems()[0]) {
				told = append(told, s.Key+"="+s.Value)
			}
			if got := strings.Join(told, " "); (got == "tier=edge") != tc.told || got != "" && !tc.told {
				t.Errorf("told %q", got)
			}
		})
	}
}

// BenchmarkProblems is of 10,000 clusters with ten labels and ten bundles each, of which 1,000 fail for 20 reasons.
func BenchmarkProblems(b *testing.B) {
	const clusters, bundles = 10_000, 10
	type of struct {
		c *index.Cluster
		a *index.Assignment
	}
	var all []of
	for i := range clusters {
		labels := map[string]string{"name": fmt.Sprint("c", i)}
		for l := range 9 {
			labels[fmt.Sprint("label-", l)] = fmt.Sprint(i % (l + 2))
		}
		c := newCluster(fmt.Sprint("c", i), []string{"aws", "gcp"}[i%2], labels)
		for j := range bundles {
			a := ready(fmt.Sprint("b", j))
			if i%10 == 0 && j == i/10%bundles {
				message := fmt.Sprintf("Back-off restarting failed container web in pod web-%d-7d9f8b6c5-x2k4q(%08x-0a4d-4c6b-9e1f-5a7d8e9f0a1b)", i, i)
				a = failing(fmt.Sprint("b", j), "apps/Deployment prod/web", fmt.Sprint("Reason", i/10%20), message, i%60)
			}
			all = append(all, of{c, a})
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		g := NewGathering(everybody)
		for _, x := range all {
			g.Add(x.c, x.a)
		}
		problems := g.Problems()
		for _, p := range problems {
			g.Shared(p)
		}
		if len(problems) != 20 {
			b.Fatal(len(problems))
		}
	}
}
