package cli

import (
	"slices"
	"strings"

	"github.com/yardarm-dev/yardarm/pkg/cli/resource"
	"github.com/yardarm-dev/yardarm/pkg/client"
)

// watchView shows a watch: first what there is, in the order of names, then a line or an object for each change.
type watchView struct {
	app   *app
	flags getFlags
	kind  resource.Type
	names []string
	keep  func(client.Object) bool
	view  *view

	synced bool
	first  []client.Object   // until synced
	shown  map[string]string // what was last said of each, by name
}

func (w *watchView) handle(change client.Change) error {
	if change.Type == client.Synced {
		w.synced = true
		slices.SortFunc(w.first, func(a, b client.Object) int {
			return strings.Compare(a.GetMetadata().GetName(), b.GetMetadata().GetName())
		})
		if len(w.first) == 0 {
			w.app.say("%s; waiting for the first", none(w.kind, w.flags.filter))
			return nil
		}
		return w.show(client.Added, w.first...)
	}
	name := change.Object.GetMetadata().GetName()
	if len(w.names) > 0 && !slices.Contains(w.names, name) {
		return nil
	}
	kind := change.Type
	_, before := w.shown[name]
	switch matches := kind != client.Deleted && w.keep(change.Object); {
	case !matches && !before:
		return nil
	case !matches:
		// Gone, or no longer what was asked for.
		kind = client.Deleted
	case !before:
		kind = client.Added
	default:
		kind = client.Modified
	}
	if kind == client.Deleted {
		delete(w.shown, name)
		if !w.synced {
			w.first = slices.DeleteFunc(w.first, func(o client.Object) bool { return o.GetMetadata().GetName() == name })
			return nil
		}
		return w.show(kind, change.Object)
	}
	news := w.view.news(change.Object)
	if w.isTable() && before && w.shown[name] == news {
		return nil // only the time has changed
	}
	w.shown[name] = news
	if !w.synced {
		w.first = append(w.first, change.Object)
		return nil
	}
	return w.show(kind, change.Object)
}

func (w *watchView) isTable() bool {
	return w.flags.output == formatTable || w.flags.output == formatWide
}

// show writes objects that a change of this type has happened to.
func (w *watchView) show(kind client.ChangeType, objects ...client.Object) error {
	switch {
	case w.isTable():
		for _, object := range objects {
			if kind == client.Deleted {
				w.view.addDeleted(object)
			} else {
				w.view.add(object)
			}
		}
		return w.app.write(w.view.table)
	case w.flags.output == formatName:
		return w.app.printObjects(formatName, objects, false)
	}
	for _, object := range objects {
		value, err := resource.Value(object)
		if err != nil {
			return err
		}
		if w.flags.types {
			value = map[string]any{"type": string(kind), "object": value}
		}
		if w.flags.output == formatYAML {
			w.app.print("---")
		}
		if err := w.app.printValue(w.flags.output, value); err != nil {
			return err
		}
	}
	return nil
}
