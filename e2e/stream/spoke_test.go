package stream

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	mathrand "math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/pkg/certs"
	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
	"github.com/yardarm-dev/yardarm/spoke/report"
	"github.com/yardarm-dev/yardarm/spoke/session"
	"github.com/yardarm-dev/yardarm/spoke/state"
)

// noise is n bytes that do not compress, always the same.
func noise(n int) []byte {
	rng := mathrand.New(mathrand.NewPCG(1, 2))
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(rng.Uint32())
	}
	return out
}

// identity is an enrolled one.
type identity struct {
	config *tls.Config
	kube   string

	mu        sync.Mutex
	addresses []string
	fixed     bool // addresses are not the hub's to change
}

func (i *identity) TLS() *tls.Config { return i.config }

func (i *identity) Addresses() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.addresses
}

func (i *identity) TrustHash() []byte { return nil }

func (i *identity) Update(_ context.Context, _ [][]byte, addresses []string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.fixed {
		i.addresses = addresses
	}
	return nil
}

// dial sends the spoke to another address from now on, whatever the hub says.
func (i *identity) dial(address string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.addresses, i.fixed = []string{address}, true
}

// enrol makes a cluster with labels and enrols a spoke for it, over the wire.
func enrol(t testing.TB, h *hub, cluster string, labels map[string]string) *identity {
	t.Helper()
	h.cluster(cluster, labels)
	roots, err := certs.Pool(h.ca.TrustBundle())
	if err != nil {
		t.Fatal(err)
	}
	key, err := certs.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	id := &identity{kube: "kube-" + cluster, config: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}}
	conn := id.conn(t, h.address)
	answer, err := spokev1.NewSpokeServiceClient(conn).Enroll(t.Context(), &spokev1.EnrollRequest{Token: h.token(cluster), Csr: csr, KubeUid: id.kube, SpokeVersion: "test"})
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := certs.Certificate(answer.Identity.Certificates, key)
	if err != nil {
		t.Fatal(err)
	}
	id.config = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{*certificate}, ClientSessionCache: tls.NewLRUClientSessionCache(8)}
	id.addresses = answer.Identity.HubAddresses
	return id
}

