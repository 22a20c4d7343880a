// Package apitest runs FleetService for tests: a real store, CA and credentials, served by the real gateway over TLS on the loopback
// interface. Spokes are played by writing what they would have said into the store, and so are rollouts: each is at its end when the call that
// has made the revision returns (Settle).
package apitest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/api"
	"github.com/yardarm-dev/yardarm/hub/authz"
	"github.com/yardarm-dev/yardarm/hub/ca"
	"github.com/yardarm-dev/yardarm/hub/gateway"
	"github.com/yardarm-dev/yardarm/hub/seal"
	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/clientconfig"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Hub is a running FleetService and ways to reach it.
type Hub struct {
	hubv1.FleetServiceClient
	// Conn is the client's connection; calls on it carry the token.
	Conn *grpc.ClientConn
	// HTTP trusts the hub's CA, and sends no token.
	HTTP *http.Client
	// URL is "https://127.0.0.1:port".
	URL   string
	Token string
	Store *store.Store
	CA    *ca.CA
	API   *api.Server
	Authz *authz.Authz
	// Dir is the store's folder.
	Dir string

	stop func() error
}

// Option changes how a Hub is made.
type Option func(*api.Config, *gateway.Config)

// Start runs a Hub until the test ends.
func Start(t testing.TB, options ...Option) *Hub {
	t.Helper()
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	st, err := store.Open(store.Config{Dir: filepath.Join(dir, "data"), Audit: &store.Audit{Key: auditKey}})
	must(err)
	ctx, cancel := context.WithCancel(context.Background())
	var tasks sync.WaitGroup
	tasks.Go(func() {
		if err := st.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	sealer, err := seal.New(seal.Config{File: filepath.Join(dir, "key"), Create: true})
	must(err)
	authority, err := ca.New(ca.Config{Store: st, Sealer: sealer})
	must(err)
	who, err := authz.New(authz.Config{Store: st})
	must(err)

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	address := listener.Addr().String()
	file := filepath.Join(dir, "admin.yaml")
	_, err = who.EnsureLocalAdmin(ctx, authz.Admin{Path: file, Server: "https://" + address, CA: authority.TrustPEM()})
	must(err)
	contexts, err := clientconfig.Load(file)
	must(err)
	admin, err := contexts.Context(contexts.CurrentContext)
	must(err)

	server, err := authority.ServerTLS([]string{"127.0.0.1"})
	must(err)
	apiConfig := api.Config{Store: st, Enroller: authority, Authority: authority, Authenticator: who, Tokens: who, Sealer: sealer, Version: "test", SpokeAddresses: []string{"127.0.0.1:1"}, Coalesce: time.Millisecond,
		Limits: api.Limits{CallRate: -1, FailureRate: -1}} // tests call faster than people do
	gatewayConfig := gateway.Config{Listener: listener, TLS: server, Sealer: sealer}
	for _, option := range options {
		option(&apiConfig, &gatewayConfig)
	}
	svc, err := api.New(apiConfig)
	must(err)
	rpc := grpc.NewServer(svc.Options()...)
	svc.Register(rpc)
	gatewayConfig.GRPC, gatewayConfig.Stopping, gatewayConfig.Who = rpc, svc.Shutdown, svc.Who
	gw, err := gateway.New(gatewayConfig)
	must(err)
	served := make(chan error, 1)
	go func() { served <- gw.Run(ctx) }()
	tasks.Go(func() {
		if err := svc.Run(ctx); err != nil {
			t.Error(err)
		}
	})

	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(authority.TrustPEM()))
	client := &tls.Config{RootCAs: roots}
	conn, err := grpc.NewClient("dns:///"+address, append(settling(t, st), grpc.WithTransportCredentials(credentials.NewTLS(client)), grpc.WithPerRPCCredentials(Bearer(admin.Token)))...)
	must(err)
	transport := &http.Transport{TLSClientConfig: client, ForceAttemptHTTP2: true}
	h := &Hub{
		FleetServiceClient: hubv1.NewFleetServiceClient(conn), Conn: conn, HTTP: &http.Client{Transport: transport},
		URL: "https://" + address, Token: admin.Token, Store: st, CA: authority, API: svc, Authz: who, Dir: filepath.Join(dir, "data"),
	}
	h.stop = sync.OnceValue(func() error { cancel(); return <-served })
	t.Cleanup(func() {
		_ = conn.Close()
		transport.CloseIdleConnections()
		if err := h.stop(); err != nil {
			t.Error(err)
		}
		tasks.Wait()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
		_ = os.Remove(file)
	})
	return h
}

// Stop shuts the hub down, and answers what its gateway ended with. The store stays open until the test ends.
func (h *Hub) Stop() error { return h.stop() }

// Issue makes a token that has no binding yet, and answers its text.
func (h *Hub) Issue(t testing.TB, name string, expires time.Time) string {
	t.Helper()
	draft, err := h.Authz.DraftToken()
	if err != nil {
		t.Fatal(err)
	}
	h.Update(t, func(tx *store.Tx) error { return tx.PutCredential(draft.Credential(name, "test", time.Now(), expires)) })
	return draft.Text
}

// As is a client that calls with a token.
func (h *Hub) As(t testing.TB, token string) hubv1.FleetServiceClient {
	t.Helper()
	return hubv1.NewFleetServiceClient(h.Dial(t, token))
}

// Dial connects; calls carry the token.
func (h *Hub) Dial(t testing.TB, token string) *grpc.ClientConn {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(h.CA.TrustPEM()))
	conn, err := grpc.NewClient(strings.TrimPrefix(h.URL, "https://"), append(settling(t, h.Store), grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots})),
		grpc.WithPerRPCCredentials(Bearer(token)))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// Bearer is a token as a credential of gRPC calls.
