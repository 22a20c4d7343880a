package ca

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/certs"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestRenewal(t *testing.T) {
	h := newHub(t)
	s := h.enrol("prod-1")
	h.clock.pass(15 * time.Hour)
	identity, err := h.Renew(context.Background(), h.peer(s), csr(t, s.key, nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	renewed := leaf(t, identity)
	if !renewed.NotAfter.Equal(h.now().Add(24 * time.Hour)) {
		t.Errorf("ends %v, want in a day", renewed.NotAfter)
	}
	if fleet, uid, err := certs.ClusterOf(renewed); err != nil || fleet != h.fleet || uid != "prod-1-uid" || renewed.Subject.CommonName != "prod-1" {
		t.Errorf("it is for %s of %s, %v", uid, fleet, err)
	}
	row := h.store.Read().Identity("prod-1-uid")
	if !row.GetNotAfter().AsTime().Equal(renewed.NotAfter) {
		t.Errorf("the row ends %v, the certificate %v", row.GetNotAfter().AsTime(), renewed.NotAfter)
	}
	if row.GetKubeUid() != "prod-1-kube" {
		t.Error("the renewal has changed the row")
	}
	if !bytes.Equal(identity.GetTrustBundle()[0], h.Standing().Roots[0].Raw) || len(identity.GetHubAddresses()) != 1 {
		t.Error("the answer lacks what the spoke has to trust and to dial")
	}
}

// A hub that was down for a weekend, and a cluster that was off for a season.
func TestExpiredCertificateRenews(t *testing.T) {
	h := newHub(t)
	s := h.enrol("prod-1")
	h.clock.pass(24*time.Hour + certs.RenewalWindow)
	peer := h.peer(s)
	if !peer.Expired {
		t.Fatal("the certificate counts as valid")
	}
	if err := h.Authorize(h.store.Read(), peer); !errors.Is(err, ErrExpired) {
		t.Errorf("anything but Renew: error %v, want ErrExpired", err)
	}
	if _, err := h.Renew(context.Background(), peer, csr(t, s.key, nil), nil); err != nil {
		t.Fatal(err)
	}
	h.clock.pass(time.Second)
	if _, err := h.ClusterFromState(stateOf(s.leaf(t))); !errors.Is(err, ErrExpiredLongAgo) {
		t.Errorf("a second later: error %v, want ErrExpiredLongAgo", err)
	}
}

func TestRenewalRefusals(t *testing.T) {
	cases := map[string]struct {
		prepare func(h *hub, s *spoke) (Peer, []byte)
		want    error
	}{
		"another key": {func(h *hub, s *spoke) (Peer, []byte) { return h.peer(s), csr(t, newKey(t), nil) }, ErrKeyMismatch},
		"another cluster's key": {func(h *hub, s *spoke) (Peer, []byte) {
			return h.peer(s), csr(t, h.enrol("prod-2").key, nil)
		}, ErrKeyMismatch},
		"a certificate of the CA with a key that never enrolled": {func(h *hub, s *spoke) (Peer, []byte) {
			stray := &spoke{key: newKey(t)}
			chain, _, err := h.IssueCluster(stray.key.Public(), "prod-1-uid", "prod-1")
			if err != nil {
				t.Fatal(err)
			}
			stray.identity = h.identity(chain, "prod-1", "prod-1-uid")
			return h.peer(stray), csr(t, stray.key, nil)
		}, ErrKeyMismatch},
		"banned": {func(h *hub, s *spoke) (Peer, []byte) {
			h.ban("prod-1")
			return h.peer(s), csr(t, s.key, nil)
		}, ErrBanned},
		"banned and expired": {func(h *hub, s *spoke) (Peer, []byte) {
			h.ban("prod-1")
			h.clock.pass(30 * 24 * time.Hour)
			return h.peer(s), csr(t, s.key, nil)
		}, ErrBanned},
		"deleted": {func(h *hub, s *spoke) (Peer, []byte) {
			h.remove("prod-1")
			return h.peer(s), csr(t, s.key, nil)
		}, ErrDeletedCluster},
		"deleted and made again": {func(h *hub, s *spoke) (Peer, []byte) {
			h.remove("prod-1")
			h.update(func(tx *store.Tx) error {
				return tx.PutCluster(&yardarmv1.Cluster{Metadata: &yardarmv1.ObjectMeta{Name: "prod-1", Uid: "another-uid"}})
			})
			return h.peer(s), csr(t, s.key, nil)
		}, ErrDeletedCluster},
		"unknown": {func(h *hub, s *spoke) (Peer, []byte) {
			h.update(func(tx *store.Tx) error { return tx.DeleteCluster("prod-1-uid") })
			return h.peer(s), csr(t, s.key, nil)
		}, ErrUnknownCluster},
		"no request": {func(h *hub, s *spoke) (Peer, []byte) { return h.peer(s), nil }, ErrBadCSR},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHub(t)
			s := h.enrol("prod-1")
			peer, request := c.prepare(h, s)
			if _, err := h.Renew(context.Background(), peer, request, nil); !errors.Is(err, c.want) {
				t.Fatalf("error %v, want %v", err, c.want)
			}
		})
	}
}

// A cluster whose removal waits for its spoke is still served, or its spoke would never hear of it.
func TestClusterBeingDeletedRenews(t *testing.T) {
	h := newHub(t)
	s := h.enrol("prod-1")
	h.change("prod-1", func(spec *yardarmv1.ClusterSpec) { spec.Removal = &yardarmv1.Removal{} })
	if err := h.Authorize(h.store.Read(), h.peer(s)); err != nil {
		t.Error(err)
	}
	if _, err := h.Renew(context.Background(), h.peer(s), csr(t, s.key, nil), nil); err != nil {
		t.Error(err)
	}
}

func TestUnbannedClusterIsBack(t *testing.T) {
	h := newHub(t)
	s := h.enrol("prod-1")
	h.ban("prod-1")
	if err := h.Authorize(h.store.Read(), h.peer(s)); !errors.Is(err, ErrBanned) {
		t.Fatalf("error %v, want ErrBanned", err)
	}
	if err := h.AuthorizeCluster(h.store.Read(), "prod-1-uid"); !errors.Is(err, ErrBanned) {
		t.Fatalf("error %v, want ErrBanned", err)
	}
	h.change("prod-1", func(spec *yardarmv1.ClusterSpec) { spec.Ban = nil })
	if err := h.Authorize(h.store.Read(), h.peer(s)); err != nil {
		t.Fatal(err)
	}
}

func TestCloneOfASpokeIsToldApart(t *testing.T) {
	h := newHub(t)
	h.enrol("prod-1")
	if err := h.CheckKube(h.store.Read(), "prod-1-uid", "prod-1-kube"); err != nil {
		t.Error(err)
	}
	for _, kube := range []string{"", "another-kube"} {
		if err := h.CheckKube(h.store.Read(), "prod-1-uid", kube); !errors.Is(err, ErrCloned) {
			t.Errorf("%q: error %v, want ErrCloned", kube, err)
		}
	}
}
