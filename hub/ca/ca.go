package ca

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/certs"
	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

const (
	// DefaultClusterLife is how long a cluster's certificate lives: a stolen one is of little use the next day.
	DefaultClusterLife = 24 * time.Hour
	// minClusterLife leaves a spoke time to renew; as short a life is for tests.
	minClusterLife = time.Minute

	// upkeepInterval is how often Run looks whether ticket keys are due and tokens are old. Nothing hangs on it being exact.
	upkeepInterval = time.Hour
)

// Sealer keeps secrets from being read in the database: seal.Sealer.
type Sealer interface {
	Seal(name string, plaintext []byte) (*storev1.SealedSecret, error)
	Open(name string, secret *storev1.SealedSecret) ([]byte, error)
}

// Config of a CA. Store and Sealer are needed.
type Config struct {
	// Store holds the CA's secrets, tokens and identities.
	Store  *store.Store
	Sealer Sealer
	// Fleet is in every certificate. Default: the one in the store's meta row.
	Fleet string
	// SpokeAddresses (host:port) are told to spokes with their certificates.
	SpokeAddresses []string
	// ClusterLife is how long a cluster's certificate lives. Default [DefaultClusterLife], at least a minute.
	ClusterLife time.Duration
	// Clock tells the time, for certificates, tokens and TLS. Default: time.Now.
	Clock func() time.Time
	// Rand is the source of secrets. Default: crypto/rand.
	Rand io.Reader
	// Logger defaults to discarding.
	Logger *slog.Logger
}

// CA issues and judges certificates. Safe for concurrent use.
type CA struct {
	store     *store.Store
	sealer    Sealer
	fleet     string
	addresses []string
	life      time.Duration
	now       func() time.Time
	random    io.Reader
	log       *slog.Logger

	// roots is replaced as a whole, by New, Rotate and Retire, under changing.
	roots     atomic.Pointer[roots]
	changing  sync.Mutex
	cursorKey []byte
	// tickets is replaced as a whole: by New, then by Run only.
	tickets atomic.Pointer[ticketKeys]
}

// New reads the CA's secrets from the store, and makes them at a hub's first start. It blocks for a commit then.
func New(config Config) (*CA, error) {
	if config.Store == nil || config.Sealer == nil {
		return nil, errors.New("a CA needs a store and a sealer")
	}
	if config.Fleet == "" {
		config.Fleet = config.Store.Meta().GetFleet()
	}
	if _, err := certs.ClusterURI(config.Fleet, "uid"); err != nil {
		return nil, fmt.Errorf("set up the CA: %w", err)
	}
	if config.ClusterLife == 0 {
		config.ClusterLife = DefaultClusterLife
	}
	if config.ClusterLife < minClusterLife {
		return nil, fmt.Errorf("cluster certificates are to live %v; the minimum is %v", config.ClusterLife, minClusterLife)
	}
	if config.Clock == nil {
		config.Clock = time.Now
	}
	if config.Rand == nil {
		config.Rand = rand.Reader
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	c := &CA{
		store:     config.Store,
		sealer:    config.Sealer,
		fleet:     config.Fleet,
		addresses: slices.Clone(config.SpokeAddresses),
		life:      config.ClusterLife,
		now:       config.Clock,
		random:    config.Rand,
		log:       config.Logger,
	}
	if err := c.open(context.Background()); err != nil {
		return nil, fmt.Errorf("set up the CA: %w", err)
	}
	return c, nil
}

// Run changes the ticket keys once a day and collects old tokens, until ctx ends. It returns nil then; a failure is logged and tried again
// an hour later, since the CA serves all the same.
func (c *CA) Run(ctx context.Context) error {
	ticker := time.NewTicker(upkeepInterval)
	defer ticker.Stop()
	for {
		if err := c.Upkeep(ctx); err != nil && ctx.Err() == nil {
			c.log.Warn("upkeep of ticket keys and tokens failed; it is tried again", "error", err, "retry_in", upkeepInterval)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Upkeep does once what Run does every hour.
func (c *CA) Upkeep(ctx context.Context) error {
	return errors.Join(c.rotateTickets(ctx), c.collectTokens(ctx))
}

// Pin returns "sha256:…" of the CA's key, by which a spoke knows the hub before it has enrolled.
func (c *CA) Pin() string { return c.roots.Load().serving().pin.String() }

// TrustBundle returns the CA certificates (DER) that spokes and clients have to trust, the newest first. The caller must not change them.
func (c *CA) TrustBundle() [][]byte { return c.roots.Load().bundle }

// Expires answers when the CA's own certificate ends, and with it all that it issued: while there are two, that of the older.
func (c *CA) Expires() time.Time { return c.roots.Load().serving().certificate.NotAfter }

// TrustPEM returns the same in PEM, for configuration files.
func (c *CA) TrustPEM() string { return string(certs.EncodeChain(c.TrustBundle())) }

// Fleet returns the fleet's id.
func (c *CA) Fleet() string { return c.fleet }

func (c *CA) identity(chain [][]byte, name, uid string) *spokev1.Identity {
	return &spokev1.Identity{
		Certificates: chain,
		TrustBundle:  c.TrustBundle(),
		HubAddresses: slices.Clone(c.addresses),
		Cluster:      name,
		ClusterUid:   uid,
	}
}
