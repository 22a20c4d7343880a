package source

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/yardarm-dev/yardarm/hub/api"
	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/gateway"
	"github.com/yardarm-dev/yardarm/hub/source/credentials"
	"github.com/yardarm-dev/yardarm/hub/source/git/gittest"
	"github.com/yardarm-dev/yardarm/hub/source/reach"
	"github.com/yardarm-dev/yardarm/pkg/render"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestMain(m *testing.M) {
	render.Child()
	goleak.VerifyTestMain(m)
}

// world is a hub whose bundle web has a repository as its source.
type world struct {
	*gittest.Repository
	server     *gittest.Server
	hub        *apitest.Hub
	sealer     credentials.Sealer
	controller *Controller
	// configure, if set, changes what controllers are made of.
	configure func(*Config)
	// logged is what the hub and the controller log.
	logged record
	stop   func()
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

func (w *world) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(&w.logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOf(t, nil)
}

func newWorldOf(t *testing.T, config *tls.Config) *world {
	t.Helper()
	r := gittest.New(t)
	w := &world{Repository: r, server: gittest.Serve(r, config)}
	w.hub = apitest.Start(t, func(c *api.Config, g *gateway.Config) {
		w.sealer, c.Limits.FailureRate, c.Logger, g.Logger = c.Sealer, 5, w.logger(), w.logger()
		g.Webhook = func(ctx context.Context, name string, header http.Header, body io.Reader) error {
			return w.controller.Hear(ctx, name, header, body)
		}
		g.Stranger = func(remote string) error { return w.hub.API.Stranger(remote) }
	})
	w.keep(&yardarmv1.SourceCredentialsSpec{Urls: []string{w.server.URL}, Ca: string(w.server.CA)})
	w.run()
	t.Cleanup(func() { w.stop() })
	return w
}

// run starts a controller, as a hub does that starts.
func (w *world) run() {
	w.Helper()
	if w.stop != nil {
		w.stop()
	}
	config := Config{Store: w.hub.Store, Publisher: w.hub.API, Sealer: w.sealer, Dir: filepath.Join(w.hub.Dir, "sources"), Dialer: reach.Dialer{Local: true}, Logger: w.logger()}
	if w.configure != nil {
		w.configure(&config)
	}
	c, err := New(config)
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	w.controller = c
	w.stop = func() {
		cancel()
		if err := <-done; err != nil {
			w.Error(err)
		}
		w.stop = func() {}
	}
}

// keep makes the source credentials "git" what they are to be: for the bundle web, where that is not said.
func (w *world) keep(spec *yardarmv1.SourceCredentialsSpec) {
	w.Helper()
	w.keepAs("git", spec)
}

func (w *world) keepAs(name string, spec *yardarmv1.SourceCredentialsSpec) {
	w.Helper()
	if spec.Bundles == nil {
		spec.Bundles = &yardarmv1.Scope{Names: []string{"web"}}
	}
	if err := w.tryKeep(name, spec); err != nil {
		w.Fatal(err)
	}
}

func (w *world) tryKeep(name string, spec *yardarmv1.SourceCredentialsSpec) error {
	_, err := w.hub.Apply(w.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{{Resource: &hubv1.Resource_SourceCredentials{SourceCredentials: &yardarmv1.SourceCredentials{
		Metadata: &yardarmv1.ObjectMeta{Name: name}, Spec: spec}}}}})
	return err
}

// apply makes the bundle web, or changes its source.
func (w *world) apply(change func(*yardarmv1.Source)) {
	w.Helper()
	if err := w.tryApply(nil, change); err != nil {
		w.Fatal(err)
	}
}

