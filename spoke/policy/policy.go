package policy

import (
	"strings"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// Policy is what bundles may do in a cluster. It is immutable, and safe for concurrent use.
type Policy struct {
	// Freeze is why nothing is written now, not even to repair drift; empty when the cluster is not frozen.
	Freeze string
	// ReadOnly says that nothing is written ever: what bundles would change is only reported.
	ReadOnly bool

	namespaces, kinds, clusterScoped rules
	impersonation                    impersonation
	// own is the spoke's own namespace, and openOwn whether bundles may write there.
	own     string
	openOwn bool
}

// Default is the policy where none is given: everything but what is the spoke's own. namespace is the spoke's.
func Default(namespace string) *Policy { return &Policy{own: namespace} }

// What bundles may do now.
const (
	ModeEnforced = "enforced"
	ModeReadOnly = "read-only"
	ModeFrozen   = "frozen"
)

// Mode is what bundles may do now. A freeze counts more than the rest.
func (p *Policy) Mode() string {
	switch {
	case p.Freeze != "":
		return ModeFrozen
	case p.ReadOnly:
		return ModeReadOnly
	}
	return ModeEnforced
}

// ownSecrets begin the names of the Secrets in which the spoke keeps its identity, its state and the bundles' inventories.
const ownSecrets = "yardarm-"

// Rules that are in no file.
const (
	ruleOwnSecrets   = "built in: the spoke's identity, state and inventories are no bundle's"
	ruleNoNamespace  = "built in: a namespace is no path"
	ruleOwnNamespace = "ownNamespace: deny (the default), for the spoke's own namespace"
)

// Verdict is what a policy says of an object.
type Verdict struct {
	Denied bool
	// Rules are the one that denies, or all that allow, by their places in the file, as in "kinds.deny[2]: rbac.authorization.k8s.io/*".
	// None is needed where nothing is said.
	Rules []string
}

// Rule is what to tell of a denial.
func (v Verdict) Rule() string { return strings.Join(v.Rules, ", ") }

// Evaluate says whether bundles may write an object: create, change, take over, release or delete it. The reference is that of
// the object in the cluster: one without a namespace belongs to the whole cluster. A Namespace is governed by its name as well.
func (p *Policy) Evaluate(ref manifest.Ref) Verdict {
	namespace := ref.Namespace
	if ref.Group == "" && ref.Kind == "Namespace" {
		namespace = ref.Name
	}
	if strings.Contains(namespace, "/") {
		return Verdict{Denied: true, Rules: []string{ruleNoNamespace}}
	}
	if rule := p.protects(ref, namespace); rule != "" {
		return Verdict{Denied: true, Rules: []string{rule}}
	}
	kind := func(text string) bool { return matchKind(text, ref) }
	name := kindOf(ref)
	var v Verdict
	v.consult(namespace != "", &p.namespaces, namespace, func(text string) bool { return glob(text, namespace) })
	v.consult(true, &p.kinds, name, kind)
	v.consult(ref.Namespace == "", &p.clusterScoped, name, kind)
	return v
}

// consult asks rules that are about the object, unless others have denied it already.
func (v *Verdict) consult(about bool, r *rules, name string, match func(string) bool) {
	if !about || v.Denied {
		return
	}
	rule, allowed := r.check(name, match)
	switch {
	case !allowed:
		*v = Verdict{Denied: true, Rules: []string{rule}}
	case rule != "":
		v.Rules = append(v.Rules, rule)
	}
}

// protects answers the rule by which an object is the spoke's own.
func (p *Policy) protects(ref manifest.Ref, namespace string) string {
	switch {
	case p.own == "" || namespace != p.own:
		return ""
	case ref.Group == "" && ref.Kind == "Secret" && strings.HasPrefix(ref.Name, ownSecrets):
		return ruleOwnSecrets
	case !p.openOwn:
		return ruleOwnNamespace
	}
	return ""
}
