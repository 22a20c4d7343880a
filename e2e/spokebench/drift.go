package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/yardarm-dev/yardarm/e2e/fleetsim/measure"
)

// measureDrift edits and deletes managed objects, one after the other, each once.
func (w *world) measureDrift(ctx context.Context, f *Figures, revision int) error {
	edited, deleted := victims(w.Sizes)
	var took []time.Duration
	for i := range w.Edits {
		from, damage := edited, edit
		if i%2 == 1 {
			from, damage = deleted, remove
		}
		if i/2 >= len(from) {
			break
		}
		d, err := w.with.untilRepaired(ctx, from[i/2], fmt.Sprint(revision), damage)
		if err != nil {
			return err
		}
		took = append(took, d)
	}
	f.detail.drifts = len(took)
	f.DriftP99 = measure.Milliseconds(measure.Percentile(took, 0.99))
	w.say("%d edits and deletions repaired: p50 %s, p99 %s, the last %s", len(took), short(measure.Percentile(took, 0.5)), short(measure.Percentile(took, 0.99)), short(measure.Percentile(took, 1)))
	return nil
}

// victims are the config maps, which are edited, and the secrets, which are deleted; spread over all bundles.
func victims(s Sizes) (edited, deleted []object) {
	for i := range s.PerBundle {
		for b := range s.Bundles {
			switch o := objectsOf(bundleName(b), s.PerBundle)[i]; o.resource {
			case configMaps:
				edited = append(edited, o)
			case secrets:
				deleted = append(deleted, o)
			}
		}
	}
	return edited, deleted
}

// damage is done to an object by somebody else.
type damage func(context.Context, *site, object) error

func edit(ctx context.Context, s *site, o object) error {
	_, err := s.dynamic.Resource(o.resource).Namespace(namespace).Patch(ctx, o.name, types.MergePatchType,
		[]byte(`{"metadata":{"annotations":{"revision":"edited"}},"data":{"revision":"edited"}}`), metav1.PatchOptions{FieldManager: "somebody"})
	return err
}

func remove(ctx context.Context, s *site, o object) error {
	return s.dynamic.Resource(o.resource).Namespace(namespace).Delete(ctx, o.name, metav1.DeleteOptions{})
}

// untilRepaired answers how long it takes from before the damage until the API server tells that the object is as it was.
func (s *site) untilRepaired(ctx context.Context, o object, revision string, do damage) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	resource := s.dynamic.Resource(o.resource).Namespace(namespace)
	before, err := resource.Get(ctx, o.name, metav1.GetOptions{})
	if err != nil {
		return 0, err
	}
	if !intact(before, revision) {
		return 0, fmt.Errorf("%s is not as published before anybody has touched it", o.name)
	}
	events, err := resource.Watch(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("metadata.name", o.name).String(), ResourceVersion: before.GetResourceVersion(),
	})
	if err != nil {
		return 0, err
	}
	defer events.Stop()
	began := time.Now()
	if err := do(ctx, s, o); err != nil {
		return 0, err
	}
	for damaged := false; ; {
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("%s is not repaired: %w", o.name, ctx.Err())
		case event, ok := <-events.ResultChan():
			if !ok {
				return 0, errors.New("the watch has ended")
			}
			found, ok := event.Object.(*unstructured.Unstructured)
			switch {
			case !ok:
				return 0, fmt.Errorf("watch %s: %v", o.name, event.Object)
			case event.Type == watch.Deleted, !intact(found, revision):
				damaged = true
			case damaged:
				return time.Since(began), nil
			}
		}
	}
}

// intact tells whether an object is as it was published.
func intact(o *unstructured.Unstructured, revision string) bool {
	if o.GetKind() == "Secret" {
		return o.GetAnnotations()["revision"] == revision
	}
	value, _, _ := unstructured.NestedString(o.Object, "data", "revision")
	return value == revision && o.GetAnnotations()["revision"] == revision
}