type Bearer string

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (b Bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (Bearer) RequireTransportSecurity() bool { return true }

// WithHeader adds a header to a call.
func WithHeader(ctx context.Context, key, value string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, key, value)
}

// Enrolled makes a cluster that has enrolled, and answers its uid.
func (h *Hub) Enrolled(t testing.TB, name string, labels map[string]string) string {
	t.Helper()
	resp, err := h.EnrollCluster(t.Context(), &hubv1.EnrollClusterRequest{Name: name, Labels: labels})
	if err != nil {
		t.Fatal(err)
	}
	uid := resp.GetCluster().GetMetadata().GetUid()
	h.Update(t, func(tx *store.Tx) error {
		return tx.PutIdentity(&storev1.Identity{ClusterUid: uid, KubeUid: "kube-" + uid, KeyHash: []byte(uid), NotAfter: timestamppb.New(time.Unix(2e9, 0))})
	})
	return uid
}

// Present says what presence a cluster has; Connected ones are confirmed.
func (h *Hub) Present(t testing.TB, uid, state string) {
	t.Helper()
	now := time.Now()
	h.Observe(t, func(tx *store.Tx) error {
		if err := tx.PutObserved(&storev1.Observed{ClusterUid: uid, SpokeVersion: "1.0", LastSeen: timestamppb.New(now), Facts: &yardarmv1.Facts{Nodes: 3}}); err != nil {
			return err
		}
		return tx.PutPresence(&store.Presence{ClusterUID: uid, State: state, Since: now, LastSeen: now, Confirmed: state == yardarmv1.PresenceConnected})
	})
}

// Report says what a spoke reports of a bundle.
func (h *Hub) Report(t testing.TB, clusterUID string, r *yardarmv1.Report) {
	t.Helper()
	h.Observe(t, func(tx *store.Tx) error {
		return tx.PutObservedBundle(&storev1.ObservedBundle{ClusterUid: clusterUID, Report: r, Received: timestamppb.Now()})
	})
}

// Update writes to the store.
func (h *Hub) Update(t testing.TB, fn func(*store.Tx) error) {
	t.Helper()
	if _, err := h.Store.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// Observe writes observed state to the store.
func (h *Hub) Observe(t testing.TB, fn func(*store.Tx) error) {
	t.Helper()
	if err := h.Store.Observe(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// Publish sends a publication and files, a file a message.
func (h *Hub) Publish(ctx context.Context, p *hubv1.Publication, files ...manifest.File) (*hubv1.PublishRevisionResponse, error) {
	stream, err := h.PublishRevision(ctx)
	if err != nil {
		return nil, err
	}
	// A refusal makes Send fail with io.EOF; CloseAndRecv then says why.
	_ = stream.Send(&hubv1.PublishRevisionRequest{Message: &hubv1.PublishRevisionRequest_Publication{Publication: p}})
	for _, f := range files {
		_ = stream.Send(&hubv1.PublishRevisionRequest{Message: &hubv1.PublishRevisionRequest_File{File: &hubv1.FileChunk{Path: f.Path, Data: f.Data}}})
	}
	return stream.CloseAndRecv()
}

// ConfigMap is a manifest file with one object.
func ConfigMap(namespace, name, value string) manifest.File {
	text := "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " + name + "\n"
	if namespace != "" {
		text += "  namespace: " + namespace + "\n"
	}
	return manifest.File{Path: name + ".yaml", Data: []byte(text + "data:\n  key: " + value + "\n")}
}
