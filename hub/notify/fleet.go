package notify

import (
	"context"
	"iter"
	"maps"
	"strings"
	"time"

	"github.com/yardarm-dev/yardarm/hub/store"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// fleet follows what comes and goes in clusters, and notes the occasions that follow from it, before anybody is told. It belongs to one goroutine.
type fleet struct {
	*Notifier
	pace pace
	sub  *store.Subscription
	// following says that somebody is to be told: without notifications nothing is looked at.
	following bool
	// now is of how many clusters each subject is so, and since that it is so, or not so.
	now   map[string]int
	since map[string]time.Time
}

// fleet looks at what has changed, a few times in the time that it takes an occasion to begin, until ctx ends.
func (n *Notifier) fleet(ctx context.Context) {
	f := &fleet{Notifier: n, pace: pace{n.Hold, n.Quiet}, now: map[string]int{}, since: map[string]time.Time{},
		sub: n.Store.SubscribeFleet(store.Notifications, store.Presences, store.ObservedBundles, store.Rollouts, store.Bundles, store.Clusters)}
	defer f.sub.Close()
	tick := time.NewTicker(max(n.Hold/looksPerHold, time.Millisecond))
	defer tick.Stop()
	for {
		f.look(ctx)
		f.looks.Add(1)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look counts anew what may have changed, and notes what that comes to.
func (f *fleet) look(ctx context.Context) {
	changed, tx := f.sub.Take(), f.Store.Read()
	wanted := false
	for range tx.Notifications() {
		wanted = true
		break
	}
	if !wanted {
		f.following = false
		return
	}
	f.count(tx, changed, !f.following)
	f.following = true
	subjects := maps.Clone(f.now)
	for row := range tx.ToldOf(hubUID) {
		subjects[row.Subject] = f.now[row.Subject]
	}
	for subject := range subjects {
		f.settle(ctx, tx, subject)
	}
}

// count counts the subjects of which rows have changed, or all.
func (f *fleet) count(tx *store.ReadTx, changed store.Changed, all bool) {
	if all || changed.Any(store.Presences) || changed.Any(store.Clusters) {
		n := 0
		for range staleClusters(tx) {
			n++
		}
		f.is(staleSubject, n)
	}
	bundles := map[string]bool{}
	all = all || changed.All(store.ObservedBundles) || changed.All(store.Rollouts) || changed.Any(store.Clusters) || changed.Any(store.Bundles)
	if all {
		for b := range tx.Bundles() {
			bundles[b.GetMetadata().GetUid()] = true
		}
	}
	for key := range changed.Keys(store.ObservedBundles) {
		_, bundle, _ := strings.Cut(key, "/")
		bundles[bundle] = true
	}
	for uid := range changed.Keys(store.Rollouts) {
		bundles[uid] = true
	}
	for uid := range bundles {
		n := 0
		if revision := convergedAt(tx, uid); revision != 0 {
			for range diverging(tx, uid, revision) {
				n++
			}
		}
		f.is(divergenceSubject+uid, n)
	}
}

// is notes that something is so in n clusters now.
func (f *fleet) is(subject string, n int) {
	if before, known := f.now[subject]; !known || (before > 0) != (n > 0) {
		f.since[subject] = f.Clock()
	}
	f.now[subject] = n
}

// settle notes what has become of an occasion, and has it told.
func (f *fleet) settle(ctx context.Context, tx *store.ReadTx, subject string) {
	revision := uint32(0)
	row := tx.Told(hubUID, subject)
	if uid, ok := strings.CutPrefix(subject, divergenceSubject); ok {
		if tx.Bundle(uid) == nil {
			delete(f.now, subject)
			delete(f.since, subject)
			f.keep(ctx, subject, nil, row)
			return
		}
		if revision = convergedAt(tx, uid); revision == 0 {
			return // a rollout says what there is to say
		}
	}
	since, known := f.since[subject]
	if !known {
		since = f.Clock()
		f.since[subject] = since
	}
	f.keep(ctx, subject, f.pace.next(row, subject, revision, f.now[subject], since, f.Clock()), row)
}

// keep writes a row, if it is another one than before. What cannot be written is tried again with the next look.
func (f *fleet) keep(ctx context.Context, subject string, row, before *storev1.Told) {
	if row == before {
		return
	}
	_, err := f.Store.Update(ctx, func(tx *store.Tx) error {
		if row == nil {
			return tx.DeleteTold(hubUID, subject)
		}
		return tx.PutTold(row)
	})
	if err != nil {
		if ctx.Err() == nil {
			f.Logger.Warn("what comes and goes in the fleet was not noted; it is tried again", "subject", subject, "error", err)
		}
		return
	}
	f.note([]string{subject})
}

// staleClusters are those that are not heard any more, by uid. A cluster that is banned is to be so.
func staleClusters(tx *store.ReadTx) iter.Seq[string] {
	return func(yield func(string) bool) {
		for p := range tx.Presences() {
			if p.State != yardarmv1.PresenceStale {
				continue
			}
			if c := tx.Cluster(p.ClusterUID); c == nil || c.GetSpec().GetBan() != nil {
				continue
			}
			if !yield(p.ClusterUID) {
				return
			}
		}
	}
}

// diverging are the reports of clusters that say that they are not, or not any more, as a revision wants them, each with a word for how. What a cluster said last
// counts, also if it has gone away since.
func diverging(tx *store.ReadTx, bundleUID string, revision uint32) iter.Seq2[*storev1.ObservedBundle, string] {
	return func(yield func(*storev1.ObservedBundle, string) bool) {
		for o := range tx.ObservedOfBundle(bundleUID) {
			r, way := o.GetReport(), ""
			switch {
			case r.GetRevision() != revision:
			case r.GetPhase() == yardarmv1.PhaseFailed, r.GetPhase() == yardarmv1.PhaseDegraded, r.GetPhase() == yardarmv1.PhaseHeld:
				way = strings.ToLower(r.GetPhase())
			case r.GetObjects().GetDrifted() > 0:
				way = "drifted"
			}
			if way != "" && !yield(o, way) {
				return
			}
		}
	}
}
