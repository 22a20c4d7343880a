package enroll

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/pkg/certs"
	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
)

// How the package gets on with a real hub is tested in e2e/enrol, since spoke and hub do not import each other.

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

var now = time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC)

// authority is a CA with a key.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{key: newKey(t)}
	a.certificate = a.sign(t, a.key.Public(), &x509.Certificate{NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(10, 0, 0), IsCA: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

func (a *authority) sign(t testing.TB, public crypto.PublicKey, template *x509.Certificate) *x509.Certificate {
	t.Helper()
	template.SerialNumber = big.NewInt(1)
	template.Subject = pkix.Name{CommonName: "test"}
	template.BasicConstraintsValid = true
	parent := a.certificate
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, a.key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// kept returns an identity of the cluster "prod-1", whose certificate was issued at the time and lives for a day.
func (a *authority) kept(t testing.TB, issued time.Time) *Kept {
	t.Helper()
	key := newKey(t)
	uri, err := certs.ClusterURI("fleet", "uid-1")
	if err != nil {
		t.Fatal(err)
	}
	leaf := a.sign(t, key.Public(), &x509.Certificate{
		NotBefore: issued.Add(-certs.Backdate), NotAfter: issued.Add(24 * time.Hour), URIs: []*url.URL{uri}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	text, err := certs.EncodeKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return &Kept{Key: text, TokenID: "token-1", Identity: &spokev1.Identity{
		Certificates: [][]byte{leaf.Raw}, TrustBundle: [][]byte{a.certificate.Raw}, HubAddresses: []string{"hub.example:1"}, Cluster: "prod-1", ClusterUid: "uid-1",
	}}
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := certs.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// memory is a Keep for one process.
type memory struct {
	mu      sync.Mutex
	data    []byte
	saves   int
	fail    error
	claimed error
}

func (m *memory) Claim(context.Context, string) error { return nil }

func (m *memory) Check(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.claimed
}

func (m *memory) Load(context.Context) (*Kept, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.data == nil {
		return nil, nil
	}
	return DecodeKept(m.data)
}

func (m *memory) Save(_ context.Context, kept *Kept) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	m.saves++
	var err error
	m.data, err = kept.Encode()
	return err
}

func (m *memory) String() string { return "memory" }

// enrolled returns an Identity that has been Ensured.
func enrolled(t *testing.T, kept *Kept) (*Identity, *memory) {
	t.Helper()
	keep := &memory{}
	if err := keep.Save(t.Context(), kept); err != nil {
		t.Fatal(err)
	}
	identity, err := New(Config{Keep: keep, HubAddresses: []string{"configured.example:1"}, Clock: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	if err := identity.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	keep.saves = 0
	return identity, keep
}

func TestKeptSurvivesEncoding(t *testing.T) {
	full := newAuthority(t).kept(t, now)
	full.Attempt = &Attempt{TokenID: "token-2", Key: full.Key}
	for name, kept := range map[string]*Kept{"full": full, "empty": {}, "attempt": {Attempt: full.Attempt}} {
		data, err := kept.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeKept(data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !proto.Equal(got.Identity, kept.Identity) || !bytes.Equal(got.Key, kept.Key) || got.TokenID != kept.TokenID ||
			(got.Attempt == nil) != (kept.Attempt == nil) || got.Attempt != nil && (got.Attempt.TokenID != kept.Attempt.TokenID || !bytes.Equal(got.Attempt.Key, kept.Attempt.Key)) {
			t.Errorf("%s: differs after encoding", name)
		}
	}
	for name, bad := range map[string]string{
		"no JSON":      "-----BEGIN PRIVATE KEY-----\nMIGHAg",
		"newer format": `{"format": 2}`,
		"no format":    `{}`,
		"half":         `{"format": 1, "key": "MIGHAg"}`,
		"identity":     `{"format": 1, "key": "MIGHAg", "identity": {"certificates": "MIGHAg"}}`,
	} {
		if _, err := DecodeKept([]byte(bad)); err == nil || strings.Contains(err.Error(), "MIGHAg") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	secret := string(full.Key[60:80])
	if text := fmt.Sprintf("%v %+v %#v %v %+v %#v", full, full, full, full.Attempt, full.Attempt, full.Attempt); strings.Contains(text, secret) || strings.Contains(text, "Key") {
		t.Errorf("printed: %s", text)
	}
}

func FuzzDecodeKept(f *testing.F) {
	full, err := newAuthority(f).kept(f, now).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(full)
	f.Add([]byte(`{"format":1,"attempt":{"tokenID":"a","key":"b"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		kept, err := DecodeKept(data)
		if err != nil {
			return
		}
		again, err := kept.Encode()
		if err != nil {
			// A text that is no UTF-8 cannot be in a message; everything else can.
			return
		}
		if _, err := DecodeKept(again); err != nil {
			t.Fatalf("what is decoded does not decode again: %v", err)
		}
		// Whatever it is, opening it fails or succeeds, and does not crash.
		if kept.Identity != nil {
			_, _ = open(kept)
		}
	})
}

func TestDirKeepsAndIsClaimedOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	first, err := OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	second, err := OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if err := errors.Join(first.Claim(ctx, "a"), first.Claim(ctx, "a"), first.Check(ctx)); err != nil {
		t.Fatal(err)
	}
	if err := second.Claim(ctx, "b"); !errors.Is(err, ErrClaimed) || !strings.Contains(err.Error(), path) {
		t.Fatalf("error %v, want ErrClaimed naming the folder", err)
	}
	if kept, err := first.Load(ctx); kept != nil || err != nil {
		t.Fatalf("an empty folder has %v, %v", kept, err)
	}
	want := newAuthority(t).kept(t, now)
	if err := first.Save(ctx, want); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := second.Claim(ctx, "b"); err != nil {
		t.Fatalf("the claim has not ended: %v", err)
	}
	defer second.Close()
	got, err := second.Load(ctx)
	if err != nil || !bytes.Equal(got.Key, want.Key) || !proto.Equal(got.Identity, want.Identity) {
		t.Fatalf("loaded %v, %v", got, err)
	}
	file := filepath.Join(path, identityFile)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v; want 0600", info.Mode(), err)
	}
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := second.Load(ctx); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("readable for others: error %v", err)
	}
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := second.Load(ctx); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("damaged: error %v", err)
	}
}

func TestEnsureSaysWhatIsMissing(t *testing.T) {
	token := certs.Token{ID: certs.TokenID(make([]byte, certs.TokenIDSize)), Secret: bytes.Repeat([]byte("s"), certs.TokenSecretSize)}.Text()
	damaged := newAuthority(t).kept(t, now)
	damaged.Key, _ = certs.EncodeKey(newKey(t))
	renamed := newAuthority(t).kept(t, now)
	renamed.Identity.ClusterUid = "uid-2"
	for name, c := range map[string]struct {
		kept   *Kept
		config Config
		want   error
		says   string
	}{
		"no token":                {nil, Config{HubAddresses: []string{"a:1"}}, ErrNoToken, "yardarm enroll"},
		"cut token":               {nil, Config{Token: token[:40], HubAddresses: []string{"a:1"}}, ErrBadToken, "cut"},
		"no address":              {nil, Config{Token: token}, nil, "no hub address"},
		"another key":             {damaged, Config{}, nil, "damaged"},
		"another cluster's":       {renamed, Config{}, nil, "damaged"},
		"damaged key of attempts": {&Kept{Attempt: &Attempt{TokenID: certs.TokenID(make([]byte, certs.TokenIDSize)), Key: []byte("x")}}, Config{Token: token, HubAddresses: []string{"a:1"}}, nil, "damaged"},
	} {
		keep := &memory{}
		if c.kept != nil {
			if err := keep.Save(t.Context(), c.kept); err != nil {
				t.Fatal(err)
			}
		}
		c.config.Keep = keep
		identity, err := New(c.config)
		if err != nil {
			t.Fatal(err)
		}
		err = identity.Ensure(t.Context())
		if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v, want %v saying %q", name, err, c.want, c.says)
		}
		if err != nil && strings.Contains(err.Error(), token[18:40]) {
			t.Errorf("%s: the error shows the token", name)
		}
	}
	for _, address := range []string{"hub.example", ":1", "hub.example:", "https://hub.example:1"} {
		if _, err := New(Config{Keep: &memory{}, HubAddresses: []string{address}}); err == nil {
			t.Errorf("address %q: no error", address)
		}
	}
	if _, err := New(Config{}); err == nil {
		t.Error("no Keep: no error")
	}
}

func TestFailureToKeepEndsEnsure(t *testing.T) {
	full := errors.New("disk is full")
	identity, err := New(Config{
		Keep: &memory{fail: full}, HubAddresses: []string{"127.0.0.1:1"},
		Token: certs.Token{ID: certs.TokenID(make([]byte, certs.TokenIDSize)), Secret: make([]byte, certs.TokenSecretSize)}.Text(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := identity.Ensure(t.Context()); !errors.Is(err, full) || strings.Contains(err.Error(), "keep:") {
		t.Fatalf("error %v, want the Keep's own", err)
	}
}

// The hub waits for certificates of its new CA before it retires the old one.
func TestUpdateRenewsWhenTheCAIsNew(t *testing.T) {
	older, newer := newAuthority(t).certificate.Raw, newAuthority(t).certificate.Raw
	ca := newAuthority(t)
	identity, _ := enrolled(t, ca.kept(t, now))
	for _, c := range []struct {
		trust  [][]byte
		renews bool
	}{
		{nil, false}, {[][]byte{ca.certificate.Raw}, false}, {[][]byte{ca.certificate.Raw, older}, false}, {[][]byte{newer, ca.certificate.Raw}, true},
	} {
		if err := identity.Update(t.Context(), c.trust, nil); err != nil {
			t.Fatal(err)
		}
		select {
		case <-identity.soon:
			if !c.renews {
				t.Errorf("renews by a bundle of %d, although the newest CA has issued the certificate", len(c.trust))
			}
		default:
			if c.renews {
				t.Error("does not renew")
			}
		}
	}
	if pins := identity.trusts(); len(pins) != 3 {
		t.Errorf("trusts %d CAs, want 3", len(pins))
	}
}

func TestUpdateKeepsOldBesideNew(t *testing.T) {
	oldCA, newCA := newAuthority(t), newAuthority(t)
	identity, keep := enrolled(t, oldCA.kept(t, now))
	older, newer := oldCA.certificate, newCA.certificate
	update := func(trust [][]byte, addresses ...string) {
		t.Helper()
		if err := identity.Update(t.Context(), trust, addresses); err != nil {
			t.Fatal(err)
		}
	}
	// meet is a handshake with a hub that this CA has issued a certificate to.
	meet := func(ca *x509.Certificate) {
		t.Helper()
		if err := identity.noteHub(stateOf(ca)); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(what string, saves int, want ...*x509.Certificate) {
		t.Helper()
		got := identity.current.Load().kept.Identity.GetTrustBundle()
		if !slices.EqualFunc(got, want, func(der []byte, ca *x509.Certificate) bool { return bytes.Equal(der, ca.Raw) }) {
			t.Errorf("%s: %d CAs are trusted, want %d others", what, len(got), len(want))
		}
		if !bytes.Equal(identity.TrustHash(), certs.BundleHash(got)) {
			t.Errorf("%s: the hash is that of another bundle", what)
		}
		if keep.saves != saves {
			t.Errorf("%s: saved %d times, want %d", what, keep.saves, saves)
		}
		if loaded, err := keep.Load(t.Context()); err != nil || !proto.Equal(loaded.Identity, identity.current.Load().kept.Identity) {
			t.Errorf("%s: something else is kept (%v)", what, err)
		}
	}

	update([][]byte{older.Raw})
	expect("nothing new", 0, older)
	update(nil)
	expect("nothing said", 0, older)
	update([][]byte{older.Raw, newer.Raw})
	expect("the new CA is announced", 1, older, newer)
	update([][]byte{newer.Raw})
	expect("the old CA is not announced any more", 2, newer, older)
	update([][]byte{newer.Raw})
	expect("announced again, but met nobody since", 2, newer, older)
	meet(older)
	update([][]byte{newer.Raw})
	expect("the hub still has its old certificate", 2, newer, older)
	meet(newer)
	update([][]byte{older.Raw, newer.Raw})
	expect("the hub has gone back", 3, older, newer)
	update([][]byte{newer.Raw})
	meet(newer)
	update([][]byte{newer.Raw})
	expect("the new CA has served", 5, newer)
	third := newAuthority(t).certificate
	update([][]byte{third.Raw})
	update([][]byte{third.Raw})
	expect("a third CA is announced twice, and nobody has shown it", 6, third, newer)
	meet(third)
	update([][]byte{third.Raw})
	newer = third
	expect("the third CA has served", 7, newer)

	if err := identity.Update(t.Context(), [][]byte{{1}}, nil); err == nil {
		t.Error("garbage is trusted")
	}
	if err := identity.Update(t.Context(), nil, []string{"no-port"}); err == nil {
		t.Error("an address without a port is taken")
	}
	expect("garbage", 7, newer)

	if got := identity.Addresses(); !slices.Equal(got, []string{"hub.example:1", "configured.example:1"}) {
		t.Errorf("addresses %v", got)
	}
	update(nil, "new.example:1", "hub.example:1")
	if got := identity.Addresses(); !slices.Equal(got, []string{"new.example:1", "hub.example:1", "configured.example:1"}) {
		t.Errorf("addresses %v", got)
	}
	var last *x509.Certificate
	for range maxTrust + 2 {
		last = newAuthority(t).certificate
		update([][]byte{last.Raw})
	}
	if got := identity.current.Load().kept.Identity.GetTrustBundle(); len(got) != maxTrust || !bytes.Equal(got[0], last.Raw) {
		t.Errorf("%d CAs are trusted, want the newest %d", len(got), maxTrust)
	}
	for i := range 20 {
		update(nil, fmt.Sprintf("hub-%d.example:1", i))
	}
	if got := identity.Addresses(); len(got) != maxAddresses+1 || got[0] != "hub-19.example:1" || got[maxAddresses] != "configured.example:1" {
		t.Errorf("addresses %v", got)
	}
}

func TestUpdateThatCannotBeKeptIsUsed(t *testing.T) {
	identity, keep := enrolled(t, newAuthority(t).kept(t, now))
	keep.fail = errors.New("disk is full")
	if err := identity.Update(t.Context(), nil, []string{"new.example:1"}); !errors.Is(err, keep.fail) {
		t.Fatalf("error %v", err)
	}
	if identity.Addresses()[0] != "new.example:1" {
		t.Fatal("the new address is not used")
	}
}

func TestRenewalIsDueBetweenHalfAndFourFifthsOfTheLife(t *testing.T) {
	const life = 24 * time.Hour
	for name, c := range map[string]struct {
		issued   time.Time
		received bool
		from, to time.Duration // from now
	}{
		"just received":               {now, true, life / 2, life * 4 / 5},
		"received, clock a day ahead": {now.Add(-24 * time.Hour), true, life / 2, life * 4 / 5},
		"received, clock a day back":  {now.Add(24 * time.Hour), true, life / 2, life * 4 / 5},
		"kept for six hours":          {now.Add(-6 * time.Hour), false, life/2 - 6*time.Hour, life*4/5 - 6*time.Hour},
		"kept, expired":               {now.Add(-25 * time.Hour), false, life/2 - 25*time.Hour, life*4/5 - 25*time.Hour},
		"kept, clock two days back":   {now.Add(48 * time.Hour), false, life / 2, life * 4 / 5},
	} {
		identity, _ := enrolled(t, newAuthority(t).kept(t, now))
		kept := newAuthority(t).kept(t, c.issued)
		received := time.Time{}
		if c.received {
			received = now
		}
		if err := identity.take(kept, received); err != nil {
			t.Fatal(err)
		}
		seen := make(map[time.Duration]bool)
		for range 200 {
			left := identity.due().left(now)
			if left < c.from || left > c.to {
				t.Fatalf("%s: in %v, want between %v and %v", name, left, c.from, c.to)
			}
			seen[left] = true
		}
		if len(seen) < 100 {
			t.Errorf("%s: %d different times of 200", name, len(seen))
		}
	}
}

func TestMomentComesByEitherClock(t *testing.T) {
	start := time.Now()
	m := moment{from: start, after: time.Hour}
	both := start.Add(30 * time.Minute)
	slept, setBack := both, both
	// The second word of a time.Time with a monotonic reading is that reading, and there is no other way to make the clocks differ.
	(*[2]int64)(unsafe.Pointer(&slept))[1] -= int64(30 * time.Minute)
	setBack = setBack.Add(-29 * time.Minute)
	(*[2]int64)(unsafe.Pointer(&setBack))[1] += int64(29 * time.Minute)
	if slept.Sub(start) != 0 || slept.Round(0).Sub(start.Round(0)) != 30*time.Minute ||
		setBack.Sub(start) != 30*time.Minute || setBack.Round(0).Sub(start.Round(0)) != time.Minute {
		t.Fatal("package time keeps its readings in another way now; rewrite this test")
	}
	for name, now := range map[string]time.Time{"awake": both, "the machine slept": slept, "the clock was set back": setBack} {
		if left := m.left(now); left != 30*time.Minute {
			t.Errorf("%s: %v are left, want half an hour", name, left)
		}
	}
}

func TestWhatHelpsIsSaid(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		final bool
		says  string
	}{
		"no answer":      {status.Error(codes.Unavailable, `connection error: desc = "transport: dial tcp: connection refused"`), false, "hub.example:1"},
		"slow":           {status.Error(codes.DeadlineExceeded, "context deadline exceeded"), false, "does not answer"},
		"busy":           {status.Error(codes.ResourceExhausted, "too many at once"), false, "too many at once"},
		"broken":         {status.Error(codes.Internal, "disk is full"), false, "disk is full"},
		"used token":     {status.Error(codes.Unauthenticated, "the token is used"), true, "the token is used"},
		"banned":         {status.Error(codes.PermissionDenied, "the cluster is banned"), true, "banned"},
		"clone":          {status.Error(codes.FailedPrecondition, "the cluster is a clone"), true, "clone"},
		"bad request":    {status.Error(codes.InvalidArgument, "the key is short"), true, "short"},
		"the API's port": {status.Error(codes.Unimplemented, "unknown service"), true, "listener of its own"},
		"not gRPC":       {errors.New("boom"), false, "boom"},
		"certificate":    {status.Error(codes.Unavailable, "error reading server preface: remote error: tls: bad certificate"), false, "enrol it anew"},
	} {
		err := explain("hub.example:1", c.err)
		if final(err) != c.final || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "hub.example:1") {
			t.Errorf("%s: final %v, %v; want final %v saying %q and where", name, final(err), err, c.final, c.says)
		}
	}
}

func TestRunNeedsAnIdentity(t *testing.T) {
	identity, err := New(Config{Keep: &memory{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := identity.Run(t.Context()); err == nil {
		t.Error("no error")
	}
	if err := identity.Update(t.Context(), nil, []string{"a:1"}); err == nil {
		t.Error("no error")
	}
	if config := identity.TLS(); config.RootCAs == nil {
		t.Error("a spoke without identity trusts the system's roots")
	}
	if name, uid := identity.Cluster(); name+uid != "" || !identity.Expiry().IsZero() || identity.Instance() == "" {
		t.Error("a spoke without identity is somebody")
	}
}