func (w *world) tryApply(labels map[string]string, change func(*yardarmv1.Source)) error {
	s := &yardarmv1.Source{From: &yardarmv1.Source_Git{Git: &yardarmv1.GitSource{
		Url: w.server.Repo, Path: "apps/web", Credentials: "git", Interval: durationpb.New(time.Hour)}}}
	if change != nil {
		change(s)
	}
	_, err := w.hub.Apply(w.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{{Resource: &hubv1.Resource_Bundle{Bundle: &yardarmv1.Bundle{
		Metadata: &yardarmv1.ObjectMeta{Name: "web", Labels: labels}, Spec: &yardarmv1.BundleSpec{Source: s}}}}}})
	return err
}

// another is one more repository, whose server the source credentials of a name are for.
func (w *world) another(name string) (*gittest.Repository, *gittest.Server) {
	w.Helper()
	r := gittest.New(w)
	s := gittest.Serve(r, nil)
	w.keepAs(name, &yardarmv1.SourceCredentialsSpec{Urls: []string{s.URL}, Ca: string(s.CA), Bundles: &yardarmv1.Scope{Selector: &yardarmv1.LabelSelector{}}})
	return r, s
}

// bundle makes one more bundle of a repository, or has it asked again.
func (w *world) bundle(name, credentials, url string) {
	w.Helper()
	interval := time.Hour + time.Duration(w.hub.Store.Read().Index())*time.Second
	if _, err := w.hub.Apply(w.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{{Resource: &hubv1.Resource_Bundle{Bundle: &yardarmv1.Bundle{Metadata: &yardarmv1.ObjectMeta{Name: name},
		Spec: &yardarmv1.BundleSpec{Source: &yardarmv1.Source{From: &yardarmv1.Source_Git{Git: &yardarmv1.GitSource{
			Url: url, Path: "apps/web", Credentials: credentials, Interval: durationpb.New(interval)}}}}}}}}}); err != nil {
		w.Fatal(err)
	}
}

func configMap(name, value string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\n  namespace: default\ndata:\n  key: %s\n", name, value)
}

// until waits for the bundle to be as wanted, and answers it.
func (w *world) until(what string, wanted func(*yardarmv1.Bundle) bool) *yardarmv1.Bundle {
	w.Helper()
	return w.untilBundle("web", what, wanted)
}

func (w *world) untilBundle(name, what string, wanted func(*yardarmv1.Bundle) bool) *yardarmv1.Bundle {
	w.Helper()
	var last *yardarmv1.Bundle
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		b, err := w.hub.GetBundle(w.Context(), &hubv1.GetBundleRequest{Name: name})
		if err != nil {
			w.Fatal(err)
		}
		if last = b; wanted(b) {
			return b
		}
	}
	w.Fatalf("no %s within 20 s: %v", what, last.GetStatus())
	return nil
}

func (w *world) untilCommit(hash string) *yardarmv1.Bundle {
	w.Helper()
	return w.until("commit "+hash, func(b *yardarmv1.Bundle) bool { return b.GetStatus().GetSource().GetCommit() == hash })
}

func (w *world) untilProblem(reason string) *yardarmv1.SourceProblem {
	w.Helper()
	b := w.until("problem "+reason, func(b *yardarmv1.Bundle) bool { return b.GetStatus().GetSource().GetProblem().GetReason() == reason })
	for _, c := range b.Status.Conditions {
		if c.Type == "Sourced" && c.Status == yardarmv1.ConditionFalse && c.Reason == reason {
			return b.Status.Source.Problem
		}
	}
	w.Errorf("no condition tells of it: %v", b.Status.Conditions)
	return b.Status.Source.Problem
}

// look has the repository looked at, as a webhook does.
func (w *world) look() {
	w.Helper()
	if err := w.controller.Look(w.Context(), func(*yardarmv1.Source) bool { return true }); err != nil {
		w.Fatal(err)
	}
}

// stays tells whether the last good revision is still the one there is.
func (w *world) stays(commit string, revision uint32) {
	w.Helper()
	b, err := w.hub.GetBundle(w.Context(), &hubv1.GetBundleRequest{Name: "web"})
	if err != nil || b.Status.LatestRevision != revision || b.Status.Source.Commit != commit {
		w.Errorf("revision %d of commit %s has not stayed: %v, %v", revision, commit, b.GetStatus(), err)
	}
}

