package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/hub/dispatch"
)

// awaitCut fails unless the hub closes the connection.
func awaitCut(t *testing.T, conn net.Conn) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	_, err := io.Copy(io.Discard, conn)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Error("the connection is still there")
	}
}

// Whoever does less than a spoke is cut after a while, however far it has got.
func TestWhoSaysNothingIsCut(t *testing.T) {
	h := newHub(t, func(c *dispatch.Config) { c.HelloTimeout = time.Second })
	id := enrol(t, h, "edge-1", nil)
	nobody := &identity{config: &tls.Config{RootCAs: id.config.RootCAs}}
	dial := func(t *testing.T, id *identity) net.Conn {
		t.Helper()
		config := id.config.Clone()
		config.NextProtos = []string{"h2"}
		conn, err := tls.Dial("tcp", h.address, config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	for name, id := range map[string]*identity{"with a certificate": id, "without": nobody} {
		t.Run("no HTTP/2 after the handshake, "+name, func(t *testing.T) {
			t.Parallel()
			awaitCut(t, dial(t, id))
		})
		t.Run("another protocol, "+name, func(t *testing.T) {
			t.Parallel()
			conn := dial(t, id)
			if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: hub\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			awaitCut(t, conn)
		})
	}
	t.Run("no protocol agreed on", func(t *testing.T) {
		t.Parallel()
		conn, err := tls.Dial("tcp", h.address, id.config.Clone())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		awaitCut(t, conn)
	})
	t.Run("a stream without a Hello", func(t *testing.T) {
		t.Parallel()
		if st := connect(t, h, id).end(); st.Code() != codes.DeadlineExceeded || !strings.Contains(st.Message(), "no hello") {
			t.Errorf("ended with %v", st)
		}
	})
	t.Run("an enrolment that is never sent", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		stream, err := nobody.conn(t, h.address).NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, spokev1.SpokeService_Enroll_FullMethodName)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.RecvMsg(&spokev1.EnrollResponse{}); status.Code(err) != codes.Unavailable {
			t.Errorf("ended with %v", err)
		}
	})
}

// What one connection may ask of the hub is bounded.
func TestExcessOfAConnection(t *testing.T) {
	h := newHub(t, nil)
	id := enrol(t, h, "edge-1", nil)
	client := spokev1.NewSpokeServiceClient(id.conn(t, h.address))

	t.Run("a large message", func(t *testing.T) {
		r := connect(t, h, id)
		r.greet(id, nil)
		r.reports(&spokev1.ReportUpdate{Reports: []*yardarmv1.Report{{BundleUid: "b", Message: strings.Repeat("x", 5<<20)}}})
		if st := r.end(); st.Code() != codes.ResourceExhausted {
			t.Errorf("ended with %v", st)
		}
	})
	t.Run("large headers", func(t *testing.T) {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "large", strings.Repeat("x", 20<<10))
		if _, err := client.Enroll(ctx, &spokev1.EnrollRequest{}); status.Code(err) != codes.Internal || !strings.Contains(err.Error(), "header list size") {
			t.Errorf("answered with %v", err)
		}
	})
	t.Run("many streams", func(t *testing.T) {
		for range 8 {
			if _, err := client.Connect(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if _, err := client.Connect(ctx); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("a ninth stream is open on one connection: %v", err)
		}
	})
}
