package ca

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/certs"
	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestTokenEnrols(t *testing.T) {
	h := newHub(t)
	s := h.enrol("prod-1")
	if s.identity.GetCluster() != "prod-1" || s.identity.GetClusterUid() != "prod-1-uid" {
		t.Errorf("identity of %s, %s", s.identity.GetCluster(), s.identity.GetClusterUid())
	}
	if got := s.identity.GetHubAddresses(); len(got) != 1 || got[0] != "hub.example:8443" {
		t.Errorf("hub addresses %v", got)
	}
	if len(s.identity.GetTrustBundle()) != 1 || !bytes.Equal(s.identity.GetTrustBundle()[0], h.Standing().Roots[0].Raw) {
		t.Error("the trust bundle is not the CA")
	}
	row := h.store.Read().Identity("prod-1-uid")
	hash, _ := certs.KeyHash(s.key.Public())
	if row.GetKubeUid() != "prod-1-kube" || !bytes.Equal(row.GetKeyHash(), hash) || !row.GetNotAfter().AsTime().Equal(s.leaf(t).NotAfter) ||
		!row.GetEnrolled().AsTime().Equal(h.now()) {
		t.Errorf("identity row %v", row)
	}
	var events []string
	for event := range h.store.Read().Events(0) {
		events = append(events, event.GetReason()+" "+event.GetCluster())
	}
	if len(events) != 1 || events[0] != "ClusterEnrolled prod-1" {
		t.Errorf("events %v", events)
	}
}

