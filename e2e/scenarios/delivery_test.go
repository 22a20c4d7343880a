package scenarios

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/yardarm-dev/yardarm/e2e/fleet"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// bundle is a resource with a delivery policy.
func bundle(name, delivery string) string {
	return "apiVersion: yardarm.dev/v1\nkind: Bundle\nmetadata: {name: " + name + "}\nspec: {targets: [{group: all}], delivery: " + delivery + "}\n"
}

// Drift that is only to be reported stays, and the hub says which field, what it should be, what it is and whose it is; a
// secret's value is never among that. Told to correct, the spoke repairs it, and says that it did.
func TestDriftIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrol(boston)
	w.group("all")
	w.apply(bundle("web", "{drift: report}"))
	w.ready("web", w.republish("web", namespace, settings("one", "1")))
	w.edit(boston, "one", "mine")
	w.drifts(boston, "web", func(d *yardarmv1.Drift) bool {
		return d.Object == "ConfigMap "+w.id+"/one" && d.Path == "data.value" && d.Desired == `"1"` && d.Live == `"mine"` &&
			strings.Contains(d.Manager, "somebody") && d.Reason == "ReportOnly" && d.Corrected == nil
	})
	w.phase(boston, "web", "Ready")
	w.refused(0, []string{"describe", "cluster", boston}, "data.value", "mine", "somebody")
	w.holds("one", "value", "mine", boston)

	w.apply(bundle("web", "{drift: correct}"))
	w.eventuallyHolds(boston, "one", "1")
	w.ready("web", 2)
	w.edit(boston, "one", "again")
	w.drifts(boston, "web", func(d *yardarmv1.Drift) bool {
		return d.Path == "data.value" && d.Live == `"again"` && d.Corrected != nil && d.Reason == ""
	})
	w.holds("one", "value", "1", boston)
}

// drifts waits until a report tells of a drift.
func (w *world) drifts(cluster, bundle string, ok func(*yardarmv1.Drift) bool) {
	w.t.Helper()
	w.eventually("drift of "+bundle+" in "+cluster+" is told", func() error {
		a, err := w.assignment(cluster, bundle)
		if drift := a.GetStatus().GetReport().GetDrift(); err == nil && !slices.ContainsFunc(drift, ok) {
			err = fmt.Errorf("told is: %v", drift)
		}
		return err
	})
}

// A bundle begins after what it depends on, and not before that is ready.
func TestDependencies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrol(tokyo)
	w.group("all")
	w.apply(bundle("web", "{dependsOn: [{bundle: db}]}"))
	w.republish("web", settings("web", "1"))
	w.because(tokyo, "web", "Pending", "db")
	w.publishAtOnce("db", "all", namespace, settings("db", "1"), lost)
	w.phase(tokyo, "db", "Failed")
	w.because(tokyo, "web", "Pending", "db")
	if err := w.absent(tokyo, configMaps, "web"); err != nil {
		t.Errorf("what depends on a failing bundle: %v", err)
	}
	w.ready("db", w.publish("db", "all", namespace, settings("db", "1")))
	w.ready("web", 1)
	w.holds("web", "value", "1", tokyo)

	// What has begun goes on, whatever becomes of what it depends on.
	w.publish("db", "all", namespace, settings("db", "1"), lost)
	w.phase(tokyo, "db", "Failed")
	w.edit(tokyo, "web", "mine")
	w.eventuallyHolds(tokyo, "web", "1")
	w.phase(tokyo, "web", "Ready")

	w.said(w.cli.RunWith(w.ctx, bundle("db", "{dependsOn: [{bundle: web}]}"), "apply", "-f", "-"), 1, "would wait for itself: db waits for web waits for db", "spec.delivery.dependsOn")
}

// because waits until a bundle has a phase whose message has a word.
func (w *world) because(cluster, bundle, phase, word string) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("%s in %s is %s because of %s", bundle, cluster, phase, word), func() error {
		a, err := w.assignment(cluster, bundle)
		if err == nil && (a.Status.Phase != phase || !strings.Contains(a.Status.Message, word)) {
			err = fmt.Errorf("it is %s (%s): %s", a.Status.Phase, a.Status.Reason, a.Status.Message)
		}
		return err
	})
}

