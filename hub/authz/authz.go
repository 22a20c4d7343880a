package authz

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/store"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	tokenPrefix = "yat_"
	// secretSize is the size of a credential's secret in bytes: 256 bits, so that a plain SHA-256 of it is safe to keep.
	secretSize = 32
	// useInterval is how exact it is known when a token was last used.
	useInterval = time.Minute
	// maxToken bounds what is looked at, in bytes; ours are much shorter.
	maxToken = 256
)

// Users knows the users of identity providers by their ID tokens.
type Users interface {
	// Verify answers who calls; otherwise a [RefusedError] or an [UnavailableError].
	Verify(ctx context.Context, token string) (Identity, error)
}

// Config of an Authz. Store is needed.
type Config struct {
	Store *store.Store
	// Users knows whom tokens belong to that are none of the hub's own. Nobody's, when nil.
	Users Users
	// Clock tells the time. Default: time.Now.
	Clock func() time.Time
	// Rand is the source of secrets. Default: crypto/rand.
	Rand io.Reader
}

// Authz knows the credentials. Safe for concurrent use.
type Authz struct {
	config Config
}

// New returns an Authz.
func New(config Config) (*Authz, error) {
	if config.Store == nil {
		return nil, errors.New("credentials need a store")
	}
	if config.Clock == nil {
		config.Clock = time.Now
	}
	if config.Rand == nil {
		config.Rand = rand.Reader
	}
	return &Authz{config: config}, nil
}

// Authenticate answers whom a bearer token belongs to. The credential is read from the store each time, so one that has been reset, revoked or has
// expired is refused at once. Errors are [ErrCredential], [RefusedError], which is one, and [UnavailableError].
func (a *Authz) Authenticate(ctx context.Context, token string) (Identity, error) {
	if a.config.Users != nil && !strings.HasPrefix(token, tokenPrefix) {
		return a.config.Users.Verify(ctx, token)
	}
	id, secret, ok := parse(token)
	if !ok {
		return Identity{}, ErrCredential
	}
	row := a.config.Store.Read().Credential(id)
	// Compared either way, so that the time does not tell which IDs exist.
	var want [sha256.Size]byte
	copy(want[:], row.GetSecretHash())
	got := sha256.Sum256(secret)
	if subtle.ConstantTimeCompare(got[:], want[:]) != 1 || row == nil {
		return Identity{}, ErrCredential
	}
	who := Identity{Kind: yardarmv1.SubjectToken, Name: row.GetName(), Credential: id}
	if id == adminID {
		who.Local, who.Kind = true, ""
	}
	if row.GetExpires() != nil {
		who.Expires = row.Expires.AsTime()
		if !a.config.Clock().Before(who.Expires) {
			return Identity{}, ErrCredential
		}
	}
	a.noteUse(ctx, row)
	return who, nil
}

// noteUse keeps when a token was shown, at most once a minute: it is to be seen which ones nobody uses any more, and no call should cost a write.
func (a *Authz) noteUse(ctx context.Context, row *storev1.Credential) {
	now := a.config.Clock()
	if IsLocalAdmin(row) || now.Sub(a.config.Store.Read().CredentialUse(row.Id).GetTime().AsTime()) < useInterval {
		return
	}
	// It is soft, and lost if the hub dies; a store that takes nothing has worse to tell.
	_ = a.config.Store.Observe(ctx, func(tx *store.Tx) error {
		return tx.PutCredentialUse(&storev1.CredentialUse{Id: row.Id, Time: timestamppb.New(now)})
	})
}

// secretEncoding needs no quotes in a shell or a header. Strict, so that a secret has one text.
var secretEncoding = base64.RawURLEncoding.Strict()

// parse splits at the first '_' after the prefix: an ID has none, a secret may.
func parse(token string) (id string, secret []byte, ok bool) {
	if len(token) > maxToken {
		return "", nil, false
	}
	rest, ok := strings.CutPrefix(token, tokenPrefix)
	if !ok {
		return "", nil, false
	}
	id, text, ok := strings.Cut(rest, "_")
	if !ok || id == "" || len(text) != secretEncoding.EncodedLen(secretSize) {
		return "", nil, false
	}
	secret, err := secretEncoding.DecodeString(text)
	// The decoder skips line breaks, and then less comes out.
	return id, secret, err == nil && len(secret) == secretSize
}

func (a *Authz) newSecret() ([]byte, error) {
	secret := make([]byte, secretSize)
	if _, err := io.ReadFull(a.config.Rand, secret); err != nil {
		return nil, fmt.Errorf("draw a credential: %w", err)
	}
	return secret, nil
}

func format(id string, secret []byte) string {
	return tokenPrefix + id + "_" + secretEncoding.EncodeToString(secret)
}
