package policy

import (
	"errors"
	"fmt"
	"strings"
)

// Account is a service account. The zero Account is the spoke's own.
type Account struct{ Namespace, Name string }

// String is how files and reports name it: NAMESPACE/NAME.
func (a Account) String() string {
	if a == (Account{}) {
		return ""
	}
	return a.Namespace + "/" + a.Name
}

// maxAccount bounds NAMESPACE/NAME as Kubernetes does: a label and a DNS name.
const maxAccount = 63 + 1 + 253

// ParseAccount reads NAMESPACE/NAME.
func ParseAccount(text string) (Account, error) {
	a, err := splitAccount(text)
	if err == nil && strings.Contains(text, wildcard) {
		err = errors.New("it names one service account, and has no *")
	}
	return a, err
}

func splitAccount(text string) (Account, error) {
	if len(text) > maxAccount {
		return Account{}, fmt.Errorf("it is longer than %d characters", maxAccount)
	}
	namespace, name, ok := strings.Cut(text, "/")
	if !ok {
		return Account{}, errors.New("a service account is NAMESPACE/NAME")
	}
	if err := checkNamespace(namespace); err != nil {
		return Account{}, fmt.Errorf("the namespace: %w", err)
	}
	if err := checkCharacters(name, lower+digits+".-"); err != nil {
		return Account{}, fmt.Errorf("the name: %w", err)
	}
	return Account{namespace, name}, nil
}

func checkAccounts(text string) error { _, err := splitAccount(text); return err }

// impersonation says as whom bundles are written.
type impersonation struct {
	// given: there is such a part, so that bundles may ask for what it names and for nothing else.
	given    bool
	required bool
	fallback Account
	allow    []pattern
	// bundles are in the order of the file; the first that matches counts.
	bundles []bundleAccount
}

type bundleAccount struct {
	pattern
	account Account
}

// Rules that are in no file.
const (
	ruleOwnAccounts = "built in: the service accounts of the spoke's own namespace are no bundle's"
	ruleRequired    = "impersonation.required: no service account is named for the bundle"
	ruleNotAllowed  = "impersonation.allow: does not have it"
)

// Account answers as which service account a bundle is written that asks for one (NAMESPACE/NAME; empty: for none). The error
// names the rule that denies it. A bundle may always ask for what it would get anyway.
func (p *Policy) Account(bundle, asked string) (Account, error) {
	pinned, rule := p.impersonation.pinned(bundle)
	switch {
	case asked == "" && pinned == (Account{}) && p.impersonation.required:
		return Account{}, errors.New(ruleRequired)
	case asked == "" || asked == pinned.String():
		return pinned, nil
	}
	a, err := ParseAccount(asked)
	switch {
	case err != nil:
		rule = err.Error()
	case rule == "":
		rule = p.refuses(a)
	}
	if rule != "" {
		return Account{}, fmt.Errorf("it asks for service account %q: %s", clip(asked), rule)
	}
	return a, nil
}

// refuses answers the rule by which a bundle may not ask for an account.
func (p *Policy) refuses(a Account) string {
	i := &p.impersonation
	switch {
	case a.Namespace == p.own && !p.openOwn:
		return ruleOwnAccounts
	case !i.given:
		return ""
	}
	for _, p := range i.allow {
		if allowed, err := splitAccount(p.text); err == nil && glob(allowed.Namespace, a.Namespace) && glob(allowed.Name, a.Name) {
			return ""
		}
	}
	return ruleNotAllowed
}

// pinned answers the account of a bundle that asks for none, and the rule if it is one about just such bundles.
func (i *impersonation) pinned(bundle string) (a Account, rule string) {
	for _, b := range i.bundles {
		if glob(b.text, bundle) {
			return b.account, b.rule
		}
	}
	return i.fallback, ""
}
