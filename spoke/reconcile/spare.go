package reconcile

import (
	"context"
	"slices"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/apply"
)

// spare takes out of todo what is to be made only where it is not there, and is there as somebody else's. Watches see only
// what bears our label, so it costs a read of each such object in each pass; looking before the inventory is written saves it
// from naming what is nobody's.
func (b *bundle) spare(ctx context.Context, w work, todo []apply.Item, out *outcome) []apply.Item {
	var doubtful []apply.Item
	for _, item := range todo {
		if item.Delivery.IfNotPresent {
			doubtful = append(doubtful, item)
		}
	}
	if len(doubtful) == 0 {
		return todo
	}
	// What cannot be read now is found out when it is applied.
	present, _ := b.applier.Present(ctx, doubtful, w.stop)
	b.leave(present, out)
	return slices.DeleteFunc(todo, func(i apply.Item) bool { return slices.Contains(present, i.Ref) })
}

// leave counts objects that are there as somebody else's, and forgets them: nobody's object is not deleted with the bundle.
func (b *bundle) leave(present []manifest.Ref, out *outcome) {
	out.applied += len(present)
	for _, ref := range present {
		delete(b.inv.Entries, ref)
	}
	b.r.claims.give(b.uid, present...)
}
