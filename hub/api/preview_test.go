package api_test

import (
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/store"
	"github.com/yardarm-dev/yardarm/pkg/manifest"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// preview reads one whole, and checks that its objects are what its first message says.
func preview(t *testing.T, h *apitest.Hub, cluster, bundle string) (*hubv1.Preview, string, error) {
	t.Helper()
	stream := must[hubv1.FleetService_PreviewAssignmentClient](t)(h.PreviewAssignment(t.Context(), &hubv1.PreviewAssignmentRequest{Cluster: cluster, Bundle: bundle}))
	messages, err := drain(stream)
	if err != nil {
		return nil, "", err
	}
	p := messages[0].GetPreview()
	var data []byte
	for _, m := range messages[1:] {
		data = append(data, m.GetData()...)
	}
	if got := manifest.DigestOf(data).String(); got != p.GetRenderedDigest() || uint64(len(data)) != p.GetSize() {
		t.Errorf("%d bytes with digest %s follow %v", len(data), got, p)
	}
	return p, string(data), nil
}

func TestPreview(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("canary", "env=canary"), group("prod", "env=prod"))
	h.Present(t, h.Enrolled(t, "berlin", map[string]string{"env": "prod", "region": "eu"}), yardarmv1.PresenceConnected) // with three nodes
	h.Present(t, h.Enrolled(t, "paris", map[string]string{"env": "canary", "region": "fr"}), yardarmv1.PresenceConnected)
	h.Present(t, h.Enrolled(t, "rome", map[string]string{"env": "prod"}), yardarmv1.PresenceConnected)
	h.Enrolled(t, "oslo", map[string]string{"env": "prod", "region": "no"})

	for _, tc := range []struct {
		name, value, cluster string
		customization        *yardarmv1.Customization
		want                 string   // in the object; empty where it cannot be customized
		words                []string // of the refusal
	}{
		{"not at all", "${name}", "berlin", nil, `"key":"${name}"`, nil},
		{"by name", "${name}", "berlin", &yardarmv1.Customization{Substitute: true}, `"key":"berlin"`, nil},
		{"by patch", "one", "berlin", patch("all"), `"key":"one","patched":"all"`, nil},
		{"by target", "one", "paris", patch("all"), `"key":"one","patched":"canary"`, nil},
		{"by variable", "${vars.tier}", "berlin", &yardarmv1.Customization{Substitute: true, Variables: map[string]string{"tier": "${name}-gold"}}, `"key":"berlin-gold"`, nil},
		{"by label", "${labels.region}", "paris", &yardarmv1.Customization{Substitute: true}, `"key":"fr"`, nil},
		{"by fact", "${facts.nodes}", "berlin", &yardarmv1.Customization{Substitute: true}, `"key":"3"`, nil},
		{"without the fact", "${facts.nodes:-0}", "oslo", &yardarmv1.Customization{Substitute: true}, `"key":"0"`, nil},
		{"a missing label", "${labels.region}", "rome", &yardarmv1.Customization{Substitute: true}, "", []string{"ConfigMap web", "data.key", "${labels.region}"}},
		{"a missing fact", "${facts.region}", "berlin", &yardarmv1.Customization{Substitute: true}, "", []string{"ConfigMap web", "data.key", "${facts.region}"}},
		{"no facts", "${facts.nodes}", "oslo", &yardarmv1.Customization{Substitute: true}, "", []string{"ConfigMap web", "data.key", "${facts.nodes}", "not known"}},
		{"a patch for nothing", "one", "berlin", &yardarmv1.Customization{Patches: []*yardarmv1.Patch{{Target: &yardarmv1.ObjectSelector{Kind: "Job"}, Patch: "a: b"}}}, "",
			[]string{"patches[0]", "selects no object"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			apply(t, h, customized(tc.customization, to("canary", patch("canary")), to("prod", nil)))
			digest := publish(t, h, "web", "'"+tc.value+"'").Revision.Spec.Digest
			p, data, err := preview(t, h, tc.cluster, "web")
			if tc.want == "" {
				st := refused(t, err, codes.FailedPrecondition, append(tc.words, `bundle "web"`, `cluster "`+tc.cluster+`"`)...)
				if reason(st) != "CUSTOMIZATION_FAILED" {
					t.Errorf("reason %q", reason(st))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(data, tc.want) {
				t.Errorf("objects %s do not have %s", data, tc.want)
			}
			if p.Cluster != tc.cluster || p.Bundle != "web" || p.Revision != current(t, h).Spec.Number || p.Digest != digest || p.ReportedDigest != "" || p.Current || p.Same {
				t.Errorf("preview %v", p)
			}
			if changed := p.RenderedDigest != digest; changed != (tc.customization != nil) {
				t.Errorf("rendered %s from %s", p.RenderedDigest, digest)
			}
		})
	}
}

// A refusal names each problem for programs too, and never a value.
func TestPreviewNamesProblems(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"))
	h.Enrolled(t, "berlin", map[string]string{"env": "prod"})
	apply(t, h, customized(&yardarmv1.Customization{Substitute: true}, to("prod", nil)))
	must[any](t)(h.Publish(t.Context(), &hubv1.Publication{Bundle: "web"}, apitest.ConfigMap("", "one", "'secret ${labels.a}'"), apitest.ConfigMap("shop", "two", "'${facts.region}'")))
	_, _, err := preview(t, h, "berlin", "web")
	st := refused(t, err, codes.FailedPrecondition, "\none.yaml: ConfigMap one: data.key: ${labels.a}: ", "\ntwo.yaml: ConfigMap shop/two: data.key: ${facts.region}: ")
	var subjects, descriptions []string
	for _, d := range st.Details() {
		for _, v := range preconditions(d) {
			subjects, descriptions = append(subjects, v.Subject), append(descriptions, v.Description)
		}
	}
	if got := strings.Join(subjects, ", "); got != "ConfigMap one, ConfigMap shop/two" || strings.Contains(st.Message(), "secret") {
		t.Errorf("subjects %q, message %q", got, st.Message())
	}
	for i, want := range []string{"one.yaml: data.key: ${labels.a}: ", "two.yaml: data.key: ${facts.region}: "} {
		if !strings.HasPrefix(descriptions[i], want) {
			t.Errorf("description %q, want %q", descriptions[i], want)
		}
	}
}

// A refusal lists no more problems than help.
func TestPreviewCountsProblems(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"))
	h.Enrolled(t, "berlin", map[string]string{"env": "prod"})
	apply(t, h, customized(&yardarmv1.Customization{Substitute: true}, to("prod", nil)))
	var files []manifest.File
	for i := range 23 {
		files = append(files, apitest.ConfigMap("", "web-"+number(i), "'${labels.a}'"))
	}
	must[any](t)(h.Publish(t.Context(), &hubv1.Publication{Bundle: "web"}, files...))
	_, _, err := preview(t, h, "berlin", "web")
	st := refused(t, err, codes.FailedPrecondition, "web-19.yaml", "\nand 3 more")
	if strings.Contains(st.Message(), "web-20") {
		t.Errorf("message %q", st.Message())
	}
}

func preconditions(detail any) []*errdetails.PreconditionFailure_Violation {
	failure, _ := detail.(*errdetails.PreconditionFailure)
	return failure.GetViolations()
}

func TestPreviewComparesWithTheReport(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"))
	uid := h.Enrolled(t, "berlin", map[string]string{"env": "prod"})
	h.Present(t, uid, yardarmv1.PresenceConnected)
	web := publish(t, h, "web", "'${facts.nodes}'", "prod").Revision.Spec
	apply(t, h, customized(&yardarmv1.Customization{Substitute: true}, to("prod", nil)))
	expected, _, err := preview(t, h, "berlin", "web")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, digest  string
		hash          []byte
		current, same bool
	}{
		{"the same", expected.RenderedDigest, assignment(t, h, "berlin", "web").Spec.Hash, true, true},
		{"another", web.Digest, assignment(t, h, "berlin", "web").Spec.Hash, true, false},
		{"an earlier", web.Digest, []byte("earlier"), false, false},
		{"the same by an earlier assignment", expected.RenderedDigest, []byte("earlier"), false, true},
		{"nothing applied", "", assignment(t, h, "berlin", "web").Spec.Hash, true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h.Report(t, uid, &yardarmv1.Report{Bundle: "web", BundleUid: web.BundleUid, Phase: yardarmv1.PhaseReady, AssignmentHash: tc.hash, RenderedDigest: tc.digest})
			p, _, err := preview(t, h, "berlin", "web")
			if err != nil {
				t.Fatal(err)
			}
			if p.ReportedDigest != tc.digest || p.Current != tc.current || p.Same != tc.same || p.AsOf == nil {
				t.Errorf("preview %v", p)
			}
		})
	}
	// Its newest facts count.
	h.Observe(t, func(tx *store.Tx) error {
		return tx.PutObserved(&storev1.Observed{ClusterUid: uid, LastSeen: timestamppb.Now(), Facts: &yardarmv1.Facts{Nodes: 4}})
	})
	if p, data, err := preview(t, h, "berlin", "web"); err != nil || p.RenderedDigest == expected.RenderedDigest || !strings.Contains(data, `"key":"4"`) {
		t.Errorf("with another node: %v, %s, %v", p, data, err)
	}
}

