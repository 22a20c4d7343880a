package ca

import (
	"bytes"
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

// Standing is how the CA stands: its certificates, the newest first, two while it is rotated, and then the clusters that keep the old one from being retired, by name.
type Standing struct {
	Roots   []*x509.Certificate
	Lacking []Lack
}

// Step is a part of a transaction that takes the CA a step on, and returns how it stands then. Its errors are those of [CA.Rotate] or [CA.Retire].
type Step func(*store.Tx) (Standing, error)

// Standing returns how the CA stands now.
func (c *CA) Standing() Standing { return c.standing(c.store.Read(), c.roots.Load()) }

func (c *CA) standing(tx *store.ReadTx, roots *roots) Standing {
	var s Standing
	for _, r := range roots.all {
		s.Roots = append(s.Roots, r.certificate)
	}
	if len(roots.all) == maxRoots {
		s.Lacking = c.lacking(tx, roots)
	}
	return s
}

// TrustChanged is closed once the trust bundle is another one than at the call.
func (c *CA) TrustChanged() <-chan struct{} { return c.roots.Load().replaced }

// Rotate makes a new CA beside the one that there is. From now on it issues clusters' certificates, and spokes are told to trust both. The hub
// itself goes on to be known by the old one until that is retired, since whoever has not heard of the new one is to find the hub. The step is
// refused with [ErrRotating] if there are two already.
//
// commit runs the step in a transaction of its own, or finds that it has nothing to do. What is on disk when it returns, counts.
func (c *CA) Rotate(commit func(Step) error) error {
	c.changing.Lock()
	defer c.changing.Unlock()
	before := c.roots.Load()
	if len(before.all) == maxRoots {
		return commit(func(*store.Tx) (Standing, error) { return Standing{}, ErrRotating })
	}
	text, err := c.makeRoot()
	if err != nil {
		return err
	}
	after, err := c.decodeRoots(slices.Concat(text, before.encode()))
	if err != nil {
		return err
	}
	changed, err := c.change(after, commit, func(*store.Tx) error { return nil })
	if changed {
		c.log.Info("rotating the CA", "pin", after.serving().pin.String(), "new_pin", after.issuing().pin.String())
	}
	return err
}

// Retire ends the old CA: nothing that it has issued, and nobody who trusts it alone, is served any more. The step is refused with a [*LackingError] if that
// would lose somebody, and with [ErrNotRotating] if there is one CA only. commit is as with [CA.Rotate].
func (c *CA) Retire(commit func(Step) error) error {
	c.changing.Lock()
	defer c.changing.Unlock()
	before := c.roots.Load()
	if len(before.all) < maxRoots {
		return commit(func(*store.Tx) (Standing, error) { return Standing{}, ErrNotRotating })
	}
	after := newRoots(before.issuing())
	changed, err := c.change(after, commit, func(tx *store.Tx) error {
		if lacking := c.lacking(&tx.ReadTx, before); len(lacking) > 0 {
			return &LackingError{lacking}
		}
		return nil
	})
	if changed {
		c.log.Info("retired the old CA", "pin", after.serving().pin.String(), "retired_pin", before.serving().pin.String())
	}
	return err
}

// change has commit write the roots, unless allowed refuses. They are in use once they are on disk, whatever commit has to say: whoever it was for may have gone.
func (c *CA) change(after *roots, commit func(Step) error, allowed func(*store.Tx) error) (changed bool, err error) {
	row, err := c.sealer.Seal(secretRoot, after.encode())
	if err != nil {
		return false, err
	}
	err = commit(func(tx *store.Tx) (Standing, error) {
		if err := allowed(tx); err != nil {
			return Standing{}, err
		}
		return c.standing(&tx.ReadTx, after), tx.PutSecret(row)
	})
	// No two secrets are sealed to the same.
	changed = bytes.Equal(c.store.Read().Secret(secretRoot).GetCiphertext(), row.Ciphertext)
	if changed {
		c.replace(after)
	}
	return changed, err
}

func (c *CA) replace(after *roots) { close(c.roots.Swap(after).replaced) }

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
