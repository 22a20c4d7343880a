package source

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/yardarm-dev/yardarm/hub/source/credentials"
	"github.com/yardarm-dev/yardarm/hub/source/git"
	"github.com/yardarm-dev/yardarm/hub/source/reach"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// shown are the credentials of a name, if they may be shown to where a URL leads; empty where no name is given.
func (c *Controller) shown(name, place string) (*yardarmv1.SourceCredentialsSpec, error) {
	if name == "" {
		return nil, nil
	}
	row := c.Store.Read().SourceCredentials(name)
	if row == nil {
		return nil, &reach.Error{Reason: yardarmv1.SourceNoCredentials, Message: fmt.Sprintf("there are no source credentials %q", name)}
	}
	if !credentials.Allow(row.GetCredentials().GetSpec().GetUrls(), place) {
		return nil, &reach.Error{Reason: yardarmv1.SourceNotAllowed, Message: fmt.Sprintf("the source credentials %q are not for this URL; `yardarm describe sourcecredentials %s` says for which", name, name)}
	}
	return credentials.Open(c.Sealer, row)
}

// permitted is a job without the bundles that name credentials which are not for them, and what is told of those. It is asked with each look, since scopes may have changed,
// and the labels that they are over.
func (c *Controller) permitted(j job) (rest job, refused []outcome) {
	tx, name := c.Store.Read(), j.place.credentials
	row := tx.SourceCredentials(name)
	if row == nil {
		return j, nil // nothing is shown, or the server's answer is what there is to tell
	}
	rest = job{repository: j.repository, place: j.place}
	for i, f := range j.followers {
		if credentials.For(row.GetCredentials().GetSpec(), tx.Bundle(f.uid).GetMetadata()) {
			rest.followers, rest.seen, rest.marks = append(rest.followers, f), append(rest.seen, j.seen[i]), append(rest.marks, j.marks[i])
			continue
		}
		err := &reach.Error{Reason: yardarmv1.SourceNotAllowed, Message: credentials.NotFor(name, f.name)}
		refused = append(refused, outcome{follower: f, status: c.status(f, j.seen[i], finding{err: err}, j.seen[i].GetHeld())})
	}
	return rest, refused
}

// remote is where a repository is, with what its server wants to see, and what the servers of its submodules may.
func (c *Controller) remote(p place) (remote git.Remote, login func(*url.URL) git.Credentials, err error) {
	u, err := git.ParseURL(p.url)
	if err != nil {
		return git.Remote{}, nil, &reach.Error{Reason: yardarmv1.SourceNotFound, Message: "the URL " + err.Error()}
	}
	s, err := c.shown(p.credentials, p.url)
	if err != nil {
		return git.Remote{}, nil, err
	}
	all := git.Credentials{Username: s.GetUsername(), Password: s.GetPassword(), Token: s.GetBearerToken(), CA: []byte(s.GetCa()), Key: []byte(s.GetPrivateKey()), KnownHosts: []byte(s.GetKnownHosts())}
	return git.Remote{URL: u, Dialer: &c.Dialer, Credentials: all}, func(to *url.URL) git.Credentials {
		if credentials.Allow(s.GetUrls(), to.String()) {
			return all
		}
		return git.Credentials{}
	}, nil
}

// login is what a chart repository or a registry wants to see. Registries are servers for HTTPS like others, and so are they in credentials.
func (c *Controller) login(p place) (reach.Login, error) {
	place := p.url
	if name, ok := strings.CutPrefix(place, "oci://"); ok {
		place = "https://" + name
	}
	s, err := c.shown(p.credentials, place)
	return reach.Login{Username: s.GetUsername(), Password: s.GetPassword(), Token: s.GetBearerToken(), CA: []byte(s.GetCa())}, err
}
