package ca

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/certs"
)

func stateOf(leaf *x509.Certificate) tls.ConnectionState {
	return tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}
}

// handshake runs TLS over a loopback connection. The server sends a byte, so that the client sees what the server thinks of its certificate.
func handshake(t *testing.T, server, client *tls.Config) (serverState, clientState tls.ConnectionState, serverErr, clientErr error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		raw, err := listener.Accept()
		if err != nil {
			serverErr = err
			return
		}
		conn := tls.Server(raw, server)
		defer conn.Close()
		if serverErr = conn.Handshake(); serverErr != nil {
			return
		}
		serverState = conn.ConnectionState()
		_, serverErr = conn.Write([]byte{1})
	}()
	raw, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn := tls.Client(raw, client)
	if clientErr = conn.Handshake(); clientErr == nil {
		_, clientErr = io.ReadFull(conn, make([]byte, 1))
		clientState = conn.ConnectionState()
	}
	conn.Close()
	<-done
	return serverState, clientState, serverErr, clientErr
}

func (h *hub) spokeTLS() *tls.Config {
	h.t.Helper()
	config, err := h.SpokeTLS([]string{"hub.example", "127.0.0.1"})
	if err != nil {
		h.t.Fatal(err)
	}
	return config
}

// clientTLS is how a spoke of this hub dials; s may be nil.
func (h *hub) clientTLS(s *spoke) *tls.Config {
	config := &tls.Config{RootCAs: h.roots.Load().pool, ServerName: "hub.example", Time: h.clock.now, NextProtos: []string{"h2"}}
	if s != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return certs.Certificate(s.identity.GetCertificates(), s.key)
		}
	}
	return config
}

func TestSpokeListener(t *testing.T) {
	h := newHub(t)
	server := h.spokeTLS()
	good := h.enrol("prod-1")
	other := newHub(t)
	foreign := other.enrol("prod-1")
	// Another CA that claims to be of this fleet.
	impostor := newHub(t)
	impostor.fleet = h.fleet
	imitated := impostor.enrol("prod-1")
	hubOwn := func() *spoke {
		certificate, err := h.ServerCertificate([]string{"hub.example"})
		if err != nil {
			t.Fatal(err)
		}
		own, _ := certificate.GetCertificate(nil)
		return &spoke{key: own.PrivateKey.(crypto.Signer), identity: h.identity(own.Certificate[:1], "", "")}
	}()

	cases := map[string]struct {
		spoke *spoke
		pass  time.Duration
		want  error
		peer  Peer
		says  string
	}{
		"no certificate":        {nil, 0, nil, Peer{}, ""},
		"good":                  {good, 0, nil, Peer{UID: "prod-1-uid"}, ""},
		"expired":               {good, 25 * time.Hour, nil, Peer{UID: "prod-1-uid", Expired: true}, ""},
		"expired long ago":      {good, 92 * 24 * time.Hour, ErrExpiredLongAgo, Peer{}, "expired too long ago"},
		"another fleet":         {foreign, 0, ErrOtherFleet, Peer{}, "it is of fleet " + other.fleet},
		"another CA":            {imitated, 0, ErrOtherCA, Peer{}, "not issued by this hub's CA"},
		"the hub's own":         {hubOwn, 0, certs.ErrNotCluster, Peer{}, "not that of a cluster"},
		"from the future":       {good, -certs.Backdate - time.Minute, ErrNotYetValid, Peer{}, "clocks"},
		"another CA, early":     {imitated, -certs.Backdate - time.Minute, ErrOtherCA, Peer{}, "not issued"},
		"another CA, expired":   {imitated, 25 * time.Hour, ErrOtherCA, Peer{}, "not issued"},
		"clock lags an hour":    {good, -time.Hour, nil, Peer{UID: "prod-1-uid"}, ""},
		"just before its end":   {good, 24 * time.Hour, nil, Peer{UID: "prod-1-uid"}, ""},
		"just after its end":    {good, 24*time.Hour + time.Second, nil, Peer{UID: "prod-1-uid", Expired: true}, ""},
		"the last day of grace": {good, 91 * 24 * time.Hour, nil, Peer{UID: "prod-1-uid", Expired: true}, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h.clock.pass(c.pass)
			defer h.clock.pass(-c.pass)
			state, _, serverErr, clientErr := handshake(t, server, h.clientTLS(c.spoke))
			if c.want == ErrNotYetValid { // let in, to be told
				if _, err := h.ClusterFromState(state); serverErr != nil || clientErr != nil || !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
					t.Errorf("errors %v, %v; then it is %v", serverErr, clientErr, err)
				}
				return
			}
			if c.want != nil {
				if !errors.Is(serverErr, c.want) {
					t.Errorf("the server's error is %v, want %v", serverErr, c.want)
				}
				if clientErr == nil || !strings.Contains(clientErr.Error(), "bad certificate") {
					t.Errorf("the client's error is %v, want one about its certificate", clientErr)
				}
				if !errors.Is(serverErr, certs.ErrRefused) || !strings.Contains(serverErr.Error(), c.says) {
					t.Errorf("the server says %q, want %q of a certificate that is refused", serverErr, c.says)
				}
				return
			}
			if serverErr != nil || clientErr != nil {
				t.Fatalf("errors %v, %v", serverErr, clientErr)
			}
			peer, err := h.ClusterFromState(state)
			if c.spoke == nil {
				if !errors.Is(err, ErrNoCertificate) {
					t.Errorf("error %v, want ErrNoCertificate", err)
				}
				return
			}
			if err != nil || peer.UID != c.peer.UID || peer.Expired != c.peer.Expired || !peer.NotAfter.Equal(good.leaf(t).NotAfter) {
				t.Errorf("peer %+v, %v; want %+v", peer, err, c.peer)
			}
		})
	}
}

