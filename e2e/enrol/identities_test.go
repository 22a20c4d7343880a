package enrol

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/yardarm-dev/yardarm/hub/api"
	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/dispatch"
	"github.com/yardarm-dev/yardarm/hub/gateway"
	"github.com/yardarm-dev/yardarm/pkg/certs"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	"github.com/yardarm-dev/yardarm/spoke/enroll"
)

// TestIdentitiesAreOfOneSide: a cluster's certificate lets nobody into FleetService, and a user's token, be it the administrator's, nobody into SpokeService:
// in any of their methods, which are taken from the services themselves.
func TestIdentitiesAreOfOneSide(t *testing.T) {
	h := apitest.Start(t)
	spokes, err := dispatch.New(dispatch.Config{Store: h.Store, CA: h.CA, Logger: slog.New(slog.DiscardHandler), Addresses: []string{"127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	config, err := h.CA.SpokeTLS([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(append(spokes.Options(), grpc.Creds(credentials.NewTLS(config)))...)
	spokes.Register(server)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})

	enrolled, err := h.EnrollCluster(t.Context(), &hubv1.EnrollClusterRequest{Name: "berlin"})
	if err != nil {
		t.Fatal(err)
	}
	keep, err := enroll.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer keep.Close()
	identity, err := enroll.New(enroll.Config{Keep: keep, HubAddresses: []string{listener.Addr().String()}, Token: enrolled.Token, KubeUID: "kube", Version: "test",
		Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := identity.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	certificate := identity.TLS()
	spoke := dial(t, listener.Addr().String(), grpc.WithTransportCredentials(credentials.NewTLS(certificate)))
	if err := call(t, spoke, "/yardarm.spoke.v1.SpokeService/Fetch"); status.Code(err) == codes.Unauthenticated {
		t.Fatalf("on its own side, the certificate is refused: %v", err)
	}

	// The certificate is shown to whoever asks for one; with and without somebody else's bearer.
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(h.CA.TrustPEM()))
	shown := &tls.Config{RootCAs: roots, GetClientCertificate: certificate.GetClientCertificate, Certificates: certificate.Certificates}
	api := dial(t, strings.TrimPrefix(h.URL, "https://"), grpc.WithTransportCredentials(credentials.NewTLS(shown)))
	refusedEverywhere(t, api, &hubv1.FleetService_ServiceDesc)
	bearer := grpc.WithPerRPCCredentials(apitest.Bearer(enrolled.Token))
	refusedEverywhere(t, dial(t, strings.TrimPrefix(h.URL, "https://"), grpc.WithTransportCredentials(credentials.NewTLS(shown)), bearer), &hubv1.FleetService_ServiceDesc)

	// So it is by a hub that asks for users' certificates: the handshake fails. If the CA of spokes was taken for that of users, it is still no user's.
	users, person := newUser(t)
	for name, pool := range map[string]*x509.CertPool{"another CA": users, "the CA of spokes": roots} {
		other := apitest.Start(t, asking(pool))
		known := x509.NewCertPool()
		known.AppendCertsFromPEM([]byte(other.CA.TrustPEM()))
		conn := dial(t, strings.TrimPrefix(other.URL, "https://"), grpc.WithTransportCredentials(credentials.NewTLS(
			&tls.Config{RootCAs: known, GetClientCertificate: certificate.GetClientCertificate})))
		if name == "the CA of spokes" {
			refusedEverywhere(t, conn, &hubv1.FleetService_ServiceDesc)
		} else if err := call(t, conn, hubv1.FleetService_WhoAmI_FullMethodName); status.Code(err) != codes.Unavailable {
			t.Errorf("by %s: %v", name, err)
		}
	}

	// The administrator's token, by those who know the hub and have no certificate, and a user's certificate, which is none of the hub's CA.
	user := dial(t, listener.Addr().String(), grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots})),
		grpc.WithPerRPCCredentials(apitest.Bearer(h.Token)))
	refusedEverywhere(t, user, &spokev1.SpokeService_ServiceDesc)
	_, err = spokev1.NewSpokeServiceClient(user).Enroll(t.Context(), &spokev1.EnrollRequest{Token: h.Token})
	if code := status.Code(err); code == codes.OK || code == codes.Internal || code == codes.Unavailable {
		t.Errorf("enrolment with a user's token: %v", err)
	}
	ann := dial(t, listener.Addr().String(), grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return person, nil }})))
	for _, m := range methodsOf(&spokev1.SpokeService_ServiceDesc) {
		if err := call(t, ann, "/"+spokev1.SpokeService_ServiceDesc.ServiceName+"/"+m); status.Code(err) != codes.Unavailable {
			t.Errorf("%s with a user's certificate: %v", m, err)
		}
	}
}

// asking makes a hub ask for certificates by the CAs of users.
func asking(users *x509.CertPool) apitest.Option {
	return func(_ *api.Config, g *gateway.Config) {
		g.TLS.ClientAuth, g.TLS.ClientCAs = tls.VerifyClientCertIfGiven, users
	}
}

// newUser makes a CA of users, and a certificate of one.
func newUser(t *testing.T) (*x509.CertPool, *tls.Certificate) {
	t.Helper()
	key, err := certs.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ann"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return pool, &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func dial(t *testing.T, address string, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(address, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// refusedEverywhere calls every method of a service with an empty request.
func refusedEverywhere(t *testing.T, conn *grpc.ClientConn, service *grpc.ServiceDesc) {
	t.Helper()
	for _, method := range methodsOf(service) {
		err := call(t, conn, "/"+service.ServiceName+"/"+method)
		switch status.Code(err) {
		case codes.Unauthenticated, codes.PermissionDenied:
		case codes.InvalidArgument:
			if method != "Enroll" { // which has an identity in its request, and there is none
				t.Errorf("%s: %v", method, err)
			}
		default:
			t.Errorf("%s: %v", method, err)
		}
	}
}

func methodsOf(service *grpc.ServiceDesc) (methods []string) {
	for _, m := range service.Methods {
		methods = append(methods, m.MethodName)
	}
	for _, m := range service.Streams {
		methods = append(methods, m.StreamName)
	}
	return methods
}

// call calls any method with an empty request, and answers how that ends.
func call(t *testing.T, conn *grpc.ClientConn, method string) error {
	t.Helper()
	stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	if err != nil {
		return err
	}
	_ = stream.SendMsg(&emptypb.Empty{})
	_ = stream.CloseSend()
	ended := make(chan error, 1)
	go func() {
		var err error
		for err == nil {
			err = stream.RecvMsg(&emptypb.Empty{})
		}
		ended <- err
	}()
	select {
	case err := <-ended:
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	case <-time.After(30 * time.Second):
		t.Fatalf("%s does not end", method)
		return nil
	}
}
