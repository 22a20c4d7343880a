package enroll

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/yardarm-dev/yardarm/pkg/backoff"
	"github.com/yardarm-dev/yardarm/pkg/certs"
	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
)

const (
	// Renewal falls at a random point between these parts of the certificate's life: late enough to be rare, early enough for a hub that is away for hours, and
	// spread, so that a fleet that enrolled at once does not renew at once.
	renewFrom, renewTo = 0.5, 0.8
	// checkInterval is how often the claim is looked at, and the clock, which may have been set or have slept.
	checkInterval = 30 * time.Second
	// renewBase and renewMax bound the wait after a renewal has failed. A hub that is back should not wait longer for renewals than for streams.
	renewBase = time.Second
	renewMax  = 30 * time.Second
	// refusedBase and refusedMax bound it after the hub has said no: only a person changes that.
	refusedBase = time.Minute
	refusedMax  = 10 * time.Minute
)

// Run renews the certificate in time, again and again, until ctx ends; then it returns nil. It returns [ErrClaimed] if another instance
// has become this spoke, and nothing else: what goes wrong is logged and tried again, the longer it lasts the more seldom. Ensure comes before.
func (i *Identity) Run(ctx context.Context) error {
	if i.current.Load() == nil {
		return errors.New("run an identity: the spoke has not enrolled yet")
	}
	var retry plan
	due := i.due()
	for {
		err := i.pause(ctx, due)
		if ended(ctx) {
			return nil
		}
		if err != nil {
			return err
		}
		err = i.renew(ctx)
		switch {
		case ended(ctx):
			return nil
		case errors.Is(err, ErrClaimed):
			return err
		case err == nil:
			retry = plan{}
			due = i.due()
			continue
		}
		name, _ := i.Cluster()
		delay := retry.next(err)
		due = moment{from: i.now(), after: delay}
		i.log.Warn("the certificate was not renewed; it is tried again", "cluster", name, "expires", i.Expiry(), "error", err, "retry_in", delay.Round(time.Millisecond))
	}
}

// RenewNow asks Run to renew at once. It is for a session that the hub refuses because the certificate has expired, which the spoke's own clock may not see.
// Update calls it when the hub has a new CA. It does not block.
func (i *Identity) RenewNow() {
	select {
	case i.soon <- struct{}{}:
	default:
	}
}

// plan waits by what went wrong.
type plan struct {
	failed, refused backoff.Backoff
}

func (p *plan) next(err error) time.Duration {
	if final(err) {
		p.refused.Base, p.refused.Max = refusedBase, refusedMax
		return p.refused.Next()
	}
	p.failed.Base, p.failed.Max = renewBase, renewMax
	return p.failed.Next()
}

// moment is a time some while after another. It has come when either the monotonic clock or the wall clock says so: the former stands still while
// the machine sleeps, and the latter can be set back.
type moment struct {
	from  time.Time
	after time.Duration
}

func (m moment) left(now time.Time) time.Duration {
	passed := max(now.Sub(m.from), now.Round(0).Sub(m.from.Round(0)))
	return m.after - passed
}

// due draws when the current certificate is to be renewed.
func (i *Identity) due() moment {
	current := i.current.Load()
	leaf := current.certificate.Leaf
	issued := leaf.NotBefore.Add(certs.Backdate)
	life := max(leaf.NotAfter.Sub(issued), time.Second)
	part := time.Duration((renewFrom + rand.Float64()*(renewTo-renewFrom)) * float64(life))
	if !current.received.IsZero() {
		// Counted from when it came in, by this clock alone, whatever the hub's says.
		return moment{from: current.received, after: part}
	}
	now := i.now()
	if issued.After(now) {
		// By this clock it was issued in the future, so this clock lags; nobody knows by how much.
		issued = now
	}
	return moment{from: issued, after: part}
}

