package store

import (
	"iter"
	"slices"

	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/pkg/selector"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// labelled is the clusters by the keys and values of their labels: made when a group is placed, and kept until a cluster changes, so that whoever changes groups looks
// at the fleet once, and then at whom they concern. It is no index of the table: each cluster would pay for that with each of its labels, always.
type labelled map[string]map[string][]*yardarmv1.Cluster

// candidates yields the clusters that a matcher may let in: it leaves out those that lack a label it asks for. Where it is nil there are none.
func (tx *Tx) candidates(m *placement.Matcher) iter.Seq[*yardarmv1.Cluster] {
	if m == nil {
		return func(func(*yardarmv1.Cluster) bool) {}
	}
	asked := slices.DeleteFunc(m.Requirements(), func(r selector.Requirement) bool { return r.Operator != selector.In })
	if len(asked) == 0 {
		return tx.Clusters()
	}
	if tx.state.labelled == nil {
		tx.state.labelled = labels(tx.Clusters())
	}
	by := tx.state.labelled
	few := slices.MinFunc(asked, func(a, b selector.Requirement) int { return by.count(a) - by.count(b) })
	return func(yield func(*yardarmv1.Cluster) bool) {
		for _, value := range few.Values {
			for _, c := range by[few.Key][value] {
				if !yield(c) {
					return
				}
			}
		}
	}
}

func labels(clusters iter.Seq[*yardarmv1.Cluster]) labelled {
	by := labelled{}
	for c := range clusters {
		for key, value := range c.Metadata.Labels {
			if by[key] == nil {
				by[key] = map[string][]*yardarmv1.Cluster{}
			}
			by[key][value] = append(by[key][value], c)
		}
	}
	return by
}

// count is how many clusters meet a requirement of values.
func (l labelled) count(r selector.Requirement) (n int) {
	for _, value := range r.Values {
		n += len(l[r.Key][value])
	}
	return n
}
