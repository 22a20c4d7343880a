package dispatch

import (
	"slices"
	"strings"

	"github.com/yardarm-dev/yardarm/pkg/holdings"
)

// holding is what the hub knows that a spoke holds of one bundle.
type holding struct {
	bundle   string
	uid      string
	hash     []byte
	revision uint32
	digest   string
	// The cursor under which it was assigned.
	epoch []byte
	index uint64
	// dated: to the spoke, it may be of an epoch that the hub has left, so that nothing brief is said about it.
	dated bool

	// When it was sent, and when the spoke has persisted it, in seconds since 1970; 0 where that was before this session. They fill gaps of the struct.
	sentAt, persistedAt uint32

	hasContent bool
	// removing: its tombstone is with the spoke; accepted: and that one need not ask.
	removing, accepted bool
	held               bool
}

// settled tells whether it is neither on its way out nor kept for an operator.
func (h holding) settled() bool { return !h.removing && !h.held }

// byUID orders holdings.
func byUID(a, b holding) int { return strings.Compare(a.uid, b.uid) }

// holdingSet is one holding of each of some bundles, in the order of their uids. There is one for each spoke, and a map would take twice as much.
type holdingSet []holding

// setOf makes a set of holdings, which are then no longer used. Of several of one bundle, the first counts.
func setOf(all []holding) holdingSet {
	slices.SortStableFunc(all, byUID)
	return slices.CompactFunc(all, func(a, b holding) bool { return a.uid == b.uid })
}

func (s holdingSet) search(uid string) (int, bool) {
	return slices.BinarySearchFunc(s, uid, func(h holding, uid string) int { return strings.Compare(h.uid, uid) })
}

// of answers what is held of a bundle, if anything is.
func (s holdingSet) of(uid string) (holding, bool) {
	if i, ok := s.search(uid); ok {
		return s[i], true
	}
	return holding{}, false
}

// with answers the set with others in the place of, or beside, those that it has, which is then no longer used.
func (s holdingSet) with(changed holdingSet) holdingSet {
	fresh := 0
	for _, h := range changed {
		if i, ok := s.search(h.uid); ok {
			s[i] = h
		} else {
			fresh++
		}
	}
	if fresh == 0 {
		return s
	}
	all := append(make(holdingSet, 0, len(s)+fresh), s...)
	for _, h := range changed {
		if _, ok := s.search(h.uid); !ok {
			all = append(all, h)
		}
	}
	slices.SortFunc(all, byUID)
	return all
}

// setHash is what the spoke's list hashes to, with what has changed in the place of what is held.
func setHash(held, changed holdingSet) []byte {
	items := make([]holdings.Item, 0, len(held)+len(changed))
	add := func(h *holding) {
		if !h.removing {
			items = append(items, holdings.Item{BundleUID: h.uid, Hash: h.hash, Held: h.held})
		}
	}
	for i := range held {
		if _, is := changed.search(held[i].uid); !is {
			add(&held[i])
		}
	}
	for i := range changed {
		add(&changed[i])
	}
	return holdings.SetHash(items)
}
