package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/yardarm-dev/yardarm/e2e/fleet"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/measure"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// measureApply applies the same files by a bundle and by kubectl, in turns, each time into a namespace of its own. One watch
// tells of both when the last object is there.
func (w *world) measureApply(ctx context.Context, f *Figures) error {
	kubectl, err := w.fastestKubectl(ctx)
	if err != nil {
		return err
	}
	f.detail.kubectlVersion = kubectl.version
	var ours, theirs []time.Duration
	for round := range w.Rounds {
		took, err := w.applyBundle(ctx, round)
		if err != nil {
			return err
		}
		ours = append(ours, took)
		took, err = w.applyKubectl(ctx, kubectl.path, fmt.Sprintf("kubectl-%d", round))
		if err != nil {
			return err
		}
		theirs = append(theirs, took)
		w.say("apply %d of %d: the spoke %s, kubectl %s", round+1, w.Rounds, short(ours[round]), short(took))
	}
	f.detail.ours, f.detail.kubectl = measure.Milliseconds(measure.Percentile(ours, 0.5)), measure.Milliseconds(measure.Percentile(theirs, 0.5))
	f.ApplyRatio = measure.Ratio(f.detail.ours, f.detail.kubectl)
	// The objects stay, as objects of nobody.
	for round := range w.Rounds {
		_, err := w.client.DeleteBundle(ctx, &hubv1.DeleteBundleRequest{Name: applyName(round), Workloads: yardarmv1.Workloads_WORKLOADS_KEEP})
		if err != nil {
			return err
		}
	}
	return w.awaitReady(ctx, 0)
}

func applyName(round int) string { return fmt.Sprintf("apply-%d", round) }

func (w *world) applyBundle(ctx context.Context, round int) (time.Duration, error) {
	name := applyName(round)
	if err := w.with.makeNamespace(ctx, name); err != nil {
		return 0, err
	}
	if err := w.makeBundle(ctx, name, groupApply, name); err != nil {
		return 0, err
	}
	files := manifests("app", w.Applied, round)
	return w.with.untilThere(ctx, name, w.Applied, func(ctx context.Context) error { return w.publish(ctx, name, files) })
}

func (w *world) applyKubectl(ctx context.Context, kubectl, namespace string) (time.Duration, error) {
	dir := filepath.Join(w.Dir, namespace)
	if err := writeFiles(dir, manifests("app", w.Applied, 0)); err != nil {
		return 0, err
	}
	if err := w.with.makeNamespace(ctx, namespace); err != nil {
		return 0, err
	}
	return w.with.untilThere(ctx, namespace, w.Applied, func(ctx context.Context) error {
		return fleet.Exec(ctx, kubectl, "--kubeconfig", w.with.cluster.KubeconfigPath(), "--namespace", namespace, "apply", "--server-side", "-f", dir).Err()
	})
}

func writeFiles(dir string, files []manifest.File) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f.Path), f.Data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// program is a kubectl, and what it says it is.
type program struct{ path, version string }

// fastestKubectl tries the control plane's own kubectl and that of PATH, once each, and answers the faster one: a slow one is no measure.
func (w *world) fastestKubectl(ctx context.Context) (program, error) {
	found := []program{{w.Bin.Path("kubectl"), "kubectl " + w.Bin.KubernetesVersion}}
	if path, err := exec.LookPath("kubectl"); err == nil {
		found = append(found, program{path, "the kubectl of PATH"})
	}
	var best program
	var least time.Duration
	for i, p := range found {
		took, err := w.applyKubectl(ctx, p.path, fmt.Sprintf("try-kubectl-%d", i))
		if err != nil && i == 0 {
			return program{}, err
		}
		if err != nil {
			w.say("%s does not serve: %s", p.path, strings.TrimSpace(err.Error()))
			continue
		}
		w.say("%s (%s) takes %s", p.version, p.path, short(took))
		if best.path == "" || took < least {
			best, least = p, took
		}
	}
	return best, nil
}

// untilThere does something that makes n objects in a namespace, and answers how long it took until the last of them was there.
func (s *site) untilThere(ctx context.Context, namespace string, n int, do func(context.Context) error) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	missing := map[object]bool{}
	for _, o := range objectsOf("app", n) {
		missing[o] = true
	}
	events := make(chan object)
	watches, watchCtx := errgroup.WithContext(ctx)
	defer func() { cancel(); _ = watches.Wait() }() // ended by cancel, with its error
	for _, resource := range kinds {
		w, err := s.dynamic.Resource(resource).Namespace(namespace).Watch(ctx, metav1.ListOptions{})
		if err != nil {
			return 0, err
		}
		watches.Go(func() error { return forward(watchCtx, w, resource, events) })
	}
	began := time.Now()
	done := make(chan error, 1)
	go func() { done <- do(ctx) }()
	running, last := true, began
	for running || len(missing) > 0 {
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("%d of %d objects are not in namespace %s: %w", len(missing), n, namespace, ctx.Err())
		case err := <-done:
			if running = false; err != nil {
				return 0, err
			}
		case o := <-events:
			if missing[o] {
				delete(missing, o)
				last = time.Now()
			}
		}
	}
	return last.Sub(began), nil
}

// forward tells of each object that appears.
func forward(ctx context.Context, w watch.Interface, resource schema.GroupVersionResource, to chan<- object) error {
	defer w.Stop()
	for event := range w.ResultChan() {
		named, ok := event.Object.(metav1.Object)
		if !ok || event.Type != watch.Added {
			continue
		}
		select {
		case to <- object{resource, named.GetName()}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func short(d time.Duration) string { return d.Round(time.Millisecond).String() }
