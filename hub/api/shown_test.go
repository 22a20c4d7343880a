package api

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestWhatManyAreToldIsEncodedOnce(t *testing.T) {
	var s shown
	now, made := time.Unix(1, 0), 0
	look := func(content any, at time.Time) {
		t.Helper()
		if _, err := s.of(content, at, func() *hubv1.WatchResponse { made++; return &hubv1.WatchResponse{} }); err != nil {
			t.Fatal(err)
		}
	}
	type entry struct{ _ int }
	a, b := &entry{}, &entry{}
	for _, tc := range []struct {
		content any
		after   time.Duration
		made    int
	}{
		{a, 0, 1}, {a, shownFor - 1, 1}, {b, shownFor - 1, 2}, {b, shownFor, 2},
		{a, shownFor, 3}, // what it says of time is too old
		{a, 2*shownFor - 1, 3},
	} {
		if look(tc.content, now.Add(tc.after)); made != tc.made {
			t.Errorf("%v later, %d were made, want %d", tc.after, made, tc.made)
		}
	}
	for range 3 * maxShown {
		look(&entry{}, now)
	}
	if len(s.latest) > maxShown || len(s.order) > maxShown {
		t.Errorf("%d are kept, in an order of %d, of at most %d", len(s.latest), len(s.order), maxShown)
	}
	for range 3 { // of one that is made again and again, there is no more than one
		now = now.Add(shownFor)
		look(a, now)
	}
	if len(s.latest) != 1 || len(s.order) != 1 {
		t.Errorf("%d are kept, in an order of %d, though but one is fresh", len(s.latest), len(s.order))
	}
}

func TestPartsOfAMessageAreTheMessage(t *testing.T) {
	want := &hubv1.WatchResponse{Type: watchModified, Bookmark: "b", Resource: &hubv1.WatchResponse_Cluster{Cluster: &yardarmv1.Cluster{Kind: "Cluster"}}}
	shared, _ := proto.Marshal(&hubv1.WatchResponse{Resource: want.Resource})
	own, _ := proto.Marshal(&hubv1.WatchResponse{Type: want.Type, Bookmark: want.Bookmark})
	raw, err := codec{}.Marshal(encoded{shared, own})
	if err != nil {
		t.Fatal(err)
	}
	var got hubv1.WatchResponse
	if err := proto.Unmarshal(raw.Materialize(), &got); err != nil || !proto.Equal(&got, want) {
		t.Errorf("%v: %v", &got, err)
	}
}
