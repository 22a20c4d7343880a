package ca

import (
	"context"
	"crypto/subtle"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/certs"
	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
)

// Renew answers a new certificate for the key that the cluster enrolled with: the request has to be made with it, and so has the peer's
// certificate, which may have expired. The cluster's deletion may be under way, since its spoke is still needed for that. trusts are the
// pins of the CAs that the spoke says to trust; an older one says nothing. Refusals are
// [ErrBadCSR] and those of [CA.Authorize] but for [ErrExpired]; anything else is the store's.
func (c *CA) Renew(ctx context.Context, peer Peer, csr []byte, trusts [][]byte) (*spokev1.Identity, error) {
	request, err := parseRequest(csr)
	if err != nil {
		return nil, err
	}
	tx := c.store.Read()
	if err := c.authorizeKey(tx, peer.UID, peer.KeyHash); err != nil {
		return nil, err
	}
	name := tx.Cluster(peer.UID).GetMetadata().GetName()
	if subtle.ConstantTimeCompare(request.keyHash, peer.KeyHash) != 1 {
		return nil, fmt.Errorf("%w: a renewal keeps the key (cluster %s)", ErrKeyMismatch, name)
	}
	by := c.roots.Load().issuing()
	chain, notAfter, err := c.issueCluster(by, request.public, peer.UID, name)
	if err != nil {
		return nil, err
	}
	if _, err := c.store.Update(ctx, func(tx *store.Tx) error {
		if err := c.authorizeKey(tx, peer.UID, peer.KeyHash); err != nil {
			return err
		}
		return reissued(tx, peer.UID, by, notAfter, certs.Contains(trusts, by.pin[:]))
	}); err != nil {
		return nil, err
	}
	return c.identity(chain, name, peer.UID), nil
}

// reissued notes that a cluster has got another certificate for its key. trusts says that its spoke trusts who has issued it.
func reissued(tx *store.Tx, uid string, by root, notAfter time.Time, trusts bool) error {
	identity := proto.CloneOf(tx.Identity(uid))
	if identity.GetNotAfter().AsTime().Before(notAfter) {
		identity.NotAfter = timestamppb.New(notAfter)
	}
	identity.Issuer = by.pin[:]
	if trusts {
		identity.Trusts = by.pin[:]
	}
	return tx.PutIdentity(identity)
}
