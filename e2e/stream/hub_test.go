package stream

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/admission"
	"github.com/yardarm-dev/yardarm/hub/ca"
	"github.com/yardarm-dev/yardarm/hub/dispatch"
	"github.com/yardarm-dev/yardarm/hub/seal"
	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// patience is how long a test waits for what is to come, in a machine that has much else to do.
const patience = 30 * time.Second

// connections is how many one cluster may have: tests keep those that they have done with.
const connections = 16

// eventually polls until check is content.
func eventually(t testing.TB, what string, check func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !check(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// hub is a hub without its API: the tests write the store as the API would.
type hub struct {
	t       testing.TB
	dir     string
	address string // host:port; stays the same over restarts
	names   []string
	edit    func(*dispatch.Config)
	// skew is how far its clock is off, in nanoseconds.
	skew    atomic.Int64
	wrapLog func(store.Log) store.Log // nil for none

	store    *store.Store
	ca       *ca.CA
	dispatch *dispatch.Server
	grpc     *grpc.Server
	cancel   context.CancelFunc
	running  sync.WaitGroup
}

// newHub starts a hub with short times. edit may change its configuration; it may be nil.
func newHub(t testing.TB, edit func(*dispatch.Config)) *hub {
	t.Helper()
	h := &hub{t: t, dir: filepath.Join(t.TempDir(), "hub"), address: "127.0.0.1:0", names: []string{"127.0.0.1", "hub.example"}, edit: edit}
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
	logger := slog.New(slog.NewTextHandler(logTo{h.t, "hub"}, nil))
	if h.store, err = store.Open(store.Config{Dir: h.dir, FlushInterval: 20 * time.Millisecond, WrapLog: h.wrapLog}); err != nil {
		h.t.Fatal(err)
	}
	if h.ca, err = ca.New(ca.Config{Store: h.store, Sealer: key, Clock: h.now}); err != nil {
		h.t.Fatal(err)
	}
	listener, err := net.Listen("tcp", h.address)
	if err != nil {
		h.t.Fatal(err)
	}
	h.address = listener.Addr().String()
	config := dispatch.Config{
		Store: h.store, CA: h.ca, Logger: logger, Addresses: []string{h.address}, Clock: h.now,
		AgainEvery:        time.Millisecond, // tests connect as they please
		HeartbeatInterval: 200 * time.Millisecond, StaleAfter: time.Second, ReconnectGrace: time.Second, RestartGrace: 3 * time.Second,
	}
	if h.edit != nil {
		h.edit(&config)
	}
	if h.dispatch, err = dispatch.New(config); err != nil {
		h.t.Fatal(err)
	}
	tls, err := h.ca.SpokeTLS(h.names)
	if err != nil {
		h.t.Fatal(err)
	}
	stranger := patience
	if config.HelloTimeout > 0 {
		stranger = 2 * config.HelloTimeout
	}
	door, err := admission.Listen(admission.Config{
		Port: listener, TLS: tls, Name: "spokes", Logger: logger, Who: ca.ClusterUID, Stranger: stranger, Each: connections,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	h.grpc = grpc.NewServer(append(h.dispatch.Options(), grpc.Creds(admission.Credentials(tls)))...)
	h.dispatch.Register(h.grpc)
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	h.run("store", func() error { return h.store.Run(ctx) })
	h.run("dispatch", func() error { return h.dispatch.Run(ctx) })
	h.run("grpc", func() error { return h.grpc.Serve(door) })
}

// now is what the hub's clock says.
func (h *hub) now() time.Time { return time.Now().Add(time.Duration(h.skew.Load())) }

func (h *hub) run(name string, f func() error) {
	h.running.Go(func() {
		if err := f(); err != nil {
			h.t.Errorf("%s: %v", name, err)
		}
	})
}

// stop ends the hub without a word to its spokes.
func (h *hub) stop() {
	if h.cancel == nil {
		return
	}
	h.grpc.Stop()
	h.cancel()
	h.running.Wait()
	if err := h.store.Close(); err != nil {
		h.t.Error(err)
	}
	h.cancel = nil
}

// update changes the store.
func (h *hub) update(f func(tx *store.Tx) error) {
	h.t.Helper()
	if _, err := h.store.Update(h.t.Context(), f); err != nil {
		h.t.Fatal(err)
	}
}

func uid(name string) string { return "uid-" + name }

// cluster makes a cluster with labels.
func (h *hub) cluster(name string, labels map[string]string) {
	h.t.Helper()
	h.update(func(tx *store.Tx) error {
		return tx.PutCluster(&yardarmv1.Cluster{Metadata: &yardarmv1.ObjectMeta{Name: name, Uid: uid(name), Labels: labels}, Spec: &yardarmv1.ClusterSpec{}})
	})
}

func (h *hub) changeCluster(name string, f func(*yardarmv1.Cluster)) {
	h.t.Helper()
	h.update(func(tx *store.Tx) error {
		c := proto.CloneOf(tx.Cluster(uid(name)))
		f(c)
		return tx.PutCluster(c)
	})
}

// token is one for the cluster to enrol with.
func (h *hub) token(name string) (token string) {
	h.t.Helper()
	draft, err := h.ca.DraftToken(0)
	if err != nil {
		h.t.Fatal(err)
	}
	h.update(func(tx *store.Tx) (err error) {
		token, err = h.ca.MintToken(tx, tx.Cluster(uid(name)), draft)
		return err
	})
	return token
}

// group makes a group of all clusters with the labels, narrowed by an expression if that is not empty.
func (h *hub) group(name string, labels map[string]string, expression string) {
	h.t.Helper()
	h.update(func(tx *store.Tx) error {
		return tx.PutGroup(&yardarmv1.ClusterGroup{Metadata: &yardarmv1.ObjectMeta{Name: name, Uid: uid(name)}, Spec: &yardarmv1.ClusterGroupSpec{
			Selector: &yardarmv1.LabelSelector{MatchLabels: labels}, Expression: expression,
		}})
	})
}

// publish makes a new revision of a bundle for the groups, makes the bundle if need be, and answers the digest.
func (h *hub) publish(bundle string, content []byte, groups ...string) (digest string) {
	h.t.Helper()
	return h.revise(bundle, content, func(b *yardarmv1.Bundle, digest string) {
		b.Spec.Targets = nil
		for _, g := range groups {
			b.Spec.Targets = append(b.Spec.Targets, &yardarmv1.Target{Group: g})
		}
		b.Status.Revision, b.Status.Digest = b.Status.LatestRevision, digest
	})
}

// revise makes a new revision of a bundle, with what else changes of the bundle, which it makes if need be.
func (h *hub) revise(bundle string, content []byte, change func(b *yardarmv1.Bundle, digest string)) (digest string) {
	h.t.Helper()
	digest = manifest.DigestOf(content).String()
	encoded := manifest.Compress(content)
	h.update(func(tx *store.Tx) error {
		b := &yardarmv1.Bundle{Metadata: &yardarmv1.ObjectMeta{Name: bundle, Uid: uid(bundle)}, Spec: &yardarmv1.BundleSpec{}, Status: &yardarmv1.BundleStatus{}}
		if old := tx.Bundle(uid(bundle)); old != nil {
			b = proto.CloneOf(old)
		}
		b.Status.LatestRevision++
		change(b, digest)
		if err := tx.PutArtifact(&storev1.Artifact{Digest: digest, Size: uint64(len(content)), EncodedSize: uint64(len(encoded))}, encoded); err != nil {
			return err
		}
		number := b.Status.LatestRevision
		if err := tx.PutRevision(&yardarmv1.Revision{
			Metadata: &yardarmv1.ObjectMeta{Name: fmt.Sprintf("%s-%d", bundle, number)},
			Spec:     &yardarmv1.RevisionSpec{Bundle: bundle, BundleUid: uid(bundle), Number: number, Digest: digest, Size: uint64(len(content))},
		}); err != nil {
			return err
		}
		return tx.PutBundle(b)
	})
	return digest
}

// retarget changes a bundle's groups.
func (h *hub) retarget(bundle string, groups ...string) {
	h.t.Helper()
	h.update(func(tx *store.Tx) error {
		b := proto.CloneOf(tx.Bundle(uid(bundle)))
		b.Spec.Targets = nil
		for _, g := range groups {
			b.Spec.Targets = append(b.Spec.Targets, &yardarmv1.Target{Group: g})
		}
		return tx.PutBundle(b)
	})
}

// accept lets go of what the cluster reports as held of a bundle.
func (h *hub) accept(cluster, bundle string) {
	h.t.Helper()
	h.update(func(tx *store.Tx) error {
		r := tx.ObservedBundle(uid(cluster), uid(bundle)).GetReport()
		if r.GetPhase() != yardarmv1.PhaseHeld {
			return fmt.Errorf("bundle %s is not reported as held: %v", bundle, r)
		}
		return tx.PutAcceptance(&storev1.Acceptance{ClusterUid: uid(cluster), BundleUid: uid(bundle), HoldingHash: r.AssignmentHash, Actor: "test", Time: timestamppb.Now()})
	})
}

// presence answers a cluster's presence; the zero one where there is none.
func (h *hub) presence(cluster string) store.Presence {
	if p := h.store.Read().Presence(uid(cluster)); p != nil {
		return *p
	}
	return store.Presence{}
}

// report answers the newest report that the hub has; nil where there is none.
func (h *hub) report(cluster, bundle string) *yardarmv1.Report {
	return h.store.Read().ObservedBundle(uid(cluster), uid(bundle)).GetReport()
}

// awaitPhase waits for a report of a phase about a revision; 0 for any.
func (h *hub) awaitPhase(cluster, bundle, phase string, revision uint32) *yardarmv1.Report {
	h.t.Helper()
	var r *yardarmv1.Report
	eventually(h.t, fmt.Sprintf("%s reports %s %s at revision %d", cluster, bundle, phase, revision), func() bool {
		r = h.report(cluster, bundle)
		return r.GetPhase() == phase && (revision == 0 || r.GetRevision() == revision)
	})
	return r
}

// events answers the reasons of a cluster's events.
func (h *hub) events(cluster string) (reasons []string) {
	for e := range h.store.Read().Events(0) {
		if e.Cluster == cluster {
			reasons = append(reasons, e.Reason)
		}
	}
	return reasons
}

func (h *hub) countEvents(cluster, reason string) (n int) {
	for _, r := range h.events(cluster) {
		if r == reason {
			n++
		}
	}
	return n
}

// backup writes the database to a file, and answers its path.
func (h *hub) backup() string {
	h.t.Helper()
	path := filepath.Join(h.t.TempDir(), "backup")
	f, err := os.Create(path)
	if err != nil {
		h.t.Fatal(err)
	}
	defer f.Close()
	if err := h.store.Backup(h.t.Context(), f); err != nil {
		h.t.Fatal(err)
	}
	return path
}

// restore starts the hub anew on what a backup holds.
func (h *hub) restore(backup string) {
	h.t.Helper()
	h.stop()
	h.dir = filepath.Join(h.t.TempDir(), "restored")
	if _, err := store.Restore(store.RestoreConfig{Source: backup, Dir: h.dir}); err != nil {
		h.t.Fatal(err)
	}
	h.start()
}

// logTo writes log lines where the test keeps them, as long as it runs.
type logTo struct {
	t    testing.TB
	name string
}

func (l logTo) Write(p []byte) (int, error) {
	if _, fuzz := l.t.(*testing.F); !fuzz && l.t.Context().Err() == nil { // a fuzz test's F is not for use within it
		l.t.Logf("%s: %s", l.name, bytes.TrimSpace(p))
	}
	return len(p), nil
}

// text makes some content that compresses little, of about n bytes, that differs by seed in one place.
func text(n int, seed string) []byte {
	out := slices.Clone(noise(n))
	return append(append(out, "\nseed: "...), seed...)
}
