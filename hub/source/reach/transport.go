package reach

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// maxHeader bounds the header of an answer, in bytes.
const maxHeader = 64 << 10

// Transport speaks HTTPS, and nothing else, with what may be asked. Certificates are judged by ca, in PEM, or by the system's roots where that is empty.
func (d *Dialer) Transport(ca []byte) (http.RoundTripper, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(ca) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(ca) {
			return nil, Failed(yardarmv1.SourceNotTrusted, "the credentials' CA holds no certificate in PEM")
		}
	}
	return &guarded{dialer: d, Transport: &http.Transport{DialContext: d.Dial, Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: DialTimeout, MaxResponseHeaderBytes: maxHeader}}, nil
}

// guarded asks each host that a request is for, after redirects too, and also where a proxy is what is dialled.
type guarded struct {
	*http.Transport
	dialer *Dialer
}

func (g *guarded) RoundTrip(request *http.Request) (*http.Response, error) {
	switch host := request.URL.Hostname(); {
	case request.URL.Scheme != "https":
		return nil, Failed(yardarmv1.SourceNotAllowed, "%s is to be asked by %s, which is not encrypted; only https is spoken", host, request.URL.Scheme)
	case !g.dialer.Allows(host):
		return nil, g.dialer.refuses(host)
	}
	return g.Transport.RoundTrip(request)
}
