package rollout

import (
	"cmp"
	"hash/fnv"
	"slices"

	"github.com/yardarm-dev/yardarm/pkg/selector"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// divide puts each candidate into one stage, in the order in which they go. The last stage takes whoever is left: Check has made
// sure that this is what it says, but for clusters that changed their groups since.
func divide(bundleUID string, stages []*yardarmv1.Stage, candidates []Candidate) [][]Candidate {
	left := slices.Clone(candidates)
	byHash(bundleUID, left)
	out := make([][]Candidate, len(stages))
	taken := 0
	for i, s := range stages {
		takes := pick(s, left, len(candidates), taken)
		if i == len(stages)-1 {
			takes = func(Candidate) bool { return true }
		}
		var rest []Candidate
		for _, c := range left {
			if takes(c) {
				out[i] = append(out[i], c)
			} else {
				rest = append(rest, c)
			}
		}
		taken, left = taken+len(out[i]), rest
		if s.GetOrderBy() != "" {
			inOrderOf(s.OrderBy, out[i])
		}
	}
	return out
}

// pick tells which of those that are left a stage takes. all is the number of clusters, and taken that of those in stages before.
func pick(s *yardarmv1.Stage, left []Candidate, all, taken int) func(Candidate) bool {
	switch {
	case s.GetGroup() != "":
		return func(c Candidate) bool { return slices.Contains(c.Groups, s.Group) }
	case s.GetSelector() != nil:
		matches := mustMatcher(s.Selector)
		return func(c Candidate) bool { return matches.Matches(c.Labels) }
	case s.GetClusters() > 0:
		first := slices.Clone(left)
		slices.SortStableFunc(first, func(a, b Candidate) int { return cmp.Compare(suits(b), suits(a)) })
		return among(first[:min(int(s.Clusters), len(first))])
	case s.GetPercent() > 0:
		n := (int(s.Percent)*all+99)/100 - taken
		return among(left[:min(max(n, 0), len(left))])
	}
	return func(Candidate) bool { return true }
}

func among(chosen []Candidate) func(Candidate) bool {
	uids := make(map[string]bool, len(chosen))
	for _, c := range chosen {
		uids[c.UID] = true
	}
	return func(c Candidate) bool { return uids[c.UID] }
}

// suits tells how well a cluster suits as a canary: one that is away tells nothing, the label asks for it, and one that fails already tells little.
func suits(c Candidate) int {
	n := 0
	if c.Present {
		n += 4
	}
	if c.Labels[yardarmv1.LabelCanary] == "true" {
		n += 2
	}
	if c.Ready {
		n++
	}
	return n
}

// byHash orders clusters by a hash of bundle and cluster: the same for a bundle each time, and another for each bundle, so that
// not always the same clusters go first.
func byHash(bundleUID string, candidates []Candidate) {
	hash := make(map[string]uint64, len(candidates))
	for _, c := range candidates {
		h := fnv.New64a()
		h.Write([]byte(bundleUID))
		h.Write([]byte{0})
		h.Write([]byte(c.UID))
		hash[c.UID] = h.Sum64()
	}
	slices.SortFunc(candidates, func(a, b Candidate) int {
		return cmp.Or(cmp.Compare(hash[a.UID], hash[b.UID]), cmp.Compare(a.UID, b.UID))
	})
}

func inOrderOf(label string, candidates []Candidate) {
	slices.SortStableFunc(candidates, func(a, b Candidate) int {
		x, hasX := a.Labels[label]
		y, hasY := b.Labels[label]
		switch {
		case hasX != hasY && hasX:
			return -1
		case hasX != hasY:
			return 1
		}
		return cmp.Compare(x, y)
	})
}

func mustMatcher(s *yardarmv1.LabelSelector) selector.Selector {
	m, err := matcher(s)
	if err != nil {
		panic("rollout: a strategy that was not checked: " + err.Error())
	}
	return m
}
