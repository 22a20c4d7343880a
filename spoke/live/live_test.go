package live

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
	"github.com/yardarm-dev/yardarm/spoke/kube"
)

func meta(version, fields string) *metav1.PartialObjectMetadata {
	m := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Namespace: "a", Name: "m", UID: types.UID("u"), ResourceVersion: version,
	}}
	if fields != "" {
		m.ManagedFields = []metav1.ManagedFieldsEntry{
			{Manager: "yardarm", Operation: "Update", FieldsV1: metav1.NewFieldsV1(`{"f:other":{}}`)},
			{Manager: "kubectl", Operation: "Apply", FieldsV1: metav1.NewFieldsV1(`{"f:theirs":{}}`)},
			{Manager: "yardarm", Operation: "Apply", FieldsV1: metav1.NewFieldsV1(fields)},
		}
	}
	return m
}

func TestOfTellsOurFieldsFromOthers(t *testing.T) {
	one := Of(meta("1", `{"f:data":{}}`))
	if one.Fields == 0 || one.UID != "u" || one.Version != 1 || one.Keep != KeepUnsaid || one.Deleting {
		t.Errorf("got %+v", one)
	}
	other := meta("2", `{"f:data":{}}`)
	other.ManagedFields[1].FieldsV1 = metav1.NewFieldsV1(`{"f:something":{}}`)
	if Of(other).Fields != one.Fields {
		t.Error("another manager's fields changed ours")
	}
	if got := Of(meta("2", `{"f:less":{}}`)).Fields; got == one.Fields || got == 0 {
		t.Error("a change of our fields goes unseen")
	}
	if got := Of(meta("2", "")).Fields; got != 0 {
		t.Errorf("fields of an object that we never applied: %d", got)
	}
}

func TestOfTellsAutoscalersFromPeople(t *testing.T) {
	scaled := func(manager, subresource string) Object {
		m := meta("1", `{"f:data":{}}`)
		m.ManagedFields = append(m.ManagedFields, metav1.ManagedFieldsEntry{
			Manager: manager, Operation: "Update", Subresource: subresource, FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:replicas":{}}}`),
		})
		return Of(m)
	}
	unscaled := Of(meta("1", `{"f:data":{}}`))
	for manager, want := range map[string]bool{
		"kube-controller-manager": true, "k3s": true, "keda": true, "my-Autoscaler": true, "rollouts-controller": true,
		"kubectl": false, "helm": false, "python-requests": false, "": false,
	} {
		got := scaled(manager, "scale")
		if got.Scaled != want || (got.Fields != unscaled.Fields) != want || got.Fields == 0 {
			t.Errorf("%q: %+v", manager, got)
		}
		if got := scaled(manager, "status"); got != unscaled {
			t.Errorf("%q writes the status: %+v", manager, got)
		}
	}
}

func testFollower(t *testing.T) (*follower, func() int) {
	t.Helper()
	told := 0
	config := &Config{Changed: func(ref manifest.Ref) {
		if want := (manifest.Ref{Kind: "ConfigMap", Namespace: "a", Name: "m"}); ref != want {
			t.Errorf("told of %v", ref)
		}
		told++
	}}
	f := newFollower(config, kube.Kind{Version: "v1", Kind: "ConfigMap", Resource: "configmaps", Namespaced: true})
	f.listed = true
	return f, func() int { n := told; told = 0; return n }
}

var m = key{"a", "m"}