// A refusal names what is to be done, and leaves the store as it was.
func TestRefusals(t *testing.T) {
	now := func(h *hub) (string, []byte, string) { return h.mint("prod-1", 0), nil, "" }
	cases := map[string]struct {
		// prepare returns the token, the request (one of a new key when nil) and the Kubernetes cluster ("new-kube" when empty).
		prepare func(h *hub) (token string, csr []byte, kube string)
		want    error
		says    string
	}{
		"no token": {func(h *hub) (string, []byte, string) { return "", nil, "" }, ErrBadToken, "enrolment token"},
		"a part of a token": {func(h *hub) (string, []byte, string) {
			token := h.mint("prod-1", 0)
			return token[:len(token)-1], nil, ""
		}, ErrBadToken, "cut"},
		"unknown": {func(h *hub) (string, []byte, string) {
			draft, _ := h.DraftToken(0)
			return draft.token.Text(), nil, ""
		}, ErrTokenUnknown, "not known"},
		"wrong secret": {func(h *hub) (string, []byte, string) {
			token, _ := certs.ParseToken(h.mint("prod-1", 0))
			token.Secret[31] ^= 1
			return token.Text(), nil, ""
		}, ErrTokenUnknown, "not known"},
		"secret of another token": {func(h *hub) (string, []byte, string) {
			h.cluster("prod-2")
			token, _ := certs.ParseToken(h.mint("prod-1", 0))
			other, _ := certs.ParseToken(h.mint("prod-2", 0))
			token.ID = other.ID
			return token.Text(), nil, ""
		}, ErrTokenUnknown, "not known"},
		"another hub": {func(h *hub) (string, []byte, string) {
			other := newHub(t)
			other.cluster("prod-1")
			return other.mint("prod-1", 0), nil, ""
		}, ErrTokenForeign, "another hub"},
		"expired": {func(h *hub) (string, []byte, string) {
			token := h.mint("prod-1", 0)
			h.clock.pass(DefaultTokenTTL)
			return token, nil, ""
		}, ErrTokenExpired, "yardarm enroll prod-1"},
		"used": {func(h *hub) (string, []byte, string) {
			token := h.mint("prod-1", 0)
			if _, err := h.Redeem(context.Background(), token, csr(t, newKey(t), nil), "kube"); err != nil {
				t.Fatal(err)
			}
			return token, nil, ""
		}, ErrTokenUsed, "delete cluster prod-1"},
		"used, and expired": {func(h *hub) (string, []byte, string) {
			token := h.mint("prod-1", 0)
			if _, err := h.Redeem(context.Background(), token, csr(t, newKey(t), nil), "kube"); err != nil {
				t.Fatal(err)
			}
			h.clock.pass(DefaultTokenTTL)
			return token, nil, ""
		}, ErrTokenUsed, "prod-1"},
		"replaced by a newer one": {func(h *hub) (string, []byte, string) {
			token := h.mint("prod-1", 0)
			h.mint("prod-1", 0)
			return token, nil, ""
		}, ErrTokenUnknown, "newer"},
		"deleted cluster": {func(h *hub) (string, []byte, string) {
			token := h.mint("prod-1", 0)
			h.remove("prod-1")
			return token, nil, ""
		}, ErrTokenUnknown, "deleted"},
		"name made again": {func(h *hub) (string, []byte, string) {
			token := h.mint("prod-1", 0)
			h.remove("prod-1")
			h.update(func(tx *store.Tx) error {
				return tx.PutCluster(&yardarmv1.Cluster{Metadata: &yardarmv1.ObjectMeta{Name: "prod-1", Uid: "another-uid"}})
			})
			return token, nil, ""
		}, ErrTokenUnknown, "deleted"},
		"deletion under way": {func(h *hub) (string, []byte, string) {
			token := h.mint("prod-1", 0)
			h.change("prod-1", func(spec *yardarmv1.ClusterSpec) { spec.Removal = &yardarmv1.Removal{} })
			return token, nil, ""
		}, ErrDeletedCluster, "prod-1"},
		"banned": {func(h *hub) (string, []byte, string) {
			token := h.mint("prod-1", 0)
			h.ban("prod-1")
			return token, nil, ""
		}, ErrBanned, "prod-1"},
		"clone": {func(h *hub) (string, []byte, string) {
			h.enrol("prod-2")
			return h.mint("prod-1", 0), nil, "prod-2-kube"
		}, ErrCloned, "prod-2"},
		"no CSR":        {func(h *hub) (string, []byte, string) { return h.mint("prod-1", 0), []byte{}, "" }, ErrBadCSR, "PKCS#10"},
		"kube uid":      {func(h *hub) (string, []byte, string) { return h.mint("prod-1", 0), nil, "a\nb" }, ErrBadCSR, "kube-system"},
		"long kube uid": {func(h *hub) (string, []byte, string) { return h.mint("prod-1", 0), nil, strings.Repeat("a", 129) }, ErrBadCSR, "128"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHub(t)
			h.cluster("prod-1")
			token, request, kube := c.prepare(h)
			if request == nil {
				request = csr(t, newKey(t), nil)
			}
			if kube == "" {
				kube = "new-kube"
			}
			index := h.store.Read().Index()
			_, err := h.Redeem(context.Background(), token, request, kube)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("error %v, want %v saying %q", err, c.want, c.says)
			}
			if h.store.Read().Index() != index {
				t.Error("the refusal has changed the store")
			}
			for _, part := range strings.Split(token, ".") {
				if len(part) > 20 && strings.Contains(err.Error()+h.log.String(), part) {
					t.Errorf("the error or the log shows the token's secret: %v", err)
				}
			}
		})
	}
	h := newHub(t)
	h.cluster("prod-1")
	token, _, _ := now(h)
	if _, err := h.Redeem(context.Background(), token, csr(t, newKey(t), nil), ""); !errors.Is(err, ErrBadCSR) {
		t.Errorf("without a Kubernetes cluster: error %v", err)
	}
	if _, err := h.Redeem(context.Background(), token, csr(t, newKey(t), nil), "kube"); err != nil {
		t.Errorf("after the refusals: %v", err)
	}
}

