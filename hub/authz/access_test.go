package authz

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// bind puts a binding.
func bind(t testing.TB, s *store.Store, name string, spec *yardarmv1.RoleBindingSpec) {
	t.Helper()
	if _, err := s.Update(t.Context(), func(tx *store.Tx) error {
		return tx.PutRoleBinding(&yardarmv1.RoleBinding{Metadata: &yardarmv1.ObjectMeta{Name: name}, Spec: spec})
	}); err != nil {
		t.Fatal(err)
	}
}

func accessOf(t testing.TB, s *store.Store, who Identity) *Access {
	t.Helper()
	a, err := AccessOf(s.Read(), who, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

var (
	prodOnly = &yardarmv1.Scope{Selector: &yardarmv1.LabelSelector{MatchLabels: map[string]string{"env": "prod"}}}
	ada      = Identity{Kind: yardarmv1.SubjectUser, Name: "ada", Groups: []string{"devs"}}
	devs     = []*yardarmv1.Subject{{Kind: yardarmv1.SubjectGroup, Name: "devs"}}
)

// TestAccess asks of bindings within scopes what they allow.
func TestAccess(t *testing.T) {
	const get, publish, bundles, clusters = yardarmv1.VerbGet, yardarmv1.VerbPublish, yardarmv1.ResourceBundles, yardarmv1.ResourceClusters
	h := newHub(t)
	if _, err := h.store.Update(t.Context(), func(tx *store.Tx) error {
		return errors.Join(
			tx.PutGroup(&yardarmv1.ClusterGroup{Metadata: &yardarmv1.ObjectMeta{Name: "eu", Labels: map[string]string{"env": "prod"}}}),
			tx.PutGroup(&yardarmv1.ClusterGroup{Metadata: &yardarmv1.ObjectMeta{Name: "lab"}}))
	}); err != nil {
		t.Fatal(err)
	}
	web, other := &yardarmv1.ObjectMeta{Name: "web"}, &yardarmv1.ObjectMeta{Name: "other"}
	labelled := &yardarmv1.ObjectMeta{Name: "x", Labels: map[string]string{"env": "prod"}}
	named := &yardarmv1.Scope{Names: []string{"web"}}
	bundle := func(a *Access, verb string, b *yardarmv1.ObjectMeta, targets ...string) bool {
		_, ok := a.Bundle(verb, bundles, b, targets)
		return ok
	}
	for name, test := range map[string]struct {
		role            string
		bundles, groups *yardarmv1.Scope
		ask             func(*Access) bool
		want            bool
	}{
		"everywhere":                             {"publisher", nil, nil, func(a *Access) bool { return a.Everywhere(publish, bundles) }, true},
		"everywhere, with a scope":               {"publisher", named, nil, func(a *Access) bool { return a.Everywhere(publish, bundles) }, false},
		"another verb":                           {"publisher", nil, nil, func(a *Access) bool { return a.May(yardarmv1.VerbDelete, bundles) }, false},
		"the hub, with a scope":                  {"viewer", named, prodOnly, func(a *Access) bool { return a.Everywhere(get, yardarmv1.ResourceHub) }, true},
		"a backup, with a scope":                 {"admin", named, nil, func(a *Access) bool { return a.Everywhere(yardarmv1.VerbBackup, yardarmv1.ResourceHub) }, false},
		"a bundle by name":                       {"publisher", named, nil, func(a *Access) bool { return bundle(a, publish, web, "eu", "lab") }, true},
		"another bundle":                         {"publisher", named, nil, func(a *Access) bool { return bundle(a, publish, other) }, false},
		"a bundle by label":                      {"publisher", prodOnly, nil, func(a *Access) bool { return bundle(a, publish, labelled) }, true},
		"one without the label":                  {"publisher", prodOnly, nil, func(a *Access) bool { return bundle(a, publish, web) }, false},
		"all of its groups":                      {"publisher", named, prodOnly, func(a *Access) bool { return bundle(a, publish, web, "eu") }, true},
		"one of its groups":                      {"publisher", named, prodOnly, func(a *Access) bool { return bundle(a, publish, web, "eu", "lab") }, false},
		"one of its groups, to see":              {"publisher", named, prodOnly, func(a *Access) bool { return a.BundleAnywhere(get, bundles, web, []string{"lab", "eu"}) }, true},
		"one that targets nobody, in scope":      {"publisher", named, prodOnly, func(a *Access) bool { return bundle(a, publish, web) }, true},
		"one that targets nobody, in no scope":   {"publisher", nil, prodOnly, func(a *Access) bool { return bundle(a, publish, web) }, false},
		"a cluster in scope":                     {"operator", nil, prodOnly, func(a *Access) bool { return a.Cluster(yardarmv1.VerbBan, clusters, []string{"lab", "eu"}) }, true},
		"a cluster beyond":                       {"operator", nil, prodOnly, func(a *Access) bool { return a.Cluster(yardarmv1.VerbBan, clusters, []string{"lab"}) }, false},
		"a cluster of no group":                  {"operator", nil, prodOnly, func(a *Access) bool { return a.Cluster(yardarmv1.VerbBan, clusters, nil) }, false},
		"a cluster, with a scope of bundles":     {"operator", named, nil, func(a *Access) bool { return a.Cluster(yardarmv1.VerbBan, clusters, []string{"eu"}) }, false},
		"to see it":                              {"operator", named, nil, func(a *Access) bool { return a.Cluster(get, clusters, []string{"eu"}) }, true},
		"a group":                                {"operator", nil, nil, func(a *Access) bool { return a.Group(yardarmv1.VerbApply, "eu") }, true},
		"a group in scope":                       {"operator", nil, prodOnly, func(a *Access) bool { return a.Group(yardarmv1.VerbApply, "eu") }, false},
		"to see a group in scope":                {"operator", nil, prodOnly, func(a *Access) bool { return a.Group(get, "eu") }, true},
		"to see a group beyond":                  {"operator", nil, prodOnly, func(a *Access) bool { return a.Group(get, "lab") }, false},
		"to give the role":                       {"publisher", nil, nil, func(a *Access) bool { return a.Lacks(Role(a.tx, "publisher").Spec.Rules, nil, nil) == "" }, true},
		"to give it within a scope":              {"publisher", nil, nil, func(a *Access) bool { return a.Lacks(Role(a.tx, "publisher").Spec.Rules, named, prodOnly) == "" }, true},
		"to give it within one's scope":          {"publisher", named, prodOnly, func(a *Access) bool { return a.Lacks(Role(a.tx, "publisher").Spec.Rules, named, prodOnly) == "" }, true},
		"to give it beyond":                      {"publisher", named, nil, func(a *Access) bool { return a.Lacks(Role(a.tx, "publisher").Spec.Rules, prodOnly, nil) == "" }, false},
		"to give it everywhere, in a scope":      {"publisher", named, nil, func(a *Access) bool { return a.Lacks(Role(a.tx, "publisher").Spec.Rules, nil, nil) == "" }, false},
		"to give another role":                   {"publisher", nil, nil, func(a *Access) bool { return a.Lacks(Role(a.tx, "operator").Spec.Rules, nil, nil) == "" }, false},
		"a scope of everything":                  {"publisher", &yardarmv1.Scope{Selector: &yardarmv1.LabelSelector{}}, nil, func(a *Access) bool { return bundle(a, publish, other, "eu") }, true},
		"a role that there is not gives nothing": {"nothing", nil, nil, func(a *Access) bool { return a.May(get, bundles) }, false},
		"a binding of another subject is not mine": {"admin", nil, nil, func(*Access) bool {
			return accessOf(t, h.store, Identity{Kind: yardarmv1.SubjectToken, Name: "devs"}).May(get, bundles)
		}, false},
	} {
		bind(t, h.store, "b", &yardarmv1.RoleBindingSpec{Role: test.role, Subjects: devs, Bundles: test.bundles, ClusterGroups: test.groups})
		if got := test.ask(accessOf(t, h.store, ada)); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A caller of whom nothing is known is nobody, and not whom nothing has to be known of.
func TestNobodyHasNoAccess(t *testing.T) {
	h := newHub(t)
	a := accessOf(t, h.store, Identity{})
	for _, resource := range Resources {
		if a.May(yardarmv1.VerbGet, resource) {
			t.Errorf("nobody may get %s", resource)
		}
	}
	if !accessOf(t, h.store, Identity{Local: true}).Everywhere(yardarmv1.VerbBackup, yardarmv1.ResourceHub) {
		t.Error("the local administrator may not do everything")
	}
}

func TestExpiredIdentityHasNoAccess(t *testing.T) {
	h := newHub(t)
	now := time.Now()
	for name, who := range map[string]Identity{
		"expired": {Kind: yardarmv1.SubjectUser, Name: "ada", Expires: now},
		"revoked": {Kind: yardarmv1.SubjectToken, Name: "ci", Credential: "gone"},
	} {
		if _, err := AccessOf(h.store.Read(), who, now); !errors.Is(err, ErrCredential) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// BenchmarkAccess is what one call costs to judge in a hub with 1,000 bindings: of a token with one of them, and of a user whose ten groups have one each. All
// of their scopes are looked at, since none allows what is asked for.
func BenchmarkAccess(b *testing.B) {
	s, err := store.Open(store.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	user := Identity{Kind: yardarmv1.SubjectUser, Name: "ada"}
	for i := range 10 {
		user.Groups = append(user.Groups, fmt.Sprint("team-", i))
	}
	if _, err := s.Update(b.Context(), func(tx *store.Tx) error {
		for i := range 1000 {
			subjects := []*yardarmv1.Subject{{Kind: yardarmv1.SubjectGroup, Name: fmt.Sprint("team-", i)}, {Kind: yardarmv1.SubjectToken, Name: fmt.Sprint("ci-", i)}}
			if err := tx.PutRoleBinding(&yardarmv1.RoleBinding{Metadata: &yardarmv1.ObjectMeta{Name: fmt.Sprint("b", i)}, Spec: &yardarmv1.RoleBindingSpec{
				Role: "operator", Subjects: subjects, Bundles: &yardarmv1.Scope{Names: []string{"a", "b", "c"}, Selector: prodOnly.Selector}, ClusterGroups: prodOnly}}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	web := &yardarmv1.ObjectMeta{Name: "web", Labels: map[string]string{"env": "staging"}}
	for name, who := range map[string]Identity{"token": {Kind: yardarmv1.SubjectToken, Name: "ci-7"}, "user": user} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				a, err := AccessOf(s.Read(), who, time.Time{})
				if err != nil {
					b.Fatal(err)
				}
				if !a.May(yardarmv1.VerbPublish, yardarmv1.ResourceBundles) || a.BundleAnywhere(yardarmv1.VerbPublish, yardarmv1.ResourceBundles, web, []string{"eu"}) {
					b.Fatal("the scopes do not tell")
				}
			}
		})
	}
}
