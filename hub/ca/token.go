package ca

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/certs"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// DefaultTokenTTL is how long a token lives when nobody says otherwise: enough to paste a command.
	DefaultTokenTTL = 15 * time.Minute
	// MaxTokenTTL is the longest that a token may live: a working day and its night.
	MaxTokenTTL = 24 * time.Hour
	// tokenKept is how long a token is kept after its end: its own spoke can still ask for a lost answer, and everybody else gets a
	// better reason than that it is not known.
	tokenKept = 7 * 24 * time.Hour
)

// Draft is the random part of a token and its time, drawn before the transaction that makes it valid: none of both may happen within.
type Draft struct {
	token certs.Token
	// Expires is when the token ends.
	Expires time.Time
}

// DraftToken draws a token that lives for ttl, [DefaultTokenTTL] if that is 0. Otherwise out of bounds is [ErrTTL].
func (c *CA) DraftToken(ttl time.Duration) (*Draft, error) {
	if ttl == 0 {
		ttl = DefaultTokenTTL
	}
	if ttl < 0 || ttl > MaxTokenTTL {
		return nil, fmt.Errorf("%w: %v; at most %v", ErrTTL, ttl, MaxTokenTTL)
	}
	random := make([]byte, certs.TokenIDSize+certs.TokenSecretSize)
	if _, err := io.ReadFull(c.random, random); err != nil {
		return nil, fmt.Errorf("draw an enrolment token: %w", err)
	}
	return &Draft{
		token:   certs.Token{ID: certs.TokenID(random), Secret: random[certs.TokenIDSize:], Pin: c.roots.Load().serving().pin},
		Expires: c.now().Add(ttl),
	}, nil
}

// MintToken makes the draft a token for one enrolment of the cluster and returns its text, a secret that the hub does not keep. It is valid once
// the transaction has committed. Tokens of the cluster that have not been used end with it. The cluster has to be in the transaction:
// [ErrUnknownCluster], [ErrDeletedCluster], [ErrBanned] or [ErrEnrolled] otherwise.
func (c *CA) MintToken(tx *store.Tx, cluster *yardarmv1.Cluster, draft *Draft) (string, error) {
	name, uid := cluster.GetMetadata().GetName(), cluster.GetMetadata().GetUid()
	if err := c.enrollable(tx, uid); err != nil {
		return "", err
	}
	if tx.Identity(uid) != nil {
		return "", fmt.Errorf("%w: to replace its spoke, delete cluster %s and enrol it anew", ErrEnrolled, name)
	}
	for token := range tx.TokensOf(uid) {
		if len(token.GetUsedByKeyHash()) > 0 {
			continue
		}
		if err := tx.DeleteToken(token.GetId()); err != nil {
			return "", err
		}
	}
	hash := sha256.Sum256(draft.token.Secret)
	if err := tx.PutToken(&storev1.EnrolmentToken{
		Id:         draft.token.ID,
		SecretHash: hash[:],
		Cluster:    name,
		ClusterUid: uid,
		Expires:    timestamppb.New(draft.Expires),
	}); err != nil {
		return "", err
	}
	return draft.token.Text(), nil
}

// enrollable says whether a cluster may get a first or a new certificate at all.
func (c *CA) enrollable(tx Reader, uid string) error {
	if err := c.AuthorizeCluster(tx, uid); err != nil {
		return err
	}
	if cluster := tx.Cluster(uid); cluster.GetSpec().GetRemoval() != nil {
		return fmt.Errorf("%w: the deletion of cluster %s is under way", ErrDeletedCluster, cluster.GetMetadata().GetName())
	}
	return nil
}

// collectTokens removes tokens that ended [tokenKept] ago.
func (c *CA) collectTokens(ctx context.Context) error {
	oldest := c.now().Add(-tokenKept)
	var old []string
	for token := range c.store.Read().Tokens() {
		if token.GetExpires().AsTime().Before(oldest) {
			old = append(old, token.GetId())
		}
	}
	if len(old) == 0 {
		return nil
	}
	_, err := c.store.Update(ctx, func(tx *store.Tx) error {
		for _, id := range old {
			if err := tx.DeleteToken(id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("collect old enrolment tokens: %w", err)
	}
	return nil
}