// conn is a connection of its own, for what no spoke does.
func (i *identity) conn(t testing.TB, address string, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(address, append(options, grpc.WithTransportCredentials(credentials.NewTLS(i.config.Clone())))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// spoke is a spoke whose cluster is played: what is assigned and here is ready at once.
type spoke struct {
	t       testing.TB
	cluster string
	id      *identity
	dir     string
	backend state.Backend
	state   *state.State
	book    *report.Book
	dial    []grpc.DialOption
	log     slog.Handler
	try     func(context.Context, *yardarmv1.AssignmentSpec, []byte) *yardarmv1.TrialResult // nil: it tries nothing

	mu       sync.Mutex
	facts    *yardarmv1.Facts
	refused  bool
	statuses []session.Status
	// asks makes removals wait until they are accepted, and idle keeps the cluster from being looked at.
	asks, idle bool
	err        error // what Run ended with
	// renewed is its newest certificate, if it has asked for one.
	renewed *x509.Certificate

	stop context.CancelFunc
	done sync.WaitGroup
}

// newSpoke enrols a cluster and makes its spoke, which does not run yet.
func newSpoke(t testing.TB, h *hub, cluster string, labels map[string]string) *spoke {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "spoke")
	backend, err := state.NewDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := &spoke{t: t, cluster: cluster, dir: dir, id: enrol(t, h, cluster, labels), backend: backend, facts: &yardarmv1.Facts{KubernetesVersion: "v1.36.1", Nodes: 3},
		log: slog.NewTextHandler(logTo{t, cluster}, nil)}
	s.reopen()
	t.Cleanup(s.halt)
	return s
}

// reopen forgets all but what is persisted.
func (s *spoke) reopen() {
	s.t.Helper()
	st, err := state.Open(context.Background(), s.backend, slog.New(slog.DiscardHandler))
	if err != nil {
		s.t.Fatal(err)
	}
	s.state, s.book = st, report.NewBook()
}

func (s *spoke) start() {
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	client := session.New(session.Config{
		Identity: s.id, State: s.state, Book: s.book, Version: "test", Instance: "1", KubeUID: s.id.kube,
		Logger: slog.New(s.log),
		Facts:  s.observe, Try: s.try, DialOptions: s.dial,
		Status: func(st session.Status) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.statuses = append(s.statuses, st)
		},
	})
	state, book := s.state, s.book
	if !s.idle {
		s.done.Go(func() { s.reconcile(ctx, state, book) })
	}
	s.done.Go(func() {
		err := client.Run(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.err = err
	})
}

// observe answers the facts. Without any, the API server refuses once, and then hangs.
func (s *spoke) observe(ctx context.Context) (*yardarmv1.Facts, error) {
	s.mu.Lock()
	facts, refused := s.facts, s.refused
	s.refused = facts == nil
	s.mu.Unlock()
	if facts == nil && refused {
		<-ctx.Done()
	}
	if facts == nil {
		return nil, errors.New("the API server does not answer")
	}
	return facts, nil
}

// halt stops the process; what is persisted stays.
func (s *spoke) halt() {
	if s.stop != nil {
		s.stop()
		s.done.Wait()
		s.stop, s.statuses = nil, nil
	}
}

// restart is another process on the same state.
func (s *spoke) restart() {
	s.t.Helper()
	s.halt()
	s.reopen()
	s.start()
}

// reconcile plays the cluster.
func (s *spoke) reconcile(ctx context.Context, st *state.State, book *report.Book) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-st.Changed():
		}
		for _, e := range st.Entries() {
			a := e.Assignment
			r := &yardarmv1.Report{
				Bundle: a.Bundle, BundleUid: a.BundleUid, AssignmentHash: a.Hash, Revision: a.Revision, Digest: a.Digest,
				Phase: yardarmv1.PhasePending, ObservedTime: timestamppb.Now(),
			}
			s.mu.Lock()
			asks := s.asks
			s.mu.Unlock()
			switch {
			case e.Removal != nil && asks && !e.Removal.Accepted:
				r.Phase, r.Reason = yardarmv1.PhaseHeld, yardarmv1.ReasonMassDeletion
			case e.Removal != nil:
				if err := st.Finished(ctx, a.BundleUid); err != nil && ctx.Err() == nil {
					s.t.Error(err)
				}
				book.Remove(a.BundleUid)
				continue
			case e.Hold != nil:
				r.Phase, r.Reason, r.Message = yardarmv1.PhaseHeld, e.Hold.Reason, e.Hold.Message
			case e.HasContent:
				if _, err := st.Content(ctx, a.Digest); err == nil {
					if err := st.Applied(ctx, a.BundleUid, state.Applied{Digest: a.Digest}, nil); err != nil && ctx.Err() == nil {
						s.t.Error(err)
					}
					r.Phase, r.RenderedDigest = yardarmv1.PhaseReady, a.Digest
				}
			}
			book.Set(r)
		}
	}
}

// entry answers what the spoke holds of a bundle; nil for nothing.
func (s *spoke) entry(bundle string) *state.Entry {
	for _, e := range s.state.Entries() {
		if e.Assignment.Bundle == bundle {
			return &e
		}
	}
	return nil
}

// status answers the newest status of the stream.
func (s *spoke) status() session.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.statuses) == 0 {
		return session.Status{}
	}
	return s.statuses[len(s.statuses)-1]
}

// ended answers what Run has ended with.
func (s *spoke) ended() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *spoke) setFacts(f *yardarmv1.Facts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.facts = f
}

func (s *spoke) awaitConnected(h *hub) {
	s.t.Helper()
	eventually(s.t, s.cluster+" is connected and confirmed", func() bool {
		p := h.presence(s.cluster)
		return p.State == yardarmv1.PresenceConnected && p.Confirmed
	})
}
