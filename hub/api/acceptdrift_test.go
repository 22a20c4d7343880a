package api_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// drifting are the clusters of a fleet in which the bundle web is for two groups, and differs in all of them.
type drifting struct {
	*apitest.Hub
	uids map[string]string
}

const webObject = "ConfigMap default/web"

func driftingFleet(t *testing.T, clusters ...string) drifting {
	t.Helper()
	h := drifting{apitest.Start(t), map[string]string{}}
	apply(t, h.Hub, group("prod", "env=prod"), group("test", "env=test"))
	for _, name := range clusters {
		env, _, _ := strings.Cut(name, "-")
		h.uids[name] = h.Enrolled(t, name, map[string]string{"env": env})
		h.Present(t, h.uids[name], yardarmv1.PresenceConnected)
	}
	b := customized(&yardarmv1.Customization{Substitute: true}, to("prod", nil), to("test", nil))
	b.GetBundle().Spec.Delivery = &yardarmv1.DeliveryPolicy{Drift: yardarmv1.DriftReport}
	apply(t, h.Hub, b)
	publish(t, h.Hub, "web", "one")
	h.settle(t)
	return h
}

// settle has every cluster run the latest revision, and say so.
func (h drifting) settle(t *testing.T) {
	t.Helper()
	apitest.Settle(t, h.Store)
	for name := range h.uids {
		h.reports(t, name)
	}
}

// reports has a cluster's spoke tell of its newest assignment, and what differs from it.
func (h drifting) reports(t *testing.T, cluster string, differs ...*yardarmv1.Drift) {
	t.Helper()
	tx := h.Store.Read()
	b := tx.BundleByName("web")
	a := placement.DesiredOf(tx, tx.ClusterByName(cluster), b)
	h.Report(t, h.uids[cluster], &yardarmv1.Report{Bundle: "web", BundleUid: b.Metadata.Uid, AssignmentHash: a.Hash, Revision: a.Revision, Phase: yardarmv1.PhaseReady,
		Objects: &yardarmv1.ObjectCounts{Total: 1, Ready: 1, Drifted: uint32(len(differs))}, Drift: differs})
}

func differing(path, desired, live string) *yardarmv1.Drift {
	return &yardarmv1.Drift{Object: webObject, Path: path, Desired: desired, Live: live, Manager: "kubectl-edit", Reason: yardarmv1.ReasonReportOnly}
}

// assigned is what a cluster is to run of web, by the newest revision.
func (h drifting) assigned(cluster string) *yardarmv1.AssignmentSpec {
	tx := h.Store.Read()
	b := tx.BundleByName("web")
	return placement.NewAssigner(tx, b, b.Status.LatestRevision).Assign(tx, tx.ClusterByName(cluster))
}

// gets is the value that a cluster gets in its ConfigMap, by its preview.
func (h drifting) gets(t *testing.T, cluster string) string {
	t.Helper()
	_, data, err := preview(t, h.Hub, cluster, "web")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(data, `"data":{"`)
	text, _, _ = strings.Cut(text, `"}`)
	return text + `"`
}

