package api_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/yardarm-dev/yardarm/hub/api"
	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/ca"
	"github.com/yardarm-dev/yardarm/hub/gateway"
	"github.com/yardarm-dev/yardarm/hub/store"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// client calls the hub with another credential, or none.
func client(t *testing.T, h *apitest.Hub, token string) hubv1.FleetServiceClient {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(h.CA.TrustPEM()))
	options := []grpc.DialOption{grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots}))}
	if token != "" {
		options = append(options, grpc.WithPerRPCCredentials(apitest.Bearer(token)))
	}
	conn := must[*grpc.ClientConn](t)(grpc.NewClient(strings.TrimPrefix(h.URL, "https://"), options...))
	t.Cleanup(func() { _ = conn.Close() })
	return hubv1.NewFleetServiceClient(conn)
}

func TestEveryMethodNeedsACredential(t *testing.T) {
	h := apitest.Start(t)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(h.CA.TrustPEM()))
	for name, token := range map[string]string{"none": "", "unknown": "yat_local_" + strings.Repeat("A", 43), "nonsense": "nonsense", "huge": strings.Repeat("x", 10_000)} {
		t.Run(name, func(t *testing.T) {
			options := []grpc.DialOption{grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots}))}
			if token != "" {
				options = append(options, grpc.WithPerRPCCredentials(apitest.Bearer(token)))
			}
			conn := must[*grpc.ClientConn](t)(grpc.NewClient(strings.TrimPrefix(h.URL, "https://"), options...))
			defer conn.Close()
			// From the descriptor, so that a new method cannot be forgotten.
			for _, m := range hubv1.FleetService_ServiceDesc.Methods {
				err := conn.Invoke(t.Context(), "/"+hubv1.FleetService_ServiceDesc.ServiceName+"/"+m.MethodName, &hubv1.GetHubRequest{}, &hubv1.Hub{})
				if details := refused(t, err, codes.Unauthenticated).Details(); !strings.Contains(fmt.Sprint(details), "docs/access.md") {
					t.Errorf("no help: %v", details)
				}
			}
			for _, m := range hubv1.FleetService_ServiceDesc.Streams {
				stream := must[grpc.ClientStream](t)(conn.NewStream(t.Context(), &m, "/"+hubv1.FleetService_ServiceDesc.ServiceName+"/"+m.StreamName))
				_ = stream.CloseSend()
				refused(t, stream.RecvMsg(&hubv1.Hub{}), codes.Unauthenticated)
			}
		})
	}
	t.Run("not a bearer", func(t *testing.T) {
		_, err := client(t, h, "").GetHub(apitest.WithHeader(t.Context(), "authorization", "Basic "+h.Token), &hubv1.GetHubRequest{})
		refused(t, err, codes.Unauthenticated, "Bearer")
	})
	t.Run("two credentials", func(t *testing.T) {
		_, err := h.GetHub(apitest.WithHeader(t.Context(), "authorization", "Bearer "+h.Token), &hubv1.GetHubRequest{})
		refused(t, err, codes.Unauthenticated)
	})
}

func TestGetHub(t *testing.T) {
	h := apitest.Start(t)
	uid := h.Enrolled(t, "berlin", nil)
	h.Present(t, uid, "Connected")
	hub := must[*hubv1.Hub](t)(h.GetHub(t.Context(), &hubv1.GetHubRequest{}))
	if hub.Version != "test" || hub.Fleet == "" || hub.CaPin != h.CA.Pin() || hub.Sessions != 1 || hub.ReadOnly != "" || hub.Started == nil || len(hub.SpokeAddresses) != 1 {
		t.Errorf("hub %v", hub)
	}
	epoch, index, ok := strings.Cut(hub.Cursor, "/")
	if !ok || len(epoch) != 8 || index == "0" {
		t.Errorf("cursor %q", hub.Cursor)
	}
}

