package dispatch

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/holdings"
)

const (
	// maxSteps is how many changes one delta carries. The next delta has the rest.
	maxSteps = 1000
	// maxStepsTotal is after how many bytes of changes a delta takes no more: assignments have about 300, but customizations let
	// one have a megabyte. With one more and the contents, a delta stays below gRPC's message limit of 4 MiB.
	maxStepsTotal = 1 << 20
	// maxDivergences is how many lists in a row may disagree with what a delta should have led to before the session is
	// ended, so that two sides with different rules do not keep each other busy.
	maxDivergences = 5
	// maxNacks is how many refusals one session may send: two for each bundle that a cluster could have.
	maxNacks = 2 * maxReports
)

// delivery is what a session knows of its spoke's holdings, and what is on its way there.
type delivery struct {
	// held is what the spoke holds by all that it has acknowledged; known says whether the hub knows it yet.
	held  holdingSet
	known bool
	// sent is the delta in flight; nil for none.
	sent *flight
	// brief says that the spoke takes what is brief, and epoch is that of the newest cursor that it has persisted.
	brief bool
	epoch []byte
	// refusals are by bundle uid, nil for none; nacks counts what has come in all.
	refusals    map[string]*refusal
	nacks       int
	divergences int
	// paused is until when the spoke gets nothing, since its disk is full, as of Server.elapsed.
	paused time.Duration
}

// flight is a delta that is not acknowledged yet.
type flight struct {
	cursor *spokev1.Cursor
	at     time.Time
	// awaited is until when reports wait for it, as of Server.elapsed.
	awaited time.Duration
	// assigned are the assignments in it, and digests the artifacts whose content is in it.
	assigned []*yardarmv1.AssignmentSpec
	digests  []string
	// after is what the spoke holds of the bundles in it once it has acknowledged it, and spent are the holdings whose acceptances have served by then.
	after holdingSet
	spent []holding
}

// advance sends the next delta, if there is any and none is in flight. It is computed from the newest state, whatever has
// happened since the last one; of the bundles that cannot have changed since then, nothing is computed.
func (s *session) advance() error {
	looking := s.due.take() // before the snapshot, which so has all that is due
	tx := s.Store.Read()
	if err := s.CA.AuthorizeCluster(tx, s.uid); err != nil {
		return authError(err)
	}
	if !s.known || s.sent != nil || s.Store.ReadOnly() != "" || s.elapsed() < s.paused {
		s.due.add(looking)
		return nil
	}
	cluster := tx.Cluster(s.uid)
	if cluster.GetSpec().GetRemoval() != nil && len(s.held) == 0 {
		return s.finishRemoval()
	}
	if len(s.refusals) > 0 {
		looking = everything // the time to try again is nobody's change
	}
	if looking.empty() {
		return nil
	}
	meta := s.Store.Meta()
	desired := s.desired(tx, looking)
	s.refuseLanguage(desired)
	skip, again := s.reviewRefusals(desired)
	steps := plan(tx, planInput{
		clusterUID: s.uid, desired: desired, held: looking.of(s.held), skip: skip, again: again,
		epoch: meta.Epoch, index: tx.Index(), past: meta.Past,
		within:   func(b *yardarmv1.Bundle) bool { return withinBoundary(tx, cluster, b) },
		targeted: func(b *yardarmv1.Bundle) bool { return placement.Targets(b, tx.GroupsOf(s.uid)) },
	})
	return s.send(tx, steps, s.CA.SignCursor(meta.Epoch, tx.Index()))
}

