package authz

import (
	"strings"
	"time"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Identity is who calls, by the credential that was shown. The zero one is nobody, and may do nothing.
type Identity struct {
	// Local is the local administrator, to whom no binding has to give anything.
	Local bool
	// Source is the bundle whose source publishes: the hub itself, which may do that and nothing else.
	Source string
	// Kind is SubjectUser or SubjectToken; empty for the local administrator, whom no binding can name.
	Kind string
	Name string
	// Groups are those of a user, by their identity provider.
	Groups []string
	// Credential is the ID of the hub's own credential that was shown; empty where another one was.
	Credential string
	// Expires is when the credential ends; zero if it does not.
	Expires time.Time
	// Ended is closed once whoever vouches for the caller does so no longer; nil where that cannot be before Expires.
	Ended <-chan struct{}
}

// OfSource is whoever publishes what the source of a bundle has. No credential can be taken for it: what users and tokens are called begins with their kind.
func OfSource(bundle string) Identity { return Identity{Source: bundle, Name: "source:" + bundle} }

// Actor is the caller's name in events and provenance. What a kind calls its own cannot be taken for another's: token/web-ci.
func (i Identity) Actor() string {
	if i.Kind == "" {
		return i.Name
	}
	return strings.ToLower(i.Kind) + "/" + i.Name
}

// String is the caller in a sentence: token "web-ci".
func (i Identity) String() string {
	if i.Kind == "" {
		return i.Name
	}
	return strings.ToLower(i.Kind) + ` "` + i.Name + `"`
}

// subjects are those that bindings may name to mean the caller.
func (i Identity) subjects() []*yardarmv1.Subject {
	out := []*yardarmv1.Subject{{Kind: i.Kind, Name: i.Name}}
	for _, group := range i.Groups {
		out = append(out, &yardarmv1.Subject{Kind: yardarmv1.SubjectGroup, Name: group})
	}
	return out
}
