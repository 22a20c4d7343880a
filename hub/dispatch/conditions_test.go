package dispatch

import (
	"fmt"
	"hash/maphash"
	"runtime"
	"testing"
	"unsafe"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func newConditionSets() *conditionSets {
	return &conditionSets{seed: maphash.MakeSeed()}
}

// said are the conditions of a report, as they come from a spoke.
func said(message string, seconds int64, nanos int32) []*yardarmv1.Condition {
	return []*yardarmv1.Condition{
		{Type: yardarmv1.ConditionApplied, Status: yardarmv1.ConditionTrue, Reason: "ObjectsApplied", Message: message, LastTransitionTime: &timestamppb.Timestamp{Seconds: seconds, Nanos: nanos}},
		{Type: yardarmv1.ConditionInSync, Status: yardarmv1.ConditionUnknown, Reason: "NothingApplied"},
	}
}

// TestConditionsAreKeptOnce: what reports say alike within a second is kept once, and what differs in anything is not the same.
func TestConditionsAreKeptOnce(t *testing.T) {
	c := newConditionSets()
	first := c.clean(said("9 objects are applied", 1_700_000_000, 1))
	want := said("9 objects are applied", 1_700_000_000, 0)
	for i := range want {
		if !proto.Equal(first[i], want[i]) {
			t.Errorf("kept as %v, want %v", first[i], want[i])
		}
	}
	if again := c.clean(said("9 objects are applied", 1_700_000_000, 999)); &again[0] != &first[0] {
		t.Error("the same is kept twice")
	}
	all := []struct {
		what string
		edit func(all []*yardarmv1.Condition)
	}{
		{"a type", func(all []*yardarmv1.Condition) { all[1].Type = "Other" }},
		{"a status", func(all []*yardarmv1.Condition) { all[1].Status = yardarmv1.ConditionFalse }},
		{"a reason", func(all []*yardarmv1.Condition) { all[1].Reason = "Other" }},
		{"a message", func(all []*yardarmv1.Condition) { all[0].Message = "8 objects are applied" }},
		{"a second", func(all []*yardarmv1.Condition) { all[0].LastTransitionTime.Seconds++ }},
		{"no time", func(all []*yardarmv1.Condition) { all[0].LastTransitionTime = nil }},
		{"another time", func(all []*yardarmv1.Condition) { all[1].LastTransitionTime = &timestamppb.Timestamp{} }},
	}
	for _, tc := range all {
		in := said("9 objects are applied", 1_700_000_000, 0)
		tc.edit(in)
		for range 2 {
			got := c.clean(in)
			for i := range in {
				if !proto.Equal(got[i], in[i]) {
					t.Errorf("with %s: %v, want %v", tc.what, got[i], in[i])
				}
			}
			// Where the hash is that of others, too.
			c.keep(c.hash(in), newConditionSet(said("9 objects are applied", 1_700_000_000, 0)))
		}
	}
	if got := c.clean(nil); got != nil {
		t.Errorf("of none: %v", got)
	}
	if n := cap(first); n != len(first) {
		t.Errorf("whoever appends to a set of %d changes it: there is room for %d", len(first), n)
	}
}

// TestConditionsGo: sets that no report has any more take no memory, and the others stay known.
func TestConditionsGo(t *testing.T) {
	c := newConditionSets()
	kept := c.clean(said("kept", 1, 0))
	for i := range 4 * minSweep {
		c.clean(said(fmt.Sprint(i), 1, 0))
		if i%100 == 0 {
			runtime.GC()
		}
	}
	if n := len(c.known); n > minSweep {
		t.Errorf("%d sets are known", n)
	}
	if again := c.clean(said("kept", 1, 0)); &again[0] != &kept[0] {
		t.Error("what a report still has is kept twice")
	}
	runtime.KeepAlive(kept)
}

// TestReadyMessagesAreKeptOnce: what thousands of reports say alike beside their conditions is kept once, too.
func TestReadyMessagesAreKeptOnce(t *testing.T) {
	clean := func() string {
		r, err := cleanReport(&yardarmv1.Report{BundleUid: "web", Phase: yardarmv1.PhaseReady, Message: string([]byte("9 objects are applied and ready"))})
		if err != nil {
			t.Fatal(err)
		}
		return r.Message
	}
	a, b := clean(), clean()
	if a != "9 objects are applied and ready" || unsafe.StringData(a) != unsafe.StringData(b) {
		t.Errorf("%q and %q", a, b)
	}
}
