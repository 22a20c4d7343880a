package dispatch

import (
	"hash/maphash"
	"maps"
	"slices"
	"sync"
	"weak"

	"google.golang.org/protobuf/types/known/timestamppb"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// conditions are those that reports have: each set once, however many clusters say it. There are three conditions in each report, of four texts and a time, which is more than
// the rest of it; and where a revision reaches a fleet, thousands of clusters say the same within a second. They go when the last report has that has them.
var conditions = conditionSets{seed: maphash.MakeSeed()}

// minSweep is of how many sets none are looked for that have gone.
const minSweep = 1024

// conditionSets is safe for concurrent use. Package unique does the same for values that can be compared, and reports refer to messages.
type conditionSets struct {
	seed maphash.Seed
	mu   sync.Mutex
	// known are the sets by the hash of what they say. Of two with the same hash, the later one takes the place. Those that have gone are looked for whenever there are sweepAt.
	known   map[uint64]weak.Pointer[conditionSet]
	sweepAt int
}

// conditionSet is up to as many conditions as a report has. It is not changed.
type conditionSet struct {
	of    [maxConditions]*yardarmv1.Condition
	count int
}

func (s *conditionSet) all() []*yardarmv1.Condition { return s.of[:s.count:s.count] }

// clean answers a bounded copy, which is not to be changed. Since when a condition holds is in whole seconds, as Kubernetes has it.
func (c *conditionSets) clean(said []*yardarmv1.Condition) []*yardarmv1.Condition {
	if len(said) == 0 {
		return nil
	}
	said = said[:min(len(said), maxConditions)]
	hash := c.hash(said)
	set := c.find(hash)
	if set == nil || !slices.EqualFunc(set.all(), said, sameCondition) {
		set = newConditionSet(said)
		c.keep(hash, set)
	}
	return set.all()
}

func (c *conditionSets) hash(said []*yardarmv1.Condition) uint64 {
	var hash maphash.Hash
	hash.SetSeed(c.seed)
	for _, s := range said {
		for _, text := range []string{s.Type, s.Status, s.Reason, s.Message} {
			maphash.WriteComparable(&hash, text)
		}
		maphash.WriteComparable(&hash, s.LastTransitionTime.GetSeconds())
	}
	return hash.Sum64()
}

func (c *conditionSets) find(hash uint64) *conditionSet {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known[hash].Value()
}

func (c *conditionSets) keep(hash uint64, set *conditionSet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= c.sweepAt {
		maps.DeleteFunc(c.known, func(_ uint64, set weak.Pointer[conditionSet]) bool { return set.Value() == nil })
		c.sweepAt = max(minSweep, 2*len(c.known))
	}
	if c.known == nil {
		c.known = map[uint64]weak.Pointer[conditionSet]{}
	}
	c.known[hash] = weak.Make(set)
}

func newConditionSet(said []*yardarmv1.Condition) *conditionSet {
	set := &conditionSet{count: len(said)}
	kept := make([]struct {
		condition yardarmv1.Condition
		since     timestamppb.Timestamp
	}, len(said))
	for i, s := range said {
		k := &kept[i].condition
		k.Type, k.Status, k.Reason = alike(clip(s.Type, maxReason)), alike(clip(s.Status, maxReason)), alike(clip(s.Reason, maxReason))
		k.Message = clip(s.Message, maxMessage)
		if k.LastTransitionTime = cleanTimeInto(&kept[i].since, s.LastTransitionTime); k.LastTransitionTime != nil {
			k.LastTransitionTime.Nanos = 0
		}
		set.of[i] = k
	}
	return set
}

// sameCondition tells whether what is said is what is kept.
func sameCondition(kept, said *yardarmv1.Condition) bool {
	return kept.Type == said.Type && kept.Status == said.Status && kept.Reason == said.Reason && kept.Message == said.Message &&
		(kept.LastTransitionTime == nil) == (said.LastTransitionTime == nil) && kept.LastTransitionTime.GetSeconds() == said.LastTransitionTime.GetSeconds()
}
