package ca

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"iter"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/certs"
	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// ReasonClusterEnrolled is the reason of the event that an enrolment adds.
const ReasonClusterEnrolled = "ClusterEnrolled"

// Redeem trades a token and a certificate request for the cluster's first certificate, and binds the cluster to the request's key and to
// the Kubernetes cluster. It returns once that is on disk.
//
// A token is good for one key: asked again with the same token and key, it answers another certificate for that key, as [CA.Renew] would, since the first answer
// may have been lost, until the token is collected. Refusals are [ErrBadToken], [ErrBadCSR], [ErrTokenForeign], [ErrTokenUnknown],
// [ErrTokenUsed], [ErrTokenExpired], [ErrEnrolled], [ErrCloned], [ErrBanned] and [ErrDeletedCluster]; anything else is the store's.
func (c *CA) Redeem(ctx context.Context, token string, csr []byte, kubeUID string) (*spokev1.Identity, error) {
	parsed, err := certs.ParseToken(token)
	if err != nil {
		return nil, err
	}
	if pin := c.roots.Load().serving().pin; parsed.Pin != pin {
		return nil, fmt.Errorf("%w: that hub's CA is %s, and this one's %s; dial that hub, or make a token here", ErrTokenForeign, parsed.Pin, pin)
	}
	if err := checkKubeUID(kubeUID); err != nil {
		return nil, err
	}
	request, err := parseRequest(csr)
	if err != nil {
		return nil, err
	}
	claim := &claim{id: parsed.ID, secretHash: sha256.Sum256(parsed.Secret), keyHash: request.keyHash, kubeUID: kubeUID, now: c.now()}

	// Judged before signing, so that strangers cost no signature, and again within the transaction, which decides.
	row, err := c.judge(c.store.Read(), claim)
	if err != nil {
		return nil, err
	}
	by := c.roots.Load().issuing()
	chain, notAfter, err := c.issueCluster(by, request.public, row.GetClusterUid(), row.GetCluster())
	if err != nil {
		return nil, err
	}
	if _, err := c.store.Update(ctx, func(tx *store.Tx) error {
		row, err := c.judge(tx, claim)
		switch {
		case err != nil:
			return err
		case claim.redeemed(row):
			return reissued(tx, row.GetClusterUid(), by, notAfter, true)
		}
		return bind(tx, claim, row, by, notAfter)
	}); err != nil {
		return nil, err
	}
	return c.identity(chain, row.GetCluster(), row.GetClusterUid()), nil
}

// claim is what somebody who wants to enrol has shown, and when.
type claim struct {
	id         string
	secretHash [sha256.Size]byte
	keyHash    []byte
	kubeUID    string
	now        time.Time
}

// redeemed says whether it is this claim that has used the token before.
func (c *claim) redeemed(row *storev1.EnrolmentToken) bool {
	return len(row.GetUsedByKeyHash()) > 0 && bytes.Equal(row.GetUsedByKeyHash(), c.keyHash)
}

// enrolReader is what judge reads.
type enrolReader interface {
	Reader
	Token(id string) *storev1.EnrolmentToken
	IdentitiesOf(kubeUID string) iter.Seq[*storev1.Identity]
}

// judge returns the token's row if the claim may have a certificate for it, also where it has had one.
func (c *CA) judge(tx enrolReader, claim *claim) (*storev1.EnrolmentToken, error) {
	row := tx.Token(claim.id)
	// With a hash to compare with either way, the time does not tell which IDs exist. (They are no secret; it costs nothing.)
	var hash [sha256.Size]byte
	copy(hash[:], row.GetSecretHash())
	if subtle.ConstantTimeCompare(hash[:], claim.secretHash[:]) != 1 || row == nil {
		return nil, ErrTokenUnknown
	}
	name, uid := row.GetCluster(), row.GetClusterUid()
	if err := c.enrollable(tx, uid); err != nil {
		return nil, err
	}
	switch {
	case claim.redeemed(row):
		if row.GetKubeUid() != claim.kubeUID {
			return nil, fmt.Errorf("%w: cluster %s enrolled from another one with this key", ErrCloned, name)
		}
		return row, nil
	case len(row.GetUsedByKeyHash()) > 0:
		return nil, fmt.Errorf("%w; if its spoke is gone, delete cluster %s and enrol it anew", ErrTokenUsed, name)
	case !claim.now.Before(row.GetExpires().AsTime()):
		return nil, fmt.Errorf("%w, at %s: make another with: yardarm enroll %s", ErrTokenExpired, row.GetExpires().AsTime().UTC().Format(time.RFC3339), name)
	}
	if identity := tx.Identity(uid); identity != nil && !bytes.Equal(identity.GetKeyHash(), claim.keyHash) {
		return nil, fmt.Errorf("%w: to replace its spoke, delete cluster %s and enrol it anew", ErrEnrolled, name)
	}
	for other := range tx.IdentitiesOf(claim.kubeUID) {
		if other.GetClusterUid() != uid {
			return nil, fmt.Errorf("%w: this one is enrolled already, as cluster %s; delete that one first if it is to become %s",
				ErrCloned, tx.Cluster(other.GetClusterUid()).GetMetadata().GetName(), name)
		}
	}
	return row, nil
}

// bind uses the token up and makes the identity. The spoke gets the trust bundle with its certificate, and keeps both or neither.
func bind(tx *store.Tx, claim *claim, row *storev1.EnrolmentToken, by root, notAfter time.Time) error {
	used := proto.CloneOf(row)
	used.UsedByKeyHash = claim.keyHash
	used.KubeUid = claim.kubeUID
	if err := tx.PutToken(used); err != nil {
		return err
	}
	if err := tx.PutIdentity(&storev1.Identity{
		ClusterUid: row.GetClusterUid(),
		KubeUid:    claim.kubeUID,
		KeyHash:    claim.keyHash,
		NotAfter:   timestamppb.New(notAfter),
		Enrolled:   timestamppb.New(claim.now),
		Issuer:     by.pin[:],
		Trusts:     by.pin[:],
	}); err != nil {
		return err
	}
	return tx.AddEvent(&yardarmv1.Event{
		Time:    timestamppb.New(claim.now),
		Type:    yardarmv1.EventNormal,
		Reason:  ReasonClusterEnrolled,
		Message: fmt.Sprintf("cluster %s has enrolled", row.GetCluster()),
		Cluster: row.GetCluster(),
	})
}