// send puts as many steps into one delta as it takes, and sends it.
func (s *session) send(tx artifacts, steps []step, cursor *spokev1.Cursor) error {
	next := &flight{cursor: cursor, at: s.Clock(), awaited: s.elapsed() + maxYield, after: make(holdingSet, 0, min(len(steps), maxSteps))}
	delta := &spokev1.Delta{Cursor: cursor}
	message := &deltaMessage{delta: delta}
	changes, size, inlined := 0, 0, 0
	for _, step := range steps {
		if changes == maxSteps || size > maxStepsTotal {
			s.due.add(everything) // the acknowledgement brings the rest
			break
		}
		if a := step.change.GetAssign(); a == nil {
			delta.Changes = append(delta.Changes, step.change)
			size += proto.Size(step.change)
		} else {
			f, err := s.formOf(tx, step, inlined <= maxInlineTotal)
			if err != nil {
				// The database's fault, and this bundle's alone.
				s.fail(a, reasonContent, "the hub cannot read the artifact: "+err.Error(), contentRetry)
				continue
			}
			if f.change != nil {
				delta.Changes = append(delta.Changes, f.change)
				size += proto.Size(f.change)
			}
			if f.shared != nil {
				message.shared = append(message.shared, f.shared)
				inlined += len(f.shared)
			}
			if f.digest != "" {
				next.digests = append(next.digests, f.digest)
			}
			next.assigned = append(next.assigned, a)
		}
		changes++
		next.after = append(next.after, step.after)
		if step.spends {
			let, _ := s.held.of(step.after.uid)
			next.spent = append(next.spent, let)
		}
		if r := s.refusals[step.after.uid]; r != nil {
			r.again = false
		}
	}
	if changes == 0 {
		return nil
	}
	slices.SortFunc(next.after, byUID)
	delta.HoldingsHash = setHash(s.held, next.after)
	if s.brief {
		delta.HoldingsHash = holdings.Cut(delta.HoldingsHash)
		if bytes.Equal(s.epoch, cursor.Epoch) {
			delta.Cursor = &spokev1.Cursor{Index: cursor.Index, Mac: cursor.Mac}
		}
	}
	s.sent = next
	s.deltas.note()
	s.metrics.deltas.Inc()
	s.metrics.deltaBytes.Add(float64(message.size()))
	if s.Logger.Enabled(s.stream.Context(), slog.LevelDebug) {
		s.logger().Debug("delta", "changes", changes, "contents", len(next.digests), "index", cursor.Index)
	}
	return s.stream.SendMsg(message)
}

// form is how an assignment travels: as a change, or as one that is encoded and shared; its content, if that travels along, is in shared.
type form struct {
	change *spokev1.Change
	shared []byte
	// digest is the artifact whose content is in it; empty for none.
	digest string
}

// formOf answers the shortest form of a step that assigns. inline says whether the delta has room for contents.
func (s *session) formOf(tx artifacts, step step, inline bool) (form, error) {
	a := step.change.GetAssign()
	if !inline {
		return form{change: step.change}, nil
	}
	base := s.baseOf(a)
	if old, _ := s.held.of(a.BundleUid); s.brief && base != "" && old.settled() && !old.dated && bytes.Equal(old.epoch, step.after.epoch) {
		r, err := s.revisions.inline(tx, old, a)
		if err != nil {
			return form{}, err
		}
		if r != nil {
			return form{shared: r.encoded, digest: r.digest}, nil
		}
	}
	if step.after.hasContent {
		return form{change: step.change}, nil
	}
	content, err := s.contents.inline(base, a.Digest)
	if err != nil || content == nil {
		return form{change: step.change}, err
	}
	return form{step.change, content.encoded, a.Digest}, nil
}

// desired answers what the cluster is to run, of the bundles looked at.
func (s *session) desired(tx *store.ReadTx, looking scope) []*yardarmv1.AssignmentSpec {
	if looking.all {
		return s.placer.Desired(tx, s.uid)
	}
	return s.placer.DesiredAmong(tx, s.uid, looking.bundles)
}

// baseOf answers the content that the spoke can take an assignment's content as a change of; empty if it gets the whole,
// as it does after it has refused it.
func (s *session) baseOf(a *yardarmv1.AssignmentSpec) string {
	if old, _ := s.held.of(a.BundleUid); old.hasContent && s.refusals[a.BundleUid] == nil {
		return old.digest
	}
	return ""
}

