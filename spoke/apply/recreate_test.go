package apply

import (
	"strings"
	"testing"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

var recreate = &yardarmv1.DeliveryPolicy{Recreate: true}

// immutables are kinds of objects in two forms, of which the second is refused where the first is there.
var immutables = map[string]string{
	"Deployment": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\nspec:\n  selector: {matchLabels: {a: VALUE}}\n" +
		"  template:\n    metadata: {labels: {a: VALUE}}\n    spec: {containers: [{name: c, image: i}]}",
	"StatefulSet": "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: x}\nspec:\n  serviceName: VALUE\n  selector: {matchLabels: {a: b}}\n" +
		"  template:\n    metadata: {labels: {a: b}}\n    spec: {containers: [{name: c, image: i}]}",
	"Job": "apiVersion: batch/v1\nkind: Job\nmetadata: {name: x}\nspec:\n  template:\n    spec: {restartPolicy: Never, containers: [{name: c, image: VALUE}]}",
	"RoleBinding": "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: x}\n" +
		"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: VALUE}",
	"ConfigMap":    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\nimmutable: true\ndata: {k: VALUE}",
	"Secret":       "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\ntype: example.com/VALUE",
	"Service":      "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {selector: {a: b}, clusterIP: ADDRESS, ports: [{port: 80}]}",
	"StorageClass": "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: x-NAMESPACE}\nprovisioner: example.com/x\nparameters: {k: VALUE}",
}

func TestRecreatesWhatCannotBeChanged(t *testing.T) {
	for kind, object := range immutables {
		t.Run(kind, func(t *testing.T) {
			e := newEnv(t)
			object := strings.ReplaceAll(object, "NAMESPACE", e.ns)
			one := strings.NewReplacer("VALUE", "one", "ADDRESS", "None").Replace(object)
			two := strings.NewReplacer("VALUE", "two", "ADDRESS", "10.96.0.77").Replace(object)
			e.must(nil, one)
			before := e.get(one)
			p := e.refused(nil, two, ReasonImmutableField, `yardarm.dev/recreate: "true"`)
			if p.Retry != Terminal {
				t.Errorf("retry: %v", p.Retry)
			}
			e.untouched(before)
			// A dry run takes for cured what will be.
			r := e.render(recreate, two)
			if set := e.applier.DryRun(t.Context(), r, r.Items, Options{}); len(set.Problems) > 0 {
				t.Errorf("dry run: %v", set.Problems)
			}
			if r = e.render(nil, two); len(e.applier.DryRun(t.Context(), r, r.Items, Options{}).Problems) != 1 {
				t.Error("a dry run takes it without being asked")
			}
			e.untouched(before)
			e.must(recreate, two)
			if after := e.get(two); after == nil || after.GetUID() == before.GetUID() {
				t.Errorf("not made anew: %v", after)
			}
			// Once it is as it should be, it is changed like any other.
			uid := e.get(two).GetUID()
			e.must(recreate, two)
			if e.get(two).GetUID() != uid {
				t.Error("made anew without need")
			}
		})
	}
}

// Something else that is wrong, too, would leave nothing in the place of what was deleted.
func TestRecreatesOnlyWhatWillBeTaken(t *testing.T) {
	e := newEnv(t)
	deployment := immutables["Deployment"]
	e.must(nil, strings.ReplaceAll(deployment, "VALUE", "one"))
	before := e.get(deployment)
	bad := strings.Replace(strings.ReplaceAll(deployment, "VALUE", "two"), "spec:\n", "spec:\n  replicas: -1\n", 1)
	e.refused(recreate, bad, ReasonInvalid, "spec.replicas")
	r := e.render(recreate, bad)
	if set := e.applier.DryRun(t.Context(), r, r.Items, Options{}); len(set.Problems) != 1 {
		t.Errorf("dry run: %v", set)
	}
	e.untouched(before)
}

func TestRecreateLeavesWhatNoBundleApplied(t *testing.T) {
	e := newEnv(t)
	theirs := e.create(strings.Replace(immutables["ConfigMap"], "VALUE", "one", 1))
	two := strings.Replace(immutables["ConfigMap"], "VALUE", "two", 1)
	e.refused(recreate, two, ReasonImmutableField, "no bundle has applied what is there")
	r := e.render(recreate, two)
	if set := e.applier.DryRun(t.Context(), r, r.Items, Options{}); len(set.Problems) != 1 {
		t.Errorf("dry run: %v", set)
	}
	e.untouched(theirs)
}

func TestNeverRecreatesWhatHoldsMore(t *testing.T) {
	e := newEnv(t)
	claim := func(class string) string {
		return "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: x}\nspec: {storageClassName: " + class +
			", accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}"
	}
	e.must(nil, claim("one"))
	before := e.get(claim("one"))
	e.refused(recreate, claim("two"), ReasonImmutableField, "a PersistentVolumeClaim is never deleted")
	r := e.render(recreate, claim("two"))
	if set := e.applier.DryRun(t.Context(), r, r.Items, Options{}); len(set.Problems) != 1 {
		t.Errorf("dry run: %v", set)
	}
	e.untouched(before)

	group := e.ns + ".example"
	crd := func(scope string) string {
		return "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: widgets." + group + "}\nspec:\n  group: " + group +
			"\n  scope: " + scope + "\n  names: {kind: Widget, plural: widgets}\n" +
			"  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]"
	}
	e.must(nil, crd("Namespaced"))
	before = e.get(crd("Namespaced"))
	e.refused(recreate, crd("Cluster"), ReasonImmutableField, "a CustomResourceDefinition is never deleted")
	if after := e.get(crd("Namespaced")); after.GetUID() != before.GetUID() {
		t.Error("the definition was made anew")
	}
}

func TestRecreateNamesFinalizers(t *testing.T) {
	e := newEnv(t)
	one, two := strings.Replace(immutables["ConfigMap"], "VALUE", "one", 1), strings.Replace(immutables["ConfigMap"], "VALUE", "two", 1)
	e.must(nil, one)
	e.edit(one, `{"metadata":{"finalizers":["example.com/blocker"]}}`)
	stop := make(chan struct{})
	done := make(chan ChangeSet)
	go func() { done <- e.applier.Apply(t.Context(), e.render(recreate, two).Items, Options{Stop: stop}) }()
	e.until("it is being deleted", func() bool { return e.get(one).GetDeletionTimestamp() != nil })
	close(stop) // instead of waiting
	set := <-done
	if len(set.Problems) != 1 {
		t.Fatalf("got %+v", set)
	}
	wantProblem(t, set.Problems[0], ReasonFinalizers, "example.com/blocker")
	if set.Problems[0].Retry != Transient {
		t.Errorf("retry: %v", set.Problems[0].Retry)
	}
	// The next try goes on where this one ended.
	go func() { done <- e.applier.Apply(t.Context(), e.render(recreate, two).Items, Options{}) }()
	e.edit(one, `{"metadata":{"finalizers":null}}`)
	if set := <-done; len(set.Problems) > 0 {
		t.Errorf("got %v", set.Problems)
	}
	if got := field(e.get(two), "data", "k"); got != "two" {
		t.Errorf("k is %s", got)
	}
}
