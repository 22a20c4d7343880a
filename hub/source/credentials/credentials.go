// Package credentials says what source credentials are made of: which of their fields are secrets and what those are sealed under, whether they can be used at all,
// for which bundles they are, and which servers they may be shown to. The API keeps them, and package source shows them; neither needs the other for that.
package credentials

import (
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/authz"
	"github.com/yardarm-dev/yardarm/hub/source/git"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Sealer opens what hub/seal has sealed.
type Sealer interface {
	Open(name string, secret *storev1.SealedSecret) ([]byte, error)
}

// SecretName is what a secret of credentials is sealed under.
func SecretName(name, word string) string { return "source/" + name + "/" + word }

// secrets are the fields that are never answered, by their words.
func secrets(spec *yardarmv1.SourceCredentialsSpec) map[string]*string {
	return map[string]*string{yardarmv1.HoldsPassword: &spec.Password, yardarmv1.HoldsBearerToken: &spec.BearerToken,
		yardarmv1.HoldsPrivateKey: &spec.PrivateKey, yardarmv1.HoldsWebhookSecret: &spec.WebhookSecret}
}

// Secrets are the secrets that are given, by their words.
func Secrets(spec *yardarmv1.SourceCredentialsSpec) map[string]string {
	out := make(map[string]string)
	if spec == nil {
		return out
	}
	for word, field := range secrets(spec) {
		if *field != "" {
			out[word] = *field
		}
	}
	return out
}

// WithoutSecrets is a copy that may be kept and shown as it is.
func WithoutSecrets(spec *yardarmv1.SourceCredentialsSpec) *yardarmv1.SourceCredentialsSpec {
	out := proto.CloneOf(spec)
	for _, field := range secrets(out) {
		*field = ""
	}
	return out
}

// Holds are the words of the secrets that there are, sorted.
func Holds(row *storev1.SourceCredentials) []string {
	return slices.Sorted(maps.Keys(row.GetSecrets()))
}

// Open answers credentials with their secrets.
func Open(sealer Sealer, row *storev1.SourceCredentials) (*yardarmv1.SourceCredentialsSpec, error) {
	out := proto.CloneOf(row.GetCredentials().GetSpec())
	fields := secrets(out)
	for word, sealed := range row.GetSecrets() {
		field := fields[word]
		if field == nil {
			return nil, fmt.Errorf("source credentials hold a %q, which this hub does not know; use the hub that has written them", word)
		}
		plain, err := sealer.Open(SecretName(row.Credentials.Metadata.Name, word), sealed)
		if err != nil {
			return nil, err
		}
		*field = string(plain)
	}
	return out, nil
}

// Allow tells whether credentials may be shown to where a URL leads: one of theirs, or a place below one.
func Allow(urls []string, place string) bool {
	to, err := git.ParsePrefix(place)
	return err == nil && slices.ContainsFunc(urls, func(text string) bool {
		u, err := git.ParsePrefix(text)
		return err == nil && git.Below(u, to)
	})
}

// For tells whether a bundle's source may name credentials. Those without a scope are for none: were they everybody's unless said otherwise, whoever may apply one bundle
// could read what all credentials open that nobody has thought about.
func For(spec *yardarmv1.SourceCredentialsSpec, bundle *yardarmv1.ObjectMeta) bool {
	return spec.GetBundles() != nil && authz.Holds(spec.GetBundles(), bundle)
}

// NotFor is what is told of a bundle whose source names credentials that are not for it.
func NotFor(name, bundle string) string {
	return fmt.Sprintf("the source credentials %q are not for bundle %q; whoever keeps them says for which (`yardarm credentials set %s --bundle %s`, and the others that they are for)",
		name, bundle, name, bundle)
}