// answers tells whether a spoke's answer is about the delta in flight.
func (s *session) answers(c *spokev1.Cursor) bool {
	return s.sent != nil && c != nil && c.Index == s.sent.cursor.Index && (len(c.Epoch) == 0 || bytes.Equal(c.Epoch, s.sent.cursor.Epoch))
}

// acked notes what the spoke has persisted.
func (s *session) acked(a *spokev1.Ack) error {
	digests := make(map[string]bool, len(a.Digests))
	for _, d := range a.Digests {
		digests[d] = true
	}
	if s.answers(a.Cursor) {
		done := s.sent
		s.deltas.note()
		done.date(s.Clock())
		s.held = s.held.with(done.after)
		s.epoch, s.sent, s.divergences = done.cursor.Epoch, nil, 0
		if a.Complete {
			for _, d := range done.digests {
				digests[d] = true
			}
		}
		if err := s.spend(done.spent); err != nil {
			return err
		}
		if s.due.any() {
			s.wakeUp()
		}
	}
	if len(digests) == 0 {
		return nil
	}
	for i := range s.held {
		h := &s.held[i]
		if !digests[h.digest] {
			continue
		}
		h.hasContent = true
		if r := s.refusals[h.uid]; r != nil && r.hash == string(h.hash) {
			// What the spoke says next about the bundle takes the place of the refusal.
			delete(s.refusals, h.uid)
		}
	}
	return nil
}

// date notes when the assignments in it were sent and persisted.
func (f *flight) date(now time.Time) {
	for i := range f.after {
		if h := &f.after[i]; h.settled() {
			h.sentAt, h.persistedAt = uint32(f.at.Unix()), uint32(now.Unix())
		}
	}
}

// listed takes the spoke's full list: the truth about what it holds.
func (s *session) listed(l *spokev1.Holdings) error {
	if len(l.Holdings) > maxHoldings {
		return status.Errorf(codes.InvalidArgument, "%d holdings; the limit is %d", len(l.Holdings), maxHoldings)
	}
	if s.sent != nil {
		if s.divergences++; s.divergences > maxDivergences {
			return status.Error(codes.Aborted, "hub and spoke do not agree on what follows from a delta; see the spoke's log")
		}
	}
	held := make([]holding, 0, len(l.Holdings))
	for _, h := range l.Holdings {
		h, err := cleanHolding(h)
		if err != nil {
			return status.Error(codes.InvalidArgument, err.Error())
		}
		held = append(held, h)
	}
	s.held, s.known, s.sent = setOf(held), true, nil
	s.poke()
	return nil
}

// finishRemoval deletes a cluster that is being deleted, once its spoke holds nothing any more.
func (s *session) finishRemoval() error {
	now := s.Clock()
	_, err := s.Store.Update(withAuthor(s.stream.Context(), clusterAuthor(s.uid)), func(tx *store.Tx) error { return deleteCluster(tx, s.uid, now) })
	if err != nil {
		return storeError(err)
	}
	return nil // the change wakes the session, which then ends
}

// spend ends the acceptances of holdings that were let go by them: each is for one step only.
func (s *session) spend(let []holding) error {
	if len(let) == 0 {
		return nil
	}
	_, err := s.Store.Update(withAuthor(s.stream.Context(), clusterAuthor(s.uid)), func(tx *store.Tx) error {
		for _, h := range let {
			var keep []*storev1.Acceptance
			for acc := range tx.Acceptances(s.uid, h.uid) {
				if !accepts(acc, h) {
					keep = append(keep, acc)
				}
			}
			if err := tx.DeleteAcceptances(s.uid, h.uid); err != nil {
				return err
			}
			for _, acc := range keep {
				if err := tx.PutAcceptance(acc); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if errors.Is(err, store.ErrReadOnly) {
		s.logger().Warn("an acceptance that has served could not be ended", "error", err)
		return nil
	}
	if err != nil {
		return storeError(err)
	}
	return nil
}
