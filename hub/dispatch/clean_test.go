package dispatch

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// unknown gives a message a field that nobody knows, with a megabyte in it.
func unknown[M proto.Message](m M) M {
	m.ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, 999, protowire.BytesType), make([]byte, 1<<20)))
	return m
}

func TestReportIsBounded(t *testing.T) {
	long := strings.Repeat("ü", 1<<15) // longer than anything may be
	never := &timestamppb.Timestamp{Seconds: 1 << 60}
	problems := slices.Repeat([]*yardarmv1.ObjectProblem{
		unknown(&yardarmv1.ObjectProblem{Object: long, File: long, Reason: long, Message: long, Since: never}),
	}, 2*maxProblems)
	drift := slices.Repeat([]*yardarmv1.Drift{
		unknown(&yardarmv1.Drift{Object: long, File: long, Path: long, Desired: long, Live: long, Manager: long, Reason: long, Since: never, Corrected: never}),
	}, 2*maxDrift)
	conditions := slices.Repeat([]*yardarmv1.Condition{
		unknown(&yardarmv1.Condition{Type: long, Status: long, Reason: long, Message: long, LastTransitionTime: never}),
	}, 2*maxConditions)
	in := unknown(&yardarmv1.Report{
		Bundle: long, BundleUid: "b-1", AssignmentHash: []byte(long), Digest: long, RenderedDigest: long, Phase: yardarmv1.PhaseFailed,
		Reason: long, Message: long, Objects: unknown(&yardarmv1.ObjectCounts{Total: 7}), Problems: problems, Since: unknown(never), ObservedTime: never,
		Drift: drift, Conditions: conditions,
	})
	got, err := cleanReport(in)
	if err != nil {
		t.Fatal(err)
	}
	// All that a report may cost: problems, drift and conditions of bounded texts, and a few fields.
	most := maxProblems*(maxName+maxReason+maxMessage+64) + maxDrift*(maxName+maxPath+2*maxValue+maxManager+maxReason+64) +
		maxConditions*(3*maxReason+maxMessage+64) + maxMessage + 2*maxDigest + 512
	if size := proto.Size(got); size > most {
		t.Errorf("%d bytes are left, at most %d may be", size, most)
	}
	if len(got.Drift) != maxDrift || len(got.Conditions) != maxConditions || got.Drift[0].Since != nil || got.Conditions[0].LastTransitionTime != nil {
		t.Errorf("got %d drifted fields and %d conditions", len(got.Drift), len(got.Conditions))
	}
	if len(got.Problems) != maxProblems || got.Objects.GetTotal() != 7 || got.Since != nil || got.ObservedTime != nil {
		t.Errorf("got %d problems, objects %v, since %v", len(got.Problems), got.Objects, got.Since)
	}
	if got.Problems[0].File != "" || got.Drift[0].File != "" {
		t.Error("a spoke says which files objects are from, which is the hub's to say")
	}
	if !utf8.ValidString(got.Message) || len(got.Message) > maxMessage || !strings.HasPrefix(long, got.Message) || got.Message == "" {
		t.Error("the message is not cut at a character")
	}
	// Regression: a time that no calendar has spoiled every list that it was in.
	if _, err := protojson.Marshal(got); err != nil {
		t.Error(err)
	}
}

func TestClip(t *testing.T) {
	for _, tc := range []struct {
		in   string
		n    int
		want string
	}{
		{"abc", 3, "abc"}, {"abcd", 3, "abc"}, {"aü", 2, "a"}, {"aü", 3, "aü"}, {"üü", 1, ""}, {"a\xffb", 5, "a?b"}, {"", 0, ""},
	} {
		if got := clip(tc.in, tc.n); got != tc.want {
			t.Errorf("clip(%q, %d) = %q, want %q", tc.in, tc.n, got, tc.want)
		}
	}
}

