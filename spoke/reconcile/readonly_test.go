package reconcile

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// wrote answers what was written since the last call, dry runs left out.
func (s *spoke) wrote() (paths []string) {
	s.writes.mu.Lock()
	defer s.writes.mu.Unlock()
	for _, w := range s.writes.audit {
		// The first event makes the spoke's own namespace, if it is not there; bundles' namespaces are applied, not created.
		if own := w.method == http.MethodPost && w.path == "/api/v1/namespaces"; !w.dry && !own {
			paths = append(paths, w.method+" "+w.path)
		}
	}
	s.writes.audit = nil
	return paths
}

func readOnly(r *yardarmv1.Report) bool {
	return r.Phase == yardarmv1.PhaseHeld && r.Reason == yardarmv1.ReasonReadOnly
}

// A read-only spoke tells what differs from what is assigned, and writes nothing; where nothing differs, the bundle is ready.
func TestReadOnly(t *testing.T) {
	e := newEnv(t)
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: several(3, "one")})
	s.awaitPhase("web", yardarmv1.PhaseReady)
	s.wrote()
	e.policy.set("readOnly: true")
	s.awaitPhase("web", yardarmv1.PhaseReady)

	// Drift is told, and left.
	e.edit("m0", `{"data":{"key":"edited"}}`)
	e.delete("m1")
	r := s.await("web", "the drift is told", func(r *yardarmv1.Report) bool { return readOnly(r) && r.Objects.Drifted == 2 })
	for _, d := range r.Drift {
		switch {
		case d.Reason != yardarmv1.ReasonReadOnly || d.Corrected != nil,
			strings.HasSuffix(d.Object, "/m0") && (d.Path != "data.key" || d.Live != `"edited"` || d.Desired != `"one"` || d.Manager != "someone"),
			strings.HasSuffix(d.Object, "/m1") && d.Path != "":
			t.Errorf("drift: %v", d)
		}
	}
	if !strings.Contains(r.Message, "1 would be made") || !strings.Contains(r.Message, "1 would be changed") || !strings.Contains(r.Message, "/m0") {
		t.Errorf("message: %s", r.Message)
	}

	// So is what a new revision would do.
	e.assign(assignment{bundle: "web", revision: 2, objects: []string{configMap("m0", "two"), configMap("new", "two"), configMap("m1", "one")}})
	s.await("web", "the revision is compared", func(r *yardarmv1.Report) bool {
		return readOnly(r) && strings.Contains(r.Message, "2 would be made") && strings.Contains(r.Message, "1 would be changed") && strings.Contains(r.Message, "1 would be removed")
	})
	// What people do to the same end is seen.
	e.create(configMap("new", "two"))
	e.tombstone("web", yardarmv1.Workloads_WORKLOADS_REMOVE, true)
	s.await("web", "the removal is told", func(r *yardarmv1.Report) bool {
		return readOnly(r) && strings.Contains(r.Message, "3 objects would be removed")
	})
	if paths := s.wrote(); len(paths) > 0 {
		t.Errorf("written: %v", paths)
	}
	if got := value(e.get("m0")); got != "edited" {
		t.Errorf("m0 is %s", got)
	}
	e.want(true, "m2")
	e.want(false, "m1")

	e.policy.set("")
	e.until("web is finished", func() bool { return e.state.gone("web") })
}

// A spoke that is read-only from the start says what it would do in a cluster that it has never written to.
func TestReadOnlyFromTheStart(t *testing.T) {
	e := newEnv(t)
	e.policy.set("readOnly: true\nkinds: {deny: [core/Secret]}")
	e.create(configMap("same", "one"))
	e.create(configMap("other", "theirs"))
	s := e.start()
	e.assign(assignment{bundle: "web", revision: 1, objects: []string{
		configMap("same", "one"), configMap("other", "one"), configMap("new", "one"), secret("s", "one"),
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad}\ndatas: {key: one}",
	}})
	r := s.await("web", "it is compared", readOnly)
	for _, want := range []string{"1 would be made", "2 would be changed", "2 could not be applied"} {
		if !strings.Contains(r.Message, want) {
			t.Errorf("message: %s; want %q", r.Message, want)
		}
	}
	if p := problemOf(r, "/s"); p == nil || p.Reason != yardarmv1.ReasonPolicyDenied {
		t.Errorf("secret: %v", p)
	}
	if p := problemOf(r, "/bad"); p == nil || p.Reason != "Invalid" {
		t.Errorf("misspelt: %v", p)
	}
	if !slices.ContainsFunc(r.Drift, func(d *yardarmv1.Drift) bool {
		return strings.HasSuffix(d.Object, "/other") && d.Path == "data.key" && d.Live == `"theirs"` && d.Desired == `"one"` && d.Reason == yardarmv1.ReasonReadOnly
	}) {
		t.Errorf("drift: %v", r.Drift)
	}
	if paths := s.wrote(); len(paths) > 0 {
		t.Errorf("written: %v", paths)
	}
	if labels := e.get("same").GetLabels(); len(labels) > 0 {
		t.Errorf("labelled: %v", labels)
	}
	e.want(false, "new")

	// Events are writes too. They are written in order, so one of before would be there with those of after.
	e.policy.set("kinds: {deny: [core/Secret]}")
	e.awaitEvent(e.ns, "ConfigMap", "bad", "Warning Invalid: ")
	e.awaitEvent(e.system, "Bundle", "web", "Warning BundleFailed: ")
	if all := e.eventsOf(e.system, "Bundle", "web"); len(all) != 1 {
		t.Errorf("events: %q", all)
	}
}
