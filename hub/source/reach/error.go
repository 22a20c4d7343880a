package reach

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Error is why a server gives nothing that can be rendered. What it says is for whoever looks after the source; nothing of a credential is in it.
type Error struct {
	// Reason is one of the yardarmv1.Source words.
	Reason string
	// Message says what is wrong, and what to do about it.
	Message string
	Err     error
}

func (e *Error) Error() string { return e.Message }

func (e *Error) Unwrap() error { return e.Err }

// Failed makes an Error of a reason and a message, which may wrap another by %w.
func Failed(reason, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Reason: reason, Message: err.Error(), Err: errors.Unwrap(err)}
}

// Unreachable says what became of a connection to a host.
func Unreachable(host string, err error) error {
	var known *Error
	var expired x509.CertificateInvalidError
	var untrusted *tls.CertificateVerificationError
	var dns *net.DNSError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &expired) && expired.Reason == x509.Expired:
		return Failed(yardarmv1.SourceNotTrusted, "the certificate of %s has expired, or is not valid yet: %w", host, expired)
	case errors.As(err, &untrusted):
		return Failed(yardarmv1.SourceNotTrusted, "the certificate of %s is not trusted (a CA of its own goes into the source's credentials): %w", host, untrusted.Err)
	case errors.As(err, &dns):
		return Failed(yardarmv1.SourceUnreachable, "the name %s is not known: %w", host, err)
	case errors.Is(err, context.DeadlineExceeded):
		return Failed(yardarmv1.SourceUnreachable, "%s did not answer in time: %w", host, err)
	}
	return Failed(yardarmv1.SourceUnreachable, "the connection to %s failed: %w", host, err)
}
