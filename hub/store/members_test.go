package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/placement"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// bruteForce derives everything anew from the rows, as slowly and simply as possible.
type bruteForce struct {
	groupsOf, narrowed map[string][]string // by cluster uid
	members            map[string][]string // by group
	failing            map[string][]string // by group
	bundlesOf          map[string][]string // names by cluster uid
	clustersOf         map[string][]string // names by bundle uid
}

func derive(tx *ReadTx) bruteForce {
	out := bruteForce{map[string][]string{}, map[string][]string{}, map[string][]string{}, map[string][]string{}, map[string][]string{}, map[string][]string{}}
	for c := range tx.Clusters() {
		for g := range tx.Groups() {
			m := compiled(g.Spec)
			if m == nil {
				continue
			}
			r := m.Match(c.Metadata.Name, c.Metadata.Labels, tx.Observed(c.Metadata.Uid).GetFacts())
			uid, name := c.Metadata.Uid, g.Metadata.Name
			if r.Member {
				out.groupsOf[uid] = append(out.groupsOf[uid], name)
				out.members[name] = append(out.members[name], uid)
			} else if r.Within {
				out.narrowed[uid] = append(out.narrowed[uid], name)
			}
			if r.Err != nil {
				out.failing[name] = append(out.failing[name], uid)
			}
		}
	}
	for c := range tx.Clusters() {
		for b := range tx.Bundles() {
			if slices.ContainsFunc(b.Spec.Targets, func(t *yardarmv1.Target) bool { return slices.Contains(out.groupsOf[c.Metadata.Uid], t.Group) }) {
				out.bundlesOf[c.Metadata.Uid] = append(out.bundlesOf[c.Metadata.Uid], b.Metadata.Name)
				out.clustersOf[b.Metadata.Uid] = append(out.clustersOf[b.Metadata.Uid], c.Metadata.Name)
			}
		}
	}
	for _, uids := range out.members {
		slices.Sort(uids) // the clusters came by name
	}
	for _, uids := range out.failing {
		slices.Sort(uids)
	}
	return out
}

// compiled compiles a group once in all tests: that takes most of their time otherwise.
func compiled(spec *yardarmv1.ClusterGroupSpec) *placement.Matcher {
	text := spec.String()
	if m, ok := compiledSpecs.Load(text); ok {
		return m.(*placement.Matcher)
	}
	m, _ := placement.Compile(&yardarmv1.ClusterGroup{Spec: spec})
	compiledSpecs.Store(text, m)
	return m
}

var compiledSpecs sync.Map

// checkDerived ends no test, since it is called within transactions.
func checkDerived(t *testing.T, tx *ReadTx, uids, groups, bundles []string) {
	t.Helper()
	want := derive(tx)
	compare := func(what, of string, got, want []string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s of %s are %v, want %v", what, of, got, want)
		}
	}
	for _, uid := range uids {
		compare("groups", uid, tx.GroupsOf(uid), want.groupsOf[uid])
		compare("narrowed groups", uid, tx.NarrowedGroupsOf(uid), want.narrowed[uid])
		var names []string
		for b := range tx.BundlesOf(uid) {
			names = append(names, b.Metadata.Name)
		}
		compare("bundles", uid, names, want.bundlesOf[uid])
	}
	for _, g := range groups {
		compare("members", g, slices.Collect(tx.Members(g)), want.members[g])
		var failing []string
		for uid := range tx.MatchErrors(g) {
			failing = append(failing, uid)
		}
		compare("failing clusters", g, failing, want.failing[g])
	}
	for _, uid := range bundles {
		var names []string
		for c := range tx.ClustersOf(uid) {
			names = append(names, c.Metadata.Name)
		}
		compare("clusters", uid, names, want.clustersOf[uid])
	}
}