func TestFollowerGoesForwardOnly(t *testing.T) {
	f, told := testFollower(t)
	f.observe(m, Object{UID: "u", Version: 5})
	f.observe(m, Object{UID: "u", Version: 5})
	if n := told(); n != 1 {
		t.Errorf("told %d times of one change", n)
	}
	f.observe(m, Object{UID: "u", Version: 4, Fields: 7})
	if o, _, _ := f.get(m); o.Version != 5 || told() != 0 {
		t.Errorf("went back to %+v", o)
	}
	// The answer to a write that came before a deletion arrives after it.
	if _, err := f.handle(watch.Event{Type: watch.Deleted, Object: meta("9", "")}); err != nil {
		t.Fatal(err)
	}
	f.observe(m, Object{UID: "u", Version: 8})
	if _, exists, _ := f.get(m); exists || told() != 1 {
		t.Error("a deleted object came back")
	}
	f.observe(m, Object{UID: "new", Version: 10})
	if o, exists, _ := f.get(m); !exists || o.UID != "new" || told() != 1 {
		t.Error("an object made anew is not seen")
	}
	// A deletion that is older than what is known is of another object of that name.
	if _, err := f.handle(watch.Event{Type: watch.Deleted, Object: meta("9", "")}); err != nil {
		t.Fatal(err)
	}
	if _, exists, _ := f.get(m); !exists || told() != 0 {
		t.Error("an old deletion took the new object")
	}
}

func TestListTellsWhatWasMissed(t *testing.T) {
	f, told := testFollower(t)
	f.observe(m, Object{UID: "u", Version: 5})
	told()
	f.replace(map[key]Object{m: {UID: "u", Version: 5}}, 7)
	if n := told(); n != 0 {
		t.Errorf("told %d times of nothing", n)
	}
	f.replace(map[key]Object{m: {UID: "u", Version: 8}}, 9)
	if n := told(); n != 1 {
		t.Errorf("told %d times of a missed change", n)
	}
	f.replace(map[key]Object{}, 10)
	if _, exists, _ := f.get(m); exists || told() != 1 {
		t.Error("a missed deletion goes unseen")
	}
	f.replace(map[key]Object{m: {UID: "v", Version: 11}}, 12)
	if _, exists, _ := f.get(m); !exists || told() != 1 {
		t.Error("a missed creation goes unseen")
	}
	// What was written after the list, which is older, stays.
	f.observe(m, Object{UID: "v", Version: 20})
	told()
	f.replace(map[key]Object{m: {UID: "v", Version: 11}}, 15)
	if o, _, _ := f.get(m); o.Version != 20 || told() != 0 {
		t.Errorf("a list went back to %+v", o)
	}
	// Unless the API server has gone back itself.
	f.distrust()
	f.replace(map[key]Object{}, 3)
	if _, exists, _ := f.get(m); exists {
		t.Error("an object of the future is still there")
	}
}

func TestErrorsOfAWatch(t *testing.T) {
	f, _ := testFollower(t)
	_, err := f.handle(watch.Event{Type: watch.Error, Object: &metav1.Status{Code: 410, Reason: metav1.StatusReasonExpired}})
	if !expired(err) {
		t.Errorf("got %v", err)
	}
	if version, err := f.handle(watch.Event{Type: watch.Bookmark, Object: meta("77", "")}); err != nil || version != "77" {
		t.Errorf("bookmark: %s %v", version, err)
	}
	if _, exists, _ := f.get(m); exists {
		t.Error("a bookmark is no object")
	}
}

func TestKindsAreFollowedWhileInUse(t *testing.T) {
	w, err := New(Config{Metadata: noMetadata{}, Mapper: &kube.Mapper{}, Changed: func(manifest.Ref) {}})
	if err != nil {
		t.Fatal(err)
	}
	a := kube.Kind{Version: "v1", Kind: "A"}
	b := kube.Kind{Version: "v1", Kind: "B"}
	kinds := func() (out []string) {
		for gk := range w.kinds {
			out = append(out, gk.Kind)
		}
		slices.Sort(out)
		return out
	}
	w.Use("one", []kube.Kind{a, b})
	w.Use("two", []kube.Kind{b})
	w.Use("one", nil)
	if got := kinds(); !slices.Equal(got, []string{"B"}) {
		t.Errorf("followed: %v", got)
	}
	w.Use("two", []kube.Kind{a})
	if got := kinds(); !slices.Equal(got, []string{"A"}) {
		t.Errorf("followed: %v", got)
	}
	if _, _, known := w.Get(manifest.Ref{Kind: "B", Name: "x"}); known {
		t.Error("a kind that is not followed is known")
	}
}

