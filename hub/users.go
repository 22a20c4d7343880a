package hub

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/yardarm-dev/yardarm/hub/oidc"
)

// users makes what knows the users of identity providers: nobody, where none is configured.
func (h *Hub) users() (*oidc.Verifier, error) {
	config := &oidc.Config{}
	if h.config.OIDCConfig != "" {
		var err error
		if config, err = oidc.Load(h.config.OIDCConfig); err != nil {
			return nil, err
		}
	}
	return oidc.New(config, h.config.Logger, nil)
}

// clientCA has the API ask for client certificates, if there is a CA for them. One that is shown and is by another fails the handshake.
func (h *Hub) clientCA(config *tls.Config) error {
	if h.config.ClientCA == "" {
		return nil
	}
	text, err := os.ReadFile(h.config.ClientCA)
	if err != nil {
		return fmt.Errorf("read the CA of client certificates: %w", err)
	}
	config.ClientAuth, config.ClientCAs = tls.VerifyClientCertIfGiven, x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(text) {
		return fmt.Errorf("read the CA of client certificates: %s holds no certificate in PEM", h.config.ClientCA)
	}
	return nil
}