func TestSpokeListenerSpeaksTLS13Only(t *testing.T) {
	h := newHub(t)
	client := h.clientTLS(nil)
	client.MaxVersion = tls.VersionTLS12
	if _, _, serverErr, clientErr := handshake(t, h.spokeTLS(), client); serverErr == nil || clientErr == nil {
		t.Fatalf("errors %v, %v; want TLS 1.2 refused", serverErr, clientErr)
	}
}

// A ban holds although the TLS session that is resumed began before it.
func TestBanSurvivesResumption(t *testing.T) {
	h := newHub(t)
	s := h.enrol("prod-1")
	server, client := h.spokeTLS(), h.clientTLS(s)
	client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	if _, _, serverErr, clientErr := handshake(t, server, client); serverErr != nil || clientErr != nil {
		t.Fatal(serverErr, clientErr)
	}
	h.ban("prod-1")
	state, _, serverErr, clientErr := handshake(t, server, client)
	if serverErr != nil || clientErr != nil || !state.DidResume {
		t.Fatalf("resumed: %v (%v, %v)", state.DidResume, serverErr, clientErr)
	}
	peer, err := h.ClusterFromState(state)
	if err != nil || peer.UID != "prod-1-uid" {
		t.Fatalf("peer %+v, %v", peer, err)
	}
	if err := h.Authorize(h.store.Read(), peer); !errors.Is(err, ErrBanned) {
		t.Fatalf("error %v, want ErrBanned", err)
	}
}

// After a restart thousands of spokes come back at once: their sessions resume, for as long as a key of the last three is theirs.
func TestSessionsResumeAcrossRestartsAndRotations(t *testing.T) {
	h := newHub(t)
	s := h.enrol("prod-1")
	client := h.clientTLS(s)
	connect := func() bool {
		t.Helper()
		client.ClientSessionCache = &frozen{client.ClientSessionCache}
		state, _, serverErr, clientErr := handshake(t, h.spokeTLS(), client)
		if serverErr != nil || clientErr != nil {
			t.Fatal(serverErr, clientErr)
		}
		if peer, err := h.ClusterFromState(state); err != nil || peer.UID != "prod-1-uid" {
			t.Fatalf("peer %+v, %v", peer, err)
		}
		return state.DidResume
	}
	// The ticket has to outlive the days of this test, and so has the certificate that is in it.
	long, err := New(Config{Store: h.store, Sealer: h.sealer, Clock: h.clock.now, ClusterLife: 6 * 24 * time.Hour, Logger: h.CA.log})
	if err != nil {
		t.Fatal(err)
	}
	chain, _, err := long.IssueCluster(s.key.Public(), "prod-1-uid", "prod-1")
	if err != nil {
		t.Fatal(err)
	}
	s.identity.Certificates = chain
	cache := tls.NewLRUClientSessionCache(1)
	client.ClientSessionCache = cache
	if _, _, serverErr, clientErr := handshake(t, h.spokeTLS(), client); serverErr != nil || clientErr != nil {
		t.Fatal(serverErr, clientErr)
	}
	h.stop()
	h.start()
	if !connect() {
		t.Fatal("the session does not resume after a restart")
	}
	for day := 1; day <= 3; day++ {
		h.clock.pass(24 * time.Hour)
		if err := h.Upkeep(context.Background()); err != nil {
			t.Fatal(err)
		}
		if got := len(h.tickets.Load().keys); got != min(day+1, 3) {
			t.Fatalf("day %d: %d ticket keys", day, got)
		}
		h.stop()
		h.start()
		if got, want := connect(), day < 3; got != want {
			t.Fatalf("day %d: resumed %v, want %v", day, got, want)
		}
	}
	if err := h.Upkeep(context.Background()); err != nil {
		t.Fatal(err)
	}
	if keys := h.tickets.Load(); len(keys.keys) != 3 || !keys.created[0].Equal(h.now()) {
		t.Fatal("a key was made before its time")
	}
}

