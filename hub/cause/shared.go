package cause

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/yardarm-dev/yardarm/hub/index"
)

const (
	// leastFailing is how many clusters have to fail: one shares everything with itself.
	leastFailing = 2
	// leastShare of the failing ones has to have a trait, in percent: one that fails for another reason hides nothing.
	leastShare = 90
	// leastRatio is how many times as frequent it has to be among them as among the others.
	leastRatio = 2
	// chance is how likely it may be that a trait is so frequent among them by chance, for all traits together.
	chance = 0.05
	// maxShared is how many traits are told: more are the same clusters under other names.
	maxShared = 3
)

// Types of traits.
const (
	TraitLabel = "label"
	TraitFact  = "fact"
	TraitSpoke = "spoke"
)

// Trait is something that a cluster has.
type Trait struct{ Type, Key, Value string }

// Shared is a trait and how many have it.
type Shared struct {
	Trait
	Failing, FailingTotal, Others, OthersTotal int
}

// eachTrait calls fn for all that a cluster has.
func eachTrait(c *index.Cluster, fn func(Trait)) {
	for key, value := range c.Row.GetMetadata().GetLabels() {
		fn(Trait{TraitLabel, key, value})
	}
	facts := c.Observed.GetFacts()
	for _, t := range [...]Trait{
		{TraitFact, "distribution", facts.GetDistribution()}, {TraitFact, "provider", facts.GetProvider()}, {TraitFact, "region", facts.GetRegion()},
		{TraitFact, "kubernetesVersion", facts.GetKubernetesVersion()}, {TraitSpoke, "version", c.Observed.GetSpokeVersion()},
	} {
		if t.Value != "" {
			fn(t)
		}
	}
}

// traits numbers traits, and counts who has them.
type traits struct {
	ids map[Trait]int
	all []Trait
	// of is what the clusters of some bundles have, by the bundles' names: many problems are of the same ones.
	of map[string]*having
}

// having is how many of some clusters have each trait, by its number, and how many they are.
type having struct {
	counts []int
	total  int
}

func (h *having) add(traits []int) {
	h.total++
	for _, id := range traits {
		for id >= len(h.counts) {
			h.counts = append(h.counts, make([]int, id+1-len(h.counts))...)
		}
		h.counts[id]++
	}
}

func (h *having) count(id int) int {
	if id < len(h.counts) {
		return h.counts[id]
	}
	return 0
}

// look finds what a cluster has, once.
func (g *Gathering) look(m *member) *member {
	if m.looked {
		return m
	}
	m.looked, m.visible = true, g.visible(m.Cluster)
	if !m.visible {
		return m
	}
	eachTrait(m.Cluster, func(t Trait) {
		id, ok := g.traits.ids[t]
		if !ok {
			id = len(g.traits.all)
			g.traits.ids[t] = id
			g.traits.all = append(g.traits.all, t)
		}
		m.traits = append(m.traits, id)
	})
	return m
}

// Shared answers what the clusters that fail by a problem have in common, and the others of the same bundles lack: the clearest first. The rule is told
// to callers, in the proto.
func (g *Gathering) Shared(p *Problem) []Shared {
	failing := &having{}
	for _, c := range p.Clusters {
		if m := g.look(g.members[c]); m.visible {
			failing.add(m.traits)
		}
	}
	if failing.total < leastFailing {
		return nil
	}
	// All of which it is known how they are. The failing ones are among them.
	all := g.having(p.Bundles)
	others := all.total - failing.total
	if others == 0 {
		return nil
	}
	compared := 0
	for _, n := range failing.counts {
		if n > 0 {
			compared++
		}
	}
	var out []Shared
	for id, n := range failing.counts {
		if n < leastFailing || 100*n < leastShare*failing.total {
			continue
		}
		s := Shared{g.traits.all[id], n, failing.total, all.count(id) - n, others}
		if leastRatio*s.Others*s.FailingTotal <= s.Failing*s.OthersTotal && s.byChance()*float64(compared) <= chance {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b Shared) int {
		return cmp.Or(cmp.Compare(a.Others, b.Others), cmp.Compare(b.Failing, a.Failing),
			strings.Compare(a.Type, b.Type), strings.Compare(a.Key, b.Key), strings.Compare(a.Value, b.Value))
	})
	return out[:min(len(out), maxShared)]
}

// having counts the traits of the clusters that are to run any of the bundles.
func (g *Gathering) having(bundles []string) *having {
	key := strings.Join(bundles, " ")
	if h := g.traits.of[key]; h != nil {
		return h
	}
	h := &having{}
	seen := map[*member]bool{}
	for i, bundle := range bundles {
		for _, m := range g.population[bundle] {
			if i > 0 && seen[m] {
				continue
			}
			if len(bundles) > 1 {
				seen[m] = true
			}
			if g.look(m).visible {
				h.add(m.traits)
			}
		}
	}
	g.traits.of[key] = h
	return h
}

// byChance is how likely it is that at least so many of the failing have the trait if failing and having it had nothing to do with each other: the tail of
// the hypergeometric distribution.
func (s Shared) byChance() float64 {
	with, all := s.Failing+s.Others, s.FailingTotal+s.OthersTotal
	sum := 0.0
	for k := s.Failing; k <= min(with, s.FailingTotal); k++ {
		sum += math.Exp(choose(with, k) + choose(all-with, s.FailingTotal-k) - choose(all, s.FailingTotal))
	}
	return sum
}

// choose is the logarithm of the number of ways to take k of n; that of none where there is no way.
func choose(n, k int) float64 {
	if k < 0 || k > n {
		return math.Inf(-1)
	}
	a, _ := math.Lgamma(float64(n + 1))
	b, _ := math.Lgamma(float64(k + 1))
	c, _ := math.Lgamma(float64(n - k + 1))
	return a - b - c
}
