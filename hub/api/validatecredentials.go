package api

import (
	"crypto/x509"
	"fmt"
	"strings"
	"unicode"

	"github.com/yardarm-dev/yardarm/hub/source/git"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// maxURLs is how many places credentials may be for, as the proto says.
	maxURLs = 64
	// maxCredential bounds a name, a password or a token, in bytes: tokens that are signed documents have some thousands.
	maxCredential = 8 << 10
	// maxKey bounds a private key, in bytes: one of RSA with 16384 bits.
	maxKey = 16 << 10
)

// sourceCredentials checks what people write of source credentials. No violation repeats a secret.
func (c checker) sourceCredentials(spec *yardarmv1.SourceCredentialsSpec) {
	if n := len(spec.GetUrls()); n == 0 || n > maxURLs {
		c.add("urls", fmt.Sprintf("has %d entries; the credentials are shown to none but the servers that it names, of which there are 1 to %d", n, maxURLs))
		return
	}
	for i, u := range spec.Urls {
		if _, err := git.ParsePrefix(u); err != nil {
			c.add(fmt.Sprintf("urls[%d]", i), err.Error())
		}
	}
	c.scopeOr("bundles", spec.Bundles, "no bundle")
	c.credential("username", spec.Username)
	c.credential("password", spec.Password)
	c.credential("bearerToken", spec.BearerToken)
	switch {
	case strings.Contains(spec.Username, ":"):
		c.add("username", "holds a colon, which no name for HTTPS may")
	case spec.BearerToken != "" && spec.Password != "":
		c.add("bearerToken", "cannot be given beside password; give one of them")
	case spec.BearerToken != "" && spec.Username != "":
		c.add("bearerToken", "cannot be given beside username, which goes with a password")
	case strings.Contains(spec.BearerToken, " "):
		c.add("bearerToken", "holds a space, which no token may")
	}
	if spec.Ca != "" && (len(spec.Ca) > maxCA || !x509.NewCertPool().AppendCertsFromPEM([]byte(spec.Ca))) {
		c.add("ca", fmt.Sprintf("holds no certificate in PEM, or has more than %d bytes", maxCA))
	}
	switch n := len(spec.PrivateKey); {
	case n > maxKey:
		c.add("privateKey", fmt.Sprintf("has %d bytes; at most %d are kept", n, maxKey))
	case n > 0:
		c.usable("privateKey", git.CheckKey([]byte(spec.PrivateKey)))
	}
	switch n := len(spec.KnownHosts); {
	case n > maxCA:
		c.add("knownHosts", fmt.Sprintf("has %d bytes; at most %d are kept", n, maxCA))
	case n > 0:
		c.usable("knownHosts", git.CheckKnownHosts([]byte(spec.KnownHosts), spec.Urls))
	}
	if n := len(spec.WebhookSecret); n != 0 && (n < minSecret || n > maxSecret) {
		c.add("webhookSecret", fmt.Sprintf("has %d bytes; between %d and %d are needed", n, minSecret, maxSecret))
	}
}

// credential checks what goes into a header.
func (c checker) credential(field, text string) {
	switch {
	case len(text) > maxCredential:
		c.add(field, fmt.Sprintf("has %d bytes; at most %d are kept", len(text), maxCredential))
	case strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII && field == "bearerToken" || unicode.IsControl(r) }):
		c.add(field, "has characters that no server takes, such as the end of a line")
	}
}

func (c checker) usable(field string, err error) {
	if err != nil {
		c.add(field, err.Error())
	}
}