// What the cluster's owner has forbidden is not done, whatever the hub says, and all else is. Freezing needs no hub either.
func TestClusterPolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	set := func(text string) {
		t.Helper()
		w.must(os.WriteFile(policy+".new", []byte(strings.ReplaceAll(text, "NS", w.id)), 0o600))
		w.must(os.Rename(policy+".new", policy))
	}
	set("namespaces: {allow: [NS]}\nclusterScoped: {allow: [core/Namespace]}\nkinds: {deny: [core/Secret]}\n")
	s := w.spokeAs(boston, boston, func(c *fleet.SpokeConfig) { c.Flags = append(c.Flags, "--policy", policy) })
	w.must(s.Enrol(w.ctx, w.cli, boston, "test=yes"))
	w.do("wait", "cluster/"+boston, "--for", "connected", "--timeout", patience.String())
	w.group("all")
	secret := "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: NS}\nstringData: {k: v}\n"
	w.publish("web", "all", namespace, settings("one", "1"), secret, strings.ReplaceAll(settings("far", "1"), "NS", "default"))
	w.phase(boston, "web", "Failed")
	w.eventually("both are denied by name of the rule", func() error {
		return errors.Join(w.blames(boston, "web", "Secret "+w.id+"/s", "PolicyDenied"), w.blames(boston, "web", "ConfigMap default/far", "PolicyDenied"))
	})
	w.refused(0, []string{"describe", "cluster", boston}, "kinds.deny[0]", "namespaces.allow")
	w.holds("one", "value", "1", boston)

	set("freeze: {reason: stocktaking until Monday}\n")
	w.because(boston, "web", "Held", "stocktaking until Monday")
	w.must(w.hub.Stop())
	w.edit(boston, "one", "mine")
	set("kinds: {deny: [core/Secret]}\nnamespaces: {allow: [NS]}\nclusterScoped: {allow: [core/Namespace]}\n")
	w.eventuallyHolds(boston, "one", "1")
	w.must(w.hub.Start(w.ctx))
	w.ready("web", w.publish("web", "all", namespace, settings("one", "2")))
	w.holds("one", "value", "2", boston)

	// A policy that cannot be read changes nothing, and is told until it can be.
	set("freeze: yes, please\n")
	described := func() string { return w.do("describe", "assignment", boston+".web") }
	w.eventually("the broken policy is told", func() error {
		if text := described(); !strings.Contains(text, "PolicyCurrent") || !strings.Contains(text, "stays in force (enforced)") {
			return errors.New(text)
		}
		return nil
	})
	set("namespaces: {allow: [NS]}\nclusterScoped: {allow: [core/Namespace]}\n")
	w.eventually("it is told no more", func() error {
		if text := described(); strings.Contains(text, "PolicyCurrent") {
			return errors.New(text)
		}
		return nil
	})
}

// Asked to, the spokes compare at once, and the answer to that is about nothing older.
func TestReconcileNow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrol(lisbon, tokyo)
	w.group("all")
	w.apply(bundle("web", "{timeout: 90s}"))
	w.ready("web", w.republish("web", namespace, settings("one", "1")))
	w.said(w.cli.Run(w.ctx, "reconcile", "bundle/web", "--wait", "--timeout", patience.String()), 0, lisbon+".web", tokyo+".web")
	w.said(w.cli.Run(w.ctx, "reconcile", "cluster/"+tokyo, "--wait", "--timeout", patience.String()), 0, tokyo+".web")
	w.must(w.spokes[tokyo].Stop())
	w.do("reconcile", "bundle/web")
	w.refused(124, []string{"reconcile", "bundle/web", "--cluster", tokyo, "--wait", "--timeout", "2s"}, tokyo)
	w.must(w.spokes[tokyo].Start(w.ctx, ""))
	w.do("reconcile", "bundle/web", "--wait", "--timeout", patience.String())
	w.refused(1, []string{"reconcile", "bundle/none"}, "none")
}