func TestAcceptDriftForClustersThatHaveIt(t *testing.T) {
	h := driftingFleet(t, "prod-1", "prod-2", "test-1")
	h.reports(t, "prod-1", differing("data.key", `"one"`, `"${name} by hand"`))
	h.reports(t, "test-1", differing("data.key", `"one"`, `"${name} by hand"`))
	req := &hubv1.AcceptDriftRequest{Bundle: "web", Clusters: []string{"test-1", "prod-1"}, DryRun: true}
	dry := must[*hubv1.PublishRevisionResponse](t)(h.AcceptDrift(t.Context(), req))
	if len(dry.Diff.GetParts()) != 2 || dry.Diff.Unchanged != 1 || dry.Diff.Parts[0].Clusters != 1 || dry.Diff.Parts[0].Objects[0].Fields[0].After != `"${name} by hand"` || len(dry.Plan.GetStages()) == 0 {
		t.Errorf("the dry run answers %v", dry)
	}
	if latest := current(t, h.Hub).Spec.Number; latest != 1 {
		t.Fatalf("a dry run has made revision %d", latest)
	}
	req.DryRun = false
	got := must[*hubv1.PublishRevisionResponse](t)(h.AcceptDrift(t.Context(), req))
	if p := got.Revision.Spec.Provenance; got.Revision.Spec.Number != 2 || p.Message != "accepts ConfigMap default/web data.key as it is in prod-1 and 1 more" || strings.Contains(p.Message, "hand") {
		t.Errorf("answered %v", got)
	}
	apitest.Settle(t, h.Store)
	for cluster, want := range map[string]string{"prod-1": `key":"${name} by hand"`, "prod-2": `key":"one"`, "test-1": `key":"${name} by hand"`} {
		if got := h.gets(t, cluster); got != want {
			t.Errorf("%s gets %s, want %s", cluster, got, want)
		}
	}
	if patches := h.assigned("prod-2").GetCustomization().GetPatches(); len(patches) > 0 {
		t.Errorf("another cluster gets %v", patches)
	}
	if patches := h.assigned("prod-1").GetCustomization().GetPatches(); len(patches) != 1 || len(patches[0].Clusters) > 0 {
		t.Errorf("a cluster is told of others: %v", patches)
	}
	if !slices.ContainsFunc(h.Audited(t), func(e *storev1.AuditEntry) bool { return strings.HasSuffix(e.Method, "/AcceptDrift") }) {
		t.Error("it is not audited")
	}
	// And back.
	must[*hubv1.PublishRevisionResponse](t)(h.UndoRollout(t.Context(), &hubv1.UndoRolloutRequest{Bundle: "web"}))
	apitest.Settle(t, h.Store)
	if got := h.gets(t, "prod-1"); got != `key":"one"` {
		t.Errorf("after undoing it, prod-1 gets %s", got)
	}
}

func TestAcceptDriftForAGroup(t *testing.T) {
	h := driftingFleet(t, "prod-1", "prod-2", "test-1")
	accept := func(group string, clusters ...string) error {
		_, err := h.AcceptDrift(t.Context(), &hubv1.AcceptDriftRequest{Bundle: "web", Clusters: clusters, Group: group})
		return err
	}
	h.reports(t, "prod-1", differing("data.key", `"one"`, `"two"`))
	h.reports(t, "prod-2", differing("data.key", `"one"`, `"three"`))
	refused(t, accept("test", "prod-1"), codes.InvalidArgument, `goes by "prod"`)
	refused(t, accept("prod", "prod-1", "prod-2"), codes.FailedPrecondition, "other values")
	if err := accept("prod", "prod-1"); err != nil {
		t.Fatal(err)
	}
	h.settle(t)
	for cluster, want := range map[string]string{"prod-1": `key":"two"`, "prod-2": `key":"two"`, "test-1": `key":"one"`} {
		if got := h.gets(t, cluster); got != want {
			t.Errorf("%s gets %s, want %s", cluster, got, want)
		}
	}
	// One of them goes its own way, and then another comes after it; a cluster's value counts beside the group's, and goes with the group's next.
	for cluster, value := range map[string]string{"prod-1": `"three"`, "prod-2": `"three"`} {
		h.reports(t, cluster, differing("data.key", `"two"`, value))
		if err := accept("", cluster); err != nil {
			t.Fatal(err)
		}
		h.settle(t)
	}
	patches := h.Store.Read().BundleByName("web").Spec.Targets[0].Customization.Patches
	if len(patches) != 2 || !slices.Equal(patches[1].Clusters, []string{"prod-1", "prod-2"}) {
		t.Errorf("patches are %v", patches)
	}
	h.reports(t, "prod-1", differing("data.key", `"three"`, `"four"`))
	if err := accept("prod", "prod-1"); err != nil {
		t.Fatal(err)
	}
	if patches := h.Store.Read().BundleByName("web").Spec.Targets[0].Customization.Patches; len(patches) != 1 || len(patches[0].Clusters) > 0 || !strings.Contains(patches[0].Patch, "four") {
		t.Errorf("patches are %v", patches)
	}
}

