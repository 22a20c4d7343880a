package api

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/source/credentials"
	"github.com/yardarm-dev/yardarm/hub/store"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// maxSourceCredentials is how many there may be: some for each server of each team.
const maxSourceCredentials = 1000

// ListSourceCredentials implements FleetService.
func (s *Server) ListSourceCredentials(ctx context.Context, req *hubv1.ListSourceCredentialsRequest) (*hubv1.ListSourceCredentialsResponse, error) {
	v := s.view(ctx)
	list := listRequest{req.GetPageSize(), req.GetPageToken(), req.GetFilter(), req.GetOrderBy(), "sourcecredentials"}
	users := usersOfCredentials(v.ReadTx)
	p, err := paginate(list, credentialsFields, func(add func(*yardarmv1.SourceCredentials)) {
		for row := range v.AllSourceCredentials() {
			add(showCredentials(row, users[row.Credentials.Metadata.Name]))
		}
	}, func(c *yardarmv1.SourceCredentials) *yardarmv1.SourceCredentials { return c })
	if err != nil {
		return nil, err
	}
	return &hubv1.ListSourceCredentialsResponse{SourceCredentials: p.items, NextPageToken: p.next, TotalSize: p.total}, nil
}

// GetSourceCredentials implements FleetService.
func (s *Server) GetSourceCredentials(ctx context.Context, req *hubv1.GetSourceCredentialsRequest) (*yardarmv1.SourceCredentials, error) {
	v := s.view(ctx)
	row := v.SourceCredentials(req.GetName())
	if row == nil {
		return nil, credentialsNotFound(req.GetName())
	}
	return sourceCredentialsView(v.ReadTx, row), nil
}

// DeleteSourceCredentials implements FleetService.
func (s *Server) DeleteSourceCredentials(ctx context.Context, req *hubv1.DeleteSourceCredentialsRequest) (*hubv1.DeleteSourceCredentialsResponse, error) {
	return transact(ctx, s, req, func(c *change) (func(view) *hubv1.DeleteSourceCredentialsResponse, error) {
		name := req.GetName()
		row := c.SourceCredentials(name)
		if row == nil {
			return nil, credentialsNotFound(name)
		}
		if err := checkVersion(yardarmv1.KindSourceCredentials, row.Credentials.Metadata, req.GetResourceVersion()); err != nil {
			return nil, err
		}
		if bundles := usersOfCredentials(&c.ReadTx)[name]; len(bundles) > 0 {
			return nil, precondition(reasonInUse, yardarmv1.KindSourceCredentials, name, fmt.Sprintf(
				"source credentials %q are named by the sources of bundles (%s); let those name others first", name, strings.Join(bundles, ", ")))
		}
		if err := c.DeleteSourceCredentials(name); err != nil {
			return nil, err
		}
		return as(&hubv1.DeleteSourceCredentialsResponse{}), c.event(&yardarmv1.Event{Reason: "SourceCredentialsDeleted", Message: fmt.Sprintf("source credentials %q deleted", name)})
	})
}

// usersOfCredentials are the bundles whose sources name credentials, by the credentials' name.
func usersOfCredentials(tx *store.ReadTx) map[string][]string {
	users := make(map[string][]string)
	for b := range tx.Bundles() {
		for _, name := range credentialsNamedBy(b.GetSpec().GetSource()) {
			users[name] = append(users[name], b.GetMetadata().GetName())
		}
	}
	for _, names := range users {
		slices.Sort(names)
	}
	return users
}

// credentialsNamedBy are the names of the credentials that a source wants.
func credentialsNamedBy(source *yardarmv1.Source) []string {
	if from := source.Origin(); from != nil && from.GetCredentials() != "" {
		return []string{from.GetCredentials()}
	}
	return nil
}

func sourceCredentialsView(tx *store.ReadTx, row *storev1.SourceCredentials) *yardarmv1.SourceCredentials {
	return showCredentials(row, usersOfCredentials(tx)[row.Credentials.Metadata.Name])
}

// showCredentials are some with what they hold; secrets are not in what is shown.
func showCredentials(row *storev1.SourceCredentials, bundles []string) *yardarmv1.SourceCredentials {
	out := proto.CloneOf(row.Credentials)
	out.ApiVersion, out.Kind = yardarmv1.APIVersion, yardarmv1.KindSourceCredentials
	out.Status = &yardarmv1.SourceCredentialsStatus{Holds: credentials.Holds(row), Actor: row.Credentials.GetStatus().GetActor(), Bundles: bundles}
	return out
}

// sealCredentials seals the secrets that are given before their transaction, which can make no nonces.
func (s *Server) sealCredentials(c *yardarmv1.SourceCredentials) (map[string]*storev1.SealedSecret, error) {
	out := make(map[string]*storev1.SealedSecret)
	for word, secret := range credentials.Secrets(c.GetSpec()) {
		sealed, err := s.cfg.Sealer.Seal(credentials.SecretName(c.GetMetadata().GetName(), word), []byte(secret))
		if err != nil {
			return nil, err
		}
		out[word] = sealed
	}
	return out, nil
}