// frozen keeps the first session, so that each handshake tries the ticket of the first.
type frozen struct{ tls.ClientSessionCache }

func (f *frozen) Put(string, *tls.ClientSessionState) {}

func TestListenerThatIsUpTakesNewTicketKeys(t *testing.T) {
	h := newHub(t)
	s := h.enrol("prod-1")
	server, client := h.spokeTLS(), h.clientTLS(s)
	client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	if _, _, serverErr, clientErr := handshake(t, server, client); serverErr != nil || clientErr != nil {
		t.Fatal(serverErr, clientErr)
	}
	// All keys are replaced at once, as nothing but this test does: the ticket must be worth nothing to the same listener.
	keys, err := (&ticketKeys{}).rotate(h.now(), h.random)
	if err != nil {
		t.Fatal(err)
	}
	h.tickets.Store(keys)
	state, _, serverErr, clientErr := handshake(t, server, client)
	if serverErr != nil || clientErr != nil || state.DidResume {
		t.Fatalf("resumed %v with a key that is gone (%v, %v)", state.DidResume, serverErr, clientErr)
	}
}

func TestServerCertificate(t *testing.T) {
	h := newHub(t)
	certificate, err := h.ServerCertificate([]string{"hub.example", "127.0.0.1", "::1"})
	if err != nil {
		t.Fatal(err)
	}
	get := func() *tls.Certificate {
		t.Helper()
		got, err := certificate.GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	first := get()
	for _, host := range []string{"hub.example", "127.0.0.1", "::1"} {
		if err := first.Leaf.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
	if err := first.Leaf.VerifyHostname("other.example"); err == nil {
		t.Error("it is for any host")
	}
	if len(first.Leaf.ExtKeyUsage) != 1 || first.Leaf.ExtKeyUsage[0] != x509.ExtKeyUsageServerAuth || first.Leaf.IsCA {
		t.Error("it is not for servers only")
	}
	chain, err := certs.Parse(first.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	pin, err := certs.ParsePin(h.Pin())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := certs.VerifyPinned(pin, "hub.example", h.now(), chain); err != nil {
		t.Errorf("a spoke that knows the pin does not know the hub: %v", err)
	}
	h.clock.pass(serverLife - serverRenewal - time.Second)
	if get() != first {
		t.Error("it was made anew before its time")
	}
	h.clock.pass(time.Second)
	second := get()
	if second == first || !second.Leaf.NotAfter.Equal(h.now().Add(serverLife)) {
		t.Error("it was not made anew")
	}
	for _, hosts := range [][]string{nil, {""}, {"hub.example:8443"}, {"https://hub.example"}} {
		if _, err := h.ServerCertificate(hosts); err == nil {
			t.Errorf("%q: no error", hosts)
		}
	}
}

func TestServerTLSForPeople(t *testing.T) {
	h := newHub(t)
	server, err := h.ServerTLS([]string{"hub.example"})
	if err != nil {
		t.Fatal(err)
	}
	client := h.clientTLS(h.enrol("prod-1"))
	client.MaxVersion = tls.VersionTLS12
	state, _, serverErr, clientErr := handshake(t, server, client)
	if serverErr != nil || clientErr != nil {
		t.Fatal(serverErr, clientErr)
	}
	if len(state.PeerCertificates) != 0 || state.NegotiatedProtocol != "h2" {
		t.Errorf("certificates %d, protocol %q", len(state.PeerCertificates), state.NegotiatedProtocol)
	}
}

func TestUpkeepGoesOnWhenTheStoreIsReadOnly(t *testing.T) {
	h := newHub(t)
	keys := h.tickets.Load()
	h.clock.pass(25 * time.Hour)
	h.store.SetReadOnly("test")
	if err := h.Upkeep(context.Background()); !errors.Is(err, store.ErrReadOnly) {
		t.Fatalf("error %v, want ErrReadOnly", err)
	}
	if h.tickets.Load() != keys {
		t.Fatal("a ticket key is used that is not on disk")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := h.Run(ctx); err != nil {
		t.Fatal(err)
	}
}

// Connections keep their configuration for as long as they live, so that it is one for all of a day: that each had its own was 2.5 KB of
// what a spoke takes.
func TestConnectionsShareTheirConfiguration(t *testing.T) {
	h := newHub(t)
	server, err := h.SpokeTLS([]string{"hub.example"})
	if err != nil {
		t.Fatal(err)
	}
	of := func() *tls.Config {
		t.Helper()
		config, err := server.GetConfigForClient(&tls.ClientHelloInfo{})
		if err != nil {
			t.Fatal(err)
		}
		return config
	}
	first := of()
	if of() != first {
		t.Error("two connections have two")
	}
	h.clock.pass(ticketLife)
	if err := h.rotateTickets(t.Context()); err != nil {
		t.Fatal(err)
	}
	if of() == first {
		t.Error("new ticket keys are not used")
	}
}
