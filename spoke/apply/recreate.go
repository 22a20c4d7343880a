package apply

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/metadata"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// goneWithin is how long an object's deletion is waited for before it is left to a later pass. Without finalizers it takes some
// milliseconds.
const goneWithin = 10 * time.Second

// Grave tells whether deleting an object deletes what nobody named: what is in it, or of it.
func Grave(ref manifest.Ref) bool {
	switch ref.Group + "/" + ref.Kind {
	case crdGroup + "/" + crdKind, "/Namespace", "/PersistentVolumeClaim":
		return true
	}
	return false
}

// recreatable tells whether an item may be deleted where it cannot be changed.
func recreatable(item Item) bool {
	return item.Delivery.Recreate && !item.Delivery.IfNotPresent && !Grave(item.Ref)
}

// recreate deletes an object that cannot be changed into what the bundle has, and applies it anew. An object that no bundle applied is not
// deleted, since nobody said what becomes of what it holds. cause is what the API server said to the change.
func (a *Applier) recreate(ctx context.Context, item Item, stop <-chan struct{}, cause error) (*unstructured.Unstructured, error) {
	resource := metadataOf(a.metadata, item.Kind, item.Ref)
	deadline := time.Now().Add(goneWithin)
	wait := pollFirst
	for {
		found, err := lookAt(ctx, metadataOf(a.look, item.Kind, item.Ref), item.Ref.Name)
		switch {
		case gone(err):
			a.logger.Info("object is made anew", "object", item.Ref.String())
			item.Fresh = true // somebody else may be quicker
			return a.write(ctx, item, requestFor(item))
		case err != nil:
			return nil, err
		case found.DeletionTimestamp != nil:
			if time.Now().After(deadline) || !pause(ctx, stop, &wait) {
				return nil, &Problem{Reason: ReasonFinalizers, Retry: Transient, Message: "it is to be made anew; " + finalizers(item.Ref, found)}
			}
			continue
		case appliedBy(found) == "":
			return nil, precious(cause)
		}
		if err := deleteSeen(ctx, resource, found); err != nil && !gone(err) && !apierrors.IsConflict(err) {
			return nil, err
		}
	}
}

// expendable answers nil if recreate would delete what is there.
func (a *Applier) expendable(ctx context.Context, item Item, cause error) error {
	found, err := lookAt(ctx, metadataOf(a.look, item.Kind, item.Ref), item.Ref.Name)
	switch {
	case gone(err):
		return nil
	case err != nil:
		return err
	case appliedBy(found) == "":
		return precious(cause)
	}
	return nil
}

func precious(cause error) *Problem {
	return &Problem{Reason: ReasonImmutableField, Message: message(cause) +
		"; no bundle has applied what is there, so it is not deleted to be made anew: delete it, or undo the change of this field"}
}

// lookAt answers an object's metadata.
func lookAt(ctx context.Context, resource metadata.ResourceInterface, name string) (*metav1.PartialObjectMetadata, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return resource.Get(ctx, name, metav1.GetOptions{})
}

// deleteSeen deletes an object just as it was seen. If it was made anew since, or given to another, the answer is a conflict.
func deleteSeen(ctx context.Context, resource metadata.ResourceInterface, seen *metav1.PartialObjectMetadata) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	background := metav1.DeletePropagationBackground
	return resource.Delete(ctx, seen.Name, metav1.DeleteOptions{
		Preconditions:     &metav1.Preconditions{UID: &seen.UID, ResourceVersion: &seen.ResourceVersion},
		PropagationPolicy: &background,
	})
}