func (w *world) revision(number uint32) *yardarmv1.RevisionSpec {
	w.Helper()
	r, err := w.hub.GetRevision(w.Context(), &hubv1.GetRevisionRequest{Bundle: "web", Number: number})
	if err != nil {
		w.Fatal(err)
	}
	return r.GetSpec()
}

// TestFollow goes from commits to revisions: with who made them, and none where nothing has changed for the bundle.
func TestFollow(t *testing.T) {
	w := newWorld(t)
	first := w.Commit("web: begin", "apps/web/a.yaml", configMap("a", "one"))
	w.apply(nil)
	if b := w.untilCommit(first); b.Status.LatestRevision != 1 || b.Status.Source.Subject != "web: begin" || b.Status.Source.AsOf == nil {
		t.Errorf("the status is %v", b.Status)
	}
	p := w.revision(1).GetProvenance()
	if p.Actor != "source:web" || p.Commit != first || p.Author != "Ada <ada@example.com>" || p.Ref != "main" || p.Source != w.server.Repo+"//apps/web" || p.Message != "web: begin" {
		t.Errorf("the provenance is %v", p)
	}

	second := w.Commit("web: change", "apps/web/a.yaml", configMap("a", "two"))
	w.look()
	if b := w.untilCommit(second); b.Status.LatestRevision != 2 {
		t.Errorf("the status is %v", b.Status)
	}
	elsewhere := w.Commit("other: begin", "apps/other/a.yaml", configMap("b", "one"))
	w.look()
	if b := w.untilCommit(elsewhere); b.Status.LatestRevision != 2 {
		t.Errorf("a commit that changes nothing of the bundle has made revision %d", b.Status.LatestRevision)
	}

	_, err := w.hub.Publish(t.Context(), &hubv1.Publication{Bundle: "web"}, apitest.ConfigMap("default", "a", "by hand"))
	if st := status.Convert(err); st.Code() != codes.FailedPrecondition || !strings.Contains(st.Message(), w.server.Repo) {
		t.Errorf("a publication by hand: %v", err)
	}
}

// A return to an earlier revision stays, over a restart too, until the source has something else.
func TestUndoStays(t *testing.T) {
	w := newWorld(t)
	w.Commit("one", "apps/web/a.yaml", configMap("a", "one"))
	w.apply(nil)
	w.until("revision", func(b *yardarmv1.Bundle) bool { return b.Status.LatestRevision == 1 })
	w.Commit("two", "apps/web/a.yaml", configMap("a", "two"))
	w.look()
	w.until("revision", func(b *yardarmv1.Bundle) bool { return b.Status.LatestRevision == 2 })
	if _, err := w.hub.UndoRollout(t.Context(), &hubv1.UndoRolloutRequest{Bundle: "web", ToRevision: 1}); err != nil {
		t.Fatal(err)
	}
	w.run()
	held := w.until("held source", func(b *yardarmv1.Bundle) bool { return b.GetStatus().GetSource().GetHeld() != "" })
	if held.Status.LatestRevision != 3 || !strings.Contains(held.Status.Source.Held, "local-admin has returned from revision 2") {
		t.Errorf("the status is %v", held.Status)
	}
	w.Commit("three", "apps/web/a.yaml", configMap("a", "three"))
	w.look()
	// What is seen of a source follows its revision.
	w.until("source that is not held", func(b *yardarmv1.Bundle) bool { return b.Status.LatestRevision == 4 && b.Status.Source.Held == "" })
}

