package index

import (
	"iter"
	"maps"
	"slices"

	"github.com/yardarm-dev/yardarm/pkg/selector"
)

// labels are the clusters that have a label, by key, value and uid: who asks for few of a large fleet has not all of it looked at. A label takes some 40 bytes
// of each cluster, and 300 where no other has its value.
type labels map[string]map[string]map[string]struct{}

// move takes a cluster from the labels that it had to those that it has.
func (l labels) move(uid string, had, has map[string]string) {
	for key, value := range had {
		if now, ok := has[key]; ok && now == value {
			continue
		}
		delete(l[key][value], uid)
		if len(l[key][value]) == 0 {
			delete(l[key], value)
		}
		if len(l[key]) == 0 {
			delete(l, key)
		}
	}
	for key, value := range has {
		if before, ok := had[key]; ok && before == value {
			continue
		}
		if l[key] == nil {
			l[key] = map[string]map[string]struct{}{}
		}
		if l[key][value] == nil {
			l[key][value] = map[string]struct{}{}
		}
		l[key][value][uid] = struct{}{}
	}
}

// Labelled yields all clusters that meet the requirements, and maybe others, in no particular order: those that meet the one of them which the fewest do.
func (s *State) Labelled(requirements []selector.Requirement) iter.Seq[*Cluster] {
	var key string
	var values []string
	fewest := len(s.clusters)
	for _, r := range requirements {
		if r.Operator != selector.In {
			continue
		}
		once := slices.Compact(slices.Sorted(slices.Values(r.Values)))
		n := 0
		for _, value := range once {
			n += len(s.labels[r.Key][value])
		}
		if n < fewest {
			fewest, key, values = n, r.Key, once
		}
	}
	if key == "" {
		return s.Clusters()
	}
	return func(yield func(*Cluster) bool) {
		for _, value := range values {
			for uid := range maps.Keys(s.labels[key][value]) {
				if !yield(s.clusters[uid]) {
					return
				}
			}
		}
	}
}
