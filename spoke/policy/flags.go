package policy

import (
	"fmt"
	"strings"
)

// Flags are a policy in a few words, for who needs no file. Each field is the flag of that name.
type Flags struct {
	ReadOnly bool
	Freeze   string
	// AllowNamespaces closes, as in a file: none but these, and nothing that is cluster-scoped.
	AllowNamespaces, DenyNamespaces, DenyKinds []string
	// ServiceAccount (NAMESPACE/NAME) is the one that all bundles are written as.
	ServiceAccount string
}

// Policy answers the policy of a spoke whose own namespace is given.
func (f Flags) Policy(namespace string) (*Policy, error) {
	p := Default(namespace)
	p.ReadOnly, p.Freeze = f.ReadOnly, strings.Join(strings.Fields(f.Freeze), " ")
	if len(p.Freeze) > maxReason {
		return nil, fmt.Errorf("--freeze: the reason has at most %d bytes", maxReason)
	}
	var err error
	patterns := func(flag string, texts []string, check func(string) error) (out []pattern) {
		for _, text := range texts {
			if bad := check(text); bad != nil && err == nil {
				err = fmt.Errorf("%s %q: %w", flag, clip(text), bad)
			}
			out = append(out, newPattern(flag, text))
		}
		return out
	}
	p.namespaces.allow = patterns("--allow-namespaces", f.AllowNamespaces, checkNamespace)
	p.namespaces.deny = patterns("--deny-namespaces", f.DenyNamespaces, checkNamespace)
	p.kinds.deny = patterns("--deny-kinds", f.DenyKinds, checkKind)
	if len(f.AllowNamespaces) > 0 {
		p.namespaces.closed = "--allow-namespaces"
		p.clusterScoped = denyAll("--allow-namespaces: nothing that is cluster-scoped")
	}
	if f.ServiceAccount != "" {
		account, bad := ParseAccount(f.ServiceAccount)
		if bad != nil && err == nil {
			err = fmt.Errorf("--service-account %q: %w", clip(f.ServiceAccount), bad)
		}
		p.impersonation = impersonation{given: true, required: true, fallback: account}
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}
