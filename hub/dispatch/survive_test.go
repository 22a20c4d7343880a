package dispatch

import (
	"context"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/yardarm-dev/yardarm/pkg/certs"
	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
)

// A bug in any call of a spoke is that call's end and no more: the server that this makes answers the next one.
func TestPanicEndsTheCallAlone(t *testing.T) {
	w := newWorld(t)
	w.CA = nil // which is asked once the token is well-formed
	token := certs.Token{ID: certs.TokenID(make([]byte, certs.TokenIDSize)), Secret: make([]byte, certs.TokenSecretSize)}.Text()
	server := grpc.NewServer(w.Options()...)
	w.Register(server)
	listener := bufconn.Listen(64 << 10)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	conn, err := grpc.NewClient("passthrough:///hub", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for range 2 {
		if _, err := spokev1.NewSpokeServiceClient(conn).Enroll(t.Context(), &spokev1.EnrollRequest{Token: token}); status.Code(err) != codes.Internal || strings.Contains(err.Error(), "nil pointer") {
			t.Errorf("it answers %v", err)
		}
	}
}