// noMetadata is never asked: the watcher does not run.
type noMetadata struct{ metadata.Interface }

// playedLists answers lists, of which one fails, and watches that say nothing.
type playedLists struct {
	metadata.Getter
	lists atomic.Int64
	fails int64
}

func (p *playedLists) Resource(schema.GroupVersionResource) metadata.Getter { return p }

func (p *playedLists) List(context.Context, metav1.ListOptions) (*metav1.PartialObjectMetadataList, error) {
	if p.lists.Add(1) == p.fails {
		return nil, apierrors.NewServiceUnavailable("starting")
	}
	return &metav1.PartialObjectMetadataList{ListMeta: metav1.ListMeta{ResourceVersion: "5"}}, nil
}

func (p *playedLists) Watch(ctx context.Context, _ metav1.ListOptions) (watch.Interface, error) {
	w := watch.NewFake()
	context.AfterFunc(ctx, w.Stop)
	return w, nil
}

// A list beside the watch that fails leaves nothing known, and is tried again soon, not at the next resync.
func TestListThatFailsIsTriedAgain(t *testing.T) {
	lists := &playedLists{fails: 2}
	f, _ := testFollower(t)
	f.config.Metadata, f.config.Logger = lists, slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); f.run(ctx) }()
	<-f.tried
	<-f.relist()
	for end := time.Now().Add(10 * time.Second); ; <-time.After(time.Millisecond) {
		if _, _, known := f.get(m); known && lists.lists.Load() > 2 {
			break
		}
		if time.Now().After(end) {
			t.Errorf("%d lists", lists.lists.Load())
			break
		}
	}
	cancel()
	<-done
}

// A list does not end the watch, so events that it has already taken in come after it.
func TestEventsOlderThanTheListAreNoNews(t *testing.T) {
	f, _ := testFollower(t)
	f.replace(map[key]Object{}, 10)
	for _, c := range []struct {
		version string
		there   bool
	}{{"9", false}, {"10", false}, {"11", true}} {
		version, err := f.handle(watch.Event{Type: watch.Modified, Object: meta(c.version, "")})
		if _, exists, _ := f.get(key{"a", "m"}); err != nil || exists != c.there || (version != "") != c.there {
			t.Errorf("event at version %s: exists %v, version %q, %v", c.version, exists, version, err)
		}
	}
}

// A Job that is done says when, and its metadata that it does; one that has given up says so in a condition.
func TestOfTellsTheEnd(t *testing.T) {
	end := func(subresource, fields string) End {
		m := meta("1", `{"f:spec":{"f:completionTime":{}}}`)
		m.ManagedFields = append(m.ManagedFields, metav1.ManagedFieldsEntry{
			Manager: "kube-controller-manager", Operation: "Update", Subresource: subresource, FieldsV1: metav1.NewFieldsV1(fields),
		})
		return Of(m).End
	}
	for _, c := range []struct {
		subresource, fields string
		want                End
	}{
		{"status", `{"f:status":{"f:completionTime":{},"f:conditions":{},"f:succeeded":{}}}`, EndDone},
		{"status", `{"f:status":{"f:completionTime":{},"f:conditions":{},"f:failed":{}}}`, EndDone}, // at the second try
		{"status", `{"f:status":{"f:conditions":{},"f:failed":{},"f:startTime":{}}}`, EndFailing},
		{"status", `{"f:status":{"f:active":{},"f:failed":{},"f:startTime":{}}}`, EndNone}, // it tries again
		{"status", `{"f:status":{"f:conditions":{}}}`, EndNone},                            // suspended
		{"status", `{"f:status":{"f:active":{},"f:startTime":{}}}`, EndNone},
		{"", `{"f:status":{"f:completionTime":{}}}`, EndNone},
	} {
		if got := end(c.subresource, c.fields); got != c.want {
			t.Errorf("%q %s: %d, want %d", c.subresource, c.fields, got, c.want)
		}
	}
}
