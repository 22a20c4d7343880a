package enrol

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yardarm-dev/yardarm/pkg/certs"
	"github.com/yardarm-dev/yardarm/spoke/enroll"
)

// errLost is what a spoke sees of an answer that got lost.
var errLost = status.Error(codes.Unavailable, "connection reset by peer")

func TestSpokeEnrolsAndComesBackWithoutTheHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newNetwork()
		h, m := newHub(t, network), newMachine(t, network)
		token := h.token("prod-1", "uid-1")
		first := m.started(token)
		if name, uid := first.Cluster(); name != "prod-1" || uid != "uid-1" {
			t.Fatalf("enrolled as %s, %s", name, uid)
		}
		if got := first.Addresses(); len(got) != 1 || got[0] != address {
			t.Errorf("addresses %v", got)
		}
		st, err := m.connect(first)
		if err != nil {
			t.Fatal(err)
		}
		st.close(t)
		first.end()

		h.stop()
		dials := network.dialled()
		second := m.started(token)
		defer second.end()
		if name, uid := second.Cluster(); name != "prod-1" || uid != "uid-1" || !second.Expiry().Equal(first.Expiry()) {
			t.Errorf("came back as %s, %s", name, uid)
		}
		if network.dialled() != dials {
			t.Error("coming back has dialled the hub")
		}
		h.start()
		if st, err = m.connect(second); err != nil {
			t.Fatal(err)
		}
		st.close(t)

		secret := strings.Split(token, ".")[2]
		if text := m.log.String() + h.log.String(); strings.Contains(text, secret) || !strings.Contains(text, "enrolled") {
			t.Errorf("a log shows the token, or nothing at all:\n%s", text)
		}
		data, err := os.ReadFile(filepath.Join(m.dir, "identity.json"))
		if err != nil || strings.Contains(string(data), secret) {
			t.Errorf("the spoke keeps its token (%v)", err)
		}
	})
}

// The answer to Enroll is lost, the process dies, and the next one gets a certificate for the same key.
func TestLostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newNetwork()
		h, m := newHub(t, network), newMachine(t, network)
		token := h.token("prod-1", "uid-1")
		h.loseAnswers(1 << 30)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		first := m.process(token)
		if err := first.Ensure(ctx); !errors.Is(err, enroll.ErrUnreachable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("error %v, want that the hub does not answer, and given up", err)
		}
		cancel()
		first.end()
		tries, _, _ := h.counted()
		if tries < 4 || tries > 61 {
			t.Errorf("%d attempts in a minute", tries)
		}
		// Hours later, after the token's end, and on another hub process.
		time.Sleep(3 * time.Hour)
		h.loseAnswers(0)
		h.stop()
		h.start()
		second := m.started(token)
		defer second.end()
		if _, uid := second.Cluster(); uid != "uid-1" {
			t.Fatalf("enrolled as %s", uid)
		}
		if left := time.Until(second.Expiry()); left < 24*time.Hour-time.Second || left > 24*time.Hour {
			t.Errorf("the certificate ends in %v: it is that of the first attempt", left)
		}
	})
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		token func(h *hub) string
		want  error
		says  []string
	}{
		"expired": {func(h *hub) string {
			token := h.token("prod-1", "uid-1")
			time.Sleep(15 * time.Minute)
			return token
		}, enroll.ErrRefused, []string{"expired", "yardarm enroll prod-1", address}},
		"used by another": {func(h *hub) string {
			token := h.token("prod-1", "uid-1")
			other := newMachine(t, h.net)
			other.kube = "kube-2"
			other.started(token).end()
			return token
		}, enroll.ErrRefused, []string{"used already", "delete cluster prod-1"}},
		"replaced": {func(h *hub) string {
			token := h.token("prod-1", "uid-1")
			h.token("prod-1", "uid-1")
			return token
		}, enroll.ErrRefused, []string{"newer"}},
		"already enrolled under another name": {func(h *hub) string {
			other := newMachine(t, h.net)
			other.started(h.token("prod-2", "uid-2")).end()
			return h.token("prod-1", "uid-1")
		}, enroll.ErrRefused, []string{"prod-2"}},
		"banned": {func(h *hub) string {
			token := h.token("prod-1", "uid-1")
			h.ban("prod-1", ban)
			return token
		}, enroll.ErrRefused, []string{"banned"}},
		"deleted": {func(h *hub) string {
			token := h.token("prod-1", "uid-1")
			h.remove("prod-1")
			return token
		}, enroll.ErrRefused, []string{"deleted"}},
		"another hub's": {func(h *hub) string {
			other := &hub{t: h.t, net: newNetwork(), dir: t.TempDir(), address: address, life: time.Hour, log: &record{}}
			other.start()
			defer other.stop()
			return other.token("prod-1", "uid-1")
		}, enroll.ErrOtherHub, []string{"TLS is intercepted", "another hub", "Yardarm CA", address}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := newNetwork()
				h, m := newHub(t, network), newMachine(t, network)
				token := c.token(h)
				s := m.process(token)
				defer s.end()
				start := time.Now()
				err := s.Ensure(context.Background())
				if !errors.Is(err, c.want) {
					t.Fatalf("error %v, want %v", err, c.want)
				}
				for _, says := range c.says {
					if !strings.Contains(err.Error(), says) {
						t.Errorf("error %v does not say %q", err, says)
					}
				}
				if strings.Contains(err.Error()+m.log.String()+h.log.String(), strings.Split(token, ".")[2]) {
					t.Error("the token is in the error or a log")
				}
				if waited := time.Since(start); waited > time.Second {
					t.Errorf("it took %v to say no", waited)
				}
			})
		})
	}
}

func TestHubThatDoesNotAnswerIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newNetwork()
		h, m := newHub(t, network), newMachine(t, network)
		token := h.token("prod-1", "uid-1")
		h.stop()
		s := m.process(token)
		defer s.end()
		done := make(chan error, 1)
		go func() { done <- s.Ensure(context.Background()) }()
		time.Sleep(10 * time.Minute)
		if log := m.log.String(); !strings.Contains(log, address) || !strings.Contains(log, "does not answer") || !strings.Contains(log, "connection refused") {
			t.Errorf("the log does not say who does not answer and why:\n%.500s", log)
		}
		if dials := network.dialled(); dials > 10*60 {
			t.Errorf("%d attempts in ten minutes", dials)
		}
		h.start()
		time.Sleep(20 * time.Second)
		synctest.Wait()
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
		default:
			t.Fatal("the hub is back, and the spoke has not enrolled")
		}
	})
}

func TestAnyOfSeveralAddressesDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newNetwork()
		h, m := newHub(t, network), newMachine(t, network)
		// One that nobody listens at, one that is somebody else's, and the hub's.
		stranger := &hub{t: t, net: network, dir: t.TempDir(), address: "127.0.0.1:2", life: time.Hour, log: &record{}}
		stranger.start()
		defer stranger.stop()
		s := m.started(h.token("prod-1", "uid-1"), "127.0.0.1:1", "127.0.0.1:2", address)
		defer s.end()
		if got := s.Addresses(); got[0] != address || len(got) != 3 {
			t.Errorf("addresses %v, want the one that the hub told first", got)
		}
	})
}

// Of two addresses, one does not answer now, and the other is somebody else's for good: it is worth waiting for the first.
func TestStrangerDoesNotEndTheWaitForTheHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newNetwork()
		h, m := newHub(t, network), newMachine(t, network)
		stranger := &hub{t: t, net: network, dir: t.TempDir(), address: "127.0.0.1:2", life: time.Hour, log: &record{}}
		stranger.start()
		defer stranger.stop()
		token := h.token("prod-1", "uid-1")
		h.stop()
		s := m.process(token, address, "127.0.0.1:2")
		defer s.end()
		done := make(chan error, 1)
		go func() { done <- s.Ensure(context.Background()) }()
		time.Sleep(time.Minute)
		h.start()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

