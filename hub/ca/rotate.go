package ca

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/yardarm-dev/yardarm/hub/store"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// maxNamed is how many clusters the refusal to retire a CA names; the others are counted.
const maxNamed = 20

var (
	// ErrRotating: there are two CAs already.
	ErrRotating = errors.New("the CA is being rotated already: retire the old one first")
	// ErrNotRotating: there is one CA, which everybody needs.
	ErrNotRotating = errors.New("there is one CA, and no newer one to retire it for: rotate it first")
)

// LackingError says who would be lost if the old CA were retired now.
type LackingError struct{ Lacking []Lack }

func (e *LackingError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the old CA cannot be retired: %d clusters need it still", len(e.Lacking))
	for i, l := range e.Lacking {
		if i == maxNamed {
			fmt.Fprintf(&b, "\nand %d more", len(e.Lacking)-i)
			break
		}
		fmt.Fprintf(&b, "\n%s: %s", l.Cluster, l.Why)
	}
	return b.String()
}

// Lack is a cluster that does not have all that it needs of the newest CA, and why.
type Lack struct{ Cluster, Why string }

// Roots returns the CA's certificates, the newest first: two while it is rotated.
func (c *CA) Roots() []*x509.Certificate {
	var all []*x509.Certificate
	for _, r := range c.roots.Load().all {
		all = append(all, r.certificate)
	}
	return all
}

// TrustChanged is closed once the trust bundle is another one than at the call.
func (c *CA) TrustChanged() <-chan struct{} { return c.roots.Load().replaced }

// Rotate makes a new CA beside the one that there is. From now on it issues clusters' certificates, and spokes are told to trust both. The hub
// itself goes on to be known by the old one until that is retired, since whoever has not heard of the new one is to find the hub. It
// returns once that is on disk; [ErrRotating] if there are two already.
func (c *CA) Rotate(ctx context.Context) error {
	c.changing.Lock()
	defer c.changing.Unlock()
	if err := c.CanRotate(); err != nil {
		return err
	}
	before := c.roots.Load()
	text, err := c.makeRoot()
	if err != nil {
		return err
	}
	after, err := c.decodeRoots(slices.Concat(text, before.encode()))
	if err != nil {
		return err
	}
	if err := c.keep(ctx, map[string][]byte{secretRoot: after.encode()}); err != nil {
		return err
	}
	c.replace(after)
	c.log.Info("rotating the CA", "pin", after.serving().pin.String(), "new_pin", after.issuing().pin.String())
	return nil
}

// CanRotate answers what Rotate would refuse with.
func (c *CA) CanRotate() error {
	if len(c.roots.Load().all) == maxRoots {
		return ErrRotating
	}
	return nil
}

// CanRetire answers what Retire would refuse with.
func (c *CA) CanRetire() error {
	roots := c.roots.Load()
	if len(roots.all) < maxRoots {
		return ErrNotRotating
	}
	if lacking := c.lacking(c.store.Read(), roots); len(lacking) > 0 {
		return &LackingError{lacking}
	}
	return nil
}

// Retire ends the old CA: nothing that it has issued, and nobody who trusts it alone, is served any more. It is a [*LackingError] if that would lose
// somebody, and [ErrNotRotating] if there is one CA only.
func (c *CA) Retire(ctx context.Context) error {
	c.changing.Lock()
	defer c.changing.Unlock()
	before := c.roots.Load()
	if len(before.all) < maxRoots {
		return ErrNotRotating
	}
	after := newRoots(before.issuing())
	row, err := c.sealer.Seal(secretRoot, after.encode())
	if err != nil {
		return err
	}
	if _, err := c.store.Update(ctx, func(tx *store.Tx) error {
		if lacking := c.lacking(&tx.ReadTx, before); len(lacking) > 0 {
			return &LackingError{lacking}
		}
		return tx.PutSecret(row)
	}); err != nil {
		return err
	}
	c.replace(after)
	c.log.Info("retired the old CA", "pin", after.serving().pin.String(), "retired_pin", before.serving().pin.String())
	return nil
}

func (c *CA) replace(after *roots) { close(c.roots.Swap(after).replaced) }

// Lacking lists the clusters that keep the old CA from being retired, by name; none if there is one CA only.
func (c *CA) Lacking() []Lack {
	roots := c.roots.Load()
	if len(roots.all) < maxRoots {
		return nil
	}
	return c.lacking(c.store.Read(), roots)
}

// lacking looks for two things: certificates of the old CA, and spokes that do not trust the new one. A token that has not been used names the old
// one, too.
func (c *CA) lacking(tx *store.ReadTx, roots *roots) []Lack {
	awaited := map[string]time.Time{}
	for token := range tx.Tokens() {
		if expires := token.GetExpires().AsTime(); len(token.GetUsedByKeyHash()) == 0 && c.now().Before(expires) {
			awaited[token.GetClusterUid()] = expires
		}
	}
	var all []Lack
	for cluster := range tx.Clusters() {
		name, uid := cluster.GetMetadata().GetName(), cluster.GetMetadata().GetUid()
		identity := tx.Identity(uid)
		why := ""
		switch expires, open := awaited[uid]; {
		case identity == nil && open:
			why = fmt.Sprintf("its enrolment token was made for the old one, and is good until %s", expires.UTC().Format(time.RFC3339))
		case identity == nil || has(identity, roots):
			continue
		default:
			why = absence(tx, cluster)
		}
		all = append(all, Lack{name, why})
	}
	slices.SortFunc(all, func(a, b Lack) int { return strings.Compare(a.Cluster, b.Cluster) })
	return all
}

// has says whether a cluster has all that it needs of the newest CA.
func has(identity *storev1.Identity, roots *roots) bool {
	pin := roots.issuing().pin
	return bytes.Equal(identity.GetIssuer(), pin[:]) && bytes.Equal(identity.GetTrusts(), pin[:])
}

// absence says why a cluster may not have heard of the new CA, and what to do.
func absence(tx *store.ReadTx, cluster *yardarmv1.Cluster) string {
	if cluster.GetSpec().GetBan() != nil {
		return "it is banned, and so hears of nothing: unban or delete it"
	}
	switch p := tx.Presence(cluster.GetMetadata().GetUid()); {
	case p == nil || p.State == yardarmv1.PresenceNeverConnected:
		return "its spoke has never connected; if it never will, delete it"
	case p.State != yardarmv1.PresenceConnected:
		return fmt.Sprintf("its spoke has not been heard since %s; if it never will be, delete it", p.LastSeen.UTC().Format(time.RFC3339))
	}
	return "its spoke is connected, and has not renewed its certificate yet; if that lasts longer than a minute, it may be older than this hub: upgrade it"
}
