package hostile

import (
	"bytes"
	"encoding/base64"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/hub/ca"
	"github.com/yardarm-dev/yardarm/hub/dispatch"
	"github.com/yardarm-dev/yardarm/hub/seal"
	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/holdings"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// hub enrols spokes as a real one does, and then says what a test has it say.
type hub struct {
	*dispatch.Server
	t       *testing.T
	address string
	store   *store.Store
	ca      *ca.CA

	// say are the messages for whichever session is open.
	say chan *spokev1.ConnectResponse

	mu       sync.Mutex
	epoch    []byte                       // guarded by mu
	index    uint64                       // guarded by mu
	hellos   []*spokev1.Hello             // guarded by mu
	nacks    []*spokev1.Nack              // guarded by mu
	reports  map[string]*yardarmv1.Report // guarded by mu; the newest, by bundle uid
	contents map[string]content           // guarded by mu; what is fetched, by digest
}

// content is the answer to a fetch.
type content struct {
	encodedSize, size uint64
	data              []byte
}

func newHub(t *testing.T) *hub {
	t.Helper()
	key, err := seal.New(seal.Config{Key: base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, seal.KeySize))})
	if err != nil {
		t.Fatal(err)
	}
	h := &hub{
		t: t, say: make(chan *spokev1.ConnectResponse, 16), epoch: bytes.Repeat([]byte{1}, 16), index: 10,
		reports: map[string]*yardarmv1.Report{}, contents: map[string]content{},
	}
	if h.store, err = store.Open(store.Config{Dir: filepath.Join(t.TempDir(), "hub")}); err != nil {
		t.Fatal(err)
	}
	if h.ca, err = ca.New(ca.Config{Store: h.store, Sealer: key}); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.address = listener.Addr().String()
	if h.Server, err = dispatch.New(dispatch.Config{Store: h.store, CA: h.ca, Logger: slog.New(slog.DiscardHandler), Addresses: []string{h.address}}); err != nil {
		t.Fatal(err)
	}
	tls, err := h.ca.SpokeTLS([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(tls)), grpc.MaxSendMsgSize(64<<20))
	spokev1.RegisterSpokeServiceServer(server, h)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if err := h.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// token is one to enrol a cluster with.
