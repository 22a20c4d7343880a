package login

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"time"
)

const (
	// askTimeout bounds one question to a provider or a hub.
	askTimeout = 10 * time.Second
	// maxAnswer bounds an answer, in bytes; the keys of the largest providers are some 20 KB.
	maxAnswer = 1 << 20
)

// HTTP makes what a provider is asked with, which is known by these certificates, in PEM, or else by the system's. It sends nothing in the clear, wherever
// an answer points, and bounds time and size of answers. Whoever has it closes its idle connections.
func HTTP(ca string) (*http.Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM([]byte(ca)) {
			return nil, errors.New("its CA holds no certificate in PEM")
		}
	}
	return overTLS(config), nil
}

func overTLS(config *tls.Config) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = config
	return &http.Client{Transport: bounded{transport}, Timeout: askTimeout}
}

type bounded struct{ *http.Transport }

func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" {
		return nil, errors.New("it points to a URL that is not https")
	}
	resp, err := b.Transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	return resp, nil
}