func TestReadOnlyHubSaysWhy(t *testing.T) {
	h := apitest.Start(t)
	h.Store.SetReadOnly("it was rolled back")
	_, err := h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{group("prod", "env=prod")}})
	if st := refused(t, err, codes.FailedPrecondition, "it was rolled back"); reason(st) != "HUB_READ_ONLY" {
		t.Errorf("reason %q", reason(st))
	}
	if hub := must[*hubv1.Hub](t)(h.GetHub(t.Context(), &hubv1.GetHubRequest{})); hub.ReadOnly != "it was rolled back" {
		t.Errorf("hub %v", hub)
	}
}

func TestBackupIsADatabase(t *testing.T) {
	h := apitest.Start(t)
	h.Enrolled(t, "berlin", nil)
	stream := must[hubv1.FleetService_BackupClient](t)(h.Backup(t.Context(), &hubv1.BackupRequest{}))
	size := 0
	for _, m := range must[[]*hubv1.BackupResponse](t)(drain(stream)) {
		if len(m.Data) == 0 || len(m.Data) > 256<<10 {
			t.Errorf("a chunk has %d bytes", len(m.Data))
		}
		size += len(m.Data)
	}
	if size < 4096 {
		t.Errorf("the backup has %d bytes", size)
	}
}

// broken is an enroller with a defect.
type broken struct {
	*ca.CA
	err error
}

func (b broken) DraftToken(time.Duration) (*ca.Draft, error) {
	if b.err != nil {
		return nil, b.err
	}
	panic("secret payload")
}

// lines is a log that a test reads while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestDefectsCostOneCall(t *testing.T) {
	for name, defect := range map[string]error{"panic": nil, "error": errors.New("disk on fire")} {
		t.Run(name, func(t *testing.T) {
			var log lines
			h := apitest.Start(t, func(c *api.Config, _ *gateway.Config) {
				c.Enroller = broken{c.Enroller.(*ca.CA), defect}
				c.Logger = slog.New(slog.NewTextHandler(&log, nil))
			})
			var header metadata.MD
			ctx := apitest.WithHeader(t.Context(), "x-request-id", "my-request")
			_, err := h.EnrollCluster(ctx, &hubv1.EnrollClusterRequest{Name: "berlin"}, grpc.Header(&header))
			st := refused(t, err, codes.Internal, "my-request")
			if !slices.ContainsFunc(st.Details(), func(d any) bool {
				info, ok := d.(*errdetails.RequestInfo)
				return ok && info.GetRequestId() == "my-request"
			}) {
				t.Errorf("the details %v do not name the request", st.Details())
			}
			if strings.Contains(st.Message(), "fire") || strings.Contains(st.Message(), "secret") {
				t.Errorf("the answer tells the cause: %q", st.Message())
			}
			if got := header.Get("x-request-id"); len(got) != 1 || got[0] != "my-request" {
				t.Errorf("request id %q", got)
			}
			written := log.String()
			if !strings.Contains(written, "my-request") || strings.Contains(written, "secret payload") {
				t.Errorf("log %s", written)
			}
			if defect == nil && !strings.Contains(written, "DraftToken") {
				t.Error("the log has no stack")
			}
			must[any](t)(h.GetHub(t.Context(), &hubv1.GetHubRequest{}))
		})
	}
}

func TestRequestIDs(t *testing.T) {
	h := apitest.Start(t)
	for given, kept := range map[string]bool{"a-1.b_2": true, "with space": false, strings.Repeat("x", 65): false, "": false} {
		var header metadata.MD
		must[any](t)(h.GetHub(apitest.WithHeader(t.Context(), "x-request-id", given), &hubv1.GetHubRequest{}, grpc.Header(&header)))
		got := header.Get("x-request-id")
		if len(got) != 1 || (got[0] == given) != kept || got[0] == "" {
			t.Errorf("given %q, got %q", given, got)
		}
	}
}

