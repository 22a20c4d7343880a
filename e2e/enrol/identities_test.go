package enrol

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/dispatch"
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

	// The administrator's token, by those who know the hub and have no certificate.
	user := dial(t, listener.Addr().String(), grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots})),
		grpc.WithPerRPCCredentials(apitest.Bearer(h.Token)))
	refusedEverywhere(t, user, &spokev1.SpokeService_ServiceDesc)
	_, err = spokev1.NewSpokeServiceClient(user).Enroll(t.Context(), &spokev1.EnrollRequest{Token: h.Token})
	if code := status.Code(err); code == codes.OK || code == codes.Internal || code == codes.Unavailable {
		t.Errorf("enrolment with a user's token: %v", err)
	}
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
	var methods []string
	for _, m := range service.Methods {
		methods = append(methods, m.MethodName)
	}
	for _, m := range service.Streams {
		methods = append(methods, m.StreamName)
	}
	for _, method := range methods {
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