func TestLostAnswerIsGivenAgain(t *testing.T) {
	h := newHub(t)
	h.cluster("prod-1")
	token := h.mint("prod-1", 0)
	key := newKey(t)
	first, err := h.Redeem(context.Background(), token, csr(t, key, nil), "kube")
	if err != nil {
		t.Fatal(err)
	}
	// A spoke that was off meanwhile asks with the request made anew, after the token's end, from a restarted hub.
	h.clock.pass(3 * time.Hour)
	h.stop()
	h.start()
	if err := h.Upkeep(context.Background()); err != nil {
		t.Fatal(err)
	}
	again, err := h.Redeem(context.Background(), token, csr(t, key, nil), "kube")
	if err != nil {
		t.Fatal(err)
	}
	if !leaf(t, first).PublicKey.(interface{ Equal(crypto.PublicKey) bool }).Equal(leaf(t, again).PublicKey) {
		t.Fatal("the certificate is for another key")
	}
	if got, want := h.store.Read().Identity("prod-1-uid").GetNotAfter().AsTime(), leaf(t, again).NotAfter; !got.Equal(want) || !want.After(leaf(t, first).NotAfter) {
		t.Errorf("certificates are known to end at %v, want %v", got, want)
	}
	if _, err := h.Redeem(context.Background(), token, csr(t, key, nil), "another-kube"); !errors.Is(err, ErrCloned) {
		t.Errorf("the same key from another Kubernetes cluster: error %v, want ErrCloned", err)
	}
	h.ban("prod-1")
	if _, err := h.Redeem(context.Background(), token, csr(t, key, nil), "kube"); !errors.Is(err, ErrBanned) {
		t.Errorf("banned meanwhile: error %v, want ErrBanned", err)
	}
}

// 100 spokes use one token at once: one of them gets a certificate.
func TestTokenIsForOne(t *testing.T) {
	h := newHub(t)
	h.cluster("prod-1")
	token := h.mint("prod-1", 0)
	const spokes = 100
	var (
		group   sync.WaitGroup
		start   = make(chan struct{})
		answers [spokes]*spokev1.Identity
		errs    [spokes]error
	)
	for i := range spokes {
		request := csr(t, newKey(t), nil)
		group.Go(func() {
			<-start
			answers[i], errs[i] = h.Redeem(context.Background(), token, request, "kube")
		})
	}
	close(start)
	group.Wait()
	won := 0
	for i := range spokes {
		switch {
		case errs[i] == nil:
			won++
			hash, _ := certs.KeyHash(leaf(t, answers[i]).PublicKey)
			if !bytes.Equal(h.store.Read().Identity("prod-1-uid").GetKeyHash(), hash) {
				t.Error("the certificate is not for the enrolled key")
			}
		case !errors.Is(errs[i], ErrTokenUsed):
			t.Errorf("error %v, want ErrTokenUsed", errs[i])
		}
	}
	if won != 1 {
		t.Fatalf("%d spokes enrolled with one token, want 1", won)
	}
}

func TestOneKeyAtOnceEnrolsOnce(t *testing.T) {
	h := newHub(t)
	h.cluster("prod-1")
	token, key := h.mint("prod-1", 0), newKey(t)
	var (
		group   sync.WaitGroup
		answers [20]*spokev1.Identity
		errs    [20]error
	)
	for i := range answers {
		request := csr(t, key, nil)
		group.Go(func() { answers[i], errs[i] = h.Redeem(context.Background(), token, request, "kube") })
	}
	group.Wait()
	for i := range answers {
		if errs[i] != nil {
			t.Fatalf("answer %d: %v", i, errs[i])
		}
		if hash, _ := certs.KeyHash(leaf(t, answers[i]).PublicKey); !bytes.Equal(h.store.Read().Identity("prod-1-uid").GetKeyHash(), hash) {
			t.Errorf("answer %d is not for the enrolled key", i)
		}
	}
	enrolled := 0
	for e := range h.store.Read().Events(0) {
		if e.Reason == ReasonClusterEnrolled {
			enrolled++
		}
	}
	if enrolled != 1 {
		t.Errorf("%d events say that the cluster has enrolled", enrolled)
	}
}

