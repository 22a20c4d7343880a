package authz

import (
	"crypto/x509"
	"slices"

	"github.com/yardarm-dev/yardarm/pkg/certs"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// OfCertificate is the user of a client certificate that has been verified by a CA for users. As in Kubernetes, the common name is what the user is
// called, and the organizations are the groups. The error is a [RefusedError].
func OfCertificate(leaf *x509.Certificate) (Identity, error) {
	if _, _, err := certs.ClusterOf(leaf); err == nil {
		return Identity{}, &RefusedError{Reason: "the client certificate is a cluster's: its spoke shows it where spokes dial, and it lets nobody in here"}
	}
	if leaf.Subject.CommonName == "" {
		return Identity{}, &RefusedError{Reason: "the client certificate lets nobody in: it has no common name, which is to name the user"}
	}
	return Identity{Kind: yardarmv1.SubjectUser, Name: leaf.Subject.CommonName, Groups: slices.Clone(leaf.Subject.Organization), Expires: leaf.NotAfter}, nil
}
