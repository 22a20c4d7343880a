package hub

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/yardarm-dev/yardarm/hub/gateway"
	"github.com/yardarm-dev/yardarm/hub/oidc"
	"github.com/yardarm-dev/yardarm/hub/reload"
	"github.com/yardarm-dev/yardarm/pkg/run"
)

// files are what the hub was told in files, which are read again while it runs.
type files struct {
	// users knows the users of identity providers: nobody, where none is configured.
	users *oidc.Verifier
	// certificate is the API's, and clientCAs those of people's certificates; nil where none was given.
	certificate *reload.File[*tls.Certificate]
	clientCAs   *gateway.ClientCAs
	followed    []followed
}

// followed is one of the files.
type followed interface {
	Setting() string
	Err() error
	Run(context.Context) error
}

// follow reads a file, which is one of those that are read again.
func follow[T any](h *Hub, f *files, c reload.Config[T]) (*reload.File[T], error) {
	c.Every, c.Logger = h.config.ReadAgain, h.config.Logger
	file, err := reload.Open(c)
	if err != nil {
		return nil, err
	}
	f.followed = append(f.followed, file)
	return file, nil
}

// files reads what the configuration names.
func (h *Hub) files() (f *files, err error) {
	c := h.config
	f = &files{}
	if f.users, err = oidc.New(&oidc.Config{}, c.Logger, nil); err != nil {
		return nil, err
	}
	if c.OIDCConfig != "" {
		if _, err := follow(h, f, reload.Config[*oidc.Config]{Setting: "oidc-config", Same: (*oidc.Config).Same, Use: f.users.Use,
			Read: func() (*oidc.Config, error) { return oidc.Load(c.OIDCConfig) }}); err != nil {
			return nil, err
		}
	}
	if c.ClientCA != "" {
		f.clientCAs = &gateway.ClientCAs{}
		if _, err := follow(h, f, reload.Config[[]*x509.Certificate]{Setting: "client-ca", Use: f.clientCAs.Use,
			Read: func() ([]*x509.Certificate, error) { return readClientCA(c.ClientCA) },
			Same: func(a, b []*x509.Certificate) bool { return slices.EqualFunc(a, b, (*x509.Certificate).Equal) }}); err != nil {
			return nil, err
		}
	}
	if c.TLSCert != "" {
		if f.certificate, err = follow(h, f, reload.Config[*tls.Certificate]{Setting: "tls-cert", Read: func() (*tls.Certificate, error) { return readCertificate(c.TLSCert, c.TLSKey) },
			Same: func(a, b *tls.Certificate) bool { return slices.EqualFunc(a.Certificate, b.Certificate, slices.Equal) }}); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func readClientCA(path string) ([]*x509.Certificate, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the CA of client certificates: %w", err)
	}
	cas, err := gateway.ParseClientCAs(text)
	if err != nil {
		return nil, fmt.Errorf("read the CA of client certificates from %s: %w", path, err)
	}
	return cas, nil
}

// readCertificate reads one for the API that somebody else issued (PEM, the chain with it).
func readCertificate(cert, key string) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("read the API's certificate: %w", err)
	}
	return &pair, nil
}

// serve has the API show the certificate that was given, if one was.
func (f *files) serve(config *tls.Config) {
	if f.certificate != nil {
		config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return f.certificate.Get(), nil }
	}
}

// expires answers when that certificate does.
func (f *files) expires() time.Time { return f.certificate.Get().Leaf.NotAfter }

// checks tell which files are broken, and whether the certificate is good yet.
func (f *files) checks() (checks run.Checks) {
	for _, file := range f.followed {
		checks = append(checks, run.Check{Name: file.Setting(), Ready: file.Err})
	}
	if f.certificate != nil {
		checks = append(checks, run.Check{Name: "api-certificate", Ready: func() error {
			return lives("the API's certificate", f.expires(), 0, "put another one into its files")
		}})
	}
	return checks
}
