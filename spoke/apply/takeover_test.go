package apply

import (
	"slices"
	"strings"
	"sync"
	"testing"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func takeover(word string) *yardarmv1.DeliveryPolicy {
	return &yardarmv1.DeliveryPolicy{Takeover: word}
}

// What nobody has costs one request, whatever the policy.
func TestFreshObjectsAreOneRequest(t *testing.T) {
	for _, policy := range []*yardarmv1.DeliveryPolicy{
		nil, takeover("always"), takeover("if-no-diff"), takeover("never"), {Conflict: "fail"}, {Recreate: true},
	} {
		t.Run(policy.String(), func(t *testing.T) {
			e := newEnv(t)
			e.must(policy, configMap("a", "k: one"))
			if seen := e.counter.take(); len(seen) != 1 || !strings.HasPrefix(seen[0], "PATCH") {
				t.Errorf("requests: %v", seen)
			}
			if got := managersOf(e.get(configMap("a", ""))); !slices.Equal(got, []string{"Apply yardarm"}) {
				t.Errorf("managed by %v", got)
			}
		})
	}
}

func TestTakeoverAlways(t *testing.T) {
	e := newEnv(t)
	e.create(configMap("a", "k: theirs"))
	e.counter.take()
	e.must(nil, configMap("a", "k: ours"))
	if seen := e.counter.take(); len(seen) != 1 {
		t.Errorf("requests: %v", seen)
	}
	if got := field(e.get(configMap("a", "")), "data", "k"); got != "ours" {
		t.Errorf("k is %s", got)
	}
}

func TestTakeoverNever(t *testing.T) {
	e := newEnv(t)
	theirs := e.create(configMap("a", "k: s3cret"))
	p := e.refused(takeover("never"), configMap("a", "k: ours"), ReasonTakeoverRefused, "made by someone", `yardarm.dev/takeover: "always"`)
	if p.Retry != Terminal {
		t.Errorf("retry: %v", p.Retry)
	}
	e.untouched(theirs)
	// A dry run says the same.
	r := e.render(takeover("never"), configMap("a", "k: ours"))
	if set := e.applier.DryRun(t.Context(), r, r.Items, Options{}); len(set.Problems) != 1 || set.Problems[0].Reason != ReasonTakeoverRefused {
		t.Errorf("dry run: %v", set)
	}
	// The object's own word counts for it.
	own := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, annotations: {yardarm.dev/takeover: always}}\ndata: {k: ours}"
	e.must(takeover("never"), own)
	// What a spoke applied is taken, also when the inventory has forgotten it.
	e.must(takeover("never"), configMap("a", "k: again"))
	if got := field(e.get(own), "data", "k"); got != "again" {
		t.Errorf("k is %s", got)
	}
}

// An object that bears a copy of our marks was not applied by us.
func TestTakeoverIsNotFooledByMarks(t *testing.T) {
	e := newEnv(t)
	theirs := e.create("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {yardarm.dev/bundle: web}, annotations: {yardarm.dev/owner: web-" + e.ns + "}}")
	e.refused(takeover("never"), configMap("a", "k: ours"), ReasonTakeoverRefused, "someone")
	e.untouched(theirs)
}

func TestTakeoverNeverWaitsForWhatIsBeingDeleted(t *testing.T) {
	e := newEnv(t)
	e.create("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, finalizers: [example.com/blocker]}")
	resource, _ := e.resource(configMap("a", ""))
	if err := resource.Delete(t.Context(), "a", deleteNow); err != nil {
		t.Fatal(err)
	}
	if p := e.refused(takeover("never"), configMap("a", "k: ours"), ReasonFinalizers, "example.com/blocker"); p.Retry != Waiting {
		t.Errorf("retry: %v", p.Retry)
	}
	e.edit(configMap("a", ""), `{"metadata":{"finalizers":null}}`)
	e.must(takeover("never"), configMap("a", "k: ours"))
}

func TestTakeoverIfNoDiff(t *testing.T) {
	e := newEnv(t)
	alike := e.create(configMap("alike", "k: one"))
	less := e.create(configMap("less", "k: one"))
	other := e.create(configMap("other", "k: s3cret, l: one"))
	e.must(takeover("if-no-diff"), configMap("alike", "k: one"))
	after := e.get(configMap("alike", ""))
	if after.GetUID() != alike.GetUID() || after.GetLabels()[yardarmv1.LabelBundle] != "web" || !slices.Contains(managersOf(after), "Apply yardarm") {
		t.Errorf("taken over as %v", after)
	}
	p := e.refused(takeover("if-no-diff"), configMap("less", "k: one, l: s3cret"), ReasonTakeoverRefused, "would change data.l;")
	if strings.Contains(p.Message, "data.k") {
		t.Errorf("message: %s", p.Message)
	}
	e.refused(takeover("if-no-diff"), configMap("other", "k: one, l: one"), ReasonTakeoverRefused, "would change data.k of someone;")
	e.untouched(less)
	e.untouched(other)
	// A dry run changes nothing, and agrees.
	fresh := e.create(configMap("fresh", "k: one"))
	for _, c := range []struct {
		object   string
		problems int
	}{{configMap("fresh", "k: one"), 0}, {configMap("fresh", "k: two"), 1}} {
		r := e.render(takeover("if-no-diff"), c.object)
		if set := e.applier.DryRun(t.Context(), r, r.Items, Options{}); len(set.Problems) != c.problems {
			t.Errorf("dry run of %s: %v", c.object, set.Problems)
		}
	}
	e.untouched(fresh)
	// Only what is written counts: defaults that the API server adds are no difference.
	deployment := "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  selector: {matchLabels: {a: b}}\n" +
		"  template:\n    metadata: {labels: {a: b}}\n    spec: {containers: [{name: c, image: IMAGE}]}"
	e.create(strings.Replace(deployment, "IMAGE", "one", 1))
	e.refused(takeover("if-no-diff"), strings.Replace(deployment, "IMAGE", "two", 1), ReasonTakeoverRefused,
		"spec.template.spec.containers[name=c].image of someone")
	e.must(takeover("if-no-diff"), strings.Replace(deployment, "IMAGE", "one", 1))
}