func TestTwoClustersAtOnceFromOneKubernetesCluster(t *testing.T) {
	h := newHub(t)
	var group sync.WaitGroup
	var errs [2]error
	for i := range errs {
		name := fmt.Sprintf("prod-%d", i)
		h.cluster(name)
		token, request := h.mint(name, 0), csr(t, newKey(t), nil)
		group.Go(func() { _, errs[i] = h.Redeem(context.Background(), token, request, "kube") })
	}
	group.Wait()
	if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs[:]...), ErrCloned) {
		t.Fatalf("errors %v, want one success and one ErrCloned", errs)
	}
}

func TestTokenIsNowhereAtRest(t *testing.T) {
	h := newHub(t)
	h.cluster("prod-1")
	text := h.mint("prod-1", 0)
	token, err := certs.ParseToken(text)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(text, ".")
	if !filesHold(t, h.dir, []byte(token.ID)) {
		t.Fatal("the search does not even find the token's ID")
	}
	for _, secret := range [][]byte{token.Secret, []byte(parts[2])} {
		if filesHold(t, h.dir, secret) {
			t.Error("the database holds the token's secret")
		}
	}
	if _, err := h.Redeem(context.Background(), text, csr(t, newKey(t), nil), "kube"); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(h.log.String(), parts[2]) || filesHold(t, h.dir, token.Secret) {
		t.Error("the token's secret is in the log or the database")
	}
	for _, print := range []string{fmt.Sprint(token), fmt.Sprintf("%+v %#v %s", token, token, token)} {
		if strings.Contains(print, parts[2]) || strings.Contains(print, fmt.Sprint(token.Secret[0], token.Secret[1])) {
			t.Errorf("printed, the token shows its secret: %s", print)
		}
	}
}

// MintToken leaves no second token, and an older hub may have: who enrols first stays, with its key.
func TestSecondTokenOfAnEnrolledCluster(t *testing.T) {
	h := newHub(t)
	h.cluster("prod-1")
	draft, err := h.DraftToken(0)
	if err != nil {
		t.Fatal(err)
	}
	first := h.mint("prod-1", 0)
	hash := sha256.Sum256(draft.token.Secret)
	h.update(func(tx *store.Tx) error {
		return tx.PutToken(&storev1.EnrolmentToken{
			Id: draft.token.ID, SecretHash: hash[:], Cluster: "prod-1", ClusterUid: "prod-1-uid", Expires: timestamppb.New(draft.Expires),
		})
	})
	key := newKey(t)
	if _, err := h.Redeem(context.Background(), first, csr(t, key, nil), "kube"); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Redeem(context.Background(), draft.token.Text(), csr(t, newKey(t), nil), "kube"); !errors.Is(err, ErrEnrolled) {
		t.Fatalf("another key: error %v, want ErrEnrolled", err)
	}
	if _, err := h.Redeem(context.Background(), draft.token.Text(), csr(t, key, nil), "kube"); err != nil {
		t.Fatalf("the enrolled key: %v", err)
	}
}

func TestMintRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(h *hub)
		want    error
	}{
		"enrolled": {func(h *hub) { h.enrol("prod-1") }, ErrEnrolled},
		"banned":   {func(h *hub) { h.cluster("prod-1"); h.ban("prod-1") }, ErrBanned},
		"deletion under way": {func(h *hub) {
			h.cluster("prod-1")
			h.change("prod-1", func(spec *yardarmv1.ClusterSpec) { spec.Removal = &yardarmv1.Removal{} })
		}, ErrDeletedCluster},
		"deleted": {func(h *hub) { h.cluster("prod-1"); h.remove("prod-1") }, ErrDeletedCluster},
		"unknown": {func(h *hub) {}, ErrUnknownCluster},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t)
			c.prepare(h)
			draft, err := h.DraftToken(0)
			if err != nil {
				t.Fatal(err)
			}
			cluster := &yardarmv1.Cluster{Metadata: &yardarmv1.ObjectMeta{Name: "prod-1", Uid: "prod-1-uid"}}
			_, err = h.store.Update(context.Background(), func(tx *store.Tx) error {
				_, err := h.MintToken(tx, cluster, draft)
				return err
			})
			if !errors.Is(err, c.want) {
				t.Fatalf("error %v, want %v", err, c.want)
			}
		})
	}
}

