package reconcile

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Reasons of phases that follow from other bundles.
const (
	reasonDependencyNotReady = "DependencyNotReady"
	reasonDependencyMissing  = "DependencyMissing"
	reasonDependencyCycle    = "DependencyCycle"
)

// maxUnmet is how many dependencies a message names.
const maxUnmet = 3

// standing is what other bundles may know of a bundle: its newest report, in short.
type standing struct {
	hash    []byte // of the assignment that it is about
	phase   string
	applied bool
}

// satisfies tells whether a bundle that is assigned under hash is as far as another one needs it.
func (s *standing) satisfies(hash []byte, state string) bool {
	if !bytes.Equal(s.hash, hash) {
		return false
	}
	return s.phase == yardarmv1.PhaseReady || state == yardarmv1.DependencyApplied && s.applied
}

// stand makes a report known to the bundles that depend on this one.
func (b *bundle) stand(r *yardarmv1.Report) {
	applied := slices.ContainsFunc(r.Conditions, func(c *yardarmv1.Condition) bool {
		return c.Type == yardarmv1.ConditionApplied && c.Status == yardarmv1.ConditionTrue
	})
	now := standing{r.AssignmentHash, r.Phase, applied}
	b.mu.Lock()
	changed := !bytes.Equal(b.standing.hash, now.hash) || b.standing.phase != now.phase || b.standing.applied != now.applied
	b.standing = now
	b.mu.Unlock()
	if changed {
		b.r.nudgeDependents(r.Bundle)
	}
}

// nudgeDependents wakes the bundles that wait for one of this name.
func (r *Reconciler) nudgeDependents(name string) {
	for _, p := range r.peers() {
		if slices.Contains(p.needs, name) {
			p.bundle.nudge()
		}
	}
}

// peer is a bundle of this cluster as others see it.
type peer struct {
	bundle   *bundle
	name     string
	hash     []byte
	needs    []string // the names of what it depends on
	removing bool
	standing standing
}

// peers answers all bundles. While an update of the assignments is being handed out, it waits: a bundle must not take another one's old
// assignment for its present one.
func (r *Reconciler) peers() []peer {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]peer, 0, len(r.bundles))
	for _, b := range r.bundles {
		b.mu.Lock()
		a := b.entry.Assignment
		p := peer{bundle: b, name: a.GetBundle(), hash: a.GetHash(), removing: b.entry.Removal != nil, standing: b.standing}
		b.mu.Unlock()
		for _, d := range a.GetDelivery().GetDependsOn() {
			p.needs = append(p.needs, d.GetBundle())
		}
		all = append(all, p)
	}
	return all
}

// renewed tells whether a target is another one than the cluster holds, or is being brought to.
func (b *bundle) renewed(t target) bool {
	return b.inv.Digest != t.digest || b.inv.Namespace != t.namespace || b.inv.Revision != t.revision
}

// unmet answers what keeps an assignment from beginning: the outcome of keeping up what the cluster holds gets this phase, reason and
// message. The phase is empty if nothing does.
func (b *bundle) unmet(a *yardarmv1.AssignmentSpec) (phase, reason, message string) {
	wanted := a.GetDelivery().GetDependsOn()
	if len(wanted) == 0 {
		return "", "", ""
	}
	here := map[string]*peer{}
	needs := map[string][]string{}
	for _, p := range b.r.peers() {
		if !p.removing {
			here[p.name], needs[p.name] = &p, p.needs
		}
	}
	var missing, late []string
	for _, d := range wanted {
		p := here[d.GetBundle()]
		switch {
		case p == nil:
			missing = append(missing, fmt.Sprintf("bundle %s is not assigned to this cluster", d.GetBundle()))
		case !p.standing.satisfies(p.hash, d.GetState()):
			late = append(late, fmt.Sprintf("bundle %s is %s", p.name, p.phase()))
		}
	}
	if len(missing)+len(late) == 0 {
		return "", "", ""
	}
	if circle := cycle(a.GetBundle(), needs); circle != nil {
		return yardarmv1.PhaseFailed, reasonDependencyCycle,
			fmt.Sprintf("bundles depend on each other: %s; take one of the dependencies out", strings.Join(circle, " → "))
	}
	reason = reasonDependencyNotReady
	if len(missing) > 0 {
		reason = reasonDependencyMissing
	}
	all := slices.Concat(missing, late)
	message = "waits for what it depends on: " + strings.Join(all[:min(len(all), maxUnmet)], "; ")
	if len(all) > maxUnmet {
		message += fmt.Sprintf("; and %d more", len(all)-maxUnmet)
	}
	return yardarmv1.PhasePending, reason, message
}

// phase is that of its present assignment.
func (p *peer) phase() string {
	if !bytes.Equal(p.standing.hash, p.hash) {
		return yardarmv1.PhasePending
	}
	return p.standing.phase
}

// cycle answers the shortest way from a bundle back to itself, both ends included; nil if there is none. A hub refuses such bundles, but it may
// be of another mind, and the bundles would wait for each other for ever without a word.
func cycle(name string, needs map[string][]string) []string {
	from := map[string]string{} // by whom a bundle was reached
	for next := []string{name}; len(next) > 0; next = next[1:] {
		for _, need := range needs[next[0]] {
			if _, seen := from[need]; seen {
				continue
			}
			from[need] = next[0]
			if need != name {
				next = append(next, need)
				continue
			}
			way := []string{name}
			for at := next[0]; at != name; at = from[at] {
				way = append(way, at)
			}
			way = append(way, name)
			slices.Reverse(way)
			return way
		}
	}
	return nil
}

// dependents answers a bundle that is being removed, too, and depends on this one; empty if there is none, or if they depend on each other.
// It goes first: its objects' finalizers may need what this one brings.
func (b *bundle) dependents(name string) string {
	needs := map[string][]string{}
	waitsFor := ""
	for _, p := range b.r.peers() {
		if !p.removing {
			continue
		}
		needs[p.name] = p.needs
		if p.bundle != b && slices.Contains(p.needs, name) {
			waitsFor = p.name
		}
	}
	if cycle(name, needs) != nil {
		return ""
	}
	return waitsFor
}
