package dispatch

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// TestReported compares what a session keeps of its spoke's word with maps.
func TestReported(t *testing.T) {
	w := newWorld(t)
	s, _ := w.join()
	random := rand.New(rand.NewPCG(1, 2))
	want := map[string]string{}
	for round := range 300 {
		u := &spokev1.ReportUpdate{Complete: random.IntN(8) == 0}
		if u.Complete {
			clear(want)
		}
		for _, i := range random.Perm(12)[:random.IntN(5)] {
			uid := fmt.Sprintf("b%d", i)
			if delete(want, uid); random.IntN(3) == 0 {
				u.Removed = append(u.Removed, uid)
				continue
			}
			want[uid] = reportedPhases[random.IntN(len(reportedPhases))]
			u.Reports = append(u.Reports, says(uid, want[uid]))
		}
		w.say(s, &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Reports{Reports: u}})
		got := map[string]string{}
		for i := range 12 {
			if r := s.reportOf(fmt.Sprintf("b%d", i)); r != nil {
				got[r.BundleUid] = r.Phase
			}
		}
		if !maps.Equal(got, want) || len(s.reported) != len(want) {
			t.Fatalf("round %d: %v (%d), want %v", round, got, len(s.reported), want)
		}
	}
}

// A session keeps its spoke's word on as many bundles as a cluster can have.
func TestReportedIsBounded(t *testing.T) {
	w := newWorld(t)
	s, _ := w.join()
	for i := range maxReports {
		w.say(s, reports(false, "", says(fmt.Sprintf("b%d", i), "Ready")))
	}
	w.say(s, reports(false, "", says("b0", "Failed")))
	if err := s.handle(reports(false, "", says("more", "Ready"))); status.Code(err) != codes.InvalidArgument {
		t.Errorf("one more: %v", err)
	}
}

// What a spoke refuses is shown as failed, in the place of its own word, which counts again once something else is assigned.
func TestOwnWordCountsAgain(t *testing.T) {
	w := newWorld(t)
	w.publish("web", []byte("one"), "all")
	s, stream := w.join()
	first := stream.take()
	a := first.Changes[0].GetAssign()
	w.say(s, &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Ack{Ack: &spokev1.Ack{Cursor: first.Cursor, Complete: true}}})
	own := says("web", "Ready")
	own.AssignmentHash = slices.Clone(a.Hash)
	w.say(s, reports(true, "1", own))
	if h, _ := s.held.of("web"); &s.reportOf("web").AssignmentHash[0] != &h.hash[0] {
		t.Error("one hash is kept twice")
	}
	w.publish("web", []byte("two"), "all")
	w.advance(s)
	for range 2 {
		w.say(s, &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Nack{Nack: &spokev1.Nack{
			Cursor: stream.take().Cursor, BundleUid: "web", Code: spokev1.NackCode_NACK_CODE_INVALID}}})
		w.say(s, &spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Holdings{Holdings: &spokev1.Holdings{Holdings: []*spokev1.Holding{{
			Bundle: "web", BundleUid: "web", Hash: a.Hash, Digest: a.Digest, Epoch: first.Cursor.Epoch, Index: first.Cursor.Index, HasContent: true}}}}})
	}
	if w.flush(); w.report("web").GetPhase() != yardarmv1.PhaseFailed || w.report("web").Revision != 2 {
		t.Fatalf("refused twice: %v", w.report("web"))
	}
	w.publish("web", []byte("three"), "all")
	w.advance(s)
	if w.flush(); w.report("web").GetPhase() != yardarmv1.PhaseReady {
		t.Errorf("with another one: %v", w.report("web"))
	}
}

// Regression: a spoke that has nothing to report, while something that it was to have is shown as failed in its place, ended its session with a panic.
func TestNothingReportedWhileRefused(t *testing.T) {
	w := newWorld(t)
	w.publish("web", []byte("one"), "all")
	s, stream := w.join()
	s.fail(stream.take().Changes[0].GetAssign(), reasonLanguage, "upgrade the spoke", 0)
	w.say(s, reports(true, "1"))
	if w.flush(); w.report("web").GetPhase() != yardarmv1.PhaseFailed {
		t.Errorf("shown as %v", w.report("web"))
	}
}
