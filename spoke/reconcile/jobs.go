package reconcile

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/apply"
	"github.com/yardarm-dev/yardarm/spoke/health"
	"github.com/yardarm-dev/yardarm/spoke/inventory"
	"github.com/yardarm-dev/yardarm/spoke/live"
)

// reasonJobFailed is that of a Job that has failed and is gone.
const reasonJobFailed = "JobFailed"

func isJob(ref manifest.Ref) bool { return ref.Group == "batch" && ref.Kind == "Job" }

// endOf answers how a Job has ended; empty if it has not, or is none.
func endOf(object *unstructured.Unstructured) inventory.Ended {
	if gk := object.GroupVersionKind(); gk.Group != "batch" || gk.Kind != "Job" {
		return ""
	}
	switch succeeded, ended := health.Ended(object); {
	case !ended:
		return ""
	case succeeded:
		return inventory.EndedWell
	}
	return inventory.EndedBadly
}

// ending is what the watch told of a Job's end.
type ending struct {
	uid string
	how inventory.Ended
}

// ends notes what the watch tells of a Job's end, before the Job can delete itself. It never blocks.
func (b *bundle) ends(ref manifest.Ref, o live.Object) {
	e := ending{o.UID, inventory.EndedBadly}
	if o.End == live.EndDone {
		e.how = inventory.EndedWell
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.endings == nil {
		b.endings = map[manifest.Ref]ending{}
	}
	b.endings[ref] = e
	b.rouse()
}

// noteEndings writes down how Jobs have ended by what the watch told, if it was about those that the bundle has made. That one is failing is
// its end only once it is gone; until then it is kept in mind.
func (b *bundle) noteEndings(ctx context.Context, endings map[manifest.Ref]ending) {
	ends := map[manifest.Ref]inventory.Ended{}
	for ref, e := range endings {
		switch _, exists, known := b.r.watcher.Get(ref); {
		case b.inv.Entries[ref].UID != e.uid:
		case e.how == inventory.EndedBadly && (exists || !known):
			b.keepInMind(ref, e)
		default:
			ends[ref] = e.how
		}
	}
	b.noteEnds(ctx, ends)
}

// keepInMind has the next turn look again, which its deletion brings about, unless the watch has told more since.
func (b *bundle) keepInMind(ref manifest.Ref, e ending) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.endings == nil {
		b.endings = map[manifest.Ref]ending{}
	}
	if _, newer := b.endings[ref]; !newer {
		b.endings[ref] = e
	}
}

// noteEnds writes down how Jobs have ended, if that is news: a spoke that is restarted must know it of those that are gone by then.
func (b *bundle) noteEnds(ctx context.Context, ends map[manifest.Ref]inventory.Ended) {
	news := false
	for ref, how := range ends {
		e, ok := b.inv.Entries[ref]
		if !ok || e.Content == 0 || e.Ended == how {
			continue
		}
		e.Ended, e.Round, news = how, b.asked, true
		b.inv.Entries[ref] = e
	}
	if !news {
		return
	}
	if err := b.r.inventory.Save(ctx, b.inv); err != nil {
		b.logger.Warn("cannot write down yet that jobs have ended", "error", err)
		b.lost(ctx, err)
	}
}

// served tells whether an item that is not there is a Job that has done its work and deleted itself. That is neither drift nor to be done again. One
// that has failed is not either, until somebody asks to reconcile: it would fail again and again, with all that it does on the way.
func (b *bundle) served(item apply.Item, e inventory.Entry) bool {
	if !isJob(item.Ref) || !health.DeletesItself(item.Object) {
		return false
	}
	switch {
	case e.Ended == inventory.EndedWell:
		b.judge(item.Ref, health.Result{}, 0)
	case e.Ended == inventory.EndedBadly && e.Round == b.asked:
		b.judge(item.Ref, health.Result{State: health.Failing, Reason: reasonJobFailed,
			Message: "the job has failed, and has deleted itself since; to run it again, change it or ask to reconcile"}, 0)
	default:
		return false
	}
	return true
}

// spent tells whether nothing is left of a Job that has ended, so that there is nothing to look at.
func (b *bundle) spent(ref manifest.Ref, e inventory.Entry) bool {
	if e.Ended == "" {
		return false
	}
	_, exists, known := b.r.watcher.Get(ref)
	return known && !exists
}