// sourceCredentials applies source credentials. Secrets that are left out stay.
func (a *application) sourceCredentials(c *change, i int, in *yardarmv1.SourceCredentials) error {
	name := in.Metadata.Name
	current := c.SourceCredentials(name)
	if err := checkMeta(yardarmv1.KindSourceCredentials, current.GetCredentials().GetMetadata(), in.Metadata); err != nil {
		return err
	}
	next := replacing(current, &storev1.SourceCredentials{})
	if next.Credentials == nil {
		next.Credentials = &yardarmv1.SourceCredentials{}
	}
	next.Credentials.Spec = credentials.WithoutSecrets(in.Spec)
	next.Credentials.Status = &yardarmv1.SourceCredentialsStatus{Actor: c.actor}
	var sameSecrets bool
	next.Secrets, sameSecrets = a.secretsAfter(i, in, current)
	if a.checkCredentials(i, in.Spec, current, next); len(a.violations.fields) > 0 {
		return nil
	}
	sameSpec := current != nil && sameSecrets && proto.Equal(current.Credentials.Spec, next.Credentials.Spec)
	var same bool
	next.Credentials.Metadata, same = c.meta(current.GetCredentials().GetMetadata(), in.Metadata, a.uids[i], sameSpec)
	if a.note(i, current != nil, same && sameSpec, current, next) {
		return nil
	}
	if there := len(slices.Collect(c.AllSourceCredentials())); current == nil && there >= maxSourceCredentials {
		return precondition(reasonState, yardarmv1.KindSourceCredentials, name, fmt.Sprintf("there are %d source credentials already, and no more than %d may be; delete some first", there, maxSourceCredentials))
	}
	if err := c.PutSourceCredentials(next); err != nil {
		return err
	}
	return c.event(&yardarmv1.Event{Reason: "SourceCredentialsConfigured", Message: fmt.Sprintf("source credentials %q %s", name, a.outcomes[i])})
}

// secretsAfter are the secrets that there are once those that are given have taken their places, and whether they are what there was.
func (a *application) secretsAfter(i int, in *yardarmv1.SourceCredentials, current *storev1.SourceCredentials) (after map[string]*storev1.SealedSecret, same bool) {
	given := credentials.Secrets(in.Spec)
	after, same = make(map[string]*storev1.SealedSecret), true
	for word, kept := range current.GetSecrets() {
		if word == yardarmv1.HoldsPassword && given[yardarmv1.HoldsBearerToken] != "" || word == yardarmv1.HoldsBearerToken && given[yardarmv1.HoldsPassword] != "" {
			same = false
			continue
		}
		after[word] = kept
	}
	for word, secret := range given {
		after[word] = a.server.same(credentials.SecretName(in.Metadata.Name, word), secret, current.GetSecrets()[word], a.sealedCredentials[i][word])
		same = same && after[word] == current.GetSecrets()[word]
	}
	return after, same
}

// checkCredentials checks what depends on the secrets that are kept.
func (a *application) checkCredentials(i int, in *yardarmv1.SourceCredentialsSpec, current, next *storev1.SourceCredentials) {
	check, given := a.checker(i).at("spec."), credentials.Secrets(in)
	for word := range next.Secrets {
		if given[word] != "" {
			continue
		}
		// Whoever may write them need not know them, and is not to learn them from a server of their own.
		for n, url := range in.Urls {
			if !credentials.Allow(current.GetCredentials().GetSpec().GetUrls(), url) {
				check.add(fmt.Sprintf("urls[%d]", n), fmt.Sprintf("is new to the %s that is kept; give that again, too", word))
			}
		}
	}
	switch {
	case in.Username != "" && next.Secrets[yardarmv1.HoldsPassword] == nil:
		check.add("password", "is missing, which goes with the username")
	case next.Secrets[yardarmv1.HoldsPrivateKey] != nil && in.KnownHosts == "":
		check.add("knownHosts", "is missing: a server of SSH is known by its key alone (`ssh-keyscan HOST` prints it; compare it with what the server's owner says)")
	case len(next.Secrets) == 0 && in.Ca == "":
		check.add("password", "is missing, and so is all else that a server may want: give a password, bearerToken, privateKey, ca or webhookSecret")
	}
}

// checkCredentialsOf notes that the credentials which a bundle's source names are not for it. Those that there are not are told of when the source is looked at.
func (c *change) checkCredentialsOf(check checker, in *yardarmv1.Bundle) {
	for _, name := range credentialsNamedBy(in.GetSpec().GetSource()) {
		if row := c.SourceCredentials(name); row != nil && !credentials.For(row.GetCredentials().GetSpec(), in.GetMetadata()) {
			check.add(originField(in.Spec.Source)+".credentials", "names what it may not: "+credentials.NotFor(name, in.Metadata.Name))
		}
	}
}

// scopeWarnings tell of credentials that are of no use, and of bundles that they have been taken from.
func scopeWarnings(tx *store.ReadTx, c *yardarmv1.SourceCredentials) (warnings []string) {
	if c.GetSpec().GetBundles() == nil {
		warnings = append(warnings, fmt.Sprintf("no bundle may name the source credentials %q until their spec.bundles says which", c.GetMetadata().GetName()))
	}
	var without []string
	for _, name := range c.GetStatus().GetBundles() {
		if !credentials.For(c.GetSpec(), tx.BundleByName(name).GetMetadata()) {
			without = append(without, name)
		}
	}
	if len(without) > 0 {
		warnings = append(warnings, fmt.Sprintf("bundles that the source credentials %q are not for name them, and get no new revisions: %s", c.GetMetadata().GetName(), strings.Join(without, ", ")))
	}
	return warnings
}

func credentialsNotFound(name string) error {
	return notFound(yardarmv1.KindSourceCredentials, clip(name), "`yardarm get sourcecredentials` lists them")
}