// pause returns nil when the moment has come or RenewNow was called, and ErrClaimed if another instance has taken over meanwhile.
func (i *Identity) pause(ctx context.Context, due moment) error {
	for {
		left := due.left(i.now())
		if left <= 0 {
			return nil
		}
		timer := time.NewTimer(min(left, checkInterval))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-i.soon:
			timer.Stop()
			return nil
		case <-timer.C:
		}
		if err := i.config.Keep.Check(ctx); errors.Is(err, ErrClaimed) {
			return err
		} else if err != nil {
			i.log.Debug("nobody knows whether another instance acts as this spoke", "error", err)
		}
	}
}

// renew asks each hub address in turn for a new certificate for the same key.
func (i *Identity) renew(ctx context.Context) error {
	current := i.current.Load()
	if past := i.now().Sub(current.certificate.Leaf.NotAfter); past > certs.RenewalWindow {
		return fmt.Errorf("%w: the certificate expired %d days ago, and after %d it cannot be renewed: delete the cluster at the hub and enrol it anew",
			ErrRefused, int(past.Hours()/24), int(certs.RenewalWindow.Hours()/24))
	}
	csr, err := request(current.key)
	if err != nil {
		return err
	}
	var last error
	for _, address := range i.Addresses() {
		identity, err := i.callRenew(ctx, address, csr)
		if err == nil {
			return i.takeRenewed(ctx, identity, address)
		}
		last = err
		if ended(ctx) || errors.Is(err, ErrRefused) {
			break
		}
	}
	return last
}

func (i *Identity) callRenew(ctx context.Context, address string, csr []byte) (*spokev1.Identity, error) {
	connection, err := i.dial(address, i.TLS())
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	response, err := spokev1.NewSpokeServiceClient(connection).Renew(ctx, &spokev1.RenewRequest{Csr: csr, Trusts: i.trusts()})
	if err != nil {
		return nil, explain(address, err)
	}
	return response.GetIdentity(), nil
}

// trusts are the pins of the CAs that this spoke trusts.
func (i *Identity) trusts() (pins [][]byte) {
	// They were parsed when they were taken.
	parsed, _ := certs.Parse(i.current.Load().kept.Identity.GetTrustBundle())
	for _, ca := range parsed {
		pin := certs.PinOf(ca)
		pins = append(pins, pin[:])
	}
	return pins
}

// takeRenewed keeps the new certificate and uses it. It is used even where it cannot be kept, but by an instance that is not the spoke any more.
func (i *Identity) takeRenewed(ctx context.Context, identity *spokev1.Identity, address string) error {
	i.writing.Lock()
	defer i.writing.Unlock()
	before := i.current.Load()
	kept, after, err := identityOf(identity, before.key)
	if err != nil {
		return err
	}
	if was, is := before.kept.Identity.GetClusterUid(), identity.GetClusterUid(); was != is {
		return fmt.Errorf("the hub's answer is not usable: it is for cluster uid %s, and this is %s", is, was)
	}
	if bytes.Equal(after.certificate.Leaf.Raw, before.certificate.Leaf.Raw) {
		return errors.New("the hub's answer is not usable: it is the certificate of before")
	}
	// What Welcome has said about the hub stays: it is newer, or as new.
	identity.TrustBundle = before.kept.Identity.GetTrustBundle()
	identity.HubAddresses = before.kept.Identity.GetHubAddresses()
	kept.TokenID, kept.Attempt = before.kept.TokenID, before.kept.Attempt
	after.roots = before.roots
	after.received = i.now()
	err = i.config.Keep.Save(ctx, kept)
	if errors.Is(err, ErrClaimed) {
		return err
	}
	i.current.Store(after)
	i.tellChanged()
	if err != nil {
		i.log.Warn("the renewed certificate is used, and could not be kept", "cluster", identity.GetCluster(), "error", err)
		return nil
	}
	i.log.Info("renewed the certificate", "cluster", identity.GetCluster(), "hub", address, "expires", after.certificate.Leaf.NotAfter)
	return nil
}
