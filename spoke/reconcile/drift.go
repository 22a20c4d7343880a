package reconcile

import (
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/drift"
	"github.com/yardarm-dev/yardarm/spoke/live"
)

const (
	// maxDrift is how many differences a report names.
	maxDrift = 20
	// keptDrift is how many are remembered of a bundle, of those that stand and of those that were repaired: enough for a
	// report to be full after some of them have gone.
	keptDrift = 50
	// repairedFor is how long a repair is told of.
	repairedFor = time.Hour
	// lookAgain is how often, at most, an object is looked at whose drift is left and that changes without end. As long as drift
	// stands, our entry in managedFields does not tell its changes from those of a status.
	lookAgain = 2 * time.Second
	// goneAgain is how often, at most, an object is looked for that no watch sees: it may be there without our label.
	goneAgain = time.Minute
)

// difference is one field of an object that differs from what was applied, or did.
type difference struct {
	drift.Difference
	ref   manifest.Ref
	since time.Time
	// repaired is zero while it stands, and reason says why it does.
	repaired time.Time
	reason   string
}

// drifts is what is known of the drift of a bundle's objects. The loop's alone.
type drifts struct {
	left map[manifest.Ref]judgement
	// standing and repaired are bounded, the oldest first.
	standing, repaired []difference
}

// judgement is what was found out about an object that is not as it was applied, and is left so.
type judgement struct {
	// object as it was then, if a watch saw it, and the content that it was compared with.
	object  live.Object
	exists  bool
	content uint64
	at      time.Time
	// differs: it has drifted. It has not if only ignored fields differ, or the same values are somebody else's.
	differs bool
	// unseen objects are not looked at, whatever becomes of them; contended ones will be repaired.
	unseen, contended bool
}

// judged tells whether nothing is to be found out about an object now; and when something is, if not only after it changes.
func (d *drifts) judged(ref manifest.Ref, content uint64, object live.Object, exists bool, now time.Time) (again time.Time, ok bool) {
	j, ok := d.left[ref]
	if !ok || j.contended || j.content != content {
		return time.Time{}, false
	}
	switch {
	case j.unseen, j.exists && exists && j.object == object:
		return time.Time{}, true
	case !j.exists && !exists:
		again = j.at.Add(goneAgain)
	case j.exists && exists && j.object.UID == object.UID && j.object.Fields == object.Fields:
		again = j.at.Add(lookAgain)
	}
	return again, now.Before(again)
}

// leave notes that an object is left as it is, with what differs in it, and answers what was not known before.
func (d *drifts) leave(ref manifest.Ref, j judgement, found []drift.Difference, reason string, now time.Time) (news []difference) {
	before := d.settle(ref)
	if d.left == nil {
		d.left = map[manifest.Ref]judgement{}
	}
	d.left[ref] = j
	for _, f := range found {
		next := difference{Difference: f, ref: ref, since: now, reason: reason}
		if i := slices.IndexFunc(before, func(o difference) bool { return o.Path == f.Path }); i >= 0 {
			next.since = before[i].since
		} else {
			news = append(news, next)
		}
		d.standing = append(d.standing, next)
	}
	d.standing = newest(d.standing)
	return news
}

// doubt has all that is not as it was applied looked at again, since it stands for another reason now.
func (d *drifts) doubt() {
	for ref, j := range d.left {
		j.content = 0 // no object's
		d.left[ref] = j
	}
}

// settle notes that an object is as it was applied, and answers what was told of it.
func (d *drifts) settle(ref manifest.Ref) (told []difference) {
	if _, ok := d.left[ref]; !ok {
		return nil
	}
	delete(d.left, ref)
	d.standing = slices.DeleteFunc(d.standing, func(o difference) bool {
		if o.ref == ref {
			told = append(told, o)
		}
		return o.ref == ref
	})
	return told
}

// repair notes that what differed in an object was repaired, and answers it. A field that is repaired again and again is
// told of once.
func (d *drifts) repair(ref manifest.Ref, found []drift.Difference, now time.Time) []difference {
	before := d.settle(ref)
	var all []difference
	for _, f := range found {
		next := difference{Difference: f, ref: ref, since: now, repaired: now}
		if i := slices.IndexFunc(before, func(o difference) bool { return o.Path == f.Path }); i >= 0 {
			next.since = before[i].since
		}
		d.repaired = slices.DeleteFunc(d.repaired, func(o difference) bool { return o.ref == ref && o.Path == f.Path })
		all = append(all, next)
	}
	d.repaired = newest(append(d.repaired, all...))
	return all
}

// contend notes that an object is not repaired for a while, because somebody keeps changing it: what was repaired last stands
// again, as far as is known. It answers who does it, empty if nobody can be told, and whether that is news.
func (d *drifts) contend(ref manifest.Ref, now time.Time) (manager string, news bool) {
	if news = !d.left[ref].contended; news {
		var again []drift.Difference
		d.repaired = slices.DeleteFunc(d.repaired, func(o difference) bool {
			if o.ref == ref {
				again = append(again, o.Difference)
			}
			return o.ref == ref
		})
		d.leave(ref, judgement{differs: true, contended: true}, again, reasonContended, now)
	}
	for _, o := range d.standing {
		if o.ref == ref && o.Manager != "" {
			manager = o.Manager
		}
	}
	return manager, news
}

// forget drops what is known of objects that the bundle has no more.
func (d *drifts) forget(has func(manifest.Ref) bool) {
	maps.DeleteFunc(d.left, func(ref manifest.Ref, _ judgement) bool { return !has(ref) })
	d.standing = slices.DeleteFunc(d.standing, func(o difference) bool { return !has(o.ref) })
}

// count is how many objects differ now.
func (d *drifts) count() int {
	n := 0
	for _, j := range d.left {
		if j.differs {
			n++
		}
	}
	return n
}

// told is what a report says: what stands, then what was repaired lately, the newest first.
func (d *drifts) told(now time.Time) []*yardarmv1.Drift {
	d.repaired = slices.DeleteFunc(d.repaired, func(o difference) bool { return now.Sub(o.repaired) > repairedFor })
	var all []*yardarmv1.Drift
	for _, list := range [][]difference{d.standing, d.repaired} {
		for _, o := range slices.Backward(list) {
			if len(all) == maxDrift {
				return all
			}
			all = append(all, o.told())
		}
	}
	return all
}

func (o *difference) told() *yardarmv1.Drift {
	d := &yardarmv1.Drift{
		Object: o.ref.String(), Path: o.Path, Desired: o.Desired, Live: o.Live, Manager: o.Manager,
		Since: timestamppb.New(o.since), Reason: o.reason,
	}
	if !o.repaired.IsZero() {
		d.Corrected = timestamppb.New(o.repaired)
	}
	return d
}

func newest(all []difference) []difference {
	if n := len(all) - keptDrift; n > 0 {
		return slices.Delete(all, 0, n)
	}
	return all
}
