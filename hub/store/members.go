package store

import (
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/yardarm-dev/yardarm/hub/placement"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// membership is what a group says about a cluster. There is no row where it says nothing: neither a member, nor within, nor an error.
type membership struct {
	group, clusterUID string
	member, within    bool
	err               string
}

// clusterIndex finds memberships by cluster.
const clusterIndex = "cluster"

// members is derived: from clusters, their facts and groups, in the transaction that changes one of them.
var members = func() *table[membership] {
	t := inMemory(Members, func(m *membership) string { return join(m.group, m.clusterUID) },
		by(clusterIndex, func(m *membership) []string { return []string{m.clusterUID} }).in(ofFirstDigits, func(m *membership) ends { return ends{m.clusterUID, m.group} })).
		in(ofLastDigits, func(m *membership) ends { return ends{m.group, m.clusterUID} })
	t.changed = func(m *membership) string { return m.clusterUID }
	return t
}()

// GroupsOf returns the names of the groups that a cluster belongs to, sorted.
func (tx *ReadTx) GroupsOf(clusterUID string) []string {
	var names []string
	for m := range members.scan(tx, clusterIndex, clusterUID+separator) {
		if m.member {
			names = append(names, m.group)
		}
	}
	return names
}

// NarrowedGroupsOf returns the names of the groups that a cluster belongs to by its labels, but not by its facts, sorted.
func (tx *ReadTx) NarrowedGroupsOf(clusterUID string) []string {
	var names []string
	for m := range members.scan(tx, clusterIndex, clusterUID+separator) {
		if m.within && !m.member {
			names = append(names, m.group)
		}
	}
	return names
}

// Members yields the uids of a group's clusters, ascending.
func (tx *ReadTx) Members(group string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for m := range members.scan(tx, idIndex, group+separator) {
			if m.member && !yield(m.clusterUID) {
				return
			}
		}
	}
}

// MatchErrors yields the uids of the clusters for which a group's expression gives no answer, ascending, and why.
func (tx *ReadTx) MatchErrors(group string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for m := range members.scan(tx, idIndex, group+separator) {
			if m.err != "" && !yield(m.clusterUID, m.err) {
				return
			}
		}
	}
}

// MatchErrorsOf yields the groups whose expression gives no answer for a cluster, ascending, and why.
func (tx *ReadTx) MatchErrorsOf(clusterUID string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for m := range members.scan(tx, clusterIndex, clusterUID+separator) {
			if m.err != "" && !yield(m.group, m.err) {
				return
			}
		}
	}
}

// BundlesOf yields the bundles that target any of a cluster's groups, each once, by name.
func (tx *ReadTx) BundlesOf(clusterUID string) iter.Seq[*yardarmv1.Bundle] {
	return func(yield func(*yardarmv1.Bundle) bool) {
		var all []*yardarmv1.Bundle
		for _, group := range tx.GroupsOf(clusterUID) {
			all = slices.AppendSeq(all, tx.BundlesTargeting(group))
		}
		slices.SortFunc(all, func(a, b *yardarmv1.Bundle) int { return strings.Compare(a.Metadata.Name, b.Metadata.Name) })
		for _, b := range slices.Compact(all) { // rows of one snapshot are the same where they are equal
			if !yield(b) {
				return
			}
		}
	}
}

// ClustersOf yields the clusters of all groups that a bundle targets, each once, by name.
func (tx *ReadTx) ClustersOf(bundleUID string) iter.Seq[*yardarmv1.Cluster] {
	return func(yield func(*yardarmv1.Cluster) bool) {
		var all []*yardarmv1.Cluster
		for _, group := range targetsOf(tx.Bundle(bundleUID)) {
			for uid := range tx.Members(group) {
				all = append(all, tx.Cluster(uid))
			}
		}
		slices.SortFunc(all, func(a, b *yardarmv1.Cluster) int { return strings.Compare(a.Metadata.Name, b.Metadata.Name) })
		for _, c := range slices.Compact(all) {
			if !yield(c) {
				return
			}
		}
	}
}

