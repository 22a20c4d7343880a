package apply

import (
	"context"
	"maps"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/live"
)

// request is what a server-side apply asks besides the object.
type request struct {
	dry bool
	// yielding leaves fields that another manager has, and is refused because of them.
	yielding bool
	// version in which the object has to be; empty: in any, or not there.
	version string
}

func requestFor(item Item) request {
	return request{yielding: item.Delivery.Conflict == yardarmv1.ConflictFail}
}

// absent is the version of an object that is not there: an apply that names it creates the object, and is refused as a
// conflict where there is one. No object has it, since the first revision of an etcd is its empty one.
const absent = "1"

// deliver brings one object to the cluster, as its delivery says. It answers errPresent if it was left as it is.
func (a *Applier) deliver(ctx context.Context, item Item, stop <-chan struct{}) (*unstructured.Unstructured, error) {
	answer, err := a.write(ctx, item, requestFor(item))
	if err != nil && recreatable(item) && Explain(item.Ref, err).Reason == ReasonImmutableField {
		answer, err = a.recreate(ctx, item.anew(), stop, err)
	}
	if err == nil && item.Fresh && !item.Delivery.IfNotPresent {
		answer, err = a.inherit(ctx, item, answer)
	}
	return answer, err
}

// write applies one object, or finds out that this is not to be done.
func (a *Applier) write(ctx context.Context, item Item, r request) (*unstructured.Unstructured, error) {
	if item.Delivery.IfNotPresent || item.Fresh && item.Delivery.Takeover != yardarmv1.TakeoverAlways {
		return a.introduce(ctx, item, r)
	}
	return a.patch(ctx, item, r)
}

// patch is one server-side apply, unless the object's kind was defined a moment ago and is not served yet.
func (a *Applier) patch(ctx context.Context, item Item, r request) (*unstructured.Unstructured, error) {
	options := metav1.ApplyOptions{FieldManager: live.Manager, Force: !r.yielding}
	if r.dry {
		options.DryRun = []string{metav1.DryRunAll}
	}
	object := &unstructured.Unstructured{Object: item.Object}
	if r.version != "" {
		object = inVersion(item, r.version)
	}
	deadline := time.Now().Add(servedTimeout)
	wait := pollFirst
	for {
		answer, err := a.patchOnce(ctx, item, object, options)
		if err == nil {
			return answer, nil
		}
		if unserved(err) {
			a.mapper.Forget(item.Kind.Group)
		}
		if r.dry || !unserved(err) || !item.OwnKind || time.Now().After(deadline) || !pause(ctx, nil, &wait) {
			return nil, err
		}
	}
}

func (a *Applier) patchOnce(ctx context.Context, item Item, object *unstructured.Unstructured, options metav1.ApplyOptions) (*unstructured.Unstructured, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return a.resource(item.Kind, item.Ref).Apply(ctx, item.Ref.Name, object, options)
}

// inVersion answers the item's object with a resource version, which makes it a precondition. It copies what it changes.
func inVersion(item Item, version string) *unstructured.Unstructured {
	object := maps.Clone(item.Object)
	metadata, _ := object["metadata"].(map[string]any)
	metadata = maps.Clone(metadata)
	metadata["resourceVersion"] = version
	object["metadata"] = metadata
	return &unstructured.Unstructured{Object: object}
}

// read answers the live object.
func (a *Applier) read(ctx context.Context, item Item) (*unstructured.Unstructured, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return a.resource(item.Kind, item.Ref).Get(ctx, item.Ref.Name, metav1.GetOptions{})
}

// Present answers which of items are to be made only where they are not there, and are there as somebody else's.
func (a *Applier) Present(ctx context.Context, items []Item, stop <-chan struct{}) ([]manifest.Ref, []*Problem) {
	var set ChangeSet
	a.each(ctx, items, stop, &set, func(ctx context.Context, item Item) error {
		found, err := a.read(ctx, item)
		switch {
		case gone(err):
			return nil
		case err != nil:
			return err
		case appliedBy(found) == item.owner():
			return nil
		}
		return errPresent
	})
	return set.Present, set.Problems
}
