package enrol

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/ca"
	"github.com/yardarm-dev/yardarm/hub/dispatch"
	"github.com/yardarm-dev/yardarm/hub/seal"
	"github.com/yardarm-dev/yardarm/hub/store"
	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
	"github.com/yardarm-dev/yardarm/spoke/enroll"
)

func TestMain(m *testing.M) {
	if os.Getenv(envToken) != "" {
		if err := behindAProxy(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// network carries connections in memory, by address.
type network struct {
	mu        sync.Mutex
	listeners map[string]*bufconn.Listener
	dials     int
	// silent makes whoever dials an address where nobody listens wait for an answer.
	silent bool
}

func newNetwork() *network { return &network{listeners: make(map[string]*bufconn.Listener)} }

func (n *network) listen(address string) net.Listener {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listeners[address] = bufconn.Listen(64 << 10)
	return n.listeners[address]
}

func (n *network) unplug(address string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.listeners, address)
}

// dialled counts the attempts to connect.
func (n *network) dialled() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dials
}

func (n *network) dial(ctx context.Context, address string) (net.Conn, error) {
	n.mu.Lock()
	n.dials++
	listener, silent := n.listeners[address], n.silent
	n.mu.Unlock()
	if listener == nil && silent {
		<-ctx.Done()
		return nil, fmt.Errorf("dial %s: i/o timeout", address)
	}
	if listener == nil {
		return nil, fmt.Errorf("dial %s: connection refused", address)
	}
	conn, err := listener.DialContext(ctx)
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// hub is the real thing but for its Connect, which echoes.
type hub struct {
	*dispatch.Server
	*ca.CA
	t       *testing.T
	net     *network
	dir     string
	address string
	// listener takes the place of the network's, if set.
	listener net.Listener
	life     time.Duration
	store    *store.Store
	grpc     *grpc.Server
	served   chan struct{}
	log      *record

	mu sync.Mutex
	// lose is how many answers to Enroll get lost yet.
	lose    int
	enrols  int
	renews  []time.Time
	resumed []bool
}

// address is numeric, so that no resolver is asked.
const address = "127.0.0.1:8443"

func newHub(t *testing.T, network *network) *hub {
	t.Helper()
	h := &hub{t: t, net: network, dir: t.TempDir(), address: address, life: 24 * time.Hour, log: &record{}}
	h.start()
	t.Cleanup(h.stop)
	return h
}

func (h *hub) start() {
	h.t.Helper()
	key, err := seal.New(seal.Config{Key: base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, seal.KeySize))})
	if err != nil {
		h.t.Fatal(err)
	}
	if h.store, err = store.Open(store.Config{Dir: h.dir}); err != nil {
		h.t.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(h.log, nil))
	if h.CA, err = ca.New(ca.Config{Store: h.store, Sealer: key, ClusterLife: h.life, Logger: logger}); err != nil {
		h.t.Fatal(err)
	}
	if h.Server, err = dispatch.New(dispatch.Config{Store: h.store, CA: h.CA, Logger: logger, Addresses: []string{h.address}}); err != nil {
		h.t.Fatal(err)
	}
	config, err := h.CA.SpokeTLS([]string{"127.0.0.1", "hub.example"})
	if err != nil {
		h.t.Fatal(err)
	}
	h.grpc = grpc.NewServer(grpc.Creds(credentials.NewTLS(config)))
	spokev1.RegisterSpokeServiceServer(h.grpc, service{h})
	listener := h.listener
	if listener == nil {
		listener = h.net.listen(h.address)
	}
	h.served = make(chan struct{})
	go func() {
		defer close(h.served)
		// A hub may be stopped before it has begun to serve.
		if err := h.grpc.Serve(listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			h.t.Errorf("serve: %v", err)
		}
	}()
}

func (h *hub) stop() {
	h.net.unplug(h.address)
	h.grpc.Stop()
	<-h.served
	if err := h.store.Close(); err != nil {
		h.t.Error(err)
	}
}

// service is what spokes call.
type service struct{ *hub }

func (s service) Enroll(ctx context.Context, request *spokev1.EnrollRequest) (*spokev1.EnrollResponse, error) {
	response, err := s.Server.Enroll(ctx, request)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enrols++
	if s.lose > 0 && err == nil {
		s.lose--
		// The connection breaks: what gRPC makes of it on the other side is the same.
		return nil, errLost
	}
	return response, err
}

func (s service) Renew(ctx context.Context, request *spokev1.RenewRequest) (*spokev1.RenewResponse, error) {
	response, err := s.Server.Renew(ctx, request)
	if err == nil {
		s.mu.Lock()
		s.renews = append(s.renews, time.Now())
		s.mu.Unlock()
	}
	return response, err
}