// placeCluster derives a cluster's memberships; with factsOnly, only those that facts matter to.
func (tx *Tx) placeCluster(c *yardarmv1.Cluster, factsOnly bool) error {
	facts := tx.Observed(c.Metadata.Uid).GetFacts()
	for group := range tx.Groups() {
		matcher := tx.state.matcher(group)
		if factsOnly && (matcher == nil || !matcher.ReadsFacts()) {
			continue
		}
		want := matched(group, matcher, c, facts)
		if err := tx.place(want, members.get(&tx.ReadTx, group.Metadata.Name, c.Metadata.Uid)); err != nil {
			return err
		}
	}
	return nil
}

// placeGroup derives the memberships of all clusters in a group. Most of a fleet is in a group neither before nor after: what it costs goes by who may be in it.
func (tx *Tx) placeGroup(g *yardarmv1.ClusterGroup) error {
	matcher := tx.state.matcher(g)
	had := map[string]*membership{}
	for m := range members.scan(&tx.ReadTx, idIndex, g.Metadata.Name+separator) {
		had[m.clusterUID] = m
	}
	for c := range tx.candidates(matcher) {
		var facts *yardarmv1.Facts
		if matcher.ReadsFacts() {
			facts = tx.Observed(c.Metadata.Uid).GetFacts()
		}
		if err := tx.place(matched(g, matcher, c, facts), had[c.Metadata.Uid]); err != nil {
			return err
		}
		delete(had, c.Metadata.Uid)
	}
	for _, uid := range slices.Sorted(maps.Keys(had)) {
		if _, err := members.remove(tx, members.key(had[uid])); err != nil {
			return err
		}
	}
	return nil
}

// matched is what a group says about a cluster.
func matched(g *yardarmv1.ClusterGroup, matcher *placement.Matcher, c *yardarmv1.Cluster, facts *yardarmv1.Facts) membership {
	m := membership{group: g.Metadata.Name, clusterUID: c.Metadata.Uid}
	if matcher == nil {
		return m
	}
	result := matcher.Match(c.Metadata.Name, c.Metadata.Labels, facts)
	m.member, m.within = result.Member, result.Within
	if result.Err != nil {
		m.err = result.Err.Error()
	}
	return m
}

// place makes a membership what it is to be; have is its row, or nil.
func (tx *Tx) place(want membership, have *membership) error {
	var err error
	switch said := want.member || want.within || want.err != ""; {
	case !said && have != nil:
		_, err = members.remove(tx, members.key(have))
	case said && (have == nil || *have != want):
		row := want // want is for each cluster of the fleet, few of which get a row, and stays on the stack
		_, err = members.put(tx, &row)
	}
	return err
}

func (tx *Tx) unplaceCluster(uid string) error {
	for m := range members.scan(&tx.ReadTx, clusterIndex, uid+separator) {
		if _, err := members.remove(tx, members.key(m)); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) unplaceGroup(name string) error {
	delete(tx.state.matchers, name)
	return members.removeAll(tx, name+separator)
}

// touchMembers lets subscribers of Members know that the bundles of a group's clusters have changed.
func (tx *Tx) touchMembers(group string) {
	for uid := range tx.Members(group) {
		tx.touched = append(tx.touched, touch{Members, uid})
	}
}

// matcher returns a group's compiled matcher; nil where the group does not compile, as one may not that an older hub has accepted.
func (s *state) matcher(g *yardarmv1.ClusterGroup) *placement.Matcher {
	if cached, ok := s.matchers[g.Metadata.Name]; ok && cached.group == g {
		return cached.matcher
	}
	matcher, _ := placement.Compile(g)
	s.matchers[g.Metadata.Name] = matcherOf{g, matcher}
	return matcher
}
