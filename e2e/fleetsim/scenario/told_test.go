package scenario

import (
	"testing"

	"google.golang.org/protobuf/proto"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestWhatIsTimedOfAMessage(t *testing.T) {
	cluster := func(labels map[string]string) *hubv1.WatchResponse_Cluster {
		return &hubv1.WatchResponse_Cluster{Cluster: &yardarmv1.Cluster{ApiVersion: "v", Kind: "Cluster", Metadata: &yardarmv1.ObjectMeta{Name: "c", Generation: 7, Labels: labels}}}
	}
	for _, tc := range []struct {
		message *hubv1.WatchResponse
		want    told
	}{
		{&hubv1.WatchResponse{Type: "BOOKMARK", Bookmark: "b"}, told{"BOOKMARK", 0}},
		{&hubv1.WatchResponse{Type: "MODIFIED", Resource: cluster(map[string]string{"share": "1", "at": "42", "z": "9"})}, told{"MODIFIED", 42}},
		{&hubv1.WatchResponse{Type: "ADDED", Resource: cluster(map[string]string{"share": "1"})}, told{"ADDED", 0}},
	} {
		raw, err := proto.Marshal(tc.message)
		if err != nil {
			t.Fatal(err)
		}
		if got := toldBy(raw); got != tc.want {
			t.Errorf("of %v, %v is timed, want %v", tc.message, got, tc.want)
		}
		toldBy(raw[:len(raw)-1]) // does not end well, but ends
	}
}
