package enroll

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	"github.com/yardarm-dev/yardarm/pkg/certs"
	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
)

func stateOf(ca *x509.Certificate) tls.ConnectionState {
	return tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{ca}}}
}

// A newer pod has claimed the identity: this one stops within the check's interval, although nothing has to be renewed.
func TestRunEndsWhenAnotherInstanceClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		identity, keep := enrolled(t, newAuthority(t).kept(t, now))
		identity.now = func() time.Time { return now }
		done := make(chan error, 1)
		go func() { done <- identity.Run(t.Context()) }()
		keep.mu.Lock()
		keep.claimed = errors.New("the API server does not answer")
		keep.mu.Unlock()
		time.Sleep(3 * checkInterval)
		select {
		case err := <-done:
			t.Fatalf("ended, although nobody knows: %v", err)
		default:
		}
		keep.mu.Lock()
		keep.claimed = ErrClaimed
		keep.mu.Unlock()
		time.Sleep(checkInterval)
		synctest.Wait()
		select {
		case err := <-done:
			if !errors.Is(err, ErrClaimed) {
				t.Fatalf("error %v, want ErrClaimed", err)
			}
		default:
			t.Fatal("goes on")
		}
	})
}

// While no hub answers, renewals are tried again and again, never more than half a minute apart, and Run goes on.
func TestRenewalIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		kept := newAuthority(t).kept(t, now)
		// Addresses that need no resolver.
		kept.Identity.HubAddresses = []string{"127.0.0.1:1"}
		identity, _ := enrolled(t, kept)
		identity.config.HubAddresses = nil
		identity.now = func() time.Time { return now.Add(time.Since(start)) }
		var attempts []time.Duration
		identity.config.DialOptions = []grpc.DialOption{grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			attempts = append(attempts, time.Since(start))
			return nil, errors.New("no route to host")
		})}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- identity.Run(ctx) }()
		time.Sleep(24 * time.Hour)
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if len(attempts) == 0 || attempts[0] < 12*time.Hour || attempts[0] > 24*time.Hour*4/5+time.Second {
			t.Fatalf("%d attempts, the first after %v", len(attempts), attempts[:min(len(attempts), 1)])
		}
		last := attempts[0]
		for _, attempt := range attempts[1:] {
			if gap := attempt - last; gap > renewMax+time.Second {
				t.Fatalf("a gap of %v between attempts", gap)
			}
			last = attempt
		}
		if rate := len(attempts); rate > 24*60*10 {
			t.Fatalf("%d attempts in a day hammer the hub", rate)
		}
	})
}

// What a hub answers to Renew is kept only if it is a new certificate of the same cluster for the same key.
func TestRenewalThatIsNoneIsNotKept(t *testing.T) {
	ca := newAuthority(t)
	identity, keep := enrolled(t, ca.kept(t, now))
	current := identity.current.Load()
	answer := func(uid string, key crypto.Signer) *spokev1.Identity {
		uri, err := certs.ClusterURI("fleet", uid)
		if err != nil {
			t.Fatal(err)
		}
		leaf := ca.sign(t, key.Public(), &x509.Certificate{NotBefore: now, NotAfter: now.Add(48 * time.Hour), URIs: []*url.URL{uri}})
		return &spokev1.Identity{Certificates: [][]byte{leaf.Raw}, TrustBundle: [][]byte{ca.certificate.Raw}, Cluster: "prod-1", ClusterUid: uid}
	}
	for name, bad := range map[string]*spokev1.Identity{
		"nothing":              nil,
		"another cluster's":    answer("uid-2", current.key),
		"for another key":      answer("uid-1", newKey(t)),
		"the one of before":    current.kept.Identity,
		"a lie about the uid":  {Certificates: answer("uid-2", current.key).Certificates, TrustBundle: [][]byte{ca.certificate.Raw}, ClusterUid: "uid-1"},
		"without trust bundle": {Certificates: answer("uid-1", current.key).Certificates, ClusterUid: "uid-1"},
	} {
		if err := identity.takeRenewed(t.Context(), bad, "hub.example:1"); err == nil || !strings.Contains(err.Error(), "not usable") {
			t.Errorf("%s: error %v, want that the answer is not usable", name, err)
		}
	}
	if identity.current.Load() != current || keep.saves != 0 {
		t.Fatal("one of them was taken")
	}

	// A good one is used even if it cannot be kept, but not if another instance is the spoke.
	keep.fail = ErrClaimed
	if err := identity.takeRenewed(t.Context(), answer("uid-1", current.key), "hub.example:1"); !errors.Is(err, ErrClaimed) || identity.current.Load() != current {
		t.Fatalf("error %v, want ErrClaimed, and nothing taken", err)
	}
	keep.fail = errors.New("disk is full")
	if err := identity.takeRenewed(t.Context(), answer("uid-1", current.key), "hub.example:1"); err != nil || !identity.Expiry().Equal(now.Add(48*time.Hour)) {
		t.Fatalf("error %v; the certificate ends %v", err, identity.Expiry())
	}
	if got := identity.Addresses()[0]; got != "hub.example:1" {
		t.Errorf("the renewal has changed the addresses: %s", got)
	}
}
