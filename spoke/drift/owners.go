package drift

import (
	"bytes"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/yardarm-dev/yardarm/spoke/live"
)

// owners says who has which fields of an object.
type owners struct {
	// ours are the fields that we have by having applied them.
	ours *fieldpath.Set
	// others are the other managers, in the object's order.
	others []owner
	// scaled are the fields that an autoscaler has.
	scaled *fieldpath.Set
}

type owner struct {
	name   string
	fields *fieldpath.Set
}

// ownersOf reads an object's managedFields. An entry that cannot be read has no fields.
func ownersOf(object *unstructured.Unstructured) owners {
	o := owners{ours: fieldpath.NewSet(), scaled: fieldpath.NewSet()}
	if object == nil {
		return o
	}
	entries := object.GetManagedFields()
	for i := range entries {
		fields := fieldsOf(&entries[i])
		if live.Ours(&entries[i]) {
			o.ours = fields
			continue
		}
		o.others = append(o.others, owner{nameOf(&entries[i]), fields})
		if live.Autoscaler(&entries[i]) {
			o.scaled = o.scaled.Union(fields)
		}
	}
	return o
}

func fieldsOf(e *metav1.ManagedFieldsEntry) *fieldpath.Set {
	fields := fieldpath.NewSet()
	if e.FieldsV1 == nil || fields.FromJSON(bytes.NewReader(e.FieldsV1.GetRawBytes())) != nil {
		return fieldpath.NewSet()
	}
	return fields
}

// nameOf is how people are told of a manager: "kubectl-edit", "kubectl (scale)", "argocd (Apply)".
func nameOf(e *metav1.ManagedFieldsEntry) string {
	switch {
	case e.Subresource != "":
		return e.Manager + " (" + e.Subresource + ")"
	case e.Operation == metav1.ManagedFieldsOperationApply:
		return e.Manager + " (Apply)"
	}
	return e.Manager
}

// all are the fields that anybody has.
func (o *owners) all() *fieldpath.Set {
	all := o.ours
	for i := range o.others {
		all = all.Union(o.others[i].fields)
	}
	return all
}

// other answers which other manager has a field, or something in it; empty if none has.
func (o *owners) other(path fieldpath.Path) string {
	for i := range o.others {
		if touches(o.others[i].fields, path) {
			return o.others[i].name
		}
	}
	return ""
}

// touches tells whether a set has a path, or one below it.
func touches(set *fieldpath.Set, path fieldpath.Path) bool {
	below := under(set, path[:len(path)-1])
	last := path[len(path)-1]
	if below == nil {
		return false
	}
	if below.Members.Has(last) {
		return true
	}
	children, ok := below.Children.Get(last)
	return ok && !children.Empty()
}

// under answers the part of a set that is below a path; nil if there is none.
func under(set *fieldpath.Set, path fieldpath.Path) *fieldpath.Set {
	for _, step := range path {
		next, ok := set.Children.Get(step)
		if !ok {
			return nil
		}
		set = next
	}
	return set
}
