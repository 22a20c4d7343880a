package tracing_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	_ "google.golang.org/grpc/encoding/gzip" // as collectors have it
	"google.golang.org/protobuf/encoding/prototext"
)

// receiver is an OpenTelemetry collector's receiver, over gRPC.
type receiver struct {
	collector.UnimplementedTraceServiceServer
	// hold, if not nil, holds up each answer until it is closed.
	hold chan struct{}

	mu  sync.Mutex
	got []*otlp.ResourceSpans
}

func (r *receiver) Export(ctx context.Context, req *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	if r.hold != nil {
		select {
		case <-r.hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, req.ResourceSpans...)
	return &collector.ExportTraceServiceResponse{}, nil
}

// spans are all that have come, by name.
func (r *receiver) spans() map[string][]*otlp.Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string][]*otlp.Span{}
	for _, resource := range r.got {
		for _, scope := range resource.ScopeSpans {
			for _, s := range scope.Spans {
				out[s.Name] = append(out[s.Name], s)
			}
		}
	}
	return out
}

// text is all that has come.
func (r *receiver) text() (all string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, resource := range r.got {
		all += prototext.Format(resource)
	}
	return all
}

// serve serves it over TLS, and answers where, and the file with its certificate.
func (r *receiver) serve(t *testing.T) (address, ca string) {
	t.Helper()
	pair, ca := certificate(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&pair)))
	collector.RegisterTraceServiceServer(server, r)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String(), ca
}

func certificate(t *testing.T) (pair tls.Certificate, file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "collector.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}
