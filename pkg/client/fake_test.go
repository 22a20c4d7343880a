package client

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeHub answers by the functions that a test gives it.
type fakeHub struct {
	hubv1.UnimplementedFleetServiceServer

	getBundle    func(context.Context, *hubv1.GetBundleRequest) (*yardarmv1.Bundle, error)
	listClusters func(*hubv1.ListClustersRequest) (*hubv1.ListClustersResponse, error)
	apply        func(*hubv1.ApplyRequest) (*hubv1.ApplyResponse, error)
	publish      func(grpc.ClientStreamingServer[hubv1.PublishRevisionRequest, hubv1.PublishRevisionResponse]) error
	preview      func(grpc.ServerStreamingServer[hubv1.PreviewAssignmentResponse]) error
	watch        func(*hubv1.WatchRequest, grpc.ServerStreamingServer[hubv1.WatchResponse]) error
	watchEvents  func(*hubv1.WatchEventsRequest, grpc.ServerStreamingServer[hubv1.WatchEventsResponse]) error
}

func (f *fakeHub) GetBundle(ctx context.Context, req *hubv1.GetBundleRequest) (*yardarmv1.Bundle, error) {
	return f.getBundle(ctx, req)
}

func (f *fakeHub) ListClusters(_ context.Context, req *hubv1.ListClustersRequest) (*hubv1.ListClustersResponse, error) {
	return f.listClusters(req)
}

func (f *fakeHub) Apply(_ context.Context, req *hubv1.ApplyRequest) (*hubv1.ApplyResponse, error) {
	return f.apply(req)
}

func (f *fakeHub) PublishRevision(s grpc.ClientStreamingServer[hubv1.PublishRevisionRequest, hubv1.PublishRevisionResponse]) error {
	return f.publish(s)
}

func (f *fakeHub) PreviewAssignment(_ *hubv1.PreviewAssignmentRequest, s grpc.ServerStreamingServer[hubv1.PreviewAssignmentResponse]) error {
	return f.preview(s)
}

func (f *fakeHub) Watch(req *hubv1.WatchRequest, s grpc.ServerStreamingServer[hubv1.WatchResponse]) error {
	return f.watch(req, s)
}

func (f *fakeHub) WatchEvents(req *hubv1.WatchEventsRequest, s grpc.ServerStreamingServer[hubv1.WatchEventsResponse]) error {
	return f.watchEvents(req, s)
}

// start serves f over TLS on the loopback interface, and returns a client for it.
func start(t *testing.T, f *fakeHub, change func(*Config)) *Client {
	t.Helper()
	certificate, pool := selfSigned(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&certificate)))
	hubv1.RegisterFleetServiceServer(server, f)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // ends with Stop
	}()
	config := Config{Server: listener.Addr().String(), TLS: &tls.Config{RootCAs: pool}, Token: "yat_secret"}
	if change != nil {
		change(&config)
	}
	c, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Close()
		server.Stop()
		<-done
	})
	return c
}

func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func authorization(ctx context.Context) string {
	md, _ := metadata.FromIncomingContext(ctx)
	if values := md.Get("authorization"); len(values) > 0 {
		return values[0]
	}
	return ""
}

func cluster(name, phase string) *yardarmv1.Cluster {
	return &yardarmv1.Cluster{Kind: yardarmv1.KindCluster, Metadata: &yardarmv1.ObjectMeta{Name: name}, Status: &yardarmv1.ClusterStatus{Phase: phase}}
}

func added(c *yardarmv1.Cluster) *hubv1.WatchResponse {
	return &hubv1.WatchResponse{Type: "ADDED", Resource: &hubv1.WatchResponse_Cluster{Cluster: c}}
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}
