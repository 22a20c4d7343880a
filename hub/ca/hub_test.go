package ca

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"log/slog"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/seal"
	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/certs"
	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// hub is a CA on a store of its own, with a clock that stands still until it is told.
type hub struct {
	*CA
	t     testing.TB
	dir   string
	key   string
	clock *clock
	log   *record
}

func newHub(t testing.TB) *hub {
	t.Helper()
	h := &hub{t: t, dir: t.TempDir(), key: hubKey(1), clock: newClock(), log: &record{}}
	h.start()
	// The root is not younger than everything else.
	h.clock.pass(time.Hour)
	return h
}

// start opens the store and the CA, again after stop.
func (h *hub) start() {
	h.t.Helper()
	s, err := store.Open(store.Config{Dir: h.dir, Clock: h.clock.now})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { s.Close() })
	h.CA, err = New(Config{
		Store:          s,
		Sealer:         sealer(h.t, h.key),
		SpokeAddresses: []string{"hub.example:8443"},
		Clock:          h.clock.now,
		Logger:         slog.New(slog.NewTextHandler(h.log, nil)),
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *hub) stop() {
	h.t.Helper()
	if err := h.store.Close(); err != nil {
		h.t.Fatal(err)
	}
}

// update fails the test where the store does not take it.
func (h *hub) update(fn func(*store.Tx) error) {
	h.t.Helper()
	if _, err := h.store.Update(context.Background(), fn); err != nil {
		h.t.Fatal(err)
	}
}

// cluster makes a cluster whose uid is its name and "-uid".
func (h *hub) cluster(name string) *yardarmv1.Cluster {
	h.t.Helper()
	cluster := &yardarmv1.Cluster{Metadata: &yardarmv1.ObjectMeta{Name: name, Uid: name + "-uid"}}
	h.update(func(tx *store.Tx) error { return tx.PutCluster(cluster) })
	return cluster
}

func (h *hub) change(name string, change func(*yardarmv1.ClusterSpec)) {
	h.t.Helper()
	h.update(func(tx *store.Tx) error {
		cluster := proto.CloneOf(tx.ClusterByName(name))
		if cluster.Spec == nil {
			cluster.Spec = &yardarmv1.ClusterSpec{}
		}
		change(cluster.Spec)
		return tx.PutCluster(cluster)
	})
}

func (h *hub) ban(name string) {
	h.t.Helper()
	h.change(name, func(spec *yardarmv1.ClusterSpec) { spec.Ban = &yardarmv1.Ban{Reason: "test"} })
}

func (h *hub) remove(name string) {
	h.t.Helper()
	h.update(func(tx *store.Tx) error {
		uid := tx.ClusterByName(name).GetMetadata().GetUid()
		if err := tx.PutDeletedCluster(&storev1.DeletedCluster{Uid: uid, Name: name, Time: timestamppb.New(h.now())}); err != nil {
			return err
		}
		return tx.DeleteCluster(uid)
	})
}

// mint makes a token for a cluster that exists.
func (h *hub) mint(name string, ttl time.Duration) string {
	h.t.Helper()
	draft, err := h.DraftToken(ttl)
	if err != nil {
		h.t.Fatal(err)
	}
	var token string
	h.update(func(tx *store.Tx) error {
		token, err = h.MintToken(tx, tx.ClusterByName(name), draft)
		return err
	})
	return token
}

// spoke is a key, and what the hub has answered for it.
type spoke struct {
	key      crypto.Signer
	identity *spokev1.Identity
}

// enrol makes a cluster and its spoke.
func (h *hub) enrol(name string) *spoke {
	h.t.Helper()
	h.cluster(name)
	s := &spoke{key: newKey(h.t)}
	identity, err := h.Redeem(context.Background(), h.mint(name, 0), csr(h.t, s.key, nil), name+"-kube")
	if err != nil {
		h.t.Fatal(err)
	}
	s.identity = identity
	return s
}

func (s *spoke) leaf(t testing.TB) *x509.Certificate {
	t.Helper()
	return leaf(t, s.identity)
}

func leaf(t testing.TB, identity *spokev1.Identity) *x509.Certificate {
	t.Helper()
	chain, err := certs.Parse(identity.GetCertificates())
	if err != nil || len(chain) != 1 {
		t.Fatalf("certificates: %d, %v; want one", len(chain), err)
	}
	return chain[0]
}

// peer is the spoke as the hub sees it on a connection.
func (h *hub) peer(s *spoke) Peer {
	h.t.Helper()
	peer, err := h.ClusterFromState(stateOf(s.leaf(h.t)))
	if err != nil {
		h.t.Fatal(err)
	}
	return peer
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := certs.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func csr(t testing.TB, key crypto.Signer, template *x509.CertificateRequest) []byte {
	t.Helper()
	if template == nil {
		template = &x509.CertificateRequest{}
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func hubKey(fill byte) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{fill}, seal.KeySize))
}

func sealer(t testing.TB, key string) *seal.Sealer {
	t.Helper()
	sealer, err := seal.New(seal.Config{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return sealer
}

type clock struct {
	mu   sync.Mutex
	time time.Time
}

func newClock() *clock {
	return &clock{time: time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC)}
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.time
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.time = c.time.Add(d)
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
