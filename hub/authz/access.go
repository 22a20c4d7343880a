package authz

import (
	"iter"
	"slices"
	"time"

	"github.com/yardarm-dev/yardarm/hub/store"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Access is what one caller may do, by the rows of one snapshot or transaction: what any binding of theirs allows, and nothing else. It belongs
// to one goroutine.
type Access struct {
	tx     *store.ReadTx
	grants []grant
}

// grant is one binding and the rules of its role.
type grant struct {
	rules []*yardarmv1.Rule
	// bundles and groups are the binding's scopes; nil is all.
	bundles, groups *yardarmv1.Scope
	// within is what is known of groups: whether they are in the scope.
	within map[string]bool
}

// AccessOf answers what a caller may do. The error is [ErrCredential] where the credential has ended since it was shown.
func AccessOf(tx *store.ReadTx, who Identity, now time.Time) (*Access, error) {
	if !who.Expires.IsZero() && !now.Before(who.Expires) || who.Credential != "" && tx.Credential(who.Credential) == nil {
		return nil, ErrCredential
	}
	a := &Access{tx: tx}
	if who.Local {
		a.grants = []grant{{rules: builtInRole(AdminRole).Spec.Rules}}
		return a, nil
	}
	if who.Source != "" {
		rules := []*yardarmv1.Rule{{Verbs: []string{yardarmv1.VerbPublish}, Resources: []string{yardarmv1.ResourceBundles}}}
		a.grants = []grant{{rules: rules, bundles: &yardarmv1.Scope{Names: []string{who.Source}}}}
		return a, nil
	}
	for b := range Bindings(tx, who) {
		if r := Role(tx, b.GetSpec().GetRole()); r != nil {
			a.grants = append(a.grants, grant{rules: r.GetSpec().GetRules(), bundles: b.Spec.Bundles, groups: b.Spec.ClusterGroups})
		}
	}
	return a, nil
}

// Bindings yields those that give a caller a role.
func Bindings(tx *store.ReadTx, who Identity) iter.Seq[*yardarmv1.RoleBinding] {
	return func(yield func(*yardarmv1.RoleBinding) bool) {
		for _, s := range who.subjects() {
			for b := range tx.RoleBindingsOf(s.Kind, s.Name) {
				if !yield(b) {
					return
				}
			}
		}
	}
}

// May tells whether the caller may do it to any resource of the kind, or might if it were there.
func (a *Access) May(verb, resource string) bool {
	for range a.allowing(verb, resource) {
		return true
	}
	return false
}

// Everywhere tells whether the caller may do it to all resources of the kind, and to what belongs to no bundle and no cluster.
func (a *Access) Everywhere(verb, resource string) bool {
	for g := range a.allowing(verb, resource) {
		if g.unscoped() || resource == yardarmv1.ResourceHub && verb == yardarmv1.VerbGet {
			return true
		}
	}
	return false
}

// Cluster tells whether the caller may do it to a cluster that belongs to these groups. With a scope of bundles, clusters may only be seen.
func (a *Access) Cluster(verb, resource string, groups []string) bool {
	for g := range a.allowing(verb, resource) {
		if (g.bundles == nil || verb == yardarmv1.VerbGet) && g.anyGroup(a.tx, groups) {
			return true
		}
	}
	return false
}

// Group tells whether the caller may do it to a cluster group. Scopes are made of groups, so whoever has one changes none.
func (a *Access) Group(verb, name string) bool {
	for g := range a.allowing(verb, yardarmv1.ResourceClusterGroups) {
		if g.unscoped() || verb == yardarmv1.VerbGet && g.anyGroup(a.tx, []string{name}) {
			return true
		}
	}
	return false
}

// Gate tells whether the caller may do it to a gate: to one that is about nothing beyond the scopes of one binding.
func (a *Access) Gate(verb string, spec *yardarmv1.GateSpec) bool {
	var groups *yardarmv1.Scope
	if len(spec.GetGroups()) > 0 {
		groups = &yardarmv1.Scope{Names: spec.Groups}
	}
	return a.has(verb, yardarmv1.ResourceGates, spec.GetBundles(), groups)
}

// Bundle tells whether the caller may do it to a bundle, or to what belongs to it, in every group that it targets; beyond is one in which they may not,
// or empty.
func (a *Access) Bundle(verb, resource string, b *yardarmv1.ObjectMeta, targets []string) (beyond string, ok bool) {
	if len(targets) == 0 {
		return "", a.BundleAnywhere(verb, resource, b, nil)
	}
	for _, group := range targets {
		if !a.Assignment(verb, resource, b, []string{group}) {
			return group, false
		}
	}
	return "", true
}

// BundleAnywhere tells whether the caller may do it to a bundle, or to what belongs to it, in any group that it targets. One that targets none is out of
// any scope of groups, unless the scope of bundles has it.
func (a *Access) BundleAnywhere(verb, resource string, b *yardarmv1.ObjectMeta, targets []string) bool {
	for g := range a.allowing(verb, resource) {
		if Holds(g.bundles, b) && (g.anyGroup(a.tx, targets) || len(targets) == 0 && g.bundles != nil) {
			return true
		}
	}
	return false
}

// Assignment tells whether the caller may do it to what concerns both a bundle and a cluster that belongs to these groups.
func (a *Access) Assignment(verb, resource string, b *yardarmv1.ObjectMeta, groups []string) bool {
	for g := range a.allowing(verb, resource) {
		if Holds(g.bundles, b) && g.anyGroup(a.tx, groups) {
			return true
		}
	}
	return false
}

// Lacks names what the caller would have to have to give these rules to somebody, within these scopes: nobody gives more than they have. It is empty
// where nothing is missing.
func (a *Access) Lacks(rules []*yardarmv1.Rule, bundles, groups *yardarmv1.Scope) string {
	for _, rule := range rules {
		for _, verb := range rule.GetVerbs() {
			for _, resource := range rule.GetResources() {
				if !a.has(verb, resource, bundles, groups) {
					return verb + " " + resource
				}
			}
		}
	}
	return ""
}

// has asks for one binding that covers it all: that several do together is not looked for.
func (a *Access) has(verb, resource string, bundles, groups *yardarmv1.Scope) bool {
	for g := range a.allowing(verb, resource) {
		if contains(g.bundles, bundles) && contains(g.groups, groups) {
			return true
		}
	}
	return false
}

// allowing yields the grants whose rules allow it.
func (a *Access) allowing(verb, resource string) iter.Seq[*grant] {
	return func(yield func(*grant) bool) {
		for i := range a.grants {
			if g := &a.grants[i]; g.allows(verb, resource) && !yield(g) {
				return
			}
		}
	}
}

func (g *grant) allows(verb, resource string) bool {
	for _, rule := range g.rules {
		if names(rule.GetVerbs(), verb) && names(rule.GetResources(), resource) {
			return true
		}
	}
	return false
}

func names(list []string, word string) bool {
	return slices.Contains(list, word) || slices.Contains(list, yardarmv1.Any)
}

func (g *grant) unscoped() bool { return g.bundles == nil && g.groups == nil }

// anyGroup tells whether the scope of groups has any of these.
func (g *grant) anyGroup(tx *store.ReadTx, groups []string) bool {
	if g.groups == nil {
		return true
	}
	for _, name := range groups {
		in, known := g.within[name]
		if !known {
			in = Holds(g.groups, &yardarmv1.ObjectMeta{Name: name, Labels: tx.Group(name).GetMetadata().GetLabels()})
			if g.within == nil {
				g.within = make(map[string]bool)
			}
			g.within[name] = in
		}
		if in {
			return true
		}
	}
	return false
}
