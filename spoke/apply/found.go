package apply

import (
	"context"

	"github.com/yardarm-dev/yardarm/spoke/drift"
)

// asFound answers an item as it is to be sent over what is there now: with the fields that are to be left alone as they are. It
// reads the live object where there may be such fields, and where the caller wants to know what was there.
func (a *Applier) asFound(ctx context.Context, item Item) (Item, error) {
	leaves := len(item.Ignore) > 0 || item.Scaled
	mayLeave := (item.Fresh || item.Unseen) && scales(item)
	if !leaves && !mayLeave && !item.Suspect {
		return item, nil
	}
	found, err := a.read(ctx, item)
	switch {
	case gone(err):
		item.Gone = true
	case err == nil:
		item.Live = found
		item.whole, item.Object = item.Object, drift.Leave(item.Object, item.Ignore, found)
	case leaves:
		return item, err // applied blindly, it would reset what is to be left
	}
	// Who may not read it may still apply it; what was there is not known then.
	return item, nil
}

// anew answers an item as it is sent where nothing is.
func (i Item) anew() Item {
	if i.whole != nil {
		i.Object = i.whole
	}
	return i
}

// scales tells whether an object sets what autoscalers set.
func scales(item Item) bool {
	spec, _ := item.Object["spec"].(map[string]any)
	_, ok := spec["replicas"]
	return ok
}

// Preview finds out what an apply would make of items, over whatever others have set, and writes nothing. Applied is called
// with the answers; with none for an object that is gone.
func (a *Applier) Preview(ctx context.Context, items []Item, o Options) ChangeSet {
	var set ChangeSet
	a.each(ctx, items, o.Stop, &set, func(ctx context.Context, item Item) error {
		item, err := a.asFound(ctx, item)
		if err != nil {
			return err
		}
		if item.Gone {
			o.Applied(item, nil)
			return nil
		}
		answer, err := a.patch(ctx, item, request{dry: true})
		if err == nil {
			o.Applied(item, answer)
		}
		return err
	})
	return set
}
