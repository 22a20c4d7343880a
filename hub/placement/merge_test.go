package placement

import (
	"testing"

	"google.golang.org/protobuf/proto"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestMerge(t *testing.T) {
	a, b := &yardarmv1.Patch{Patch: "a"}, &yardarmv1.Patch{Patch: "b"}
	bundle := &yardarmv1.Customization{Patches: []*yardarmv1.Patch{a}, Variables: map[string]string{"x": "1", "y": "1"}}
	target := &yardarmv1.Customization{Patches: []*yardarmv1.Patch{b}, Variables: map[string]string{"y": "2"}, Substitute: true}
	for _, c := range []struct {
		name                 string
		bundle, target, want *yardarmv1.Customization
	}{
		{"nothing", nil, nil, nil},
		{"nothing said", &yardarmv1.Customization{Language: 1}, &yardarmv1.Customization{}, nil},
		{"bundle", bundle, nil, &yardarmv1.Customization{Patches: bundle.Patches, Variables: bundle.Variables, Language: 1}},
		{"target", nil, target, &yardarmv1.Customization{Patches: target.Patches, Variables: target.Variables, Substitute: true, Language: 1}},
		{"both", bundle, target, &yardarmv1.Customization{
			Patches: []*yardarmv1.Patch{a, b}, Variables: map[string]string{"x": "1", "y": "2"}, Substitute: true, Language: 1}},
	} {
		if got := Merge(c.bundle, c.target); !proto.Equal(got, c.want) {
			t.Errorf("%s: got %v", c.name, got)
		}
	}
	if len(bundle.Patches) != 1 || bundle.Variables["y"] != "1" {
		t.Error("an argument was changed")
	}
}
