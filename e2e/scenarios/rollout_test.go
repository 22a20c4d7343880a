package scenarios

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

var deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}

// A workload that fails is caught at the canary, which returns to what it had; no other cluster is touched.
func TestRolloutStopsAtTheCanary(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrol(lisbon, boston, tokyo)
	w.do("label", "cluster", lisbon, "yardarm.dev/canary=true")
	w.group("all")
	w.ready("web", w.publish("web", "all", namespace, settings("one", "1")))

	elsewhere := []func() []string{w.watchConfigMaps(boston), w.watchConfigMaps(tokyo)}
	w.publish("web", "all", namespace, settings("one", "2"), workload("broken", "registry.example/web:broken"))
	w.refused(3, []string{"wait", "bundle/web", "--revision", "2", "--timeout", (2 * patience).String()}, "rolled back", lisbon)
	w.refused(3, []string{"rollout", "watch", "bundle/web"}, "RolledBack")
	w.holds("one", "value", "1", lisbon, boston, tokyo)
	w.gone(lisbon, deployments, "broken")
	for _, writes := range elsewhere {
		if seen := writes(); slices.Contains(seen, "one=2") {
			t.Errorf("a cluster beyond the canary was touched: %v", seen)
		}
	}
	if out := w.do("rollout", "status", "bundle/web"); !strings.Contains(out, "RolledBack") || !strings.Contains(out, "canary: "+lisbon) {
		t.Errorf("status does not say what has failed:\n%s", out)
	}
	w.refused(1, []string{"rollout", "resume", "bundle/web"}, "rolled back")

	w.ready("web", w.publish("web", "all", namespace, settings("one", "3")))
	w.holds("one", "value", "3", lisbon, boston, tokyo)
}

// An approval is waited for; a pause holds across a restart of the hub; and a cluster that is away during all of it holds nothing up, and gets the
// revision when it comes back.
func TestRolloutWaitsForPeople(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrol(lisbon, boston, tokyo)
	w.group("all")
	w.apply(`apiVersion: yardarm.dev/v1
kind: Strategy
metadata: {name: asks}
spec:
  stages:
  - {name: first, selector: {matchLabels: {site: ` + lisbon + `}}, approval: after}
  - {name: rest}
---
apiVersion: yardarm.dev/v1
kind: Bundle
metadata: {name: web}
spec:
  targets: [{group: all}]
  rollout: {strategy: asks}
`)
	w.republish("web", namespace, settings("one", "1"))
	w.refused(4, []string{"wait", "bundle/web", "--revision", "1", "--timeout", patience.String()}, "awaits an approval", "first")
	w.refused(1, []string{"delete", "strategy", "asks"}, "web")
	w.do("rollout", "approve", "bundle/web", "-m", "the first one is fine")
	w.ready("web", 1)
	w.holds("one", "value", "1", lisbon, boston, tokyo)

	w.must(w.spokes[tokyo].Kill())
	w.presence(tokyo, "Stale")
	elsewhere := w.watchConfigMaps(boston)
	w.republish("web", namespace, settings("one", "2"))
	w.refused(4, []string{"wait", "bundle/web", "--revision", "2", "--timeout", patience.String()}, "awaits an approval")
	w.do("rollout", "pause", "bundle/web", "--revision", "2")
	w.must(w.hub.Stop())
	w.must(w.hub.Start(w.ctx))
	for _, name := range []string{lisbon, boston} {
		w.do("wait", "cluster/"+name, "--for", "connected", "--timeout", patience.String())
	}
	if out := w.do("rollout", "status", "bundle/web"); !strings.Contains(out, "Paused") {
		t.Errorf("the pause is lost:\n%s", out)
	}
	w.refused(1, []string{"rollout", "promote", "bundle/web"}, "paused")
	w.do("rollout", "resume", "bundle/web")
	w.refused(4, []string{"wait", "bundle/web", "--revision", "2", "--timeout", patience.String()}, "awaits an approval")
	if seen := elsewhere(); slices.Contains(seen, "one=2") {
		t.Errorf("a cluster of the next stage was touched: %v", seen)
	}
	w.do("rollout", "approve", "bundle/web")
	w.do("rollout", "watch", "bundle/web")
	w.holds("one", "value", "2", lisbon, boston)
	w.holds("one", "value", "1", tokyo)
	if out := w.do("rollout", "status", "bundle/web"); !strings.Contains(out, tokyo) || !strings.Contains(out, "away") {
		t.Errorf("the status says nothing of who is away:\n%s", out)
	}
	w.must(w.spokes[tokyo].Start(w.ctx, ""))
	w.ready("web", 2)
	w.holds("one", "value", "2", tokyo)

	// What a group's clusters make of it goes the same way.
	w.apply(`apiVersion: yardarm.dev/v1
kind: Bundle
metadata: {name: web}
spec:
  targets: [{group: all, customization: {patches: [{target: {kind: ConfigMap, name: one}, patch: "data: {value: three}"}]}}]
  rollout: {strategy: asks}
`)
	w.refused(4, []string{"wait", "bundle/web", "--revision", "3", "--timeout", patience.String()}, "awaits an approval")
	w.holds("one", "value", "three", lisbon)
	w.holds("one", "value", "2", boston, tokyo)
	w.do("rollout", "approve", "bundle/web")
	w.ready("web", 3)
	w.holds("one", "value", "three", lisbon, boston, tokyo)
}

// A freeze holds a revision back, and one that is bad from being taken back, until it is lifted; a cluster that is set aside follows later.
func TestRolloutWaitsForGates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrol(lisbon, boston)
	w.group("all")
	w.ready("web", w.publish("web", "all", namespace, settings("one", "1")))

	w.do("freeze", "aside", "--cluster", boston, "--reason", "its disks are looked into")
	w.publish("web", "all", namespace, settings("one", "2"))
	w.eventuallyHolds(lisbon, "one", "2")
	w.why(boston, "web", "GatedByFreeze", "its disks are looked into")
	w.holds("one", "value", "1", boston)
	w.do("unfreeze", "aside")
	w.ready("web", 2)
	w.holds("one", "value", "2", lisbon, boston)

	w.do("freeze", "--all", "--for", "1h", "--reason", "it is Friday")
	w.publish("web", "all", namespace, settings("one", "3"))
	w.rolloutSays("web", "waits until its clusters may be changed: freeze freeze-all until", "it is Friday")
	w.refused(2, []string{"rollout", "override", "bundle/web"}, "why")
	w.holds("one", "value", "2", lisbon, boston)
	w.do("rollout", "override", "bundle/web", "-m", "the shop is down")
	w.ready("web", 3)
	w.rolloutSays("web", "overridden", "the shop is down")
}

// rolloutSays waits until the status of a bundle's rollout says all of it.
func (w *world) rolloutSays(bundle string, words ...string) {
	w.t.Helper()
	w.eventually("the rollout says "+strings.Join(words, ", "), func() error {
		out := w.do("rollout", "status", "bundle/"+bundle)
		for _, word := range words {
			if !strings.Contains(out, word) {
				return fmt.Errorf("%q is not in:\n%s", word, out)
			}
		}
		return nil
	})
}