// TestMemberships makes random changes, several in a transaction, some of which fail, and compares what is derived step by step with what is derived anew.
func TestMemberships(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 0))
			s := opened(t, Config{})
			var uids, groups, bundles []string
			for i := range 8 {
				uids = append(uids, fmt.Sprint("c", i))
				groups = append(groups, fmt.Sprint("g", i))
				bundles = append(bundles, fmt.Sprint("b", i))
			}
			pick := func(of []string) string { return of[r.IntN(len(of))] }
			for step := range 200 {
				members := s.Subscribe(Members)
				before := s.Read()
				change := func(tx *Tx) error {
					for range 1 + r.IntN(4) {
						if err := randomChange(tx, r, pick(uids), pick(groups), pick(bundles), groups); err != nil {
							return err
						}
					}
					if r.IntN(5) == 0 {
						return errors.New("test")
					}
					checkDerived(t, &tx.ReadTx, uids, groups, bundles) // a transaction sees its own memberships
					return nil
				}
				if r.IntN(3) == 0 {
					_ = s.Observe(t.Context(), func(tx *Tx) error {
						facts := &yardarmv1.Facts{Nodes: uint32(r.IntN(5)), Region: pick([]string{"eu", "us"})}
						return tx.PutObserved(&storev1.Observed{ClusterUid: pick(uids), Facts: facts})
					})
				} else {
					_, _ = s.Update(t.Context(), change)
				}
				after := s.Read()
				checkDerived(t, after, uids, groups, bundles)
				if t.Failed() {
					t.FailNow()
				}

				// Whoever listens to Members hears of exactly the clusters whose groups or bundles have changed, or at least of those.
				told := members.Take()
				members.Close()
				old, now := derive(before), derive(after)
				for _, uid := range uids {
					differs := !slices.Equal(old.groupsOf[uid], now.groupsOf[uid]) || !slices.Equal(old.bundlesOf[uid], now.bundlesOf[uid]) ||
						!slices.Equal(old.narrowed[uid], now.narrowed[uid])
					if differs && !told.Has(Members, uid) {
						t.Fatalf("step %d: subscribers do not hear of %s", step, uid)
					}
				}
				if step%50 == 49 {
					s = reopened(t, s)
					checkDerived(t, s.Read(), uids, groups, bundles)
				}
			}
		})
	}
}

func randomChange(tx *Tx, r *rand.Rand, uid, groupName, bundleUID string, groups []string) error {
	label := func() map[string]string {
		return map[string]string{"env": []string{"prod", "test"}[r.IntN(2)], "tier": fmt.Sprint(r.IntN(3))}
	}
	switch r.IntN(10) {
	case 0, 1, 2:
		return tx.PutCluster(cluster(uid, "name-"+uid, label()))
	case 3:
		return tx.DeleteCluster(uid)
	case 4, 5:
		g := group(groupName, nil)
		g.Spec = []*yardarmv1.ClusterGroupSpec{
			{Selector: &yardarmv1.LabelSelector{MatchLabels: map[string]string{"env": "prod"}}},
			{Selector: &yardarmv1.LabelSelector{MatchLabels: map[string]string{"tier": fmt.Sprint(r.IntN(3))}}},
			{Selector: &yardarmv1.LabelSelector{}},
			{Selector: &yardarmv1.LabelSelector{}, Expression: "facts.nodes >= 3"},
			{Selector: &yardarmv1.LabelSelector{MatchLabels: map[string]string{"env": "prod"}}, Expression: `facts.region == "eu"`},
			{Expression: `labels.env == "test" || name.endsWith("3")`},
			{Expression: `labels.missing == "x"`},
			{Expression: "does not compile"},
			{Selector: &yardarmv1.LabelSelector{MatchLabels: map[string]string{"env": "prod"}, MatchExpressions: []*yardarmv1.LabelRequirement{
				{Key: "tier", Operator: "In", Values: []string{"2", "0"}}}}},
			{Selector: &yardarmv1.LabelSelector{MatchExpressions: []*yardarmv1.LabelRequirement{
				{Key: "tier", Operator: "NotIn", Values: []string{"1"}}, {Key: "env", Operator: "In", Values: []string{"prod", "none"}}}}},
		}[r.IntN(10)]
		return tx.PutGroup(g)
	case 6:
		return tx.DeleteGroup(groupName)
	case 7, 8:
		b := bundle(bundleUID, "name-"+bundleUID)
		for range r.IntN(4) { // the same group twice, too
			b.Spec.Targets = append(b.Spec.Targets, &yardarmv1.Target{Group: groups[r.IntN(len(groups))]})
		}
		return tx.PutBundle(b)
	default:
		return tx.DeleteBundle(bundleUID)
	}
}

// TestMatchersAreCompiledOnce: a changing cluster does not compile the groups again.
func TestMatchersAreCompiledOnce(t *testing.T) {
	s := opened(t, Config{})
	g := group("g", map[string]string{"env": "prod"})
	update(t, s, func(tx *Tx) error { return tx.PutGroup(g) })
	before := s.state.matchers["g"].matcher
	update(t, s, func(tx *Tx) error { return tx.PutCluster(cluster("c", "c", map[string]string{"env": "prod"})) })
	if s.state.matchers["g"].matcher != before || before == nil {
		t.Error("the group was compiled again")
	}
	g = proto.CloneOf(g)
	g.Spec.Selector.MatchLabels["env"] = "test"
	update(t, s, func(tx *Tx) error { return tx.PutGroup(g) })
	if s.state.matchers["g"].matcher == before || len(s.Read().GroupsOf("c")) > 0 {
		t.Error("a changed group was not compiled again")
	}
	update(t, s, func(tx *Tx) error { return tx.DeleteGroup("g") })
	if len(s.state.matchers) > 0 {
		t.Error("the matcher of a deleted group is kept")
	}
}
