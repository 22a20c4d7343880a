package api

import (
	"maps"
	"strings"
	"testing"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

// TestNoMethodWithoutANeed: a hub whose table leaves a method out, or has one too many, does not start.
func TestNoMethodWithoutANeed(t *testing.T) {
	service := &hubv1.FleetService_ServiceDesc
	if err := checkNeeds(service, needs); err != nil {
		t.Fatal(err)
	}
	for method := range needs {
		table := maps.Clone(needs)
		delete(table, method)
		if err := checkNeeds(service, table); err == nil || !strings.Contains(err.Error(), method) {
			t.Errorf("without %s: %v", method, err)
		}
		table[method] = need{}
		if err := checkNeeds(service, table); err == nil || !strings.Contains(err.Error(), method) {
			t.Errorf("with nothing asked for %s: %v", method, err)
		}
	}
	table := maps.Clone(needs)
	table["/"+service.ServiceName+"/Nothing"] = needs[hubv1.FleetService_GetHub_FullMethodName]
	if err := checkNeeds(service, table); err == nil || !strings.Contains(err.Error(), "Nothing") {
		t.Errorf("with a method that there is not: %v", err)
	}
}