// An object that changes after it was found alike is looked at again.
func TestTakeoverIfNoDiffLosesNoChange(t *testing.T) {
	e := newEnv(t)
	e.create(configMap("a", "k: one"))
	e.counter.afterDryRun = func() { e.edit(configMap("a", ""), `{"data":{"k":"theirs"}}`) }
	e.refused(takeover("if-no-diff"), configMap("a", "k: one"), ReasonTakeoverRefused, "would change data.k of someone;")
	if got := field(e.get(configMap("a", "")), "data", "k"); got != "theirs" {
		t.Errorf("k is %s", got)
	}
	e.create(configMap("b", "k: one"))
	e.counter.afterDryRun = func() { e.edit(configMap("b", ""), `{"metadata":{"labels":{"x":"y"}}}`) }
	e.must(takeover("if-no-diff"), configMap("b", "k: one"))
}

// Of two who make an object at the same time, a bundle that takes nothing over never overwrites the other.
func TestTakeoverNeverLosesRaces(t *testing.T) {
	e := newEnv(t)
	for _, policy := range []string{"yardarm.dev/takeover: never", "yardarm.dev/if-not-present: 'true'"} {
		for i := range 20 {
			name := "r" + strings.Repeat("x", i+1) + policy[12:13]
			ours := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", annotations: {" + policy + "}}\ndata: {k: ours}"
			resource, theirs := e.resource(configMap(name, "k: theirs"))
			items := e.render(nil, ours).Items
			var group sync.WaitGroup
			var err error
			group.Go(func() { _, err = resource.Create(t.Context(), theirs, createNow) })
			var set ChangeSet
			group.Go(func() { set = e.applier.Apply(t.Context(), items, Options{}) })
			group.Wait()
			want := "ours"
			if err == nil {
				want = "theirs"
			}
			if got := field(e.get(ours), "data", "k"); got != want || (len(set.Applied) > 0) != (want == "ours") {
				t.Fatalf("k is %s, want %s; %v", got, want, set)
			}
		}
	}
}

func TestIfNotPresent(t *testing.T) {
	e := newEnv(t)
	object := func(name, value string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", annotations: {yardarm.dev/if-not-present: 'true'}}\ndata: {k: " + value + "}"
	}
	theirs := e.create(configMap("theirs", "k: theirs"))
	set := e.apply(nil, object("theirs", "ours"), object("made", "ours"))
	if len(set.Problems) > 0 || len(set.Applied) != 1 || set.Applied[0].Name != "made" || len(set.Present) != 1 || set.Present[0].Name != "theirs" {
		t.Fatalf("got %+v", set)
	}
	e.untouched(theirs)
	// Once made, it is not touched, whatever becomes of it, and is known as the bundle's.
	edited := e.edit(object("made", ""), `{"data":{"k":"edited"}}`)
	if set := e.apply(nil, object("made", "new")); len(set.Applied) != 1 {
		t.Errorf("got %+v", set)
	}
	e.untouched(edited)
	if present, problems := e.applier.Present(t.Context(), e.render(nil, object("theirs", "x"), object("made", "x"), object("absent", "x")).Items, nil); len(problems) > 0 ||
		len(present) != 1 || present[0].Name != "theirs" {
		t.Errorf("present: %v %v", present, problems)
	}
}

func TestConflictNamesFieldsAndManagers(t *testing.T) {
	e := newEnv(t)
	fail := &yardarmv1.DeliveryPolicy{Conflict: "fail"}
	theirs := e.create(configMap("a", "k: s3cret, l: s3cret, m: one"))
	p := e.refused(fail, configMap("a", "k: one, l: one, m: one"), ReasonConflict, "data.k of someone, data.l of someone;", `yardarm.dev/conflict: "force"`)
	if p.Retry != Terminal {
		t.Errorf("retry: %v", p.Retry)
	}
	e.untouched(theirs)
	r := e.render(fail, configMap("a", "k: one"))
	if set := e.applier.DryRun(t.Context(), r, r.Items, Options{}); len(set.Problems) != 1 || set.Problems[0].Reason != ReasonConflict {
		t.Errorf("dry run: %v", set)
	}
	e.must(nil, configMap("a", "k: one, l: one, m: one"))
}

func TestMisfitsAreNotToldTheirValues(t *testing.T) {
	e := newEnv(t)
	e.refused(nil, "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {a: {s3cret: s3cret}, b: {x: 's3cret .y'}}", ReasonInvalid, "stringData.a: expected string, got something else")
}
