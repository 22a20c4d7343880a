package scenarios

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// One chart is rendered with other values for some clusters. A push that changes those moves these clusters alone: the others have the revision, and not one of their
// objects is written.
func TestVariantsReachTheirClusters(t *testing.T) {
	t.Parallel()
	w, clone, url := newSourceWorld(t)
	w.enrol(tokyo, lisbon)
	w.group("all")
	w.apply("apiVersion: yardarm.dev/v1\nkind: ClusterGroup\nmetadata: {name: small}\nspec: {selector: {matchLabels: {test: \"yes\", site: " + lisbon + "}}}\n")
	clone.Write("shop/Chart.yaml", "apiVersion: v2\nname: shop\nversion: 1.0.0\n")
	clone.Write("shop/templates/namespace.yaml", strings.ReplaceAll(namespace, "NS", w.id))
	clone.Write("shop/templates/one.yaml", strings.ReplaceAll(settings("one", "{{ .Values.size }}"), "NS", w.id))
	clone.Write("shop/values.yaml", "size: 9\n")
	w.push(clone, clone.Commit("begin", "shop/small.yaml", "size: 1\n"))
	bundle := "apiVersion: yardarm.dev/v1\nkind: Bundle\nmetadata: {name: web}\nspec:\n  targets: [{group: small, variant: small}, {group: all}]\n" +
		"  source:\n    git: {url: " + url + ", ref: {branch: main}, path: shop, credentials: fleet-repo, interval: 1h}\n    variants: [{name: small, valueFiles: [small.yaml]}]\n"
	w.apply(bundle)
	w.eventuallyHolds(tokyo, "one", "9")
	w.eventuallyHolds(lisbon, "one", "1")
	w.ready("web", 1)
	version := func(cluster string) string {
		t.Helper()
		o, err := w.objects(cluster, configMaps).Get(w.ctx, "one", metav1.GetOptions{})
		w.must(err)
		return o.GetResourceVersion()
	}
	untouched := version(tokyo)
	reader := w.newReader()
	reader.says(w.do("describe", "revision", "web-1"), "small", "(none)")

	w.push(clone, clone.Commit("smaller", "shop/small.yaml", "size: 0\n"))
	w.eventuallyHolds(lisbon, "one", "0")
	w.ready("web", 2)
	if is := version(tokyo); is != untouched {
		t.Errorf("an object of the other variant was written: version %s, before %s", is, untouched)
	}
	reader.says(w.do("events", "--bundle", "web"), "revision 2 begins its way through 1 cluster in ", "nothing changes in 1 more")
	reader.says(w.do("why", tokyo, "web"), "revision 2")

	// A target gets another variant by applying the bundle, and its own again by an undo.
	w.apply(strings.Replace(bundle, "{group: small, variant: small}", "{group: small}", 1))
	w.eventuallyHolds(lisbon, "one", "9")
	w.ready("web", 3)
	w.do("rollout", "undo", "bundle/web")
	w.eventuallyHolds(lisbon, "one", "0")
	w.ready("web", 4)
	if is := version(tokyo); is != untouched {
		t.Errorf("an object of the other variant was written: version %s, before %s", is, untouched)
	}
	w.refused(2, []string{"apply", "-f", w.files(strings.Replace(bundle, "variant: small", "variant: none", 1))}, "spec.targets[0].variant", `names "none"`, "small")
}
