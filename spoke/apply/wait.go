package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/kube"
)

// awaitUsable waits until the definitions among the applied items are served. What is not after establishTimeout is a
// problem; later stages go on, and fail for the objects concerned only. (A namespace can be written into at once; one that is being
// deleted says so for each object.)
func (a *Applier) awaitUsable(ctx context.Context, items []Item, applied []manifest.Ref, stop <-chan struct{}) []*Problem {
	var group sync.WaitGroup
	problems := make([]*Problem, len(items))
	for i, item := range items {
		if item.Ref.Group == crdGroup && item.Ref.Kind == crdKind && slices.Contains(applied, item.Ref) {
			group.Go(func() { problems[i] = a.awaitEstablished(ctx, item, stop) })
		}
	}
	group.Wait()
	return slices.DeleteFunc(problems, func(p *Problem) bool { return p == nil })
}

func (a *Applier) awaitEstablished(ctx context.Context, item Item, stop <-chan struct{}) *Problem {
	deadline := time.Now().Add(establishTimeout)
	wait := pollFirst
	for {
		why, err := a.established(ctx, item)
		if err == nil && why == "" {
			return nil
		}
		if time.Now().After(deadline) || !pause(ctx, stop, &wait) {
			if err != nil {
				return Explain(item.Ref, err)
			}
			return &Problem{Ref: item.Ref, Reason: ReasonNotEstablished, Message: why, Retry: Transient}
		}
	}
}

// established answers why a definition's kinds cannot be used; empty if they can.
func (a *Applier) established(ctx context.Context, item Item) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	crd, err := a.resource(item.Kind, item.Ref).Get(ctx, item.Ref.Name, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	conditions, _, _ := unstructured.NestedSlice(crd.Object, "status", "conditions")
	accepted := false
	for _, c := range conditions {
		condition, _ := c.(map[string]any)
		switch {
		case condition["type"] == "NamesAccepted" && condition["status"] == "False":
			return fmt.Sprintf("the API server does not accept the definition's names: %v; another definition has them", condition["message"]), nil
		case condition["type"] == "Established" && condition["status"] == "True":
			accepted = true
		}
	}
	if !accepted {
		return "the API server has not established the definition yet", nil
	}
	group, _, _ := unstructured.NestedString(crd.Object, "spec", "group")
	kind, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "kind")
	versions, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")
	for _, v := range versions {
		version, _ := v.(map[string]any)
		name, _ := version["name"].(string)
		if served, _ := version["served"].(bool); !served {
			continue
		}
		_, err := a.mapper.Kind(ctx, group, name, kind)
		if errors.Is(err, kube.ErrUnknownKind) {
			a.mapper.Forget(group)
			return fmt.Sprintf("the API server does not serve %s of %s/%s yet", kind, group, name), nil
		}
		if err != nil {
			return "", err
		}
	}
	return "", nil
}
