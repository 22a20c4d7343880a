package ca

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/certs"
)

// renew has a spoke renew, as one that trusts these CAs.
func (h *hub) renew(s *spoke, trusts ...[]byte) {
	h.t.Helper()
	identity, err := h.Renew(context.Background(), h.peer(s), csr(h.t, s.key, nil), trusts)
	if err != nil {
		h.t.Fatal(err)
	}
	s.identity = identity
}

// lacks fails the test unless just these clusters keep the old CA.
func (h *hub) lacks(want ...string) {
	h.t.Helper()
	var got []string
	for _, l := range h.Standing().Lacking {
		got = append(got, l.Cluster)
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		h.t.Fatalf("lacking are %v, want %v", got, want)
	}
}

// commit makes a step in a transaction of its own.
func (h *hub) commit(step Step) error {
	_, err := h.store.Update(context.Background(), func(tx *store.Tx) error {
		_, err := step(tx)
		return err
	})
	return err
}

// TestStepThatIsNotTaken leaves the CA as it is: where the transaction fails after the step, and where nobody runs it.
func TestStepThatIsNotTaken(t *testing.T) {
	h := newHub(t)
	errTest := errors.New("test")
	if err := h.Rotate(func(step Step) error {
		_, err := h.store.Update(t.Context(), func(tx *store.Tx) error {
			standing, err := step(tx)
			if err != nil || len(standing.Roots) != 2 {
				t.Errorf("it would come to %v, %v", standing, err)
			}
			return errTest
		})
		return err
	}); !errors.Is(err, errTest) {
		t.Errorf("error %v", err)
	}
	if err := h.Rotate(func(Step) error { return nil }); err != nil {
		t.Error(err)
	}
	if n := len(h.Standing().Roots); n != 1 {
		t.Errorf("there are %d CAs", n)
	}
	// What is on disk counts, though whoever asked for it is told of an error.
	if err := h.Rotate(func(step Step) error { return errors.Join(h.commit(step), errTest) }); !errors.Is(err, errTest) {
		t.Errorf("error %v", err)
	}
	if n := len(h.Standing().Roots); n != 2 {
		t.Errorf("there are %d CAs", n)
	}
}

// A session does not outlive the CA of its certificate, though its ticket does, and a hub does not verify again what it has verified before.
func TestRetiredCAEndsResumption(t *testing.T) {
	h := newHub(t)
	s := h.enrol("prod-1")
	server, client := h.spokeTLS(), h.clientTLS(s)
	client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	shake := func() (tls.ConnectionState, error) {
		t.Helper()
		state, _, err, _ := handshake(t, server, client)
		return state, err
	}
	for _, resumed := range []bool{false, true} {
		if state, err := shake(); err != nil || state.DidResume != resumed {
			t.Fatalf("resumed: %v, want %v (%v)", state.DidResume, resumed, err)
		}
	}
	if err := h.Rotate(h.commit); err != nil {
		t.Fatal(err)
	}
	state, err := shake()
	if err != nil || !state.DidResume {
		t.Fatalf("resumed while there are two CAs: %v (%v)", state.DidResume, err)
	}
	pin := h.roots.Load().issuing().pin
	h.renew(s, pin[:])
	if err := h.Retire(h.commit); err != nil {
		t.Fatal(err)
	}
	if _, err := h.ClusterFromState(state); !errors.Is(err, ErrOtherCA) {
		t.Errorf("a call on a session of before: %v", err)
	}
	if _, err := shake(); !errors.Is(err, ErrOtherCA) {
		t.Errorf("a session is resumed: %v", err)
	}
}

// TestRotation takes a hub from one CA to another, with restarts between the steps.
func TestRotation(t *testing.T) {
	h := newHub(t)
	old := h.Standing().Roots[0]
	stays, away := h.enrol("stays"), h.enrol("away")
	if err := h.Retire(h.commit); !errors.Is(err, ErrNotRotating) {
		t.Errorf("retiring the only CA: %v", err)
	}
	h.lacks()
	changed := h.TrustChanged()
	if err := h.Rotate(h.commit); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
	default:
		t.Error("nobody is told")
	}
	if err := h.Rotate(h.commit); !errors.Is(err, ErrRotating) {
		t.Errorf("rotating again: %v", err)
	}
	h.stop()
	h.start()

	// The hub is known as before, and issues by the new one.
	now := h.Standing().Roots[0]
	if len(h.Standing().Roots) != 2 || !h.Standing().Roots[1].Equal(old) || len(h.TrustBundle()) != 2 || h.Pin() != certs.PinOf(old).String() {
		t.Fatalf("there are %d CAs, and tokens name %s", len(h.Standing().Roots), h.Pin())
	}
	if server, err := h.ServerCertificate([]string{"hub.example"}); err != nil || server.current.Leaf.CheckSignatureFrom(old) != nil {
		t.Errorf("the hub's certificate is not by the old CA (%v)", err)
	}
	pin, oldPin := certs.PinOf(now), certs.PinOf(old)
	h.lacks("away", "stays")
	h.renew(stays, oldPin[:])
	if err := stays.leaf(t).CheckSignatureFrom(now); err != nil {
		t.Errorf("a renewed certificate: %v", err)
	}
	h.lacks("away", "stays") // it does not trust the new one
	h.renew(stays, pin[:], oldPin[:])
	h.lacks("away")
	joins := h.enrol("joins")
	h.cluster("waits")
	h.mint("waits", time.Minute)
	h.lacks("away", "waits")

	var lacking *LackingError
	if err := h.Retire(h.commit); !errors.As(err, &lacking) || !strings.Contains(err.Error(), "away: its spoke has never connected") ||
		!strings.Contains(err.Error(), "waits: its enrolment token") || strings.Contains(err.Error(), "stays") {
		t.Fatalf("retiring gives %v", err)
	}
	h.ban("away")
	if err := h.Retire(h.commit); err == nil || !strings.Contains(err.Error(), "away: it is banned") {
		t.Fatalf("retiring gives %v", err)
	}
	h.remove("away")
	h.clock.pass(time.Minute)
	server, err := h.ServerCertificate([]string{"hub.example"})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Retire(h.commit); err != nil {
		t.Fatal(err)
	}
	if certificate, err := server.GetCertificate(nil); err != nil || certificate.Leaf.CheckSignatureFrom(now) != nil {
		t.Errorf("the hub's certificate is not by the new CA (%v)", err)
	}
	h.stop()
	h.start()
	if len(h.Standing().Roots) != 1 || !h.Standing().Roots[0].Equal(now) || h.Pin() != pin.String() {
		t.Fatalf("there are %d CAs, and tokens name %s", len(h.Standing().Roots), h.Pin())
	}
	for _, s := range []*spoke{stays, joins} {
		h.peer(s)
	}
	if _, err := h.ClusterFromState(stateOf(away.leaf(t))); !errors.Is(err, ErrOtherCA) {
		t.Errorf("a certificate of the old CA: %v", err)
	}
	h.lacks()
}
