package reach

import (
	"fmt"
	"io"
	"net/http"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// maxRedirects is how often in a row a server may send one elsewhere: to a nearer one, and from there to where the content is.
const maxRedirects = 5

// Login is what is shown to a server over HTTPS: a name and a password, or a token for a bearer. All is optional.
type Login struct {
	Username, Password, Token string
	// CA is what the server's certificate is known by instead of the system's roots, in PEM.
	CA []byte
}

// Client asks servers that may be asked. It follows redirects to other ones, since charts and artifacts are mostly kept elsewhere than they are listed, but shows them no
// login.
func (d *Dialer) Client(ca []byte) (*http.Client, error) {
	transport, err := d.Transport(ca)
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: transport, CheckRedirect: func(next *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects {
			return Failed(yardarmv1.SourceUnreachable, "%s sends one elsewhere more than %d times", via[0].URL.Host, maxRedirects)
		}
		if next.URL.Host != via[0].URL.Host {
			next.Header.Del("Authorization")
		}
		return nil
	}}, nil
}

// Show puts a login into a request.
func (l Login) Show(request *http.Request) {
	switch {
	case l.Token != "":
		request.Header.Set("Authorization", "Bearer "+l.Token)
	case l.Password != "":
		request.SetBasicAuth(l.Username, l.Password)
	}
}

// Answered is the problem of an answer that is not the one that was asked for, by its status.
func (l Login) Answered(host string, status int) error {
	text := fmt.Sprintf("%d %s", status, http.StatusText(status))
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		if l.Token == "" && l.Password == "" {
			return Failed(yardarmv1.SourceDenied, "%s wants credentials (%s); name some in the source", host, text)
		}
		return Failed(yardarmv1.SourceDenied, "%s refuses the credentials (%s)", host, text)
	case http.StatusNotFound, http.StatusGone:
		return Failed(yardarmv1.SourceNotFound, "%s has nothing there, or does not show it without the right credentials (%s)", host, text)
	}
	return Failed(yardarmv1.SourceUnreachable, "%s answers %s", host, text)
}

// ReadAll reads an answer that may have so many bytes.
func ReadAll(what string, r io.Reader, max int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, max+1))
	if int64(len(data)) > max {
		return nil, Failed(yardarmv1.SourceTooLarge, "%s is larger than %d bytes", what, max)
	}
	return data, err
}
