package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/kube"
	"github.com/yardarm-dev/yardarm/spoke/live"
)

// confirmWithin is how long Prune waits for the objects of a stage to be gone before it leaves the rest to a later call. Most
// have no finalizers and are gone at once.
const confirmWithin = 2 * time.Second

// Target is an object to take away: what an inventory knows of it.
type Target struct {
	Ref     manifest.Ref
	Version string // of the API, in which it was applied
	UID     string // empty if it is not known
	// Keep is the bundle's word for objects that say nothing of whether they are to be kept.
	Keep bool
}

// owned tells whether a live object still is the bundle's. One that bears its owner's mark under another UID was made anew: by us, if it has an
// entry of ours in managedFields, and otherwise by somebody who copied the mark.
func (t *Target) owned(found metav1.Object, owner string) bool {
	return found.GetAnnotations()[yardarmv1.AnnotationOwner] == owner && (string(found.GetUID()) == t.UID || appliedBy(found) == owner)
}

// Removed is what came of targets. Each is in one of the lists.
type Removed struct {
	// Gone are those that are there no more, or that were the bundle's no more.
	Gone []manifest.Ref
	// Left are those that must be tried again: not reached yet, or held up by the problem that Problems has for it.
	Left     []manifest.Ref
	Problems []*Problem
}

// Prune deletes targets that still are the bundle's, in the reverse order of apply. Later stages wait until earlier ones are
// gone, since the finalizers of objects may need the workloads that were applied before them. Objects that are to be kept are
// released instead.
func (a *Applier) Prune(ctx context.Context, owner string, targets []Target, stop <-chan struct{}) Removed {
	return a.remove(ctx, targets, stop, func(ctx context.Context, t Target, kind kube.Kind) error {
		return a.prune(ctx, owner, t, kind)
	})
}

// Release lets targets go that still are the bundle's: its label and annotation are taken off them, and all else stays.
func (a *Applier) Release(ctx context.Context, owner string, targets []Target, stop <-chan struct{}) Removed {
	return a.remove(ctx, targets, stop, func(ctx context.Context, t Target, kind kube.Kind) error {
		return a.releaseOne(ctx, owner, t, kind)
	})
}

// remove calls one for each target, stage by stage, until it answers nil for all of a stage.
func (a *Applier) remove(ctx context.Context, targets []Target, stop <-chan struct{}, one func(context.Context, Target, kube.Kind) error) Removed {
	var out Removed
	blocked := false
	for _, stage := range deleteOrder(targets) {
		if blocked {
			for _, t := range stage {
				out.Left = append(out.Left, t.Ref)
			}
			continue
		}
		deadline := time.Now().Add(confirmWithin)
		wait := pollFirst
		for {
			gone, left, problems := a.removeStage(ctx, stage, stop, one)
			out.Gone = append(out.Gone, gone...)
			stage = left
			if len(left) == 0 {
				break
			}
			// What cannot be deleted at all does not hold up the rest; what is about to go does.
			going := slices.ContainsFunc(problems, func(p *Problem) bool { return p.Reason == ReasonFinalizers })
			unreached := len(problems) < len(left)
			if !going || unreached || time.Now().After(deadline) || !pause(ctx, stop, &wait) {
				blocked = going || unreached
				for _, t := range left {
					out.Left = append(out.Left, t.Ref)
				}
				out.Problems = append(out.Problems, problems...)
				break
			}
		}
	}
	return out
}

func (a *Applier) removeStage(ctx context.Context, stage []Target, stop <-chan struct{}, one func(context.Context, Target, kube.Kind) error) (gone []manifest.Ref, left []Target, problems []*Problem) {
	var group sync.WaitGroup
	var mu sync.Mutex // guards the results
	slots := make(slots, a.slots)
	for _, t := range stage {
		if !slots.acquire(ctx, stop) {
			mu.Lock()
			left = append(left, t)
			mu.Unlock()
			continue
		}
		group.Go(func() {
			defer slots.release()
			ctx, cancel := context.WithTimeout(ctx, requestTimeout)
			defer cancel()
			err := a.removeOne(ctx, t, one)
			// A kind that is not served any more has no objects any more.
			done := err == nil || errors.Is(err, kube.ErrUnknownKind)
			mu.Lock()
			defer mu.Unlock()
			if done {
				gone = append(gone, t.Ref)
				return
			}
			left = append(left, t)
			problems = append(problems, Explain(t.Ref, err))
		})
	}
	group.Wait()
	return gone, left, problems
}

// removeOne calls one in a version that is served. Where the mapper's knowledge is of old, an answer says that it is not: then once more, in another.
func (a *Applier) removeOne(ctx context.Context, t Target, one func(context.Context, Target, kube.Kind) error) error {
	for again := true; ; again = false {
		kind, err := a.mapper.AnyVersion(ctx, t.Ref.Group, t.Version, t.Ref.Kind)
		if err == nil {
			err = one(ctx, t, kind)
		}
		if !unserved(err) || !again {
			return err
		}
		a.mapper.Forget(t.Ref.Group)
	}
}

