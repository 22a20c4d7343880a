package oidc

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/yardarm-dev/yardarm/hub/authz"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// skew is how far the provider's clock and the hub's may be apart.
	skew = time.Minute
	// maxName bounds what a user or a group is called, in bytes: what a role binding can name.
	maxName = 256
	// maxGroups is how many groups a caller may have: each is looked up at each call.
	maxGroups = 256
)

// claims are those of a token whose signature holds.
type claims map[string]any

// identity makes a caller of a token's claims, or says why it lets nobody in.
func (p *Provider) identity(c claims, audiences []string, expires time.Time, now time.Time) (authz.Identity, error) {
	nobody := authz.Identity{}
	if !slices.ContainsFunc(audiences, func(a string) bool { return slices.Contains(p.Audiences, a) }) {
		return nobody, refused("it is for audience %s, and this hub takes those of issuer %s for %s", quoted(audiences), p.Issuer, quoted(p.Audiences))
	}
	if expires = expires.Add(skew); !now.Before(expires) {
		return nobody, refused("it expired at %s", expires.Add(-skew).UTC().Format(time.RFC3339))
	}
	for _, claim := range []string{"nbf", "iat"} {
		if from, ok := c[claim].(float64); ok && from > float64(now.Add(skew).Unix()) {
			return nobody, refused("it is not valid yet by the hub's clock, which says %s", now.UTC().Format(time.RFC3339))
		}
	}
	for _, claim := range slices.Sorted(maps.Keys(p.Required)) {
		if !slices.ContainsFunc(texts(c[claim]), func(v string) bool { return slices.Contains(p.Required[claim], v) }) {
			return nobody, refused("its claim %s is none of those that this hub asks of issuer %s", claim, p.Issuer)
		}
	}
	who := authz.Identity{Kind: yardarmv1.SubjectUser, Expires: expires}
	name, ok := c[p.Username.Claim].(string)
	if verified, said := c["email_verified"]; p.Username.Claim == "email" && said && verified != true && verified != "true" {
		return nobody, refused("issuer %s has not verified its email address, which is to name the user", p.Issuer)
	}
	if who.Name = *p.Username.Prefix + name; !ok || name == "" || !isName(who.Name) {
		return nobody, refused("its claim %s, which is to name the user, is no text of up to %d bytes", p.Username.Claim, maxName)
	}
	for _, g := range p.Groups {
		for _, value := range texts(c[g.Claim]) {
			if group := *g.Prefix + value; value != "" && isName(group) {
				who.Groups = append(who.Groups, group)
			}
		}
	}
	if len(who.Groups) > maxGroups {
		return nobody, refused("it names %d groups, and at most %d are looked at: have issuer %s name fewer", len(who.Groups), maxGroups, p.Issuer)
	}
	return who, nil
}

// texts are the values of a claim, as texts: one, those of a list, or none.
func texts(claim any) []string {
	switch v := claim.(type) {
	case string:
		return []string{v}
	case bool:
		return []string{strconv.FormatBool(v)}
	case float64:
		return []string{strconv.FormatFloat(v, 'f', -1, 64)}
	case []any:
		var out []string
		for _, one := range v {
			if _, list := one.([]any); !list {
				out = append(out, texts(one)...)
			}
		}
		return out
	}
	return nil
}

func isName(s string) bool {
	return len(s) <= maxName && !strings.ContainsFunc(s, unicode.IsControl)
}

// quoted is a list in a sentence. What a token says is cut: it is for people.
func quoted(list []string) string {
	const limit = 4
	var out []string
	for _, s := range list[:min(len(list), limit)] {
		if r := []rune(s); len(r) > 80 {
			s = string(r[:80]) + "…"
		}
		out = append(out, strconv.Quote(s))
	}
	if len(list) > limit {
		out = append(out, "…")
	}
	if len(out) == 0 {
		return "nobody"
	}
	return strings.Join(out, ", ")
}

// refused says why a token lets nobody in, never what it holds beyond its audience and issuer.
func refused(format string, args ...any) error {
	return &authz.RefusedError{Reason: "the ID token lets nobody in: " + fmt.Sprintf(format, args...)}
}
