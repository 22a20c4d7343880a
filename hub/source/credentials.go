package source

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/source/git"
	"github.com/yardarm-dev/yardarm/hub/source/reach"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// CredentialsPrefix begins the names of the sealed secrets that are source credentials.
const CredentialsPrefix = "source."

// credentials opens those of a name.
func (c *Controller) credentials(name string) (*yardarmv1.SourceCredentials, error) {
	sealed := c.Store.Read().Secret(CredentialsPrefix + name)
	if sealed == nil {
		return nil, &reach.Error{Reason: yardarmv1.SourceNoCredentials, Message: fmt.Sprintf("there are no source credentials %q", name)}
	}
	plain, err := c.Opener.Open(CredentialsPrefix+name, sealed)
	if err != nil {
		return nil, err
	}
	out := &yardarmv1.SourceCredentials{}
	if err := proto.Unmarshal(plain, out); err != nil {
		return nil, fmt.Errorf("open source credentials %s: the row is damaged", name) // the error might quote it
	}
	return out, nil
}

// remote is where a repository is, with what its server wants to see.
func (c *Controller) remote(p place) (git.Remote, error) {
	u, err := git.ParseURL(p.url)
	if err != nil {
		return git.Remote{}, &reach.Error{Reason: yardarmv1.SourceNotFound, Message: "the URL " + err.Error()}
	}
	r := git.Remote{URL: u, Dialer: &c.Dialer}
	if p.credentials == "" {
		return r, nil
	}
	shown, err := c.credentials(p.credentials)
	if err != nil {
		return r, err
	}
	if !allows(shown.GetSpec().GetUrls(), p.url) {
		return r, &reach.Error{Reason: yardarmv1.SourceNotAllowed, Message: fmt.Sprintf("the source credentials %q are not for this URL, but for %s", p.credentials, strings.Join(shown.GetSpec().GetUrls(), ", "))}
	}
	s := shown.GetSpec()
	r.Credentials = git.Credentials{Username: s.GetUsername(), Password: s.GetPassword(), Token: s.GetBearerToken(), CA: []byte(s.GetCa()), Key: []byte(s.GetPrivateKey()),
		KnownHosts: []byte(s.GetKnownHosts())}
	return r, nil
}

// allows tells whether a repository is one of the URLs that credentials are for, or below one.
func allows(urls []string, repository string) bool {
	to, err := git.ParseURL(repository)
	if err != nil {
		return false
	}
	for _, text := range urls {
		u, err := git.ParsePrefix(text)
		if err != nil || u.Scheme != to.Scheme || u.Host != to.Host || u.User.String() != to.User.String() {
			continue
		}
		below := strings.TrimSuffix(u.Path, "/") + "/"
		if strings.HasPrefix(to.Path+"/", below) && !strings.Contains(to.Path, "/..") {
			return true
		}
	}
	return false
}