func TestCallsAreBoundedInTime(t *testing.T) {
	h := apitest.Start(t, func(c *api.Config, _ *gateway.Config) { c.Limits.CallTimeout = 20 * time.Millisecond })
	// Somebody else's transaction takes as long as the test likes.
	release, running := make(chan struct{}), make(chan struct{})
	var other sync.WaitGroup
	other.Go(func() {
		_, _ = h.Store.Update(context.WithoutCancel(t.Context()), func(*store.Tx) error { close(running); <-release; return nil })
	})
	<-running
	_, err := h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{group("prod", "env=prod")}})
	refused(t, err, codes.DeadlineExceeded, "too long")
	close(release)
	other.Wait()
	if h.Store.Read().Group("prod") != nil {
		t.Error("the call changed something after its time was over")
	}
}

func TestAnUploadIsBoundedInTime(t *testing.T) {
	h := apitest.Start(t, func(c *api.Config, _ *gateway.Config) { c.Limits.StreamTimeout = 20 * time.Millisecond })
	stream := must[hubv1.FleetService_PublishRevisionClient](t)(h.PublishRevision(t.Context()))
	var answer hubv1.PublishRevisionResponse
	refused(t, stream.RecvMsg(&answer), codes.DeadlineExceeded)
}

// watchRequests are those of each watch, by method.
var watchRequests = map[string]proto.Message{
	"Watch": &hubv1.WatchRequest{Kind: "Bundle"}, "WatchOverview": &hubv1.WatchOverviewRequest{},
	"WatchEvents": &hubv1.WatchEventsRequest{Follow: true}, "WatchRollout": &hubv1.WatchRolloutRequest{Bundle: "web"},
}

// eachWatch runs a test for each watch that the service's descriptor has, so that a new one cannot be forgotten.
func eachWatch(t *testing.T, test func(*testing.T, protoreflect.MethodDescriptor)) {
	for i := range fleetMethods().Len() {
		if m := fleetMethods().Get(i); strings.HasPrefix(string(m.Name()), "Watch") {
			t.Run(string(m.Name()), func(t *testing.T) { test(t, m) })
		}
	}
}

// openWatch opens a watch over gRPC. ended receives until it ends, and answers why.
func openWatch(ctx context.Context, t *testing.T, h *apitest.Hub, token string, m protoreflect.MethodDescriptor) (stream grpc.ClientStream, ended func() error) {
	t.Helper()
	stream = must[grpc.ClientStream](t)(h.Dial(t, token).NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name())))
	if err := errors.Join(stream.SendMsg(watchRequests[string(m.Name())]), stream.CloseSend()); err != nil {
		t.Fatal(err)
	}
	return stream, func() (err error) {
		for err == nil {
			err = stream.RecvMsg(dynamicpb.NewMessage(m.Output()))
		}
		return err
	}
}

// TestWatchesHaveNoEnd: each goes on after an upload or a download would have been given up.
func TestWatchesHaveNoEnd(t *testing.T) {
	const most = 20 * time.Millisecond
	h := apitest.Start(t, func(c *api.Config, _ *gateway.Config) { c.Limits.StreamTimeout = most })
	apply(t, h, bundle("web"))
	h.Update(t, func(tx *store.Tx) error { // publishing might take longer
		b := proto.CloneOf(tx.BundleByName("web"))
		b.Status = &yardarmv1.BundleStatus{LatestRevision: 1}
		return errors.Join(tx.PutBundle(b), tx.PutRevision(&yardarmv1.Revision{Metadata: &yardarmv1.ObjectMeta{Name: "web-1"},
			Spec: &yardarmv1.RevisionSpec{BundleUid: b.Metadata.Uid, Bundle: "web", Number: 1}}))
	})
	eachWatch(t, func(t *testing.T, m protoreflect.MethodDescriptor) {
		ctx, cancel := context.WithCancel(t.Context()) // without a deadline that the hub would be told of
		defer time.AfterFunc(10*most, cancel).Stop()
		_, ended := openWatch(ctx, t, h, h.Token, m)
		if err := ended(); ctx.Err() == nil {
			t.Errorf("it ends by itself: %v", err)
		}
	})
}