// What cannot be accepted is refused with the reason, and no refusal tells a value.
func TestAcceptDriftRefuses(t *testing.T) {
	h := driftingFleet(t, "prod-1", "prod-2")
	accepting := func(change func(*hubv1.AcceptDriftRequest)) error {
		req := &hubv1.AcceptDriftRequest{Bundle: "web", Clusters: []string{"prod-1"}}
		change(req)
		_, err := h.AcceptDrift(t.Context(), req)
		if err != nil && strings.Contains(err.Error(), "by hand") {
			t.Errorf("a refusal tells a value: %v", err)
		}
		return err
	}
	same := func(*hubv1.AcceptDriftRequest) {}
	field := func(f *hubv1.DriftedField) func(*hubv1.AcceptDriftRequest) {
		return func(r *hubv1.AcceptDriftRequest) { r.Fields = []*hubv1.DriftedField{f} }
	}
	live := differing("data.key", `"one"`, `"by hand"`)
	for name, test := range map[string]struct {
		drift *yardarmv1.Drift
		req   func(*hubv1.AcceptDriftRequest)
		code  codes.Code
		says  string
	}{
		"no clusters":         {live, func(r *hubv1.AcceptDriftRequest) { r.Clusters = nil }, codes.InvalidArgument, "clusters: is empty"},
		"too many clusters":   {live, func(r *hubv1.AcceptDriftRequest) { r.Clusters = make([]string, 1001) }, codes.InvalidArgument, "at most 1000"},
		"unknown cluster":     {live, func(r *hubv1.AcceptDriftRequest) { r.Clusters = []string{"none"} }, codes.NotFound, "none"},
		"unknown bundle":      {live, func(r *hubv1.AcceptDriftRequest) { r.Bundle = "none" }, codes.NotFound, "none"},
		"another version":     {live, func(r *hubv1.AcceptDriftRequest) { r.ResourceVersion = "1" }, codes.Aborted, "has changed since"},
		"nothing differs":     {nil, same, codes.FailedPrecondition, "none of it differs"},
		"another field":       {live, field(&hubv1.DriftedField{Object: webObject, Path: "data.other"}), codes.FailedPrecondition, "none of it differs"},
		"another value":       {live, field(&hubv1.DriftedField{Object: webObject, Path: "data.key", Live: `"two"`}), codes.Aborted, "has changed since"},
		"a Secret":            {&yardarmv1.Drift{Object: "Secret default/web", Path: "data.p", Desired: "(secret)", Live: "(secret)"}, same, codes.FailedPrecondition, "told to nobody"},
		"a whole object":      {&yardarmv1.Drift{Object: webObject, Desired: ""}, same, codes.FailedPrecondition, "is gone"},
		"a value that is cut": {differing("data.key", `"one"`, `"by hand`+strings.Repeat("x", 240)+"…"), same, codes.FailedPrecondition, "longer than"},
		"no object":           {&yardarmv1.Drift{Object: "nothing", Path: "a", Live: "1"}, same, codes.FailedPrecondition, "cannot be accepted: object"},
		"not in the bundle":   {&yardarmv1.Drift{Object: "ConfigMap default/other", Path: "data.key", Live: "1"}, same, codes.FailedPrecondition, "is not in revision 1"},
		"no such field":       {differing("data.none", "", `"by hand"`), same, codes.FailedPrecondition, "no such field"},
		"what a name is":      {differing("metadata.name", `"web"`, `"by hand"`), same, codes.InvalidArgument, "metadata.name"},
		"repaired long ago":   {&yardarmv1.Drift{Object: webObject, Path: "data.key", Live: "1", Corrected: h.Store.Read().BundleByName("web").Metadata.CreationTimestamp}, same, codes.FailedPrecondition, "none of it differs"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.drift == nil {
				h.reports(t, "prod-1")
			} else {
				h.reports(t, "prod-1", proto.CloneOf(test.drift))
			}
			refused(t, accepting(test.req), test.code, test.says)
		})
	}
	h.reports(t, "prod-1", live)
	h.Present(t, h.uids["prod-1"], yardarmv1.PresenceStale)
	refused(t, accepting(same), codes.FailedPrecondition, "is not known now")
	h.Present(t, h.uids["prod-1"], yardarmv1.PresenceConnected)
	publish(t, h.Hub, "web", "two")
	refused(t, accepting(same), codes.FailedPrecondition, "is not known now")
	if n := current(t, h.Hub).Spec.Number; n != 2 {
		t.Errorf("refusals have made revision %d", n)
	}
}