func TestReportIsKeptAsItIs(t *testing.T) {
	// Every field is set, so that one that is added to the message and forgotten in cleanReport shows.
	in := &yardarmv1.Report{
		Bundle: "web", BundleUid: "b-1", AssignmentHash: []byte("hash"), Revision: 3, Digest: "sha256:a", RenderedDigest: "sha256:b",
		Phase: yardarmv1.PhaseDegraded, Reason: "Unhealthy", Message: "two of three", Since: timestamppb.Now(), ObservedTime: timestamppb.Now(),
		Objects:  &yardarmv1.ObjectCounts{Total: 5, Applied: 4, Ready: 3, Failed: 2, Pruning: 1, Drifted: 1},
		Problems: []*yardarmv1.ObjectProblem{{Object: "apps/Deployment prod/web", Reason: "ImagePullBackOff", Message: "no such image", Since: timestamppb.Now(), File: "web.yaml"}},
		Drift: []*yardarmv1.Drift{{Object: "apps/Deployment prod/web", Path: "spec.paused", Desired: "false", Live: "true", Manager: "kubectl-edit",
			Since: timestamppb.Now(), Corrected: timestamppb.Now(), Reason: "ReportOnly", File: "web.yaml"}},
		Conditions: []*yardarmv1.Condition{{Type: yardarmv1.ConditionInSync, Status: yardarmv1.ConditionFalse, Reason: "Drifted", Message: "one field", LastTransitionTime: &timestamppb.Timestamp{Seconds: 1_700_000_000}}},
	}
	allSet(t, in, in.Objects, in.Problems[0], in.Drift[0], in.Conditions[0])
	got, err := cleanReport(in)
	in.Problems[0].File, in.Drift[0].File = "", "" // those are the hub's to say
	if err != nil || !proto.Equal(in, got) {
		t.Errorf("%v\n got %v\nwant %v", err, got, in)
	}
	facts := &yardarmv1.Facts{
		KubernetesVersion: "v1.36.1", Distribution: "k3s", Provider: "aws", Region: "eu", Nodes: 3,
		Capacity: map[string]string{"cpu": "4"}, ApiGroups: []string{"apps/v1", "v1"},
	}
	allSet(t, facts)
	if got := cleanFacts(facts); !proto.Equal(facts, got) {
		t.Errorf("got %v, want %v", got, facts)
	}
}

func allSet(t *testing.T, messages ...proto.Message) {
	t.Helper()
	for _, m := range messages {
		fields := m.ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			if !m.ProtoReflect().Has(fields.Get(i)) {
				t.Fatalf("the test does not set %s", fields.Get(i).FullName())
			}
		}
	}
}

func TestReportsThatAreNone(t *testing.T) {
	for name, r := range map[string]*yardarmv1.Report{
		"no bundle":              {Phase: yardarmv1.PhaseReady},
		"a uid with a separator": {BundleUid: "a/b", Phase: yardarmv1.PhaseReady},
		"a long uid":             {BundleUid: strings.Repeat("a", maxUID+1), Phase: yardarmv1.PhaseReady},
		"no phase":               {BundleUid: "b"},
		"the hub's own phase":    {BundleUid: "b", Phase: yardarmv1.PhaseStale},
		"another phase":          {BundleUid: "b", Phase: strings.Repeat("x", 1<<20)},
	} {
		if got, err := cleanReport(r); err == nil || len(err.Error()) > 200 {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestFactsAreBounded(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	in := unknown(&yardarmv1.Facts{KubernetesVersion: long, Distribution: long, Provider: long, Region: long, Capacity: map[string]string{long: "1", "a": long}})
	for i := range 5000 {
		in.ApiGroups = append(in.ApiGroups, long[:i])
		in.Capacity["r"+long[:i%400]] = "1"
	}
	got := cleanFacts(in)
	if size, most := proto.Size(got), maxGroups*(maxName+4)+maxCapacity*(maxName+maxReason+8)+4*maxReason+64; size > most {
		t.Errorf("%d bytes are left, at most %d may be", size, most)
	}
	if len(got.ApiGroups) != maxGroups || len(got.Capacity) != maxCapacity || got.Capacity["a"] != "" {
		t.Errorf("%d groups, %d resources", len(got.ApiGroups), len(got.Capacity))
	}
	if !proto.Equal(got, cleanFacts(in)) {
		t.Error("what is dropped is not always the same: the facts would change each time")
	}
}

func TestHoldingsThatAreNone(t *testing.T) {
	long := strings.Repeat("x", maxDigest+1)
	for name, h := range map[string]*spokev1.Holding{
		"no bundle":              {},
		"a uid with a separator": {BundleUid: "b/holding"},
		"a long hash":            {BundleUid: "b", Hash: []byte(long)},
		"a long epoch":           {BundleUid: "b", Epoch: []byte(long)},
		"a long digest":          {BundleUid: "b", Digest: long},
	} {
		if _, err := cleanHolding(h); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	h := &spokev1.Holding{Bundle: "web", BundleUid: "b", Hash: []byte("h"), Revision: 2, Digest: "sha256:a", Epoch: []byte("e"), Index: 3, HasContent: true, Removing: true, Held: true}
	allSet(t, h)
	got, err := cleanHolding(h)
	if err != nil || got.bundle != "web" || got.uid != "b" || string(got.hash) != "h" || got.revision != 2 || got.digest != "sha256:a" ||
		string(got.epoch) != "e" || got.index != 3 || !got.hasContent || !got.removing || !got.held || got.accepted {
		t.Errorf("%+v, %v", got, err)
	}
}
