package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/spoke/live"
)

const (
	// introductions is how often an object may come, go or change between two requests before it is left to the next pass.
	introductions = 5
	// namedAtMost is how many fields or managers a message names.
	namedAtMost = 5
)

// errPresent says that an object is there, is not the bundle's, and is to be left alone.
var errPresent = errors.New("the object is there already")

// introduce applies an object for the first time, or one that is to be made only where it is not there. It tries to create it, which
// is one request in the usual case, and cannot overwrite what somebody else makes at the same time.
func (a *Applier) introduce(ctx context.Context, item Item, r request) (answer *unstructured.Unstructured, err error) {
	create := r
	create.version = absent
	for range introductions {
		answer, err = a.patch(ctx, item, create)
		if !apierrors.IsConflict(err) {
			return answer, err
		}
		found, readErr := a.read(ctx, item)
		if gone(readErr) {
			continue
		}
		if readErr != nil {
			return nil, readErr
		}
		answer, err = a.meet(ctx, item, found, r)
		if !apierrors.IsConflict(err) || conflicting(err) {
			return answer, err
		}
	}
	return nil, err
}

// meet decides about an object that is there already. An object that a spoke applied, and has not let go, is this bundle's, or was handed over to
// it by another one: bundles of one spoke keep apart by claims.
func (a *Applier) meet(ctx context.Context, item Item, found *unstructured.Unstructured, r request) (*unstructured.Unstructured, error) {
	switch {
	case item.Delivery.IfNotPresent && appliedBy(found) == item.owner():
		return found, nil
	case item.Delivery.IfNotPresent:
		return nil, errPresent
	case appliedBy(found) != "":
		return a.patch(ctx, item, r)
	case found.GetDeletionTimestamp() != nil:
		return nil, &Problem{Reason: ReasonFinalizers, Message: "it is somebody else's; " + finalizers(item.Ref, found), Retry: Waiting}
	case item.Delivery.Takeover == yardarmv1.TakeoverNever:
		return nil, refused("it is in the cluster already, and was made by " + managers(found))
	}
	return a.takeOverAlike(ctx, item, found, r)
}

// appliedBy answers the uid of the bundle that an object is marked with, if a spoke has applied it indeed: marks alone are copied easily.
func appliedBy(object metav1.Object) string {
	if live.Of(object).Fields == 0 {
		return ""
	}
	return object.GetAnnotations()[yardarmv1.AnnotationOwner]
}

// takeOverAlike takes over an object if that changes no field of it.
func (a *Applier) takeOverAlike(ctx context.Context, item Item, found *unstructured.Unstructured, r request) (*unstructured.Unstructured, error) {
	r.version = found.GetResourceVersion()
	// A dry run that yields is refused where somebody has a field with another value, and names both.
	dry := r
	dry.dry, dry.yielding = true, true
	answer, err := a.patch(ctx, item, dry)
	if conflicting(err) {
		return nil, refused("taking it over would change " + contested(err))
	}
	if err != nil {
		return nil, err
	}
	if fields := differences(found.Object, answer.Object); len(fields) > 0 {
		return nil, refused("taking it over would change " + few(fields))
	}
	if r.dry {
		return answer, nil
	}
	return a.patch(ctx, item, r)
}

func refused(why string) *Problem {
	return &Problem{Reason: ReasonTakeoverRefused, Message: fmt.Sprintf("%s; delete it, take it out of the bundle, or have the bundle take it over "+
		"with the annotation %s: %q", why, yardarmv1.AnnotationTakeover, yardarmv1.TakeoverAlways)}
}

// conflicting tells a conflict about fields from one about the object's version.
func conflicting(err error) bool {
	return apierrors.HasStatusCause(err, metav1.CauseTypeFieldManagerConflict)
}

// contested names the fields that a conflict is about, and who has each.
func contested(err error) string {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return "fields of others"
	}
	var all []string
	for _, cause := range status.Status().Details.Causes {
		if cause.Type != metav1.CauseTypeFieldManagerConflict {
			continue
		}
		// As in: conflict with "kubectl-edit" using apps/v1
		_, who, _ := strings.Cut(cause.Message, `"`)
		who, _, _ = strings.Cut(who, `"`)
		field := strings.ReplaceAll(strings.TrimPrefix(cause.Field, "."), `"`, "")
		all = append(all, clip(field)+" of "+clip(who))
	}
	return few(all)
}

// managers names who has fields of an object.
func managers(object metav1.Object) string {
	var all []string
	for _, entry := range object.GetManagedFields() {
		if name := clip(entry.Manager); entry.Subresource == "" && !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	if len(all) == 0 {
		return "somebody who cannot be told"
	}
	return few(all)
}

// few lists the first of names, and says if there are more.
func few(names []string) string {
	if more := len(names) - namedAtMost; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:namedAtMost], ", "), more)
	}
	return strings.Join(names, ", ")
}