func TestCertificateForAnotherHostIsExplained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newNetwork()
		h, m := newHub(t, network), newMachine(t, network)
		network.listeners["127.0.0.2:8443"] = network.listeners[address]
		s := m.process(h.token("prod-1", "uid-1"), "127.0.0.2:8443")
		defer s.end()
		err := s.Ensure(context.Background())
		if err == nil || !strings.Contains(err.Error(), `not for "127.0.0.2" but for hub.example, 127.0.0.1`) {
			t.Fatalf("error %v", err)
		}
	})
}

func TestTwoProcessesAreNotOneSpoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newNetwork()
		h, m := newHub(t, network), newMachine(t, network)
		token := h.token("prod-1", "uid-1")
		first := m.started(token)
		defer first.end()
		if err := m.process(token).Ensure(context.Background()); !errors.Is(err, enroll.ErrClaimed) {
			t.Fatalf("error %v, want ErrClaimed", err)
		}
	})
}

// The cluster is deleted at the hub and enrolled anew: the spoke becomes the new one, with a new key. Until it is deleted, a token for another cluster
// changes nothing.
func TestNewTokenAfterDeletion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newNetwork()
		h, m := newHub(t, network), newMachine(t, network)
		oldToken := h.token("prod-1", "uid-1")
		m.started(oldToken).end()
		key := func() []byte {
			hash := h.store.Read().Identity("uid-1").GetKeyHash()
			return append([]byte(nil), hash...)
		}()

		stray := m.started(h.token("prod-2", "uid-2"))
		if _, uid := stray.Cluster(); uid != "uid-1" {
			t.Fatalf("a stray token has made it %s", uid)
		}
		if log := m.log.String(); !strings.Contains(log, "the new enrolment token was not used") || !strings.Contains(log, "prod-1") {
			t.Errorf("the log does not say that the token was not used:\n%s", log)
		}
		stray.end()

		h.remove("prod-1")
		newToken := h.token("prod-1", "uid-3")
		// The hub is down at first, which does not keep the spoke from its work.
		h.stop()
		start := time.Now()
		s := m.started(newToken)
		if _, uid := s.Cluster(); uid != "uid-1" || time.Since(start) > 15*time.Second {
			t.Fatalf("without a hub it is %s after %v", uid, time.Since(start))
		}
		s.end()
		h.start()
		s = m.started(newToken)
		if name, uid := s.Cluster(); name != "prod-1" || uid != "uid-3" {
			t.Fatalf("it is %s, %s", name, uid)
		}
		s.end()
		if now := h.store.Read().Identity("uid-3").GetKeyHash(); string(now) == string(key) {
			t.Error("the new identity has the old one's key")
		}
		again := m.started(newToken)
		defer again.end()
		if _, uid := again.Cluster(); uid != "uid-3" {
			t.Errorf("after a restart it is %s", uid)
		}
	})
}

// A spoke with an expired certificate, a new token and a hub that says nothing begins its work all the same.
func TestSilentHubDelaysNoStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newNetwork()
		h, m := newHub(t, network), newMachine(t, network)
		m.started(h.token("prod-1", "uid-1")).end()
		h.remove("prod-1")
		token := h.token("prod-1", "uid-2")
		h.stop()
		network.silent = true
		time.Sleep(48 * time.Hour)
		start := time.Now()
		s := m.started(token)
		defer s.end()
		if waited := time.Since(start); waited > 15*time.Second {
			t.Errorf("it took %v to start", waited)
		}
		h.start()
	})
}

func TestTokenNamesOnlyItsHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, newNetwork())
		token, err := certs.ParseToken(h.token("prod-1", "uid-1"))
		if err != nil || token.Pin.String() != h.Pin() {
			t.Fatalf("pin %v, %v; want %s", token.Pin, err, h.Pin())
		}
	})
}