// prune deletes one object. It answers nil when the object is gone or no longer the bundle's.
func (a *Applier) prune(ctx context.Context, owner string, t Target, kind kube.Kind) error {
	look, resource := metadataOf(a.look, kind, t.Ref), metadataOf(a.metadata, kind, t.Ref)
	for {
		found, err := look.Get(ctx, t.Ref.Name, metav1.GetOptions{})
		switch {
		case gone(err) && !unserved(err):
			return nil
		case err != nil:
			return err
		case !t.owned(found, owner):
			a.logger.Info("object is another's now; left alone", "object", t.Ref.String())
			return nil
		case found.DeletionTimestamp != nil:
			return &Problem{Reason: ReasonFinalizers, Message: finalizers(t.Ref, found), Retry: Transient}
		case live.KeepOf(found.Annotations).Or(t.Keep):
			return a.releaseOne(ctx, owner, t, kind)
		}
		// Between the look and the deletion, the object may be made anew, or given to another: then look again.
		err = deleteSeen(ctx, resource, found)
		if err != nil && !gone(err) && !apierrors.IsConflict(err) {
			return err
		}
	}
}

// Look answers what Prune would find of a target: its live object, if it still is the bundle's. In doubt, it is there.
func (a *Applier) Look(ctx context.Context, owner string, t Target) (object live.Object, exists bool) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	kind, err := a.mapper.AnyVersion(ctx, t.Ref.Group, t.Version, t.Ref.Kind)
	if err != nil {
		return live.Object{}, !errors.Is(err, kube.ErrUnknownKind)
	}
	found, err := metadataOf(a.look, kind, t.Ref).Get(ctx, t.Ref.Name, metav1.GetOptions{})
	switch {
	case unserved(err):
		a.mapper.Forget(t.Ref.Group) // so that the next look sees it
		return live.Object{}, true
	case gone(err):
		return live.Object{}, false
	case err != nil:
		return live.Object{}, true
	}
	return live.Of(found), t.owned(found, owner)
}

// finalizers says what holds up a deletion.
func finalizers(ref manifest.Ref, m metav1.Object) string {
	since := m.GetDeletionTimestamp().UTC().Format(time.RFC3339)
	if len(m.GetFinalizers()) > 0 {
		return fmt.Sprintf("its deletion, asked for at %s, waits for finalizers: %s; see to the controller that removes them",
			since, few(m.GetFinalizers()))
	}
	if ref.Group == "" && ref.Kind == "Namespace" {
		return fmt.Sprintf("its deletion, asked for at %s, waits for the objects in it to be gone", since)
	}
	return fmt.Sprintf("its deletion, asked for at %s, is under way", since)
}

// releaseOne takes label and annotation off one object, if it still is the bundle's.
func (a *Applier) releaseOne(ctx context.Context, owner string, t Target, kind kube.Kind) error {
	look, resource := metadataOf(a.look, kind, t.Ref), metadataOf(a.metadata, kind, t.Ref)
	for {
		found, err := look.Get(ctx, t.Ref.Name, metav1.GetOptions{})
		if gone(err) && !unserved(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if found.Annotations[yardarmv1.AnnotationOwner] != owner {
			return nil
		}
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
			"uid": found.UID, "resourceVersion": found.ResourceVersion, // preconditions
			"labels":      map[string]any{yardarmv1.LabelBundle: nil},
			"annotations": map[string]any{yardarmv1.AnnotationOwner: nil},
		}})
		if err != nil {
			return err
		}
		_, err = resource.Patch(ctx, t.Ref.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: managerRelease})
		if !apierrors.IsConflict(err) {
			if gone(err) {
				return nil
			}
			return err
		}
	}
}

// managerRelease is the field manager of the patch that releases an object: not the one that applies, whose entry must stay
// what it was, in case that the object is adopted again.
const managerRelease = "yardarm-release"

// gone tells from an answer that an object is not there. A missing path says so too: its kind is gone, or its namespace.
func gone(err error) bool { return apierrors.IsNotFound(err) }

// unserved tells from an answer that its path is missing. The kind may still be served in another version.
func unserved(err error) bool { return apierrors.IsNotFound(err) && servedNot(err.Error()) }

// deleteOrder groups targets in the order of deletion.
func deleteOrder(targets []Target) [][]Target {
	byRef := make(map[manifest.Ref]Target, len(targets))
	refs := make([]manifest.Ref, len(targets))
	for i, t := range targets {
		refs[i] = t.Ref
		byRef[t.Ref] = t
	}
	var out [][]Target
	for _, group := range manifest.DeleteOrder(refs) {
		stage := make([]Target, len(group))
		for i, ref := range group {
			stage[i] = byRef[ref]
		}
		out = append(out, stage)
	}
	return out
}