func TestPreviewNeedsAnAssignment(t *testing.T) {
	h := apitest.Start(t)
	apply(t, h, group("prod", "env=prod"))
	berlin := h.Enrolled(t, "berlin", map[string]string{"env": "prod"})
	h.Enrolled(t, "rome", nil)
	web := publish(t, h, "web", "1", "prod")
	apply(t, h, bundle("draft", "prod"))
	left := publish(t, h, "left", "1", "prod").Revision.Spec
	h.Report(t, berlin, &yardarmv1.Report{Bundle: "left", BundleUid: left.BundleUid, Phase: yardarmv1.PhaseReady})
	apply(t, h, bundle("left"))
	for _, tc := range []struct {
		name, cluster, bundle string
		words                 []string
	}{
		{"no such cluster", "nowhere", "web", []string{`no cluster "nowhere"`}},
		{"no such bundle", "berlin", "nothing", []string{`no bundle "nothing"`}},
		{"not for it", "rome", "web", []string{"rome.web", "no group"}},
		{"no revision yet", "berlin", "draft", []string{"berlin.draft", "publish one"}},
		{"no longer for it", "berlin", "left", []string{"berlin.left", "not to run the bundle any more"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := preview(t, h, tc.cluster, tc.bundle)
			refused(t, err, codes.NotFound, tc.words...)
		})
	}
	if p, _, err := preview(t, h, "berlin", "web"); err != nil || p.RenderedDigest != web.Revision.Spec.Digest {
		t.Errorf("preview %v, %v", p, err)
	}
}