// Connect answers each message with a Drain, for as long as the cluster may be served.
func (s service) Connect(stream grpc.BidiStreamingServer[spokev1.ConnectRequest, spokev1.ConnectResponse]) error {
	from, _ := peer.FromContext(stream.Context())
	state := from.AuthInfo.(credentials.TLSInfo).State
	s.mu.Lock()
	s.resumed = append(s.resumed, state.DidResume)
	s.mu.Unlock()
	caller, err := s.ClusterFromState(state)
	if err != nil {
		return err
	}
	if err := s.Authorize(s.store.Read(), caller); err != nil {
		return err
	}
	for {
		if _, err := stream.Recv(); err != nil {
			return nil
		}
		if err := stream.Send(&spokev1.ConnectResponse{Message: &spokev1.ConnectResponse_Drain{Drain: &spokev1.Drain{}}}); err != nil {
			return err
		}
	}
}

// loseAnswers makes the next answers to Enroll get lost.
func (h *hub) loseAnswers(count int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lose = count
}

func (h *hub) counted() (enrols int, renews []time.Time, resumed []bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.enrols, append([]time.Time(nil), h.renews...), append([]bool(nil), h.resumed...)
}

func (h *hub) update(fn func(*store.Tx) error) {
	h.t.Helper()
	if _, err := h.store.Update(context.Background(), fn); err != nil {
		h.t.Fatal(err)
	}
}

// token makes a cluster if there is none of the name, and a token for it.
func (h *hub) token(name, uid string) string {
	h.t.Helper()
	draft, err := h.DraftToken(0)
	if err != nil {
		h.t.Fatal(err)
	}
	var token string
	h.update(func(tx *store.Tx) error {
		cluster := tx.ClusterByName(name)
		if cluster == nil {
			cluster = &yardarmv1.Cluster{Metadata: &yardarmv1.ObjectMeta{Name: name, Uid: uid}}
			if err := tx.PutCluster(cluster); err != nil {
				return err
			}
		}
		token, err = h.MintToken(tx, cluster, draft)
		return err
	})
	return token
}

func (h *hub) ban(name string, ban *yardarmv1.Ban) {
	h.t.Helper()
	h.update(func(tx *store.Tx) error {
		cluster := proto.CloneOf(tx.ClusterByName(name))
		cluster.Spec = &yardarmv1.ClusterSpec{Ban: ban}
		return tx.PutCluster(cluster)
	})
}

func (h *hub) remove(name string) {
	h.t.Helper()
	h.update(func(tx *store.Tx) error {
		uid := tx.ClusterByName(name).GetMetadata().GetUid()
		if err := tx.PutDeletedCluster(&storev1.DeletedCluster{Uid: uid, Name: name, Time: timestamppb.New(time.Now())}); err != nil {
			return err
		}
		return tx.DeleteCluster(uid)
	})
}

// machine is where a spoke runs: its folder outlives its processes.
type machine struct {
	t    *testing.T
	net  *network
	dir  string
	kube string
	log  *record
}

func newMachine(t *testing.T, network *network) *machine {
	t.Helper()
	return &machine{t: t, net: network, dir: t.TempDir(), kube: "kube-1", log: &record{}}
}

// spoke is one process.
type spoke struct {
	*enroll.Identity
	keep *enroll.Dir
}

func (m *machine) process(token string, addresses ...string) *spoke {
	m.t.Helper()
	keep, err := enroll.OpenDir(m.dir)
	if err != nil {
		m.t.Fatal(err)
	}
	if addresses == nil {
		addresses = []string{address}
	}
	identity, err := enroll.New(enroll.Config{
		Keep: keep, HubAddresses: addresses, Token: token, KubeUID: m.kube, Version: "test",
		DialOptions: []grpc.DialOption{grpc.WithContextDialer(m.net.dial)},
		Logger:      slog.New(slog.NewTextHandler(m.log, nil)),
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return &spoke{identity, keep}
}

// end is that of the process, however it comes.
func (s *spoke) end() { s.keep.Close() }

// started returns a process that has an identity.
func (m *machine) started(token string, addresses ...string) *spoke {
	m.t.Helper()
	s := m.process(token, addresses...)
	if err := s.Ensure(context.Background()); err != nil {
		m.t.Fatal(err)
	}
	return s
}

// run renews until the test's end, or until the function returned is called.
func (s *spoke) run(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}
}

// stream is a session's: dialled as spoke/session does.
type stream struct {
	conn *grpc.ClientConn
	grpc.BidiStreamingClient[spokev1.ConnectRequest, spokev1.ConnectResponse]
}

func (m *machine) connect(s *spoke) (*stream, error) {
	conn, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(credentials.NewTLS(s.TLS())), grpc.WithContextDialer(m.net.dial), grpc.WithDisableRetry())
	if err != nil {
		return nil, err
	}
	// No deadline: a stream has none. It ends with the connection.
	client, err := spokev1.NewSpokeServiceClient(conn).Connect(context.Background())
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	st := &stream{conn, client}
	if err := st.echo(); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return st, nil
}

func (s *stream) echo() error {
	if err := s.Send(&spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Heartbeat{Heartbeat: &spokev1.Heartbeat{}}}); err != nil {
		// The reason is what Recv says.
		_, err = s.Recv()
		return err
	}
	_, err := s.Recv()
	return err
}

func (s *stream) close(t *testing.T) {
	t.Helper()
	if err := s.conn.Close(); err != nil {
		t.Error(err)
	}
}

// record is a log to read.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(line []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(line)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}
