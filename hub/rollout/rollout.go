package rollout

import "time"

// State is where a cluster is on its way.
type State uint8

// The states of a cluster. Their numbers are on disk.
const (
	// Waiting: it has not been given the revision yet.
	Waiting State = iota
	// Given: it is to run the revision, and does not count yet.
	Given
	// Done: it has been ready with it for as long as its stage asks.
	Done
	// Failed: it is to run it, and cannot.
	Failed
	// Lost: it was given it, and has not been heard of for longer than one waits. It neither counts as done nor as failed.
	Lost
	// Returning: it is to run its last good revision again.
	Returning
	// Returned: it does, or cannot: what becomes of it is not this rollout's any more.
	Returned
	// Left: the bundle is no longer for it.
	Left
	// Entering: it is new to the bundle, and is to run the settled revision until its stage is reached. It does not count yet.
	Entering
	// Unmoved: the revision puts the same into it as what it ran, and it was ready with that. It is to run the revision, which changes nothing there, and so
	// it takes no place in a stage, waits for no gate, and tells nothing of the revision, neither good nor bad.
	Unmoved
)

// Touched tells whether a cluster in this state is to run the rollout's revision.
func (s State) Touched() bool { return s >= Given && s <= Lost }

// Member is one cluster of a rollout.
type Member struct {
	// UID is the cluster's.
	UID string
	// Stage is the index of the stage it goes with.
	Stage int
	State State
	// From is the revision that it ran before, and Good the last one that was good there; 0 where there is none.
	From, Good uint32
	// Prior: it was failing before the rollout began, so that its failing now is not the revision's.
	Prior bool
	// Kept: its cluster's labels or groups have changed, and it is to run what it runs as it was before, until its turn comes.
	Kept bool
	// Since is when it came into its state.
	Since time.Duration
}

// Gate says whether a cluster may be given another revision now, whatever the reason: the later ones hold it back more.
type Gate uint8

const (
	// Open: it may.
	Open Gate = iota
	// Shut: not now, and its stage waits for it, as for a window that opens at night. It may go back: what a rollback mends does not wait for one.
	Shut
	// Aside: it keeps what it has, and the others go on without it.
	Aside
	// Frozen: it keeps what it has, and its stage waits for it.
	Frozen
)

// Keeps: the cluster does not go back either.
func (g Gate) Keeps() bool { return g >= Aside }

// Seen is what is known of a cluster.
type Seen struct {
	// Targeted: the bundle is for it.
	Targeted bool
	// Present: its spoke is connected, and what it reports is confirmed.
	Present bool
	// Health is what its newest report comes to, and Of the revision of the assignment whose hash that report names; 0 where it
	// names none of this bundle's. A report about another revision than the cluster is to run says nothing here, so that no stage
	// is judged by the revision before.
	Health Health
	Of     uint32
	// Kept: that assignment is by what the cluster was before.
	Kept bool
	// Since is when its health came to be so, without a break, in which it was present.
	Since time.Duration
	Gate  Gate
}

// Same tells whether two of them say the same, since whenever.
func (s Seen) Same(o Seen) bool { return s.Lasts(o) && s.Gate == o.Gate }

// Lasts tells whether they say the same of the cluster itself: a gate that opens or shuts interrupts no soak.
func (s Seen) Lasts(o Seen) bool {
	s.Since, s.Gate = o.Since, o.Gate
	return s == o
}

// Health sums up a phase.
type Health uint8

const (
	// Unknown: there is no report, or it says that the cluster is on its way.
	Unknown Health = iota
	Ready
	// Degraded: unhealthy, and may heal.
	Degraded
	// Broken: it will not get ready by itself.
	Broken
)

// Rollout is how one stands. It is not safe for concurrent use.
type Rollout struct {
	// Revision is the one that it is about, and Settled the newest whose rollout came to its end; 0 if none did.
	Revision, Settled uint32
	Stages            []Stage
	// Pauses: a failed rollout waits for an operator instead of returning its clusters.
	Pauses bool
	// Unconfirmed: somebody has to confirm it before it begins.
	Unconfirmed bool

	Phase Phase
	// At is the index of the stage that is under way. Those before it have passed.
	At int
	// Members are in the order in which they go.
	Members []Member
}

// Phase of a rollout. The numbers are on disk.
type Phase uint8

// The phases of a rollout. Completed is one of which every cluster that is there has the revision; those that come back later get it then.
// One that is rolled back has returned the clusters that it reached to their last good revisions.
const (
	Progressing Phase = iota
	// Paused: by an operator, or since a budget was exceeded. Nothing moves.
	Paused
	Completed
	RollingBack
	RolledBack
)

// Runs is the revision that a member's cluster is to run; 0 for none.
func (r *Rollout) Runs(m *Member) uint32 {
	switch m.State {
	case Waiting, Entering:
		return m.From
	case Returning, Returned:
		return m.Good
	case Left:
		return 0
	}
	return r.Revision
}
