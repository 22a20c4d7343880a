package store

import (
	"fmt"
	"runtime"
	"testing"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	storev1 "github.com/yardarm-dev/yardarm/proto/yardarm/store/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/e2e/fleetsim/played"
)

// usualReport is what a spoke reports of a bundle that is ready.
func usualReport(cluster, bundle int) *storev1.ObservedBundle {
	at := timestamppb.Timestamp{Seconds: 1_700_000_000 + int64(cluster), Nanos: int32(bundle)}
	since := &timestamppb.Timestamp{Seconds: at.Seconds - 60}
	report := played.Ready(&yardarmv1.Report{
		Bundle: fmt.Sprint("app-", bundle), BundleUid: fmt.Sprint("uid-app-", bundle), AssignmentHash: fmt.Appendf(nil, "%032d", bundle), Revision: 3,
		Digest: fmt.Sprintf("sha256:%064d", bundle), RenderedDigest: fmt.Sprintf("sha256:%064d", bundle), ObservedTime: &timestamppb.Timestamp{Seconds: at.Seconds, Nanos: at.Nanos},
	}, 9, since, since)
	return &storev1.ObservedBundle{ClusterUid: fmt.Sprint("uid-shop-", cluster), Received: &timestamppb.Timestamp{Seconds: at.Seconds}, Report: report}
}

// sameAsProtobuf compares what is read of a row with what protobuf reads, and what protobuf refuses with what is refused.
func sameAsProtobuf(t *testing.T, r *observedReader, value []byte) {
	t.Helper()
	want := &storev1.ObservedBundle{}
	refused := proto.Unmarshal(value, want)
	got, err := r.read(append([]byte(nil), value...))
	if (err == nil) != (refused == nil) {
		t.Fatalf("%x: %v, and protobuf says %v", value, err, refused)
	}
	if err == nil && !proto.Equal(got, want) {
		t.Errorf("%x is read as %v, and by protobuf as %v", value, got, want)
	}
}

func observedRows(t testing.TB) (rows [][]byte) {
	add := func(m *storev1.ObservedBundle, more ...byte) {
		value, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, append(value, more...))
	}
	usual := usualReport(1, 2)
	add(usual)
	add(usualReport(2, 2))
	add(&storev1.ObservedBundle{})
	add(&storev1.ObservedBundle{Report: &yardarmv1.Report{Since: &timestamppb.Timestamp{}, Objects: &yardarmv1.ObjectCounts{}, Reason: "Why"}, Received: &timestamppb.Timestamp{Seconds: -1, Nanos: -1}})
	failing := usualReport(3, 2)
	failing.Report.Message, failing.Report.Problems = "1 of 9 objects failed", []*yardarmv1.ObjectProblem{{Object: "a", Since: timestamppb.New(timestamppb.Now().AsTime())}, {Object: "b"}}
	failing.Report.Drift, failing.Report.Conditions = []*yardarmv1.Drift{{Object: "c", Path: "d"}}, []*yardarmv1.Condition{{Type: "Applied"}, {Type: "Healthy"}}
	add(failing)
	// Of a newer hub, of the wrong kind, twice, not UTF-8, cut off.
	newer := protowire.AppendString(protowire.AppendTag(nil, 10_000, protowire.BytesType), "new")
	add(usual, newer...)
	message := func(number protowire.Number, content []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), content)
	}
	number := func(at protowire.Number) []byte {
		return protowire.AppendVarint(protowire.AppendTag(nil, at, protowire.VarintType), 7)
	}
	add(usual, message(observedReport, newer)...)
	add(usual, message(observedReceived, newer)...)
	for n := protowire.Number(1); n < 17; n++ {
		add(usual, number(n)...)
		add(usual, message(n, []byte("\xff"))...)
		add(usual, message(observedReport, number(n))...)
		add(usual, message(observedReport, message(n, nil))...)
		add(usual, message(observedReport, message(n, number(2)))...)
		add(usual, message(observedReport, message(n, []byte("\xff")))...)
	}
	add(usual, protowire.AppendTag(nil, 1, protowire.EndGroupType)...)
	add(usual, 0)
	value := rows[0]
	for n := range value {
		rows = append(rows, value[:n])
	}
	return rows
}

// TestObservedRowIsReadAsByProtobuf: and twice, since what was read before is shared with what is read later, and must stay as it is.
func TestObservedRowIsReadAsByProtobuf(t *testing.T) {
	r := newObservedReader()
	for range 2 {
		for _, value := range observedRows(t) {
			sameAsProtobuf(t, r, value)
		}
	}
}

func FuzzObservedRow(f *testing.F) {
	for _, value := range observedRows(f) {
		f.Add(value)
	}
	r := newObservedReader()
	f.Fuzz(func(t *testing.T, value []byte) { sameAsProtobuf(t, r, value) })
}

// TestObservedRowsShare: what rows have in common, they have once, and a row is one piece of memory.
func TestObservedRowsShare(t *testing.T) {
	const clusters, bundles = 100, 100
	var values [][]byte
	for c := range clusters {
		for b := range bundles {
			value, err := proto.Marshal(usualReport(c, b))
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, value)
		}
	}
	r := newObservedReader()
	rows := make([]*storev1.ObservedBundle, 0, len(values))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, value := range values {
		row, err := r.read(value)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	runtime.ReadMemStats(&after)
	first, other := rows[0].Report, rows[bundles].Report
	if unsafe.StringData(first.Digest) != unsafe.StringData(other.Digest) || unsafe.StringData(rows[0].ClusterUid) != unsafe.StringData(rows[1].ClusterUid) || first.Objects != other.Objects {
		t.Error("a bundle's rows of two clusters do not share its digest or its counts, or two rows of a cluster its uid")
	}
	if pieces := float64(after.Mallocs-before.Mallocs) / float64(len(rows)); pieces > 1.5 {
		t.Errorf("a row is %.1f pieces of memory", pieces)
	}
}
