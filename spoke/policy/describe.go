package policy

import (
	_ "embed"
	"fmt"
	"strings"
)

// Example is a policy with every field in it, and what each means.
//
//go:embed example.yaml
var Example string

// Describe says what the policy means, for people.
func (p *Policy) Describe() string {
	var b strings.Builder
	line := func(what, format string, args ...any) {
		fmt.Fprintf(&b, "%-16s%s\n", what, fmt.Sprintf(format, args...))
	}
	switch p.Mode() {
	case ModeFrozen:
		line("mode", "frozen: nothing is written, and drift is not repaired: %s", p.Freeze)
	case ModeReadOnly:
		line("mode", "read-only: nothing is written; what differs is reported")
	default:
		line("mode", "enforced: bundles are applied, within the rules below")
	}
	line("namespaces", "%s", p.namespaces.describe())
	line("kinds", "%s", p.kinds.describe())
	line("cluster-scoped", "%s", p.clusterScoped.describe())
	if p.openOwn {
		line("own namespace", "%s is open to bundles, but for the spoke's Secrets %s*", p.own, ownSecrets)
	} else {
		line("own namespace", "%s is closed to bundles", p.own)
	}
	i := &p.impersonation
	switch {
	case !i.given:
		line("written as", "the spoke itself, or any service account that a bundle asks for and the spoke may impersonate")
		return b.String()
	case i.fallback != (Account{}):
		line("written as", "service account %s, unless said otherwise", i.fallback)
	case i.required:
		line("written as", "a service account that is named for the bundle; without one it fails")
	default:
		line("written as", "the spoke itself, unless said otherwise")
	}
	for _, bundle := range i.bundles {
		line("", "bundle %s: always %s", bundle.text, bundle.account)
	}
	if len(i.allow) > 0 {
		line("", "others may ask for %s", texts(i.allow))
	} else {
		line("", "no bundle may ask for another")
	}
	return b.String()
}

func (r *rules) describe() string {
	all := len(r.deny) == 1 && r.deny[0].text == wildcard
	allowed := "all"
	switch {
	case all:
		return "none: " + r.deny[0].rule
	case r.closed != "" && len(r.allow) == 0:
		return "none: " + r.closed + " is empty"
	case r.closed != "":
		allowed = texts(r.allow)
	}
	if len(r.deny) > 0 {
		allowed += "; never " + texts(r.deny)
	}
	return allowed
}

func texts(patterns []pattern) string {
	all := make([]string, len(patterns))
	for i, p := range patterns {
		all[i] = p.text
	}
	return strings.Join(all, ", ")
}
