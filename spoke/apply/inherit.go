package apply

import (
	"context"
	"encoding/json"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/csaupgrade"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/spoke/live"
)

// predecessors are the field managers of tools that bring whole manifests, as the bundle does now. What one of them had of an object that is
// taken over is the bundle's: otherwise a field that has left the manifest would stay for ever, as theirs.
var predecessors = sets.New(
	"kubectl-client-side-apply", // kubectl apply
	"kubectl-last-applied",      // its annotation, after it has changed sides itself
	"kubectl",                   // kubectl apply --server-side
	"kubectl-create", "kubectl-replace",
	"helm",
	"kustomize-controller", "helm-controller", // Flux
	"argocd-controller",
)

// inherit makes a clean takeover of an object that was just applied for the first time: it takes the fields of predecessors into our entry, and
// applies once more, which removes those that the bundle has not. answer is the first apply's, and tells whether there is anything to
// inherit. An object that was taken over because it is alike stays as it is: its predecessors only lose their claims.
func (a *Applier) inherit(ctx context.Context, item Item, answer *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	for range introductions {
		entries := answer.GetManagedFields()
		if !slices.ContainsFunc(entries, precedes) {
			return answer, nil
		}
		alike := item.Delivery.Takeover == yardarmv1.TakeoverIfNoDiff
		entries, err := withoutPredecessors(entries, !alike)
		if err != nil {
			return nil, err
		}
		a.logger.Info("object was applied by others before; taking their fields over", "object", item.Ref.String(), "managers", managers(answer))
		after, err := a.replaceManagedFields(ctx, item, answer, entries)
		switch {
		case apierrors.IsConflict(err):
			// Changed since.
			if answer, err = a.read(ctx, item); err != nil {
				return nil, err
			}
			continue
		case err != nil:
			return nil, err
		case alike:
			return after, nil
		}
		return a.patch(ctx, item, requestFor(item))
	}
	return answer, nil // the next pass finds the bundle's objects as they should be, but for fields of others
}

// precedes tells whether an entry is a predecessor's.
func precedes(e metav1.ManagedFieldsEntry) bool {
	return e.Subresource == "" && predecessors.Has(e.Manager)
}

// withoutPredecessors answers entries less those of predecessors, whose fields go to our entry if they are to be taken.
func withoutPredecessors(entries []metav1.ManagedFieldsEntry, take bool) ([]metav1.ManagedFieldsEntry, error) {
	if !take {
		return slices.DeleteFunc(slices.Clone(entries), precedes), nil
	}
	object := &metav1.PartialObjectMetadata{}
	for _, e := range entries {
		if precedes(e) {
			e.Operation = metav1.ManagedFieldsOperationUpdate // the library knows no others
		}
		object.ManagedFields = append(object.ManagedFields, e)
	}
	err := csaupgrade.UpgradeManagedFields(object, predecessors, live.Manager)
	return object.ManagedFields, err
}

// replaceManagedFields writes who has which fields, and nothing else. It answers a conflict if the object is not as it was seen.
func (a *Applier) replaceManagedFields(ctx context.Context, item Item, seen *unstructured.Unstructured, entries []metav1.ManagedFieldsEntry) (*unstructured.Unstructured, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	type operation struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value any    `json:"value"`
	}
	patch, err := json.Marshal([]operation{
		{"replace", "/metadata/managedFields", entries},
		{"replace", "/metadata/resourceVersion", seen.GetResourceVersion()}, // a precondition
	})
	if err != nil {
		return nil, err
	}
	return a.resource(item.Kind, item.Ref).Patch(ctx, item.Ref.Name, types.JSONPatchType, patch, metav1.PatchOptions{FieldManager: live.Manager})
}
