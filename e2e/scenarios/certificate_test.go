package scenarios

import (
	"fmt"
	"regexp"
	"testing"
	"time"
)

// A certificate expires while the hub is down, as over a long weekend. The spoke renews it with the expired one and goes on.
func TestCertificateExpiresWhileHubIsDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "--certificate-life", "1m")
	w.enrol(tokyo)
	w.group("all")
	w.ready("web", w.publish("web", "all", namespace, settings("one", "1")))
	w.must(w.hub.Kill())
	expiry := w.expiry(tokyo)
	w.within(time.Until(expiry)+patience, "the certificate has expired", func() error {
		if left := time.Until(expiry); left > 0 {
			return fmt.Errorf("%s are left", left)
		}
		return nil
	})
	w.edit(tokyo, "one", "by hand")
	w.eventuallyHolds(tokyo, "one", "1") // it works on

	w.must(w.hub.Start(w.ctx))
	w.eventually("the certificate is renewed", func() error {
		if after := w.expiry(tokyo); !after.After(expiry) {
			return fmt.Errorf("it expires %s", after)
		}
		return nil
	})
	w.do("wait", "cluster/"+tokyo, "--for", "connected", "--timeout", patience.String())
	w.ready("web", w.publish("web", "all", namespace, settings("one", "2")))
	w.holds("one", "value", "2", tokyo)
}

// Renewals go beside the stream, which lives on through several of them.
func TestRenewalKeepsTheStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "--certificate-life", "1m")
	w.enrol(lisbon)
	first := w.expiry(lisbon)
	w.within(90*time.Second+patience, "two renewals", func() error {
		if got := w.logged(w.spokes[lisbon], "renewed the certificate"); got < 2 {
			return fmt.Errorf("%d so far", got)
		}
		return nil
	})
	if after := w.expiry(lisbon); !after.After(first) {
		t.Errorf("the certificate kept expires %s, the first one %s", after, first)
	}
	if got := w.logged(w.spokes[lisbon], "connected to the hub"); got != 1 {
		t.Errorf("the spoke has connected %d times", got)
	}
	if c, err := w.cluster(lisbon); c.GetStatus().GetPresence() != "Connected" {
		t.Errorf("the cluster is %s (%v)", c.GetStatus().GetPresence(), err)
	}
}

// expires is how a spoke logs what it has been given.
var expires = regexp.MustCompile(`msg=(?:enrolled|"renewed the certificate") .*expires=(\S+)`)

// expiry tells when the certificate that a spoke was given last expires.
func (w *world) expiry(cluster string) time.Time {
	w.t.Helper()
	all := expires.FindAllStringSubmatch(w.read(spokeLog(w.spokes[cluster])), -1)
	if len(all) == 0 {
		w.t.Fatal("the spoke has logged no certificate")
	}
	expiry, err := time.Parse(time.RFC3339, all[len(all)-1][1])
	w.must(err)
	return expiry
}