func (h *hub) token(cluster string) (token string) {
	h.t.Helper()
	draft, err := h.ca.DraftToken(0)
	if err != nil {
		h.t.Fatal(err)
	}
	c := &yardarmv1.Cluster{Metadata: &yardarmv1.ObjectMeta{Name: cluster, Uid: "uid-" + cluster}, Spec: &yardarmv1.ClusterSpec{}}
	_, err = h.store.Update(h.t.Context(), func(tx *store.Tx) (err error) {
		if err := tx.PutCluster(c); err != nil {
			return err
		}
		token, err = h.ca.MintToken(tx, c, draft)
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return token
}

// Connect greets, says what the test has it say, and notes what the spoke answers.
func (h *hub) Connect(stream grpc.BidiStreamingServer[spokev1.ConnectRequest, spokev1.ConnectResponse]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	h.mu.Lock()
	h.hellos = append(h.hellos, first.GetHello())
	welcome := &spokev1.Welcome{Session: "hostile", Cursor: &spokev1.Cursor{Epoch: h.epoch, Index: h.index}, HeartbeatInterval: durationpb.New(time.Second), SendReports: true}
	h.mu.Unlock()
	if err := stream.Send(&spokev1.ConnectResponse{Message: &spokev1.ConnectResponse_Welcome{Welcome: welcome}}); err != nil {
		return err
	}
	heard := make(chan error, 1)
	go func() {
		for {
			m, err := stream.Recv()
			if err != nil {
				heard <- err
				return
			}
			h.hear(m)
		}
	}()
	for {
		select {
		case err := <-heard:
			return err
		case m := <-h.say:
			if err := stream.Send(m); err != nil {
				return err
			}
		}
	}
}

func (h *hub) hear(m *spokev1.ConnectRequest) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := m.GetNack(); n != nil {
		h.nacks = append(h.nacks, n)
	}
	for _, r := range m.GetReports().GetReports() {
		h.reports[r.BundleUid] = r
	}
}

// Fetch answers what the test has put there.
func (h *hub) Fetch(req *spokev1.FetchRequest, stream grpc.ServerStreamingServer[spokev1.FetchResponse]) error {
	h.mu.Lock()
	c := h.contents[req.Digest]
	h.mu.Unlock()
	const chunk = 256 << 10
	first := true
	for data := c.data; first || len(data) > 0; first = false {
		n := min(chunk, len(data))
		if err := stream.Send(&spokev1.FetchResponse{EncodedSize: c.encodedSize, Size: c.size, Data: data[:n]}); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// assignment makes the one of a bundle's next revision, with an honest hash.
func (h *hub) assignment(bundle, digest string, size int, edit func(*yardarmv1.AssignmentSpec)) *yardarmv1.AssignmentSpec {
	a := &yardarmv1.AssignmentSpec{
		Cluster: "edge-1", Bundle: bundle, BundleUid: "uid-" + bundle, Revision: 1, Digest: digest, Size: uint64(size), Delivery: &yardarmv1.DeliveryPolicy{},
	}
	if edit != nil {
		edit(a)
	}
	a.Hash = holdings.AssignmentHash(a)
	return a
}

// set is the artifact of some YAML.
func set(t *testing.T, text string) []byte {
	t.Helper()
	s, err := manifest.Parse([]manifest.File{{Path: "x.yaml", Data: []byte(text)}}, manifest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return s.Canonical()
}

// whole is the content of an artifact, as an honest hub sends it.
func whole(artifact []byte) *spokev1.Content {
	return &spokev1.Content{Digest: manifest.DigestOf(artifact).String(), Size: uint64(len(artifact)), Data: manifest.Compress(artifact)}
}

// send sends changes at the next cursor.
func (h *hub) send(contents []*spokev1.Content, changes ...*spokev1.Change) {
	h.mu.Lock()
	h.index++
	d := &spokev1.Delta{Cursor: &spokev1.Cursor{Epoch: h.epoch, Index: h.index}, Changes: changes, Contents: contents}
	h.mu.Unlock()
	h.tell(d)
}

func (h *hub) tell(d *spokev1.Delta) {
	h.say <- &spokev1.ConnectResponse{Message: &spokev1.ConnectResponse_Delta{Delta: proto.CloneOf(d)}}
}

func assign(a *yardarmv1.AssignmentSpec) *spokev1.Change {
	return &spokev1.Change{Change: &spokev1.Change_Assign{Assign: a}}
}

// deliver assigns YAML as a bundle, with its content.
func (h *hub) deliver(bundle, text string, edit func(*yardarmv1.AssignmentSpec)) *yardarmv1.AssignmentSpec {
	h.t.Helper()
	artifact := set(h.t, text)
	a := h.assignment(bundle, manifest.DigestOf(artifact).String(), len(artifact), edit)
	h.send([]*spokev1.Content{whole(artifact)}, assign(a))
	return a
}

// reported waits for a report about an assignment that is as wanted.
func (h *hub) reported(t *testing.T, a *yardarmv1.AssignmentSpec, what string, ok func(*yardarmv1.Report) bool) *yardarmv1.Report {
	t.Helper()
	var last *yardarmv1.Report
	eventually(t, what, func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		last = h.reports[a.BundleUid]
		return last != nil && bytes.Equal(last.AssignmentHash, a.Hash) && ok(last)
	}, func() any { return last })
	return last
}

// refused waits for a nack with a code about a bundle or a digest, and answers it.
func (h *hub) refused(t *testing.T, subject string, code spokev1.NackCode) *spokev1.Nack {
	t.Helper()
	var found *spokev1.Nack
	eventually(t, subject+" is refused as "+code.String(), func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, n := range h.nacks {
			if n.Code == code && (n.BundleUid == subject || n.Digest == subject) {
				found = n
			}
		}
		return found != nil
	}, func() any { h.mu.Lock(); defer h.mu.Unlock(); return h.nacks })
	return found
}

// sessions answers how often the spoke has come, and its newest Hello.
func (h *hub) sessions() (n int, last *spokev1.Hello) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n = len(h.hellos); n > 0 {
		last = h.hellos[n-1]
	}
	return n, last
}

// patience is how long a test waits for what is to come, in a machine that has much else to do.
const patience = 60 * time.Second

func eventually(t *testing.T, what string, ok func() bool, detail func() any) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s; last: %v", patience, what, detail())
		}
	}
}

// serve puts there what is fetched.
func (h *hub) serve(digest string, c content) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.contents[digest] = c
}
