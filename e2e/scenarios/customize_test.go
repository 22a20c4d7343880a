package scenarios

import (
	"strings"
	"testing"
)

// One artifact for all sites, and what each makes of it: by its target, its labels and the bundle's variables. A site that
// lacks a value fails alone, names it, and keeps what it has.
func TestCustomization(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrol(lisbon, tokyo)
	w.group("all")
	w.apply(`apiVersion: yardarm.dev/v1
kind: ClusterGroup
metadata: {name: asia}
spec: {selector: {matchLabels: {site: tokyo}}}
---
apiVersion: yardarm.dev/v1
kind: Bundle
metadata: {name: web}
spec:
  customization:
    substitute: true
    variables: {tier: standard}
  targets:
  - group: asia
    customization:
      variables: {tier: gold}
      patches:
      - target: {kind: ConfigMap, name: one}
        patch: |
          data: {currency: JPY}
  - group: all
`)
	site := func(value string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one, namespace: NS}\n" +
			"data: {value: \"" + value + "\", currency: EUR, path: \"${HOME}/bin\"}\n"
	}
	w.ready("web", w.republish("web", namespace, site("${name}-${vars.tier}-${labels.shop:-none}")))
	w.holds("one", "value", "lisbon-standard-none", lisbon)
	w.holds("one", "value", "tokyo-gold-none", tokyo)
	w.holds("one", "currency", "EUR", lisbon)
	w.holds("one", "currency", "JPY", tokyo)
	w.holds("one", "path", "${HOME}/bin", lisbon, tokyo)
	w.previews(tokyo, "web", "tokyo-gold-none", "JPY")

	w.do("label", "cluster", lisbon, "shop=7")
	w.eventuallyHolds(lisbon, "one", "lisbon-standard-7")

	w.published("publish", w.files(namespace, site("shop ${labels.shop}")), "--bundle", "web", "--rollout", "all-at-once")
	w.eventuallyHolds(lisbon, "one", "shop 7")
	a := w.phase(tokyo, "web", "Failed")
	text := a.Status.Message
	for _, p := range a.GetStatus().GetReport().GetProblems() {
		text += " " + p.Object + " " + p.File + " " + p.Message
	}
	for _, word := range []string{"labels.shop", "ConfigMap " + w.id + "/one", "data.value", "01.yaml"} {
		if !strings.Contains(text, word) {
			t.Errorf("the failure does not name %s: %s", word, text)
		}
	}
	w.refused(1, []string{"preview", "bundle/web", "--cluster", tokyo}, "labels.shop", "01.yaml: ConfigMap "+w.id+"/one", "data.value")
	w.said(w.cli.Run(w.ctx, "describe", "assignment", tokyo+".web"), 0, "FILE", "01.yaml", "labels.shop")
	w.phase(lisbon, "web", "Ready")
	w.edit(tokyo, "one", "drifted")
	w.eventuallyHolds(tokyo, "one", "tokyo-gold-none") // what it has is kept up, as it was customized

	w.do("label", "cluster", tokyo, "shop=8")
	w.eventuallyHolds(tokyo, "one", "shop 8")
	w.phase(tokyo, "web", "Ready")

	// Another customization is another revision, and takes no publication.
	w.apply(`apiVersion: yardarm.dev/v1
kind: Bundle
metadata: {name: web}
spec:
  customization:
    substitute: true
    patches:
    - patch: |
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: one, namespace: ` + w.id + `}
        data: {currency: "${labels.site}"}
  targets: [{group: asia}, {group: all}]
`)
	w.ready("web", 3)
	w.holds("one", "currency", "lisbon", lisbon)
	w.holds("one", "currency", "tokyo", tokyo)
	w.do("rollout", "undo", "bundle/web")
	w.ready("web", 4)
	w.holds("one", "currency", "JPY", tokyo)

	// A patch does not get out of its object. It goes to all at once, and stays where it fails.
	w.apply(`{apiVersion: yardarm.dev/v1, kind: Bundle, metadata: {name: web}, spec: {rollout: {stages: [{concurrency: 100%, failureBudget: 100%}]}, targets: [{group: all, customization: {patches: [
{target: {kind: ConfigMap}, patch: "metadata: {namespace: kube-system}"}]}}]}}`)
	w.because(lisbon, "web", "Failed", "namespace")
	w.said(w.cli.RunWith(w.ctx, `{apiVersion: yardarm.dev/v1, kind: Bundle, metadata: {name: web}, spec: {targets: [{group: all, customization: {patches: [
{target: {kind: ConfigMap}, patch: "data: [1"}]}}]}}`, "apply", "-f", "-"), 2, "spec.targets[0].customization.patches[0]")
}

// previews checks that the hub shows a bundle in a cluster as the spoke says that it has applied it, with these words.
func (w *world) previews(cluster, bundle string, words ...string) {
	w.t.Helper()
	a := w.phase(cluster, bundle, "Ready")
	w.said(w.cli.Run(w.ctx, "preview", "bundle/"+bundle, "--cluster", cluster), 0,
		append(words, "# digest "+a.Status.GetReport().GetRenderedDigest(), "# the cluster has applied the same")...)
}
