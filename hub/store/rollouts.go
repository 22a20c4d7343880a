package store

import (
	"hash/fnv"
	"iter"
	"slices"
	"strings"

	"github.com/yardarm-dev/yardarm/hub/placement"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
)

// membersPerChunk is how many members of a rollout share a row, about: with 36 bytes of uid and some more for each, a change of one
// rewrites 2 KB, and a rollout of 10,000 clusters has some hundred rows.
const membersPerChunk = 50

var rollouts = durable(Rollouts, hard, func(r *storev1.Rollout) string { return r.GetBundleUid() })

var rolloutMembers = durable(RolloutMembers, hard, func(m *storev1.RolloutMembers) string { return chunkKey(m.GetBundleUid(), m.GetChunk()) })

func chunkKey(bundleUID string, chunk uint32) string { return join(bundleUID, digits(chunk)) }

// RolloutMember is one cluster of a rollout. Fields mean what those of yardarm.store.v1.RolloutMembers do.
type RolloutMember struct {
	UID                      string
	Runs                     uint32
	State, Stage, From, Good uint32
	Prior, Joined            bool
	Place                    uint32
	Since, Took              uint32
}

// Rollout returns the rollout of a bundle's latest revision, or of the one before while that has yet to begin; nil where there was none.
func (tx *ReadTx) Rollout(bundleUID string) *storev1.Rollout { return rollouts.get(tx, bundleUID) }

// Rollouts yields all rollouts, by bundle uid.
func (tx *ReadTx) Rollouts() iter.Seq[*storev1.Rollout] { return rollouts.scan(tx, idIndex, "") }

// RolloutMembers yields the members of a bundle's rollout, in no particular order.
func (tx *ReadTx) RolloutMembers(bundleUID string) iter.Seq[RolloutMember] {
	return func(yield func(RolloutMember) bool) {
		for row := range rolloutMembers.scan(tx, idIndex, bundleUID+separator) {
			for i := range row.Uids {
				if !yield(memberAt(row, i)) {
					return
				}
			}
		}
	}
}

// RolloutMember returns a cluster's part in a bundle's rollout, if it has any.
func (tx *ReadTx) RolloutMember(bundleUID, clusterUID string) (m RolloutMember, ok bool) {
	chunks := tx.Rollout(bundleUID).GetChunks()
	if chunks == 0 {
		return m, false
	}
	row := rolloutMembers.get(tx, bundleUID, digits(RolloutChunk(clusterUID, chunks)))
	i, ok := slices.BinarySearch(row.GetUids(), clusterUID)
	if !ok {
		return m, false
	}
	return memberAt(row, i), true
}

// Assigned returns the revision of a bundle that its rollout says a cluster is to run, 0 for none; ok is false where it says nothing of it.
func (tx *ReadTx) Assigned(bundleUID, clusterUID string) (revision uint32, ok bool) {
	if turn := tx.Turn(bundleUID, clusterUID); turn != nil && turn.Before == nil {
		return 0, true
	}
	m, ok := tx.RolloutMember(bundleUID, clusterUID)
	return m.Runs, ok
}

// Settled returns the revision that clusters of a bundle are to run of which its rollout says nothing; ok is false where there was none.
func (tx *ReadTx) Settled(bundleUID string) (revision uint32, ok bool) {
	r := tx.Rollout(bundleUID)
	return r.GetSettled(), r != nil
}

// PutRollout inserts or replaces a rollout. A new settled revision is put before members that run it are taken away, so that nobody hears of those.
func (tx *Tx) PutRollout(r *storev1.Rollout) error {
	uid := r.GetBundleUid()
	before := placement.Settled(tx, tx.Bundle(uid))
	if _, err := rollouts.put(tx, r); err != nil || before == r.Settled {
		return err
	}
	for c := range tx.ClustersOf(uid) {
		if _, member := tx.Assigned(uid, c.Metadata.Uid); !member {
			tx.touched = append(tx.touched, touch{Assigned, join(c.Metadata.Uid, uid)})
		}
	}
	return nil
}

// PutRolloutMembers makes these, which are the caller's no longer, the members in one chunk of a bundle's rollout. With none, the chunk is gone.
func (tx *Tx) PutRolloutMembers(bundleUID string, chunk uint32, members []RolloutMember) error {
	was := rolloutMembers.get(&tx.ReadTx, bundleUID, digits(chunk))
	tx.touchAssigned(bundleUID, was, members)
	if len(members) == 0 {
		_, err := rolloutMembers.remove(tx, chunkKey(bundleUID, chunk))
		return err
	}
	slices.SortFunc(members, func(a, b RolloutMember) int { return strings.Compare(a.UID, b.UID) })
	row := &storev1.RolloutMembers{BundleUid: bundleUID, Chunk: chunk}
	for _, m := range members {
		row.Uids, row.Runs, row.States, row.Stages = append(row.Uids, m.UID), append(row.Runs, m.Runs), append(row.States, m.State), append(row.Stages, m.Stage)
		row.From, row.Good, row.Prior, row.Places = append(row.From, m.From), append(row.Good, m.Good), append(row.Prior, m.Prior), append(row.Places, m.Place)
		row.Since, row.Took, row.Joined = append(row.Since, m.Since), append(row.Took, m.Took), append(row.Joined, m.Joined)
	}
	_, err := rolloutMembers.put(tx, row)
	return err
}

func (tx *Tx) deleteRollout(bundleUID string) error {
	if _, err := rollouts.remove(tx, bundleUID); err != nil {
		return err
	}
	if err := rolloutMembers.removeAll(tx, bundleUID+separator); err != nil {
		return err
	}
	return turns.removeAll(tx, bundleUID+separator)
}

// RolloutChunks returns into how many chunks a rollout of so many members is divided. There is always one, for those that join.
func RolloutChunks(members int) uint32 { return uint32(members/membersPerChunk + 1) }

// RolloutChunk returns the chunk that a cluster of a rollout belongs to.
func RolloutChunk(clusterUID string, chunks uint32) uint32 {
	h := fnv.New32a()
	h.Write([]byte(clusterUID))
	return h.Sum32() % chunks
}

// memberAt reads what a row says of a cluster. Of an array that is too short, as another hub's row may have it, nothing is read.
func memberAt(row *storev1.RolloutMembers, i int) RolloutMember {
	at := func(values []uint32) uint32 {
		if i < len(values) {
			return values[i]
		}
		return 0
	}
	return RolloutMember{
		UID: row.Uids[i], Runs: at(row.Runs), State: at(row.States), Stage: at(row.Stages), From: at(row.From), Good: at(row.Good),
		Prior: i < len(row.Prior) && row.Prior[i], Joined: i < len(row.Joined) && row.Joined[i], Place: at(row.Places), Since: at(row.Since), Took: at(row.Took),
	}
}

// touchAssigned lets subscribers of Assigned know of whom among those of a chunk, before or now, other revisions are to be run.
func (tx *Tx) touchAssigned(bundleUID string, was *storev1.RolloutMembers, is []RolloutMember) {
	settled := placement.Settled(tx, tx.Bundle(bundleUID))
	before := make(map[string]uint32, len(was.GetUids()))
	for i, uid := range was.GetUids() {
		before[uid] = memberAt(was, i).Runs
	}
	note := func(uid string, from, to uint32) {
		if from != to {
			tx.touched = append(tx.touched, touch{Assigned, join(uid, bundleUID)})
		}
	}
	for _, m := range is {
		from, member := before[m.UID]
		if !member {
			from = settled
		}
		note(m.UID, from, m.Runs)
		delete(before, m.UID)
	}
	for uid, from := range before {
		note(uid, from, settled)
	}
}
