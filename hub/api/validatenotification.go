package api

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/yardarm-dev/yardarm/hub/notify"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// maxURL bounds the URL of a receiver, in bytes: those of chat services have a few hundred.
	maxURL = 2048
	// minSecret and maxSecret bound a signing secret, in bytes, as the proto says.
	minSecret = 16
	maxSecret = 1024
	// maxCA bounds the CAs of a receiver, in bytes: some dozens.
	maxCA = 64 << 10
)

// notification checks what people write of a notification. No violation repeats a secret.
func (c checker) notification(spec *yardarmv1.NotificationSpec) {
	if spec == nil {
		c.add("spec", "is missing")
		return
	}
	switch {
	case spec.Url != "" && spec.SecretUrl != "":
		c.add("spec.secretUrl", "cannot be given beside url; give one of them")
	case spec.Url != "":
		c.receiver("spec.url", spec.Url)
	case spec.SecretUrl != "":
		c.receiver("spec.secretUrl", spec.SecretUrl)
	}
	if n := len(spec.Secret); n != 0 && (n < minSecret || n > maxSecret) {
		c.add("spec.secret", fmt.Sprintf("has %d bytes; between %d and %d are needed", n, minSecret, maxSecret))
	}
	if spec.Ca != "" && (len(spec.Ca) > maxCA || !x509.NewCertPool().AppendCertsFromPEM([]byte(spec.Ca))) {
		c.add("spec.ca", fmt.Sprintf("holds no certificate in PEM, or has more than %d bytes", maxCA))
	}
	c.oneOf("spec.format", spec.Format, []string{yardarmv1.FormatJSON, yardarmv1.FormatSlack})
	c.oneOf("spec.severity", spec.Severity, notify.Severities)
	for i, topic := range spec.Topics[:min(len(spec.Topics), len(notify.Topics)+1)] {
		c.oneOf(fmt.Sprintf("spec.topics[%d]", i), topic, notify.Topics)
	}
	for field, names := range map[string][]string{"spec.bundles": spec.Bundles, "spec.clusterGroups": spec.ClusterGroups} {
		if len(names) > maxScope {
			c.add(field, fmt.Sprintf("has %d entries; at most %d are kept", len(names), maxScope))
			continue
		}
		for i, name := range names {
			c.name(fmt.Sprintf("%s[%d]", field, i), name)
		}
	}
}

// receiver checks where a notification goes, without saying it.
func (c checker) receiver(field, address string) {
	u, err := url.Parse(address)
	switch {
	case len(address) > maxURL:
		c.add(field, fmt.Sprintf("has %d bytes; at most %d are kept", len(address), maxURL))
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		c.add(field, "is no http or https URL with a host")
	case u.User != nil:
		c.add(field, "has a user or a password in it; receivers know the hub by the signature, or by a secretUrl")
	}
}

// oneOf checks a word that may be left out.
func (c checker) oneOf(field, word string, known []string) {
	if word != "" && !slices.Contains(known, word) {
		c.add(field, fmt.Sprintf("is %q; it is one of %s", clip(word), strings.Join(known, ", ")))
	}
}