// TestFailures breaks a source in each way, and mends it: the last good revision stays, and the reason is shown.
func TestFailures(t *testing.T) {
	w := newWorld(t)
	good := w.Commit("good", "apps/web/a.yaml", configMap("a", "one"))
	w.apply(nil)
	w.untilCommit(good)

	bad := w.Commit("bad", "apps/web/b.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: [\n")
	w.look()
	if p := w.untilProblem(yardarmv1.SourceNotRendered); p.Commit != bad || p.File != "apps/web/b.yaml" || p.Line == 0 || p.Since == nil {
		t.Errorf("the problem is %v", p)
	}
	w.stays(good, 1)
	w.Git("reset", "-q", "--hard", good) // a force-push, which takes it back
	w.look()
	w.until("recovery", func(b *yardarmv1.Bundle) bool { return b.Status.Source.Problem == nil })
	w.stays(good, 1)

	w.Git("branch", "release")
	w.apply(func(s *yardarmv1.Source) { s.GetGit().Ref = &yardarmv1.GitRef{Branch: "release"} })
	w.until("the branch", func(b *yardarmv1.Bundle) bool { return b.GetStatus().GetSource().GetRef() == "release" })
	w.Git("branch", "-D", "release")
	w.look()
	if p := w.untilProblem(yardarmv1.SourceRefNotFound); !strings.Contains(p.Message, `no branch "release"`) {
		t.Errorf("the problem is %v", p)
	}
	w.stays(good, 1)
	w.apply(func(s *yardarmv1.Source) { s.GetGit().Path = "apps/none" })
	w.untilProblem(yardarmv1.SourceNotRendered)
	w.apply(func(s *yardarmv1.Source) { s.GetGit().Credentials = "none" })
	w.untilProblem(yardarmv1.SourceNoCredentials)
	w.apply(nil)
	w.untilCommit(good)

	w.keep(&yardarmv1.SourceCredentialsSpec{Urls: []string{"https://git.example.com/"}, Ca: string(w.server.CA)})
	if p := w.untilProblem(yardarmv1.SourceNotAllowed); !strings.Contains(p.Message, "not for this URL") {
		t.Errorf("the problem is %v", p)
	}
	w.keep(&yardarmv1.SourceCredentialsSpec{Urls: []string{w.server.URL}, BearerToken: "a-token"})
	w.untilProblem(yardarmv1.SourceNotTrusted)
	w.keep(&yardarmv1.SourceCredentialsSpec{Urls: []string{w.server.URL}, Ca: string(w.server.CA)})
	w.until("recovery", func(b *yardarmv1.Bundle) bool { return b.Status.Source.Problem == nil })
	if b := w.untilCommit(good); b.Status.LatestRevision != 1 {
		t.Errorf("a source that was mended has made revision %d", b.Status.LatestRevision)
	}
}

// TestSigned follows commits that are signed by those who may. One that is not changes nothing, and is told of by its hash.
func TestSigned(t *testing.T) {
	w := newWorld(t)
	private, public := gittest.NewKey(t)
	w.SignWith(private, "")
	good := w.Commit("signed", "apps/web/a.yaml", configMap("a", "one"))
	w.apply(func(s *yardarmv1.Source) {
		s.GetGit().Verify = &yardarmv1.GitVerification{Signers: []*yardarmv1.GitSigner{{Name: "ada@example.com", Keys: []string{public}}}}
	})
	b := w.untilCommit(good)
	if by := w.revision(1).GetProvenance().GetSigner(); !strings.HasPrefix(by, "ada@example.com SHA256:") || b.Status.Source.Signer != by {
		t.Errorf("the revision is signed by %q, and what is seen by %q", by, b.Status.Source.Signer)
	}

	w.Git("config", "commit.gpgsign", "false")
	unsigned := w.Commit("not signed", "apps/web/a.yaml", configMap("a", "two"))
	w.look()
	if p := w.untilProblem(yardarmv1.SourceNotSigned); p.Commit != unsigned || !strings.Contains(p.Message, "commit "+unsigned+" is not signed") {
		t.Errorf("the problem is %v", p)
	}
	w.stays(good, 1)
	w.Git("config", "commit.gpgsign", "true")
	next := w.Commit("signed again", "apps/web/a.yaml", configMap("a", "three"))
	w.look()
	if b := w.untilCommit(next); b.Status.LatestRevision != 2 || b.Status.Source.Problem != nil {
		t.Errorf("the status is %v", b.Status)
	}
}