func TestTokenLifetimes(t *testing.T) {
	h := newHub(t)
	for ttl, want := range map[time.Duration]time.Duration{0: 15 * time.Minute, time.Second: time.Second, 24 * time.Hour: 24 * time.Hour} {
		draft, err := h.DraftToken(ttl)
		if err != nil || !draft.Expires.Equal(h.now().Add(want)) {
			t.Errorf("%v: expires %v, %v; want in %v", ttl, draft.Expires, err, want)
		}
	}
	for _, ttl := range []time.Duration{-1, 24*time.Hour + 1} {
		if _, err := h.DraftToken(ttl); !errors.Is(err, ErrTTL) {
			t.Errorf("%v: error %v, want ErrTTL", ttl, err)
		}
	}
	h.cluster("prod-1")
	token := h.mint("prod-1", time.Hour)
	h.clock.pass(time.Hour - 1)
	if _, err := h.Redeem(context.Background(), token, csr(t, newKey(t), nil), "kube"); err != nil {
		t.Errorf("just before its end: %v", err)
	}
}

func TestOldTokensAreCollected(t *testing.T) {
	h := newHub(t)
	count := func() (tokens int) {
		if err := h.Upkeep(context.Background()); err != nil {
			t.Fatal(err)
		}
		for range h.store.Read().Tokens() {
			tokens++
		}
		return tokens
	}
	h.enrol("prod-1")
	h.cluster("prod-2")
	h.mint("prod-2", time.Hour)
	h.clock.pass(DefaultTokenTTL + tokenKept)
	if got := count(); got != 2 {
		t.Fatalf("%d tokens are kept, want both", got)
	}
	h.clock.pass(time.Second)
	if got := count(); got != 1 {
		t.Fatalf("%d tokens are kept, want the younger one", got)
	}
	h.clock.pass(time.Hour)
	if got := count(); got != 0 {
		t.Fatalf("%d tokens are kept, want none", got)
	}
	// Its identity has nothing to do with its token.
	if h.store.Read().Identity("prod-1-uid") == nil {
		t.Fatal("the identity is gone with the token")
	}
}

// BenchmarkMint is a cluster's first token, in a transaction that leaves nothing, where 10,000 others have one.
func BenchmarkMint(b *testing.B) {
	h := newHub(b)
	draft, err := h.DraftToken(0)
	if err != nil {
		b.Fatal(err)
	}
	h.update(func(tx *store.Tx) error {
		for i := range 10_000 {
			name := fmt.Sprintf("prod-%d", i)
			if err := tx.PutCluster(&yardarmv1.Cluster{Metadata: &yardarmv1.ObjectMeta{Name: name, Uid: name}}); err != nil {
				return err
			}
			if err := tx.PutToken(&storev1.EnrolmentToken{Id: name, ClusterUid: name}); err != nil {
				return err
			}
		}
		return nil
	})
	cluster := h.cluster("new")
	undone := errors.New("undone")
	for b.Loop() {
		if _, err := h.store.Update(context.Background(), func(tx *store.Tx) error {
			_, err := h.MintToken(tx, cluster, draft)
			return errors.Join(err, undone)
		}); err.Error() != undone.Error() {
			b.Fatal(err)
		}
	}
}
