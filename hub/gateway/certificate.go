package gateway

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// certificateAge is how long a certificate in files is served before the files are looked at again: whoever renews it does so days
// before its end.
const certificateAge = 10 * time.Second

// Certificate is one that somebody else issued, in files that are replaced when it is renewed. Safe for concurrent use.
type Certificate struct {
	cert, key string
	log       *slog.Logger
	now       func() time.Time

	// mu guards what follows.
	mu      sync.Mutex
	current *tls.Certificate
	read    time.Time
}

// OpenCertificate reads the files (PEM, the chain in cert).
func OpenCertificate(cert, key string, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{cert: cert, key: key, log: log, now: time.Now}
	if err := c.load(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Certificate) load() error {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	c.read = c.now()
	if err != nil {
		return fmt.Errorf("read the API's certificate: %w", err)
	}
	c.current = &pair
	return nil
}

// GetCertificate is for [tls.Config]. Files that are broken, or half replaced, leave the certificate of before in use.
func (c *Certificate) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now().Sub(c.read) >= certificateAge {
		if err := c.load(); err != nil {
			c.log.Warn("the API's certificate is broken, and the one of before stays in use", "error", err)
		}
	}
	return c.current, nil
}

// Expires answers when the certificate in use ends.
func (c *Certificate) Expires() time.Time {
	now, err := c.GetCertificate(nil)
	if err != nil || now.Leaf == nil {
		return time.Time{}
	}
	return now.Leaf.NotAfter
}