// A server whose certificate has expired meanwhile gives nothing new, and takes nothing away.
func TestExpiredCertificate(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	until := func(end time.Time) tls.Certificate {
		template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: end,
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
		raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}
	}
	good, expired := until(time.Now().Add(time.Hour)), until(time.Now().Add(-time.Hour))
	var shown atomic.Pointer[tls.Certificate]
	shown.Store(&good)
	w := newWorldOf(t, &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return &tls.Config{Certificates: []tls.Certificate{*shown.Load()}}, nil
	}})
	first := w.Commit("one", "apps/web/a.yaml", configMap("a", "one"))
	ca := ""
	for _, c := range []tls.Certificate{good, expired} {
		ca += string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}))
	}
	w.keep(&yardarmv1.SourceCredentialsSpec{Urls: []string{w.server.URL}, Ca: ca})
	w.apply(nil)
	w.untilCommit(first)

	shown.Store(&expired)
	second := w.Commit("two", "apps/web/a.yaml", configMap("a", "two"))
	w.look()
	if p := w.untilProblem(yardarmv1.SourceNotTrusted); !strings.Contains(p.Message, "expired") {
		t.Errorf("the problem is %v", p)
	}
	w.stays(first, 1)
	shown.Store(&good)
	w.look()
	w.untilCommit(second)
}

// A repository that has grown too large changes nothing, and no other source is the worse for it.
func TestOversizedRepository(t *testing.T) {
	w := newWorld(t)
	w.configure = func(c *Config) { c.MaxSize = 200_000 }
	w.run()
	other, served := w.another("other")
	good := w.Commit("good", "apps/web/a.yaml", configMap("a", "one"))
	w.apply(nil)
	w.untilCommit(good)
	for _, size := range []int{300_000, 16 * 300_000} { // as it is sent, and as it unpacks
		noise := make([]byte, size)
		if size == 300_000 {
			_, _ = rand.Read(noise)
		}
		w.Commit("too large", "noise", string(noise))
		w.look()
		if p := w.untilProblem(yardarmv1.SourceTooLarge); !strings.Contains(p.Message, "--source-max-size") {
			t.Errorf("the problem is %v", p)
		}
		w.stays(good, 1)
		other.Commit("of another", "apps/web/a.yaml", configMap("b", fmt.Sprint(size)))
		w.bundle("other", "other", served.Repo)
		w.untilBundle("other", "a revision", func(b *yardarmv1.Bundle) bool {
			return b.GetStatus().GetSource().GetCommit() == other.Git("rev-parse", "HEAD") && b.Status.Source.Problem == nil
		})
		w.Git("reset", "-q", "--hard", good)
		w.look()
		w.until("recovery", func(b *yardarmv1.Bundle) bool { return b.Status.Source.Problem == nil })
	}
}

// Bundles of one repository share one fetch, and polls of what has not changed write nothing.
func TestPollsAreShared(t *testing.T) {
	w := newWorld(t)
	hash := w.Commit("one", "apps/web/a.yaml", configMap("a", "one"))
	w.apply(nil)
	w.untilCommit(hash)
	refs, index := w.server.Refs.Load(), w.hub.Store.Read().Index()
	before := w.until("a look", func(b *yardarmv1.Bundle) bool { return true }).Status.Source.AsOf.AsTime()
	w.look()
	w.until("a later look", func(b *yardarmv1.Bundle) bool { return b.Status.Source.AsOf.AsTime().After(before) })
	if n := w.server.Refs.Load() - refs; n != 1 {
		t.Errorf("a poll took %d requests", n)
	}
	if n := w.hub.Store.Read().Index(); n != index {
		t.Errorf("a poll of what has not changed has written: index %d, after %d", n, index)
	}
}
