package enroll

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/pkg/certs"
	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
)

const (
	// maxTrust and maxAddresses bound what is kept of what hubs have said over the years; the newest stay.
	maxTrust     = 8
	maxAddresses = 8
	// sessionCache is how many TLS sessions are kept for resumption: one for each address.
	sessionCache = maxAddresses
)

// Config of an Identity. Keep is needed, and so are HubAddresses, Token and KubeUID for a spoke that has not enrolled yet.
type Config struct {
	// Keep is where the identity is kept.
	Keep Keep
	// HubAddresses (host:port) are dialled to enrol, and later where none of those that the hub has told answers.
	HubAddresses []string
	// Token is the enrolment token. It is not used again once it has been; another one, of another ID, enrols anew.
	Token string
	// KubeUID is the uid of the cluster's kube-system namespace.
	KubeUID string
	// Version is the spoke's.
	Version string
	// Instance is a random text of this process, also said in Hello. Default: one is drawn.
	Instance string
	// DialOptions are added to those of connections for enrolment and renewal. A dialler here loses HTTPS_PROXY.
	DialOptions []grpc.DialOption
	// Clock tells the time for certificates. Timers are the process's own. Default: time.Now.
	Clock func() time.Time
	// Logger defaults to discarding.
	Logger *slog.Logger
}

// Identity is who this spoke is. Its methods are safe for concurrent use, but for Ensure, which comes first.
type Identity struct {
	config Config
	now    func() time.Time
	log    *slog.Logger

	// current is replaced as a whole, under writing; nil before Ensure.
	current atomic.Pointer[current]
	// writing is held while current is replaced and kept.
	writing sync.Mutex

	// hub guards what is known of the hub that the newest connection met.
	hub struct {
		sync.Mutex
		// announced is the trust bundle of the newest Welcome, and confirmed whether a hub has been verified by it since.
		announced [][]byte
		confirmed bool
	}

	changed chan struct{}
	soon    chan struct{}
}

// current is immutable.
type current struct {
	kept        *Kept
	key         crypto.Signer
	certificate *tls.Certificate
	roots       *x509.CertPool
	// sessions are resumed with the certificate that they began with, so they go with it.
	sessions tls.ClientSessionCache
	// received is when the certificate was received; zero if it was kept by an earlier process.
	received time.Time
}

// New checks the configuration; it reads and dials nothing yet.
func New(config Config) (*Identity, error) {
	if config.Keep == nil {
		return nil, errors.New("an identity needs a place to be kept")
	}
	for _, address := range config.HubAddresses {
		if err := checkAddress(address); err != nil {
			return nil, err
		}
	}
	if config.Instance == "" {
		config.Instance = rand.Text()
	}
	if config.Clock == nil {
		config.Clock = time.Now
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	return &Identity{
		config:  config,
		now:     config.Clock,
		log:     config.Logger,
		changed: make(chan struct{}, 1),
		soon:    make(chan struct{}, 1),
	}, nil
}

func checkAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || port == "" {
		return fmt.Errorf("hub address %q is not HOST:PORT", address)
	}
	return nil
}

// Cluster returns the cluster's name and uid at the hub; empty before Ensure.
func (i *Identity) Cluster() (name, uid string) {
	current := i.current.Load()
	if current == nil {
		return "", ""
	}
	return current.kept.Identity.GetCluster(), current.kept.Identity.GetClusterUid()
}

// Expiry returns the certificate's end; zero before Ensure.
func (i *Identity) Expiry() time.Time {
	current := i.current.Load()
	if current == nil {
		return time.Time{}
	}
	return current.certificate.Leaf.NotAfter
}

// Instance returns the text that tells this process from others.
func (i *Identity) Instance() string { return i.config.Instance }

// Changed tells that the certificate was replaced: whoever waits before dialling again need not wait any longer. Level-triggered; for one reader.
func (i *Identity) Changed() <-chan struct{} { return i.changed }

// Addresses returns where hubs are (host:port), in order of preference: those that the hub has told, the newest first, then the configured ones. It is
// not empty after Ensure.
func (i *Identity) Addresses() []string {
	var addresses []string
	if current := i.current.Load(); current != nil {
		addresses = current.kept.Identity.GetHubAddresses()
	}
	return union(addresses, i.config.HubAddresses)
}

// TLS returns the configuration for one dial: the hub is verified by the trust bundle of now, and shown the certificate that is the newest at
// each handshake. Sessions resume for as long as the certificate lasts.
func (i *Identity) TLS() *tls.Config {
	config := &tls.Config{
		MinVersion: tls.VersionTLS13,
		Time:       i.now,
		// Empty, not nil, before Ensure: nil would be the system's roots.
		RootCAs:              x509.NewCertPool(),
		GetClientCertificate: i.clientCertificate,
		VerifyConnection:     i.noteHub,
	}
	if current := i.current.Load(); current != nil {
		config.RootCAs = current.roots
		config.ClientSessionCache = current.sessions
	}
	return config
}

func (i *Identity) clientCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	if current := i.current.Load(); current != nil {
		return current.certificate, nil
	}
	return &tls.Certificate{}, nil
}

// noteHub remembers that a hub is verified by what was announced last, so that nothing older is needed.
func (i *Identity) noteHub(state tls.ConnectionState) error {
	i.hub.Lock()
	defer i.hub.Unlock()
	for _, chain := range state.VerifiedChains {
		if certs.Contains(i.hub.announced, chain[len(chain)-1].Raw) {
			i.hub.confirmed = true
		}
	}
	return nil
}