// Kubernetes' merge keys do not tell all items apart, and a patch of one would be of another.
func TestAcceptDriftOfAmbiguousItem(t *testing.T) {
	h := driftingFleet(t, "prod-1")
	service := manifest.File{Path: "dns.yaml", Data: []byte(`apiVersion: v1
kind: Service
metadata: {name: dns}
spec:
  ports:
  - {name: tcp, port: 53, protocol: TCP, targetPort: 53}
  - {name: udp, port: 53, protocol: UDP, targetPort: 53}
`)}
	must[*hubv1.PublishRevisionResponse](t)(h.Publish(t.Context(), &hubv1.Publication{Bundle: "web"}, apitest.ConfigMap("", "web", "one"), service))
	h.settle(t)
	h.reports(t, "prod-1", &yardarmv1.Drift{Object: "Service default/dns", Path: "spec.ports[port=53,protocol=UDP].targetPort", Desired: "53", Live: "5353", Reason: yardarmv1.ReasonReportOnly})
	_, err := h.AcceptDrift(t.Context(), &hubv1.AcceptDriftRequest{Bundle: "web", Clusters: []string{"prod-1"}})
	refused(t, err, codes.FailedPrecondition, "several items of its list have the same port", "change the manifest instead")
}

// A patch that would come to something else than what is live is found before it is written: here its item has no name yet when it is patched.
func TestAcceptDriftComesToWhatIsLive(t *testing.T) {
	h := driftingFleet(t, "prod-1")
	pod := manifest.File{Path: "pod.yaml", Data: []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: one}\nspec: {containers: [{name: \"${name}\", image: \"web:1\"}]}\n")}
	must[*hubv1.PublishRevisionResponse](t)(h.Publish(t.Context(), &hubv1.Publication{Bundle: "web"}, apitest.ConfigMap("", "web", "one"), pod))
	h.settle(t)
	h.reports(t, "prod-1", &yardarmv1.Drift{Object: "Pod default/one", Path: "spec.containers[name=prod-1].image", Desired: `"web:1"`, Live: `"web:2"`, Reason: yardarmv1.ReasonReportOnly})
	_, err := h.AcceptDrift(t.Context(), &hubv1.AcceptDriftRequest{Bundle: "web", Clusters: []string{"prod-1"}})
	refused(t, err, codes.FailedPrecondition, "change the manifest instead")
}

// A new revision is applied whatever the policy says of drift, so what is not accepted is put right; the hub says so before.
func TestAcceptDriftWarnsOfWhatElseDiffers(t *testing.T) {
	h := driftingFleet(t, "prod-1", "prod-2")
	h.reports(t, "prod-1", differing("data.key", `"one"`, `"two"`), differing("metadata.labels.a", "", `"b"`))
	h.reports(t, "prod-2", differing("data.key", `"one"`, `"two"`))
	resp := must[*hubv1.PublishRevisionResponse](t)(h.AcceptDrift(t.Context(), &hubv1.AcceptDriftRequest{Bundle: "web", Clusters: []string{"prod-1"}, DryRun: true,
		Fields: []*hubv1.DriftedField{{Object: webObject, Path: "data.key", Live: `"two"`}}}))
	if !slices.ContainsFunc(resp.Warnings, func(w string) bool { return strings.Contains(w, "fields: 2, in clusters: 2") }) {
		t.Errorf("warned of %q", resp.Warnings)
	}
}

// Whoever may change a bundle within a group only, changes it for no other.
func TestAcceptDriftIsAChangeOfTheBundle(t *testing.T) {
	h := driftingFleet(t, "prod-1", "test-1")
	h.reports(t, "prod-1", differing("data.key", `"one"`, `"two"`))
	for role, code := range map[string]codes.Code{"viewer": codes.PermissionDenied, "publisher": codes.PermissionDenied, "operator": codes.OK} {
		req := &hubv1.CreateTokenRequest{Name: role, Role: role}
		if role == "publisher" {
			req.ClusterGroups = &yardarmv1.Scope{Names: []string{"prod"}}
		}
		token := must[*hubv1.CreateTokenResponse](t)(h.CreateToken(t.Context(), req))
		_, err := h.As(t, token.Secret).AcceptDrift(t.Context(), &hubv1.AcceptDriftRequest{Bundle: "web", Clusters: []string{"prod-1"}, DryRun: true})
		if code != codes.OK {
			refused(t, err, code, "may not apply bundle")
		} else if err != nil {
			t.Errorf("%s: %v", role, err)
		}
	}
}
