package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
)

// ClientCAs are the CAs of client certificates whose users may call, and may be replaced while the gateway serves. Safe for concurrent use, but for Use.
type ClientCAs struct{ current atomic.Pointer[trust] }

// trust is one set of CAs.
type trust struct {
	pool *x509.CertPool
	// each CA (DER) has a context that ends once it is trusted no longer.
	each map[string]trusted
}

type trusted struct {
	context.Context
	end context.CancelFunc
}

// ParseClientCAs reads certificates in PEM.
func ParseClientCAs(text []byte) (cas []*x509.Certificate, err error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue // a key, which some keep beside it
		}
		ca, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(cas)+1, err)
		}
		cas = append(cas, ca)
	}
	if len(cas) == 0 {
		return nil, errors.New("there is no certificate in PEM")
	}
	return cas, nil
}

// Use replaces the CAs. What was called with a certificate of one that is not among them ends, and the certificate lets nobody in any more. It never fails.
func (c *ClientCAs) Use(cas []*x509.Certificate) error {
	before, next := c.current.Load(), &trust{pool: x509.NewCertPool(), each: map[string]trusted{}}
	for _, ca := range cas {
		next.pool.AddCert(ca)
		at, known := before.ca(ca)
		if !known {
			at.Context, at.end = context.WithCancel(context.Background())
		}
		next.each[string(ca.Raw)] = at
	}
	c.current.Store(next)
	if before == nil {
		return nil
	}
	for raw, gone := range before.each {
		if _, stays := next.each[raw]; !stays {
			gone.end()
		}
	}
	return nil
}

func (t *trust) ca(ca *x509.Certificate) (at trusted, known bool) {
	if t == nil {
		return at, false
	}
	at, known = t.each[string(ca.Raw)]
	return at, known
}

// ask has handshakes ask for a certificate by one of the CAs. One by another fails the handshake.
func (c *ClientCAs) ask(base *tls.Config) *tls.Config {
	base.ClientAuth = tls.VerifyClientCertIfGiven
	outer := base.Clone()
	outer.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		config := base.Clone()
		config.ClientCAs = c.current.Load().pool
		return config, nil
	}
	return outer
}

// wrap has certificates count as long as their CA is trusted, also on a connection that is older than its end.
func (c *ClientCAs) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if verified(r) == nil {
			next.ServeHTTP(w, r)
			return
		}
		by, ok := c.vouching(r.TLS.VerifiedChains)
		if !ok {
			r = r.Clone(r.Context())
			state := *r.TLS // the connection's own is shared
			state.VerifiedChains = nil
			r.TLS = &state
			next.ServeHTTP(w, r)
			return
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(by, cancel)()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// vouching is a CA that is trusted and at the end of one of the chains.
func (c *ClientCAs) vouching(chains [][]*x509.Certificate) (trusted, bool) {
	for _, chain := range chains {
		if at, known := c.current.Load().ca(chain[len(chain)-1]); known {
			return at, true
		}
	}
	return trusted{}, false
}
