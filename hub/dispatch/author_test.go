package dispatch

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/certs"
	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// called is the server's end of a call of a method.
type called struct {
	grpc.ServerTransportStream
	method string
}

func (c called) Method() string { return c.method }

func calledFrom(ctx context.Context, address, method string, chain []*x509.Certificate) context.Context {
	ctx = peer.NewContext(ctx, &peer.Peer{Addr: net.TCPAddrFromAddrPort(netip.MustParseAddrPort(address)),
		AuthInfo: credentials.TLSInfo{State: tls.ConnectionState{PeerCertificates: chain}}})
	return grpc.NewContextWithServerTransportStream(ctx, called{method: method})
}

// TestAuditNamesTheSpoke finds in the audit log which spoke has brought a change about, and from where.
func TestAuditNamesTheSpoke(t *testing.T) {
	w := newWorld(t)
	draft, err := w.CA.DraftToken(0)
	if err != nil {
		t.Fatal(err)
	}
	var token string
	w.update(func(tx *store.Tx) error {
		token, err = w.CA.MintToken(tx, tx.Cluster("c1"), draft)
		return err
	})
	key, err := certs.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	ctx := calledFrom(t.Context(), "192.0.2.1:5", spokev1.SpokeService_Enroll_FullMethodName, nil)
	enrolled, err := w.Enroll(ctx, &spokev1.EnrollRequest{Token: token, Csr: csr, KubeUid: "kube"})
	if err != nil {
		t.Fatal(err)
	}
	chain, err := certs.Parse(enrolled.Identity.Certificates)
	if err != nil {
		t.Fatal(err)
	}
	pin := w.Store.Read().Identity("c1").Issuer
	w.update(func(tx *store.Tx) error {
		identity := proto.CloneOf(tx.Identity("c1"))
		identity.Trusts = nil
		return tx.PutIdentity(identity)
	})
	ctx = calledFrom(t.Context(), "192.0.2.2:6", spokev1.SpokeService_Renew_FullMethodName, chain)
	// The first tells the hub that the spoke trusts its CA; another one changes nothing that is noted.
	for range 2 {
		if _, err := w.Renew(ctx, &spokev1.RenewRequest{Csr: csr, Trusts: [][]byte{pin}}); err != nil {
			t.Fatal(err)
		}
	}

	entries := w.audited()
	if len(entries) < 3 {
		t.Fatalf("%d entries: %v", len(entries), entries)
	}
	for i, want := range []struct{ who, address, method string }{
		{"enrolment", "192.0.2.1:5", spokev1.SpokeService_Enroll_FullMethodName},
		{"cluster/c1", "192.0.2.2:6", spokev1.SpokeService_Renew_FullMethodName},
	} {
		if e := entries[len(entries)-3+2*i]; e.Who != want.who || e.Address != want.address || e.Method != want.method {
			t.Errorf("by %q from %q with %s; want %v", e.Who, e.Address, e.Method, want)
		}
	}
}

// audited returns the entries of the audit log, which has to be whole.
func (w *world) audited() (entries []*storev1.AuditEntry) {
	w.t.Helper()
	backup := filepath.Join(w.t.TempDir(), "backup")
	f, err := os.Create(backup)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := errors.Join(w.Store.Backup(w.t.Context(), f), f.Close()); err != nil {
		w.t.Fatal(err)
	}
	_, err = store.VerifyAuditFile(backup, auditKey, func(e *storev1.AuditEntry) error {
		entries = append(entries, e)
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return entries
}