// Update takes what the hub says in a Welcome about its CA and its addresses. Both are kept old ∪ new, new first. An old CA is dropped once the hub has
// announced the same bundle twice without it and has been verified by that bundle in between; old addresses go when there are more than eight.
// Nothing is written if nothing is new. An empty list changes nothing. The newest CA is first in the bundle, and the certificate is renewed at once if
// another one has issued it: the hub waits for that before it retires the old.
func (i *Identity) Update(ctx context.Context, trustBundle [][]byte, addresses []string) error {
	i.writing.Lock()
	defer i.writing.Unlock()
	before := i.current.Load()
	if before == nil {
		return errors.New("the spoke has not enrolled yet")
	}
	identity := proto.CloneOf(before.kept.Identity)
	if len(trustBundle) > 0 {
		if _, err := certs.Pool(trustBundle); err != nil {
			return fmt.Errorf("take the hub's trust bundle: %w", err)
		}
		if !i.settled(trustBundle) {
			trustBundle = certs.Union(trustBundle, identity.GetTrustBundle())
		}
		identity.TrustBundle = trustBundle[:min(len(trustBundle), maxTrust)]
	}
	for _, address := range addresses {
		if err := checkAddress(address); err != nil {
			return fmt.Errorf("take the hub's addresses: %w", err)
		}
	}
	if len(addresses) > 0 {
		all := union(addresses, identity.GetHubAddresses())
		identity.HubAddresses = all[:min(len(all), maxAddresses)]
	}
	if proto.Equal(identity, before.kept.Identity) {
		return nil
	}
	after := *before
	kept := *before.kept
	kept.Identity = identity
	after.kept = &kept
	roots, err := certs.Pool(identity.GetTrustBundle())
	if err != nil {
		return fmt.Errorf("take the hub's trust bundle: %w", err)
	}
	after.roots = roots
	// Used even if it cannot be kept: the hub says it again with the next Welcome.
	i.current.Store(&after)
	if err := i.config.Keep.Save(ctx, &kept); err != nil {
		return fmt.Errorf("keep the hub's trust bundle and addresses: %w", err)
	}
	if len(trustBundle) > 0 && !issuedBy(after.certificate.Leaf, trustBundle[0]) {
		i.RenewNow()
	}
	return nil
}

// issuedBy says whether a CA (DER) has signed a certificate.
func issuedBy(leaf *x509.Certificate, ca []byte) bool {
	issuer, err := x509.ParseCertificate(ca)
	return err == nil && leaf.CheckSignatureFrom(issuer) == nil
}

// TrustHash tells the hub which trust bundle is here; nil before there is one.
func (i *Identity) TrustHash() []byte {
	if current := i.current.Load(); current != nil {
		return certs.BundleHash(current.kept.Identity.GetTrustBundle())
	}
	return nil
}

// settled notes an announcement and says whether it may stand alone.
func (i *Identity) settled(bundle [][]byte) bool {
	i.hub.Lock()
	defer i.hub.Unlock()
	same := slices.EqualFunc(i.hub.announced, bundle, slices.Equal[[]byte])
	if same && i.hub.confirmed {
		return true
	}
	if !same {
		i.hub.announced, i.hub.confirmed = bundle, false
	}
	return false
}

// take makes a kept identity the current one, after checking that its parts belong together.
func (i *Identity) take(kept *Kept, received time.Time) error {
	current, err := open(kept)
	if err != nil {
		return err
	}
	current.received = received
	i.current.Store(current)
	return nil
}

func open(kept *Kept) (*current, error) {
	key, err := certs.ParseKey(kept.Key)
	if err != nil {
		return nil, err
	}
	certificate, err := certs.Certificate(kept.Identity.GetCertificates(), key)
	if err != nil {
		return nil, err
	}
	_, uid, err := certs.ClusterOf(certificate.Leaf)
	if err != nil {
		return nil, err
	}
	if uid != kept.Identity.GetClusterUid() {
		return nil, fmt.Errorf("the certificate is that of cluster uid %s, not %s", uid, kept.Identity.GetClusterUid())
	}
	roots, err := certs.Pool(kept.Identity.GetTrustBundle())
	if err != nil {
		return nil, err
	}
	return &current{
		kept:        kept,
		key:         key,
		certificate: certificate,
		roots:       roots,
		sessions:    tls.NewLRUClientSessionCache(sessionCache),
	}, nil
}

func (i *Identity) tellChanged() {
	select {
	case i.changed <- struct{}{}:
	default:
	}
}

// union returns first, then what only second has, each once.
func union(first, second []string) []string {
	var all []string
	for _, address := range slices.Concat(first, second) {
		if !slices.Contains(all, address) {
			all = append(all, address)
		}
	}
	return all
}

// request returns a certificate request (DER) that says nothing but the key: everything else is the hub's to set.
func request(key crypto.Signer) ([]byte, error) {
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate request: %w", err)
	}
	return csr, nil
}

// identityOf checks what a hub has answered, before anything is kept of it.
func identityOf(identity *spokev1.Identity, key crypto.Signer) (*Kept, *current, error) {
	text, err := certs.EncodeKey(key)
	if err != nil {
		return nil, nil, err
	}
	kept := &Kept{Key: text, Identity: identity}
	current, err := open(kept)
	if err != nil {
		return nil, nil, fmt.Errorf("the hub's answer is not usable: %w", err)
	}
	return kept, current, nil
}
